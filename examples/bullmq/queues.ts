import { Queue, type ConnectionOptions } from "bullmq";
import type { Metadata } from "langchain-training-index";

/**
 * What happened to a training. `revision` is what puts the events of one training in order, whatever order they are
 * delivered in, and how often: the host's `updated_at` in milliseconds, or a counter. A delete has one, too.
 */
export type TrainingEvent =
  | { kind: "saved"; id: string; revision: number; content: string; metadata: Metadata }
  | { kind: "deleted"; id: string; revision: number };

/** An event that failed for good, and why. */
export interface DeadEvent {
  event: TrainingEvent;
  error: string;
}

/** The queues of one host. */
export interface TrainingQueues {
  events: Queue<TrainingEvent>;
  /** Dead letters: what failed for good, until somebody puts it back. */
  dead: Queue<DeadEvent>;
  close(): Promise<void>;
}

/**
 * @param prefix - of the keys in Redis
 * @param retryDelayMs - before the second attempt; doubles with each
 */
export function openQueues(
  connection: ConnectionOptions,
  prefix = "bull",
  retryDelayMs = 1000,
): TrainingQueues {
  const events = new Queue<TrainingEvent>("training-events", {
    connection,
    prefix,
    defaultJobOptions: {
      // By default within about two minutes: an embedder that is restarted is back by then.
      attempts: 8,
      backoff: { type: "exponential", delay: retryDelayMs, jitter: 0.5 },
      removeOnComplete: true,
      removeOnFail: true, // its dead letter takes its place
    },
  });
  const dead = new Queue<DeadEvent>("training-events-dead", { connection, prefix });
  return {
    events,
    dead,
    close: async () => {
      await Promise.all([events.close(), dead.close()]);
    },
  };
}

/** Tells the worker of an event. Safe to repeat where it is not known whether it went through. */
export async function publish({ events }: TrainingQueues, event: TrainingEvent): Promise<void> {
  await events.add(event.kind, event);
}

/** Puts all dead letters back among the events. @returns how many there were */
export async function putBack(queues: TrainingQueues): Promise<number> {
  const letters = await queues.dead.getJobs(["waiting", "paused", "prioritized", "delayed"]);
  for (const letter of letters) {
    // In this order: a crash in between leaves the event twice, which does no harm, and not lost.
    await publish(queues, letter.data.event);
    await letter.remove();
  }
  return letters.length;
}
