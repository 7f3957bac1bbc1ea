import { SchemaError } from "../errors.js";
import type { Catalog } from "../schema/catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import { FIRST_PROFILE_ID } from "../schema/layout.js";
import { vectorIndexName, type VectorIndexType } from "../schema/vector-index.js";
import type { MigrateOptions, MigrationPlan } from "./options.js";

/** The type that the vector index of a schema which stands is to have in the end: a change that was begun goes on. */
export function askedType({ vectorIndex }: Catalog, options: MigrateOptions): VectorIndexType {
  return options.vectorIndex ?? vectorIndex.next ?? vectorIndex.type;
}

/** The parameters that the vector index of a schema which stands is built with: what is left out stays as it is. */
export function recordedHnswOf({ vectorIndex }: Catalog, { hnsw }: MigrateOptions): MigrateOptions["hnsw"] {
  const m = hnsw?.m ?? vectorIndex.m;
  const { efConstruction } = vectorIndex;
  const fits = m === undefined || efConstruction === undefined || efConstruction >= 2 * m;
  return { m, efConstruction: hnsw?.efConstruction ?? (fits ? efConstruction : undefined) };
}

/** @throws {@link SchemaError} when parameters are given that are not those of the index that stands */
export function refuseOtherParameters(
  { vectorIndex }: Catalog,
  { hnsw }: MigrateOptions,
  { names }: MigrationPlan,
): void {
  if (vectorIndex.state === "missing") return; // it is built with what is given
  const index = `${names.schema}.${vectorIndexName(FIRST_PROFILE_ID, vectorIndex.type)}`;
  for (const parameter of ["m", "efConstruction"] as const) {
    const [given, stored] = [hnsw?.[parameter], vectorIndex[parameter]];
    if (given === undefined || stored === undefined || given === stored) continue;
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `hnsw.${parameter} is ${given}, but the index was built with ${stored}: ` +
        `run DROP INDEX CONCURRENTLY ${index}, then migrate again to build it anew`,
    );
  }
}

/**
 * Records what the vector index is to be like, before anything is built: so the next call, with or without the
 * options, knows what to complete when this one is killed.
 */
export async function recordVectorIndex(
  client: Queryable,
  catalog: Catalog,
  options: MigrateOptions,
  { names, hnsw }: MigrationPlan,
): Promise<void> {
  const { vectorIndex, recordedHnsw } = catalog;
  const type = askedType(catalog, options);
  const next = type === vectorIndex.type ? undefined : type;
  // Migration 2, where it ran just now, has recorded the parameters.
  const { m, efConstruction } = recordedHnsw ?? hnsw;
  if (next === vectorIndex.next && m === hnsw.m && efConstruction === hnsw.efConstruction) return;
  await query(
    client,
    `UPDATE ${names.profile} SET vector_index_next = $2, hnsw_m = $3, hnsw_ef_construction = $4 WHERE id = $1`,
    [FIRST_PROFILE_ID, next ?? null, hnsw.m, hnsw.efConstruction],
  );
}

/** How long others leave the build to a process that said it would begin. */
const CLAIM_SECONDS = 5;

/**
 * Says that this process is about to build the vector index. Once it is at it, the others see that from the server;
 * without a claim they would all wait for the table at once, and the first one's build would wait for them.
 *
 * @param renew - whether the claim is ours already
 * @returns whether it is this process's turn; a claim of one that was killed lapses
 */
export async function claimBuild(
  database: Queryable,
  { names }: MigrationPlan,
  renew: boolean,
): Promise<boolean> {
  const rows = await query(
    database,
    `UPDATE ${names.profile} SET vector_index_claimed_at = pg_catalog.clock_timestamp() WHERE id = $1 AND ($2
      OR vector_index_claimed_at IS NULL
      OR vector_index_claimed_at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => ${CLAIM_SECONDS}))
    RETURNING id`,
    [FIRST_PROFILE_ID, renew],
  );
  return rows.length > 0;
}

/** Gives a claim back. Where that fails it lapses. */
export async function releaseBuild(database: Queryable, { names }: MigrationPlan): Promise<void> {
  const release = `UPDATE ${names.profile} SET vector_index_claimed_at = NULL WHERE id = $1`;
  await query(database, release, [FIRST_PROFILE_ID]).catch(() => undefined);
}

/** Records that the index which was built beside another one has taken its place. */
export async function recordReplacement(
  client: Queryable,
  { names }: MigrationPlan,
  type: VectorIndexType,
): Promise<void> {
  await query(
    client,
    `UPDATE ${names.profile} SET vector_index = $2, vector_index_next = NULL WHERE id = $1 AND vector_index_next = $2`,
    [FIRST_PROFILE_ID, type],
  );
}
