import { isVersionAtLeast, type Catalog } from "../schema/catalog.js";
import { inTransaction, query, sqlStateOf, type DatabasePool } from "../postgres/database.js";
import {
  createVectorIndex,
  dropVectorIndex,
  isShortOfSharedMemory,
  OLDEST_SAFE_PARALLEL_BUILD,
  serialBuildNotice,
  type VectorIndexDefinition,
} from "../schema/vector-index-sql.js";
import { boundedPool } from "../postgres/bounded-database.js";
import { liftTimeouts, withoutTimeouts } from "../postgres/timeouts.js";
import type { VectorIndexPlan } from "./options.js";
import { run } from "./run.js";

/** duplicate_table, also raised for indexes */
const DUPLICATE = "42P07";
/** lock_not_available */
const LOCK_TIMEOUT = "55P03";
/** More than the second after which Postgres cancels a blocking autovacuum, less than the lifetime of a claim. */
const LOCK_TIMEOUT_MS = 2000;

/**
 * Builds the index while reads and writes continue. Uses no parallel workers where they are unsafe, and retries without
 * them if the server runs out of shared memory.
 *
 * @returns `taken`: another process has built it. `locked`: the table is being vacuumed or altered; nothing was done
 */
export async function buildVectorIndex(
  pool: DatabasePool,
  plan: VectorIndexPlan,
  catalog: Catalog,
  definition: VectorIndexDefinition,
): Promise<"built" | "taken" | "locked"> {
  const create = async (): Promise<"built" | "taken"> => {
    try {
      const statement = createVectorIndex(plan.names, plan.names.profileId, definition, true);
      await withoutTimeouts(pool, (client) => run(client, statement));
      return "built";
    } catch (error) {
      if (sqlStateOf(error) === DUPLICATE) return "taken";
      throw error;
    }
  };
  const { notify } = boundedPool(pool);
  if (isVersionAtLeast(catalog.extension?.version ?? "", OLDEST_SAFE_PARALLEL_BUILD)) {
    if (!(await withTableLock(pool, plan))) return "locked";
    try {
      return await create();
    } catch (error) {
      if (!isShortOfSharedMemory(error)) throw error;
      notify(serialBuildNotice(error));
    }
    const drop = dropVectorIndex(plan.names, plan.names.profileId, definition.type); // the failed build left an invalid index
    await withoutTimeouts(pool, (client) => run(client, drop));
  } else notify(serialBuildNotice());
  return withoutParallelWorkers(pool, plan, catalog, create);
}

/** Resets what {@link withoutParallelWorkers} has set, after a call that was killed. */
export async function resetParallelWorkers(pool: DatabasePool, plan: VectorIndexPlan): Promise<void> {
  await withTableLock(pool, plan, parallelWorkersChange(undefined));
}

/**
 * Runs a build without parallel workers, by a storage parameter of the chunk table. A session setting would not do: a
 * concurrent build cannot run in a transaction, and a setting made outside of one stays in the session, which PgBouncer
 * then gives to another client.
 */
async function withoutParallelWorkers<T>(
  pool: DatabasePool,
  plan: VectorIndexPlan,
  { parallelWorkers }: Catalog,
  create: () => Promise<T>,
): Promise<T | "locked"> {
  if (!(await withTableLock(pool, plan, parallelWorkersChange(0)))) return "locked";
  // Restores the host's value. A 0 was left by a call that was killed.
  const earlier = parallelWorkersChange(parallelWorkers === 0 ? undefined : parallelWorkers);
  let built: T;
  try {
    built = await create();
  } catch (error) {
    await withTableLock(pool, plan, earlier).catch(() => undefined); // the build's error matters more
    throw error;
  }
  if (!(await withTableLock(pool, plan, earlier))) {
    const message = `Table ${plan.names.chunk} is locked, so its parallel_workers stays 0: the next migrate restores it`;
    boundedPool(pool).notify({ code: "POSTPONED", message });
  }
  return built;
}

function parallelWorkersChange(workers: number | undefined): string {
  return workers === undefined ? "RESET (parallel_workers)" : `SET (parallel_workers = ${workers})`;
}

/**
 * Takes the table lock that a concurrent build needs, runs `ALTER TABLE ... change` under it, and releases it. Without
 * `change` it only tests whether the lock is free.
 *
 * The wait is short, because a session that waits for this lock holds a snapshot, and a concurrent build waits for old
 * snapshots to end: Postgres would see a deadlock and cancel the build.
 *
 * @returns whether the lock was free
 */
async function withTableLock(pool: DatabasePool, { names }: VectorIndexPlan, change?: string): Promise<boolean> {
  try {
    await inTransaction(pool, async (client) => {
      await liftTimeouts(client);
      await query(client, "set-parameters", "SELECT pg_catalog.set_config('lock_timeout', $1, true)", [
        `${LOCK_TIMEOUT_MS}`,
      ]);
      await run(client, `LOCK TABLE ${names.chunk} IN SHARE UPDATE EXCLUSIVE MODE`);
      if (change !== undefined) await run(client, `ALTER TABLE ${names.chunk} ${change}`);
    });
    return true;
  } catch (error) {
    if (sqlStateOf(error) === LOCK_TIMEOUT) return false;
    throw error;
  }
}
