import type { WorkerUtils } from "graphile-worker";
import type pg from "pg";

/** Of Postgres' advisory locks: those of this recipe. */
const LOCK_SPACE = 7_741_301;

/**
 * Says that a worker lives, for as long as the connection of \`client\` stands: a process that is killed loses it at once,
 * while graphile-worker keeps a killed worker's jobs for four hours.
 */
export async function declareAlive(client: pg.ClientBase, workerId: string): Promise<void> {
  await client.query("SELECT pg_advisory_lock($1, hashtext($2))", [LOCK_SPACE, workerId]);
}

/**
 * Gives the jobs of workers that are dead to others. One that was taken for dead by mistake does no harm: its job runs
 * twice, and the index keeps what started last.
 */
export async function releaseDeadWorkers(client: pg.ClientBase, utils: WorkerUtils): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT DISTINCT locked_by AS id FROM graphile_worker.jobs
      WHERE locked_by IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = $1::integer::oid AND objid = hashtext(locked_by)::bigint & 4294967295)`,
    [LOCK_SPACE],
  );
  const dead = rows.map(({ id }) => id);
  if (dead.length > 0) await utils.forceUnlockWorkers(dead);
  return dead;
}
