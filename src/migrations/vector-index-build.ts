import { isVersionAtLeast, type Catalog } from "../schema/catalog.js";
import { inTransaction, query, sqlStateOf, type DatabasePool } from "../postgres/database.js";
import { FIRST_PROFILE_ID } from "../schema/layout.js";
import {
  createVectorIndex,
  dropVectorIndex,
  isShortOfSharedMemory,
  OLDEST_SAFE_PARALLEL_BUILD,
  type VectorIndexDefinition,
} from "../schema/vector-index-sql.js";
import { liftTimeouts, withoutTimeouts } from "../postgres/timeouts.js";
import type { MigrationPlan } from "./options.js";
import { run } from "./run.js";

/** duplicate_table, which an index counts as */
const DUPLICATE = "42P07";
/** lock_not_available */
const LOCK_TIMEOUT = "55P03";
/** More than the second after which Postgres sends an autovacuum away, less than a claim is good for. */
const LOCK_TIMEOUT_MS = 2000;

/**
 * Builds the index while reads and writes go on: without parallel workers where those are not safe, and again without
 * them when the server has no room for what they share.
 *
 * @returns `taken`: it was there, another process was quicker. `locked`: the table is vacuumed or changed; nothing was done.
 */
export async function buildVectorIndex(
  pool: DatabasePool,
  plan: MigrationPlan,
  catalog: Catalog,
  definition: VectorIndexDefinition,
): Promise<"built" | "taken" | "locked"> {
  const create = async (): Promise<"built" | "taken"> => {
    try {
      const statement = createVectorIndex(plan.names, FIRST_PROFILE_ID, definition, true);
      await withoutTimeouts(pool, (client) => run(client, statement));
      return "built";
    } catch (error) {
      if (sqlStateOf(error) === DUPLICATE) return "taken";
      throw error;
    }
  };
  if (isVersionAtLeast(catalog.extension?.version ?? "", OLDEST_SAFE_PARALLEL_BUILD)) {
    if (!(await withTable(pool, plan))) return "locked";
    try {
      return await create();
    } catch (error) {
      if (!isShortOfSharedMemory(error)) throw error;
    }
    const drop = dropVectorIndex(plan.names, FIRST_PROFILE_ID, definition.type); // what is left of it is invalid
    await withoutTimeouts(pool, (client) => run(client, drop));
  }
  return withoutWorkers(pool, plan, catalog, create);
}

/** Makes an end of what {@link withoutWorkers} sets, where that was killed. */
export async function resetParallelWorkers(pool: DatabasePool, plan: MigrationPlan): Promise<void> {
  await withTable(pool, plan, parallelWorkersChange(undefined));
}

/**
 * Lets builds of the chunk table's indexes start no workers. A setting would not do: a build that lets writes go on
 * cannot run in a transaction, and what is set outside of one stays in the session, which behind PgBouncer is the next
 * client's.
 */
async function withoutWorkers<T>(
  pool: DatabasePool,
  plan: MigrationPlan,
  { parallelWorkers }: Catalog,
  create: () => Promise<T>,
): Promise<T | "locked"> {
  if (!(await withTable(pool, plan, parallelWorkersChange(0)))) return "locked";
  // What the host has set is put back; 0 is what a call that was killed has left.
  const earlier = parallelWorkersChange(parallelWorkers === 0 ? undefined : parallelWorkers);
  let built: T;
  try {
    built = await create();
  } catch (error) {
    await withTable(pool, plan, earlier).catch(() => undefined); // the first error says more
    throw error;
  }
  await withTable(pool, plan, earlier); // when the table is locked, the next call does it
  return built;
}

function parallelWorkersChange(workers: number | undefined): string {
  return workers === undefined ? "RESET (parallel_workers)" : `SET (parallel_workers = ${workers})`;
}

/**
 * Takes the lock of a concurrent build, changes something with it, and gives it back.
 *
 * Also to find out whether it can be had. Who waits for it holds a snapshot, and a concurrent build waits for the end of
 * such: Postgres would call that a deadlock, and end the build. So nobody may wait for long.
 *
 * @returns whether the lock was to be had
 */
async function withTable(pool: DatabasePool, { names }: MigrationPlan, change?: string): Promise<boolean> {
  try {
    await inTransaction(pool, async (client) => {
      await liftTimeouts(client);
      await query(client, "SELECT pg_catalog.set_config('lock_timeout', $1, true)", [`${LOCK_TIMEOUT_MS}`]);
      await run(client, `LOCK TABLE ${names.chunk} IN SHARE UPDATE EXCLUSIVE MODE`);
      if (change !== undefined) await run(client, `ALTER TABLE ${names.chunk} ${change}`);
    });
    return true;
  } catch (error) {
    if (sqlStateOf(error) === LOCK_TIMEOUT) return false;
    throw error;
  }
}
