/** `langchain-training-index/migrations` for the tests on a Citus cluster: each schema goes to a worker. */
import type { DatabasePool } from "langchain-training-index";
import { migrate as migrateLocally, type MigrateOptions, type MigrateResult } from "../../src/migrations/index.js";

export * from "../../src/migrations/index.js";

/** As that of the library, with `citus: "schema"` unless the test says otherwise, or has made a database without Citus. */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  return migrateLocally(pool, (await hasCitus(pool)) ? { citus: "schema", ...options } : options);
}

async function hasCitus(pool: unknown): Promise<boolean> {
  if (typeof (pool as Partial<DatabasePool> | undefined)?.query !== "function") return false;
  const { rows } = await (pool as DatabasePool).query("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus'");
  return rows.length > 0;
}
