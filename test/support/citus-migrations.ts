/** `langchain-training-index/migrations` for the tests on a Citus cluster: each schema goes to a worker, or its trainings to all of them. */
import type { DatabasePool } from "langchain-training-index";
import { migrate as migrateLocally, type MigrateOptions, type MigrateResult } from "../../src/migrations/index.js";

export * from "../../src/migrations/index.js";

/**
 * As that of the library, with `citus: "schema"`, or with `TEST_CITUS_MODE=tables` with `citus: "tables"`, unless the test says otherwise, or has made a
 * database without Citus. Trainings with text search cannot be spread: such a schema goes to a worker.
 */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  const isSpread = process.env["TEST_CITUS_MODE"] === "tables" && (options.textSearch ?? false) === false;
  const citus = isSpread ? "tables" : "schema";
  return migrateLocally(pool, (await isNewOnCitus(pool, options)) ? { citus, ...options } : options);
}

/** A schema that is distributed stays as it is. */
async function isNewOnCitus(pool: unknown, { schema = "training_index" }: MigrateOptions): Promise<boolean> {
  if (typeof (pool as Partial<DatabasePool> | undefined)?.query !== "function") return false;
  const ask = async (text: string, values?: unknown[]): Promise<boolean> =>
    (await (pool as DatabasePool).query(text, values).catch(() => ({ rows: [] }))).rows.length > 0; // the library says why
  if (!(await ask("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus'"))) return false;
  return !(await ask(
    `SELECT 1 FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'training'`,
    [schema],
  ));
}
