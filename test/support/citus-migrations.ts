/** `langchain-training-index/migrations` for the tests on a Citus cluster: each schema goes to a worker. */
import type { DatabasePool } from "langchain-training-index";
import { migrate as migrateLocally, type MigrateOptions, type MigrateResult } from "../../src/migrations/index.js";

export * from "../../src/migrations/index.js";

const ON_ALL_NODES = `SELECT create_reference_table(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND NOT EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = c.oid)`;

/**
 * As that of the library, with `citus: "schema"`, and the host's table put on all nodes first, as the library demands it: unless the test names
 * `citus` itself, or has made a database without Citus.
 */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  if ("citus" in options || !(await hasCitus(pool))) return migrateLocally(pool, options);
  await pool
    .query(ON_ALL_NODES, [options.trainings?.schema ?? "public", options.trainings?.table])
    .catch(() => undefined); // the library says why
  return migrateLocally(pool, { ...options, citus: "schema" });
}

async function hasCitus(pool: unknown): Promise<boolean> {
  if (typeof (pool as Partial<DatabasePool> | undefined)?.query !== "function") return false;
  try {
    const { rows } = await (pool as DatabasePool).query("SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus'");
    return rows.length > 0;
  } catch {
    return false; // the test is of a pool that fails, or that must not be used
  }
}
