import type { TrainingIndex } from "langchain-training-index";
import { Logger, parseCronItems, run, type Runner } from "graphile-worker";
import type pg from "pg";
import { indexTraining, type IndexingOutcome } from "./index-training.js";
import { LiveWorkers, releaseDeadWorkers } from "./live-workers.js";

/** The name of the task; `trigger.sql` enqueues under it. */
export const INDEX_TRAINING = "index_training";
const RELEASE_DEAD_WORKERS = "release_dead_workers";
const TASKS = [INDEX_TRAINING, RELEASE_DEAD_WORKERS];

/** Options of {@link startTrainingWorker}. */
export interface TrainingWorkerOptions {
  /** Needs `concurrency` connections and four more. graphile-worker uses LISTEN: no PgBouncer in transaction mode. */
  pool: pg.Pool;
  index: TrainingIndex;
  /** Concurrent jobs. Default 2: the embedder is the bottleneck. */
  concurrency?: number;
  /** Whether SIGTERM and similar signals end the worker gracefully. Default `true`. */
  handlesSignals?: boolean;
  /** Called after each job. */
  onDone?: (id: number, outcome: IndexingOutcome) => void;
  /** Called for each failed job, which will be retried. */
  onFailed?: (job: string, error: unknown) => void;
}

/**
 * Starts a worker for the queue that the triggers fill; they must be installed. `stop` waits for running jobs.
 *
 * `promise` is fulfilled when the worker has stopped. It also stops by itself, if other processes would consider it dead, or
 * if it can take no more jobs. Then end the process, and let a supervisor start another.
 */
export async function startTrainingWorker(options: TrainingWorkerOptions): Promise<Runner> {
  const { pool, index, concurrency = 2, handlesSignals = true, onDone, onFailed } = options;
  await releaseDeadWorkers(pool, TASKS);
  let runner: Runner | undefined;
  const stopRunner = (): void => {
    runner?.stop().catch(() => undefined); // it has already stopped
  };
  const live = await LiveWorkers.open(pool, stopRunner);
  try {
    runner = await run({
      pgPool: pool,
      concurrency,
      noHandleSignals: !handlesSignals,
      logger: new Logger(() => () => undefined), // would log each job; failures go to onFailed
      taskList: {
        [INDEX_TRAINING]: async (payload, { abortSignal }) => {
          const id = readId(payload);
          const outcome = await indexTraining(pool, index, id, abortSignal);
          onDone?.(id, outcome);
        },
        [RELEASE_DEAD_WORKERS]: async () => {
          await releaseDeadWorkers(pool, TASKS);
        },
      },
      // Every minute, because a killed process may not be started again.
      parsedCronItems: parseCronItems([{ task: RELEASE_DEAD_WORKERS, match: "* * * * *" }]),
      preset: {
        plugins: [
          {
            name: "LiveWorkersPlugin",
            version: "1.0.0",
            worker: { hooks: { startWorker: (_context, { worker }) => live.add(worker.workerId) } },
          },
        ],
      },
    });
  } catch (error) {
    live.close();
    throw error;
  }
  runner.events.on("job:error", ({ job, error }) => onFailed?.(job.key ?? job.id, error));
  // It could not record how a job ended, and takes no more jobs: https://github.com/graphile/worker/issues/592
  runner.events.on("worker:fatalError", stopRunner);
  const close = (): void => {
    live.close();
  };
  runner.promise.then(close, close);
  return runner;
}

function readId(payload: unknown): number {
  const id: unknown = (payload as { id?: unknown }).id;
  if (typeof id !== "number")
    throw new TypeError("the job's payload must be { id: number }, as training_trigger.enqueue writes it");
  return id;
}
