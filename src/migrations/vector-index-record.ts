import { SchemaError } from "../errors.js";
import type { Catalog } from "../schema/catalog.js";
import { boundedPool } from "../postgres/bounded-database.js";
import { query, type DatabasePool, type Queryable } from "../postgres/database.js";
import { vectorIndexName, type VectorIndexType } from "../schema/vector-index.js";
import { indexTypeOf, type MigrateOptions, type MigrationPlan, type VectorIndexPlan } from "./options.js";

/** The final type of an existing schema's vector index. Without the option, a change that was begun continues. */
export function requestedIndexType({ vectorIndex }: Catalog, options: MigrateOptions): VectorIndexType {
  return indexTypeOf(options.vectorIndex) ?? vectorIndex.next ?? vectorIndex.type;
}

/** The HNSW parameters of an existing schema's vector index. Parameters that are left out keep their stored values. */
export function requestedHnsw({ vectorIndex }: Catalog, { hnsw }: MigrateOptions): MigrateOptions["hnsw"] {
  const m = hnsw?.m ?? vectorIndex.m;
  const { efConstruction } = vectorIndex;
  const fits = m === undefined || efConstruction === undefined || efConstruction >= 2 * m;
  return { m, efConstruction: hnsw?.efConstruction ?? (fits ? efConstruction : undefined) };
}

/** @throws {@link SchemaError} if a given parameter differs from the existing index */
export function refuseOtherParameters(
  { vectorIndex }: Catalog,
  { hnsw }: MigrateOptions,
  { names, method }: MigrationPlan,
): void {
  if (vectorIndex.state === "missing") return; // it will be built with the given parameters
  if (method && vectorIndex.type === "vector" && vectorIndex.method !== method.method) {
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `vectorIndex asks for an index by ${method.method}, but that of the schema is by ${vectorIndex.method ?? "another method"}: run ` +
        `DROP INDEX CONCURRENTLY ${names.schema}.${vectorIndexName(names.profileId, "vector")}, then migrate again`,
    );
  }
  const index = `${names.schema}.${vectorIndexName(names.profileId, vectorIndex.type)}`;
  for (const parameter of ["m", "efConstruction"] as const) {
    const [given, stored] = [hnsw?.[parameter], vectorIndex[parameter]];
    if (given === undefined || stored === undefined || given === stored) continue;
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `hnsw.${parameter} is ${given}, but the index was built with ${stored}: ` +
        `run DROP INDEX CONCURRENTLY ${index}, then migrate again to rebuild it`,
    );
  }
}

/**
 * Records the type and parameters of the vector index before anything is built. If this call is killed, the next one
 * completes the work, with or without the options.
 */
export async function recordVectorIndex(
  client: Queryable,
  catalog: Catalog,
  options: MigrateOptions,
  { names, hnsw }: MigrationPlan,
): Promise<void> {
  const { vectorIndex, recordedHnsw } = catalog;
  const type = requestedIndexType(catalog, options);
  const next = type === vectorIndex.type ? undefined : type;
  // If migration 2 has just run, it recorded the parameters, and the catalog was read before that.
  const { m, efConstruction } = recordedHnsw ?? hnsw;
  if (next === vectorIndex.next && m === hnsw.m && efConstruction === hnsw.efConstruction) return;
  await query(
    client,
    "record-vector-index",
    `UPDATE ${names.profile} SET vector_index_next = $2, hnsw_m = $3, hnsw_ef_construction = $4 WHERE id = $1`,
    [names.profileId, next ?? null, hnsw.m, hnsw.efConstruction],
  );
}

/** How long other processes leave the build to the one that claimed it. */
const CLAIM_SECONDS = 5;

/**
 * Claims the build of the vector index for this process. Without a claim all processes would wait for the table's lock
 * at the same time, and the build of the first would wait for them. A running build is visible to others on the
 * server.
 *
 * @param renew - whether this process already holds the claim
 * @returns whether this process holds the claim now; the claim of a killed process expires
 */
export async function claimBuild(database: Queryable, { names }: VectorIndexPlan, renew: boolean): Promise<boolean> {
  const rows = await query(
    database,
    "record-vector-index",
    `UPDATE ${names.profile} SET vector_index_claimed_at = pg_catalog.statement_timestamp() WHERE id = $1 AND ($2
      OR vector_index_claimed_at IS NULL
      OR vector_index_claimed_at < pg_catalog.statement_timestamp() - pg_catalog.make_interval(secs => ${CLAIM_SECONDS}))
    RETURNING id`,
    [names.profileId, renew],
  );
  return rows.length > 0;
}

/** Releases a claim. If that fails, the claim expires. */
export async function releaseBuild(pool: DatabasePool, { names }: VectorIndexPlan): Promise<void> {
  const release = `UPDATE ${names.profile} SET vector_index_claimed_at = NULL WHERE id = $1`;
  await query(pool, "record-vector-index", release, [names.profileId]).catch((cause: unknown) => {
    const message = `The claim of the index build could not be released: it expires after ${CLAIM_SECONDS} s`;
    boundedPool(pool).notify({ code: "POSTPONED", message, cause });
  });
}

/** Records that the new index has replaced the old one. */
export async function recordReplacement(
  client: Queryable,
  { names }: VectorIndexPlan,
  type: VectorIndexType,
): Promise<void> {
  await query(
    client,
    "record-vector-index",
    `UPDATE ${names.profile} SET vector_index = $2, vector_index_next = NULL WHERE id = $1 AND vector_index_next = $2`,
    [names.profileId, type],
  );
}
