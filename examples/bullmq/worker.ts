import { TrainingIndexError, type TrainingIndex } from "langchain-training-index";
import { UnrecoverableError, WaitingError, Worker, type Job, type WorkerOptions } from "bullmq";
import { collectDeadLetters } from "./dead-letters.js";
import { TRAININGS, type DeadLetter, type TrainingJob, type TrainingQueues } from "./queues.js";

/** Options of {@link startWorker}. */
export interface TrainingWorkerOptions extends WorkerOptions {
  /** Whatever is wrong with Redis, and each failed attempt. Default: standard error. */
  onError?: (error: Error) => void;
  /** Tells of a job that failed for good, so that somebody looks at it. */
  onDeadLetter?: (letter: DeadLetter) => void;
}

/** A worker that runs. */
export interface TrainingWorker {
  /** BullMQ's own, for its events. */
  worker: Worker<TrainingJob, void, TrainingJob["type"]>;
  /**
   * Takes no more jobs, and waits for those under way. What is not done after `graceMs` (default 10,000) is broken off
   * and goes back to the queue: nothing of it has been stored.
   */
  close: (options?: { graceMs?: number }) => Promise<void>;
}

const GRACE_MS = 10_000;

/** Starts a worker. Any number of them, in any number of processes, share the jobs. */
export function startWorker(
  index: TrainingIndex,
  queues: TrainingQueues,
  options: TrainingWorkerOptions,
): TrainingWorker {
  const { onError = console.error, onDeadLetter, ...settings } = options;
  // BullMQ gives a signal to processors that name three parameters.
  const worker: TrainingWorker["worker"] = new Worker(
    TRAININGS,
    (job, token, signal) => work(index, job, token, signal),
    settings,
  );
  // One after the other; the first takes what an earlier process could not move any more.
  let collection = Promise.resolve();
  const collect = (): void => {
    collection = collection
      .then(() => collectDeadLetters(queues))
      .then(tell)
      .catch(onError);
  };
  const tell = (letters: DeadLetter[]): void => {
    for (const letter of letters) onDeadLetter?.(letter);
  };
  collect();
  worker.on("error", onError);
  worker.on("failed", (job, error) => {
    onError(error);
    if (job?.finishedOn !== undefined) collect();
  });
  return {
    worker,
    close: async ({ graceMs = GRACE_MS } = {}) => {
      const timer = setTimeout(() => {
        worker.cancelAllJobs();
      }, graceMs);
      await worker.close();
      clearTimeout(timer);
      await collection;
    },
  };
}

/** Does one job: again only where that can help. */
async function work(
  index: TrainingIndex,
  job: Job<TrainingJob>,
  token: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await apply(index, job.data, signal);
  } catch (error) {
    if (signal?.aborted) {
      await job.moveToWait(token); // the next worker takes it; no attempt is counted
      throw new WaitingError();
    }
    if (TrainingIndexError.is(error) && error.retryable) throw error;
    throw new UnrecoverableError(reasonOf(error));
  }
}

/** `superseded` needs no answer: something newer stands, which is what a late or repeated job should meet. */
async function apply(index: TrainingIndex, job: TrainingJob, signal: AbortSignal | undefined): Promise<void> {
  const { id, revision } = job;
  if (job.type === "deleted") {
    await index.deleteTraining(id, { revision, signal });
    return;
  }
  const { content, metadata } = job;
  await index.upsertTraining({ id, content, metadata, revision }, { signal });
}

/** The library's messages hold no text of a training, so they can be kept and shown. */
function reasonOf(error: unknown): string {
  if (TrainingIndexError.is(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
