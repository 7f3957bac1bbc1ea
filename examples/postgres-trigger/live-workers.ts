/**
 * Tells live workers from killed ones. graphile-worker cannot: the job of a killed worker stays locked for four hours,
 * unless `force_unlock_workers` is called.
 *
 * Each worker holds a Postgres advisory lock under its name, on a connection of its process. When the process ends, however
 * it ends, the connection ends too, and the lock is free.
 */
import type pg from "pg";

/** Keeps these locks apart from the host's other advisory locks. */
const NAMESPACE = 7_431;
const LOCK_OF_WORKER = `hashtextextended($1, ${NAMESPACE})`;

/** The advisory locks of this process' workers. */
export class LiveWorkers {
  readonly #client: pg.PoolClient;

  private constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  /**
   * Takes a connection of the pool until {@link close}.
   *
   * @param onLost - called when the connection breaks: other processes then consider this one dead
   */
  static async open(pool: pg.Pool, onLost: (error: Error) => void): Promise<LiveWorkers> {
    const client = await pool.connect();
    client.on("error", onLost);
    return new LiveWorkers(client);
  }

  /** Await it before the worker takes its first job. */
  async add(workerId: string): Promise<void> {
    await this.#client.query(`SELECT pg_advisory_lock(${LOCK_OF_WORKER})`, [workerId]);
  }

  /** Ends the connection, which frees the locks. */
  close(): void {
    this.#client.release(true);
  }
}

/**
 * Returns the jobs of killed workers to the queue, and drops those that a newer job has replaced meanwhile.
 *
 * @param tasks - the tasks whose jobs to release; workers of other tasks hold no such locks, so they may be alive
 * @returns the names of the dead workers
 */
export async function releaseDeadWorkers(pool: pg.Pool, tasks: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ worker: string }>(
    `SELECT DISTINCT locked_by AS worker FROM graphile_worker.jobs
      WHERE task_identifier = ANY ($1) AND locked_by IS NOT NULL`,
    [tasks],
  );
  const dead: string[] = [];
  for (const { worker } of rows) {
    // One statement per worker: each has one job at a time, so no statement ever locks two rows of the queue.
    const { rowCount } = await pool.query(
      `SELECT graphile_worker.force_unlock_workers(ARRAY[$1])
        WHERE pg_try_advisory_xact_lock(${LOCK_OF_WORKER})`,
      [worker],
    );
    if (rowCount === 1) dead.push(worker);
  }
  // A replaced job has no key and no attempts left. Its worker would have deleted it when it ended.
  await pool.query(
    `SELECT count(*) FROM graphile_worker.complete_jobs((SELECT array_agg(id) FROM graphile_worker.jobs
      WHERE task_identifier = ANY ($1) AND key IS NULL AND attempts >= max_attempts AND locked_at IS NULL))`,
    [tasks],
  );
  return dead;
}
