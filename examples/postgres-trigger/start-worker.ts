import type { TrainingIndex } from "langchain-training-index";
import { Logger, parseCronItems, run, type Runner } from "graphile-worker";
import type pg from "pg";
import { indexTraining, type IndexingOutcome } from "./index-training.js";
import { LiveWorkers, releaseDeadWorkers } from "./live-workers.js";

/** The name of the task; `trigger.sql` enqueues under it. */
export const INDEX_TRAINING = "index_training";
const RELEASE_DEAD_WORKERS = "release_dead_workers";
const TASKS = [INDEX_TRAINING, RELEASE_DEAD_WORKERS];

/** What a worker works with. */
export interface TrainingWorkerOptions {
  /** Needs a connection for each job at a time, and four more. graphile-worker listens on one: no PgBouncer in transaction mode. */
  pool: pg.Pool;
  index: TrainingIndex;
  /** Jobs at a time. Default 2: the embedder is what takes the time. */
  concurrency?: number;
  /** Whether SIGTERM and the like end it gracefully. Default `true`. */
  handlesSignals?: boolean;
  /** What a job did. */
  onDone?: (id: number, outcome: IndexingOutcome) => void;
  /** A job that failed; it will be tried again. */
  onFailed?: (job: string, error: unknown) => void;
}

/**
 * Starts to work off the queue that the triggers fill, which must be installed. Its `stop` waits for the jobs that run.
 *
 * Its `promise` is fulfilled when it has stopped, also by itself: when others must take it for dead, or it can take no
 * more jobs. The process should end then, and a supervisor start another.
 */
export async function startTrainingWorker(options: TrainingWorkerOptions): Promise<Runner> {
  const { pool, index, concurrency = 2, handlesSignals = true, onDone, onFailed } = options;
  await releaseDeadWorkers(pool, TASKS);
  let runner: Runner | undefined;
  const end = (): void => {
    runner?.stop().catch(() => undefined); // it had stopped already
  };
  const live = await LiveWorkers.open(pool, end);
  try {
    runner = await run({
      pgPool: pool,
      concurrency,
      noHandleSignals: !handlesSignals,
      logger: new Logger(() => () => undefined), // it would log each job; failures go to onFailed
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
      // Each minute: the process that was killed need not be the one that starts again.
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
  // It could not say how a job ended, and takes no more: https://github.com/graphile/worker/issues/592
  runner.events.on("worker:fatalError", end);
  const close = (): void => {
    live.close();
  };
  runner.promise.then(close, close);
  return runner;
}

function readId(payload: unknown): number {
  const id: unknown = (payload as { id?: unknown }).id;
  if (typeof id !== "number") throw new TypeError("the payload must be that of training_trigger.enqueue");
  return id;
}
