/**
 * Tells the workers that are alive from those that were killed. graphile-worker does not: a job that a killed worker had
 * taken stays locked for four hours, unless somebody who knows calls `force_unlock_workers`.
 *
 * Each worker holds an advisory lock of Postgres under its name, on a connection of its process. Whatever ends the
 * process ends the connection, and the lock with it.
 */
import type pg from "pg";

/** The locks of this recipe, among others' advisory locks. */
const NAMESPACE = 7_431;
const LOCK_OF_WORKER = `hashtextextended($1, ${NAMESPACE})`;

/** The locks of the workers of this process. */
export class LiveWorkers {
  readonly #client: pg.PoolClient;

  private constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  /**
   * Takes a connection of the pool until {@link close}.
   *
   * @param onLost - called when it breaks: others then take this process for dead
   */
  static async open(pool: pg.Pool, onLost: (error: Error) => void): Promise<LiveWorkers> {
    const client = await pool.connect();
    client.on("error", onLost);
    return new LiveWorkers(client);
  }

  /** To be awaited before the worker takes its first job. */
  async add(workerId: string): Promise<void> {
    await this.#client.query(`SELECT pg_advisory_lock(${LOCK_OF_WORKER})`, [workerId]);
  }

  /** Ends the connection; with it go the locks. */
  close(): void {
    this.#client.release(true);
  }
}

/**
 * Gives the jobs of killed workers back to the queue, and drops those that a newer job has replaced meanwhile.
 *
 * @param tasks - only jobs of these count: of other workers on the same queue nobody knows whether they are alive
 * @returns the workers that were found dead
 */
export async function releaseDeadWorkers(pool: pg.Pool, tasks: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ worker: string }>(
    `SELECT DISTINCT locked_by AS worker FROM graphile_worker.jobs
      WHERE task_identifier = ANY ($1) AND locked_by IS NOT NULL`,
    [tasks],
  );
  const dead: string[] = [];
  for (const { worker } of rows) {
    // One statement each: a worker has one job at a time, so no two rows of the queue are ever locked at once.
    const { rowCount } = await pool.query(
      `SELECT graphile_worker.force_unlock_workers(ARRAY[$1])
        WHERE pg_try_advisory_xact_lock(${LOCK_OF_WORKER})`,
      [worker],
    );
    if (rowCount === 1) dead.push(worker);
  }
  // A replaced job has no key and no attempt left. Its worker would have deleted it at its end.
  await pool.query(
    `SELECT count(*) FROM graphile_worker.complete_jobs((SELECT array_agg(id) FROM graphile_worker.jobs
      WHERE task_identifier = ANY ($1) AND key IS NULL AND attempts >= max_attempts AND locked_at IS NULL))`,
    [tasks],
  );
  return dead;
}
