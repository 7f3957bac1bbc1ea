import { UnrecoverableError, Worker, type ConnectionOptions, type Job, type WorkerOptions } from "bullmq";
import { TrainingIndexError, type TrainingIndex } from "langchain-training-index";
import type { TrainingEvent, TrainingQueues } from "./queues.js";

/**
 * A worker for the events of trainings. Any number of them may run at once, anywhere. An event whose error says that a
 * retry cannot help becomes a dead letter at once, one that has failed at every attempt after the last.
 */
export function openWorker(
  { events, dead }: TrainingQueues,
  connection: ConnectionOptions,
  index: TrainingIndex,
  options: Partial<WorkerOptions> = {},
): Worker<TrainingEvent> {
  const { prefix } = events.opts;
  return new Worker<TrainingEvent>(
    events.name,
    async (job) => {
      try {
        return await apply(index, job.data);
      } catch (error) {
        const isFinal = !canHeal(error) || isLastAttempt(job);
        if (!isFinal) throw error;
        const message = error instanceof Error ? error.message : String(error);
        // Before the job fails, so that a crash in between leaves it twice, and not lost.
        await dead.add("dead", { event: job.data, error: message });
        throw new UnrecoverableError(message);
      }
    },
    { connection, ...(prefix === undefined ? {} : { prefix }), concurrency: 4, ...options },
  );
}

/** @returns what came of it, which BullMQ shows beside the job */
async function apply(index: TrainingIndex, event: TrainingEvent): Promise<string> {
  const { id, revision } = event;
  const { status } =
    event.kind === "saved"
      ? await index.upsertTraining({ id, revision, content: event.content, metadata: event.metadata })
      : await index.deleteTraining(id, { revision });
  return status;
}

/** An error of unknown kind may be one of the moment. */
function canHeal(error: unknown): boolean {
  return !(error instanceof TrainingIndexError) || error.retryable;
}

function isLastAttempt({ attemptsMade, opts }: Job): boolean {
  return attemptsMade + 1 >= (opts.attempts ?? 1);
}
