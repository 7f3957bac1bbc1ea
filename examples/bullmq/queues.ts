/** The queues and what is in them. Everything here is JSON: a job goes through Redis. */
import type { Metadata } from "langchain-training-index";
import { Queue, type QueueOptions } from "bullmq";

/** A training was saved in the host: this is its text now. */
export interface TrainingSaved {
  type: "saved";
  id: string | number;
  content: string;
  metadata: Metadata;
  /** Orders the versions of one training; a `Date` would come out of Redis as a string. */
  revision: number;
}

/** A training was deleted in the host. */
export interface TrainingDeleted {
  type: "deleted";
  id: string | number;
  /** Higher than that of the last save; with the same one, whichever job ran last would decide. */
  revision: number;
}

/** What a worker gets to do. */
export type TrainingJob = TrainingSaved | TrainingDeleted;

/** A job that failed for good, and why. */
export interface DeadLetter {
  job: TrainingJob;
  reason: string;
  attempts: number;
  failedAt: string;
}

/** The queue of a host's trainings, and where its jobs go when they fail for good. */
export interface TrainingQueues {
  trainings: Queue<TrainingJob, void, TrainingJob["type"]>;
  deadLetters: Queue<DeadLetter, void, TrainingJob["type"]>;
  /** Ends the connections; jobs stay in Redis. */
  close: () => Promise<void>;
}

/** Options of {@link openQueues}. */
export interface QueueSettings extends Pick<QueueOptions, "connection" | "prefix"> {
  /** How often a job is tried in all. Default 8. */
  attempts?: number;
  /** Wait before the second attempt; each later wait is twice as long. Default 1000: in all some two minutes. */
  firstDelayMs?: number;
}

/** The name of the queue; a worker must have the same. */
export const TRAININGS = "trainings";
const DEAD_LETTERS = "trainings-dead-letters";

/** Jobs that failed together come back at different times: each wait is cut by up to half. */
const JITTER = 0.5;

/** Opens both queues. Any number of processes can have them open. */
export function openQueues(settings: QueueSettings): TrainingQueues {
  const { attempts = 8, firstDelayMs = 1000, ...common } = settings;
  const trainings: TrainingQueues["trainings"] = new Queue(TRAININGS, {
    ...common,
    defaultJobOptions: {
      attempts,
      backoff: { type: "exponential", delay: firstDelayMs, jitter: JITTER },
      removeOnComplete: true,
      removeOnFail: false, // dead-letters.ts takes it from there
    },
  });
  const deadLetters: TrainingQueues["deadLetters"] = new Queue(DEAD_LETTERS, common);
  return {
    trainings,
    deadLetters,
    close: async () => {
      await Promise.all([trainings.close(), deadLetters.close()]);
    },
  };
}
