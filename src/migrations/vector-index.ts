import { SchemaError } from "../errors.js";
import { readCatalog, type Catalog } from "../store/catalog.js";
import type { DatabasePool } from "../store/database.js";
import { sqlStateOf } from "../store/database.js";
import { FIRST_PROFILE_ID, vectorIndexName } from "../store/layout.js";
import { vectorIndexStatement } from "./list.js";
import type { MigrateOptions, MigrationPlan } from "./options.js";
import { run } from "./run.js";

/** duplicate_table, which an index counts as */
const DUPLICATE = "42P07";

/**
 * Builds the vector index when it is missing (a host's migration tool has dropped one that it thought it
 * owned) or when a build broke off, which leaves an index that Postgres never uses. Reads and writes go on.
 */
export async function ensureVectorIndex(
  pool: DatabasePool,
  plan: MigrationPlan,
): Promise<"kept" | "built" | "building"> {
  const { vectorIndex } = await readCatalog(pool, plan.schema, FIRST_PROFILE_ID);
  if (vectorIndex.state === "valid") return "kept";
  if (vectorIndex.state === "building") return "building";
  if (vectorIndex.state === "invalid") {
    await run(
      pool,
      `DROP INDEX CONCURRENTLY IF EXISTS ${plan.names.schema}.${vectorIndexName(FIRST_PROFILE_ID)}`,
    );
  }
  try {
    await run(pool, vectorIndexStatement(plan, true));
    return "built";
  } catch (error) {
    if (sqlStateOf(error) === DUPLICATE) return "building"; // another process was quicker
    throw error;
  }
}

/** @throws {@link SchemaError} when parameters are given that are not those of the index that stands */
export function refuseOtherParameters(
  { vectorIndex }: Catalog,
  { hnsw }: MigrateOptions,
  { names }: MigrationPlan,
): void {
  if (vectorIndex.state === "missing") return; // it is built with what is given
  const index = `${names.schema}.${vectorIndexName(FIRST_PROFILE_ID)}`;
  for (const parameter of ["m", "efConstruction"] as const) {
    const [given, standing] = [hnsw?.[parameter], vectorIndex[parameter]];
    if (given === undefined || standing === undefined || given === standing) continue;
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `hnsw.${parameter} is ${given}, but the index was built with ${standing}: ` +
        `run DROP INDEX CONCURRENTLY ${index}, then migrate again to build it anew`,
    );
  }
}
