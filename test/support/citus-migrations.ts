/** `langchain-training-index/migrations` for the tests on a Citus cluster: each schema goes to a worker. */
import type { DatabasePool } from "langchain-training-index";
import { migrate as migrateLocally, type MigrateOptions, type MigrateResult } from "../../src/migrations/index.js";

export * from "../../src/migrations/index.js";

/** As that of the library, with `citus: "schema"` unless the test says otherwise. */
export function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  return migrateLocally(pool, { citus: "schema", ...options });
}
