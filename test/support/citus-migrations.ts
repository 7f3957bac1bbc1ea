/** `langchain-training-index/migrations` for the tests on a Citus cluster: each schema goes to a worker, or its trainings to all of them. */
import type { DatabasePool } from "langchain-training-index";
import { migrate as migrateLocally, type MigrateOptions, type MigrateResult } from "../../src/migrations/index.js";

export * from "../../src/migrations/index.js";

const HAS_CITUS = "SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus'";
const IS_DISTRIBUTED = `SELECT FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'training'`;
const PUT_ON_ALL_NODES = `SELECT create_reference_table(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND NOT EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = c.oid)`;

/**
 * As that of the library, with `citus: "schema"`, or with `TEST_CITUS_MODE=tables` with `citus: "tables"`, and the host's table put on all nodes first,
 * as the library demands it: unless the test names `citus` itself, the schema is distributed, or the database has no Citus. Trainings with text
 * search cannot be spread: such a schema goes to a worker.
 */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  if (!isUsable(pool) || !isPlainObject(options) || "citus" in options) return migrateLocally(pool, options);
  const { schema = "training_index", trainings, textSearch = false } = options;
  const found = async (text: string, values?: unknown[]): Promise<boolean> => {
    try {
      return (await pool.query(text, values)).rows.length > 0;
    } catch {
      return false; // the test is of a pool that fails, or of a name that Postgres refuses: the library says why
    }
  };
  if (!(await found(HAS_CITUS))) return migrateLocally(pool, options);
  if (trainings) await found(PUT_ON_ALL_NODES, [trainings.schema ?? "public", trainings.table]);
  if (await found(IS_DISTRIBUTED, [schema])) return migrateLocally(pool, options);
  const isSpread = process.env["TEST_CITUS_MODE"] === "tables" && textSearch === false;
  return migrateLocally(pool, { ...options, citus: isSpread ? "tables" : "schema" });
}

/** A test may give something else than options. */
function isPlainObject(options: unknown): boolean {
  return Object.prototype.toString.call(options) === "[object Object]";
}

/** A test may give something else than a pool. */
function isUsable(pool: unknown): boolean {
  return typeof (pool as Partial<DatabasePool> | undefined)?.query === "function";
}
