import { TrainingIndexError, type TrainingIndex } from "langchain-training-index";
import { UnrecoverableError, WaitingError, Worker, type Job, type WorkerOptions } from "bullmq";
import { collectDeadLetters } from "./dead-letters.js";
import { TRAININGS, type DeadLetter, type TrainingJob, type TrainingQueues } from "./queues.js";

/** Options of {@link startWorker}. */
export interface TrainingWorkerOptions extends WorkerOptions {
  /** Called with errors of Redis, and with that of each failed attempt. Default: `console.error`. */
  onError?: (error: Error) => void;
  /** Called for each job that failed permanently, so that somebody can look at it. */
  onDeadLetter?: (letter: DeadLetter) => void;
}

/** A running worker. */
export interface TrainingWorker {
  /** BullMQ's worker, for its events. */
  worker: Worker<TrainingJob, void, TrainingJob["type"]>;
  /**
   * Takes no more jobs, and waits for the running ones. Those that are not done after `graceMs` milliseconds (default
   * 10,000) are aborted and go back to the queue; nothing of them is stored.
   */
  close: (options?: { graceMs?: number }) => Promise<void>;
}

const GRACE_MS = 10_000;

/** Starts a worker. Any number of workers, in any number of processes, share the jobs. */
export function startWorker(
  index: TrainingIndex,
  queues: TrainingQueues,
  options: TrainingWorkerOptions,
): TrainingWorker {
  const { onError = console.error, onDeadLetter, ...settings } = options;
  // BullMQ passes a signal only to processors that declare three parameters.
  const worker: TrainingWorker["worker"] = new Worker(
    TRAININGS,
    (job, token, signal) => runJob(index, job, token, signal),
    settings,
  );
  // One collection after the other. The first moves what an earlier process has left.
  let collection = Promise.resolve();
  const collect = (): void => {
    collection = collection
      .then(() => collectDeadLetters(queues))
      .then(report)
      .catch(onError);
  };
  const report = (letters: DeadLetter[]): void => {
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

/** Runs one job. It is retried only if that can help. */
async function runJob(
  index: TrainingIndex,
  job: Job<TrainingJob>,
  token: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await apply(index, job.data, signal);
  } catch (error) {
    if (signal?.aborted) {
      await job.moveToWait(token); // the next worker takes it, and no attempt is counted
      throw new WaitingError();
    }
    if (TrainingIndexError.is(error) && error.retryable) throw error;
    throw new UnrecoverableError(reasonOf(error));
  }
}

/** A result `superseded` is fine: a late job finds a newer version stored. */
async function apply(index: TrainingIndex, job: TrainingJob, signal: AbortSignal | undefined): Promise<void> {
  const { id, revision } = job;
  if (job.type === "deleted") {
    await index.deleteTraining(id, { revision, signal });
    return;
  }
  const { content, metadata } = job;
  await index.upsertTraining({ id, content, metadata, revision }, { signal });
}

/** The library's messages contain no text of a training, so they can be stored and shown. */
function reasonOf(error: unknown): string {
  if (TrainingIndexError.is(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
