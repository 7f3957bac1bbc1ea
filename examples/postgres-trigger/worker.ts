import { EventEmitter } from "node:events";
import { makeWorkerUtils, run, type WorkerEvents } from "graphile-worker";
import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { declareAlive, releaseDeadWorkers } from "./living-workers.js";
import { syncTraining } from "./sync-training.js";

/** A worker that is at work. */
export interface TrainingWorker {
  /** Ends when the jobs that it has begun are done. A repeat does nothing. */
  stop(): Promise<void>;
}

/** Jobs at a time. Each takes a client of the pool while it swaps a version. */
const CONCURRENCY = 4;

/**
 * Starts a worker for the jobs that the trigger makes. Jobs that fail are tried again, later and later, for about three
 * days (25 attempts); a write to the row makes a new one at once.
 *
 * @param pool - to the database itself, without a pooler between, and with its ten clients: workers listen, and say that
 * they live
 */
export async function startWorker(pool: pg.Pool, index: TrainingIndex): Promise<TrainingWorker> {
  const utils = await makeWorkerUtils({ pgPool: pool });
  await utils.migrate();
  const client = await pool.connect();
  // Without it others take this worker for dead, which costs their work and does no harm.
  client.on("error", () => undefined);
  await releaseDeadWorkers(client, utils);
  await utils.release();

  let declared = Promise.resolve();
  const events: WorkerEvents = new EventEmitter();
  events.on("worker:create", ({ worker }) => {
    declared = declared.then(() => declareAlive(client, worker.workerId));
  });
  const runner = await run({
    pgPool: pool,
    concurrency: CONCURRENCY,
    noHandleSignals: true,
    parsedCronItems: [],
    events,
    taskList: { sync_training: (payload) => syncTraining(pool, index, idOf(payload)) },
  });
  await declared;
  const stop = async (): Promise<void> => {
    await runner.stop();
    client.release(true);
  };
  let stopped: Promise<void> | undefined;
  return { stop: () => (stopped ??= stop()) };
}

function idOf(payload: unknown): number {
  const { id } = payload as { id?: unknown };
  if (!Number.isSafeInteger(id)) throw new TypeError("the payload has no id");
  return id as number;
}
