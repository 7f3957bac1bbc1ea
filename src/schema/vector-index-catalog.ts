import { SchemaError } from "../errors.js";
import { query, type HostNumber, type Queryable } from "../postgres/database.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { chunkTable } from "./layout.js";
import { vectorIndexName, vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** `building`: another session is at it. `invalid`: a build broke off; Postgres does not use it. */
export type VectorIndexState = "valid" | "invalid" | "building" | "missing";

/** The vector index that a profile should have. */
export interface RecordedVectorIndex {
  /** `vector` where nothing is recorded yet. */
  type: VectorIndexType;
  /** The type that is being built beside it, to take its place. */
  next: VectorIndexType | undefined;
  state: VectorIndexState;
  /** Of the index that stands, else as recorded. */
  m: number | undefined;
  efConstruction: number | undefined;
}

/** The vector indexes of a profile, those that should be there and those that are. */
export interface VectorIndexes {
  vectorIndex: RecordedVectorIndex;
  /** What an index that is built from now on gets; `undefined` where nothing is recorded yet. */
  recordedHnsw: { m: number; efConstruction: number } | undefined;
  /** Of the index of each type: there are two while one takes the other's place. */
  vectorIndexStates: Readonly<Record<VectorIndexType, VectorIndexState>>;
  /** The storage parameter `parallel_workers` of the chunk table, which builds of its indexes follow. */
  parallelWorkers: number | undefined;
}

/** One row for each index that is there; one without an index where there is none. */
interface IndexRow {
  type: VectorIndexType | null;
  next: VectorIndexType | null;
  m: HostNumber | null;
  ef_construction: HostNumber | null;
  table_options: string | null;
  /** Whether an index is made in a transaction, in which nobody else sees it. */
  table_building: "true" | "false";
  index_name: string | null;
  index_valid: "true" | "false" | null;
  index_building: "true" | "false";
  index_options: string | null;
}

/**
 * Looks at the vector indexes of a profile.
 *
 * @param hasProfile - whether there is a table of profiles, which from version 2 on say what index they should have
 */
export async function readVectorIndexes(
  database: Queryable,
  schema: string,
  profileId: number,
  hasProfile = true,
): Promise<VectorIndexes> {
  const rows = await query<IndexRow>(database, readIndexes(schema, hasProfile), [
    schema,
    chunkTable(profileId),
    vectorIndexTypes.map((type) => vectorIndexName(profileId, type)),
    profileId.toString(),
  ]);
  const [row] = rows;
  if (!row) throw new SchemaError("SCHEMA_MISSING", "The system catalogs of the database could not be read");
  const type = row.type ?? "vector";
  const next = row.next ?? undefined;
  const rowOf = (wanted: VectorIndexType): IndexRow | undefined =>
    rows.find(({ index_name: name }) => name === vectorIndexName(profileId, wanted));
  const stateOf = (wanted: VectorIndexType): VectorIndexState =>
    // Builds in a transaction are those of bulk loads, of the index that should stand in the end.
    stateOfRow(rowOf(wanted), row.table_building === "true" && wanted === (next ?? type));
  const stored = storageParameters(rowOf(type)?.index_options);
  const recordedHnsw =
    row.m !== null && row.ef_construction !== null
      ? { m: Number(row.m), efConstruction: Number(row.ef_construction) }
      : undefined;
  return {
    vectorIndex: {
      type,
      next,
      state: stateOf(type),
      m: stored.get("m") ?? recordedHnsw?.m,
      efConstruction: stored.get("ef_construction") ?? recordedHnsw?.efConstruction,
    },
    recordedHnsw,
    vectorIndexStates: {
      vector: stateOf("vector"),
      halfvec: stateOf("halfvec"),
      bit: stateOf("bit"),
    },
    parallelWorkers: storageParameters(row.table_options).get("parallel_workers"),
  };
}

/** $1 schema, $2 the chunk table, $3 names of the indexes, $4 profile. */
function readIndexes(schema: string, hasProfile: boolean): string {
  const record = hasProfile
    ? // What an earlier version has no column for is NULL.
      `SELECT p ->> 'vector_index' AS type, p ->> 'vector_index_next' AS next, p ->> 'hnsw_m' AS m,
      p ->> 'hnsw_ef_construction' AS ef_construction
    FROM (SELECT pg_catalog.to_jsonb(p) AS p FROM ${quoteIdentifier(schema, "schema")}.profile p) p WHERE p ->> 'id' = $4::text`
    : "SELECT NULL::text AS type, NULL::text AS next, NULL::text AS m, NULL::text AS ef_construction WHERE $4::text IS NULL";
  return `
SELECT r.type, r.next, r.m::text AS m, r.ef_construction::text AS ef_construction,
  pg_catalog.array_to_string(c.reloptions, ',') AS table_options,
  EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
    WHERE p.datname = pg_catalog.current_database() AND p.relid = c.oid AND p.index_relid = 0)::text AS table_building,
  ic.relname::text AS index_name,
  i.indisvalid::text AS index_valid,
  EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
    WHERE p.datname = pg_catalog.current_database() AND p.index_relid = i.indexrelid)::text AS index_building,
  pg_catalog.array_to_string(ic.reloptions, ',') AS index_options
FROM (SELECT) AS one
LEFT JOIN (${record}) r ON true
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
LEFT JOIN pg_catalog.pg_class ic ON ic.relnamespace = n.oid AND ic.relname = ANY ($3::text[])
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = ic.oid`;
}

function stateOfRow(row: IndexRow | undefined, isMadeUnseen: boolean): VectorIndexState {
  if (!row) return isMadeUnseen ? "building" : "missing";
  if (row.index_valid === "true") return "valid";
  return row.index_building === "true" ? "building" : "invalid";
}

/** `m=16,ef_construction=64`, as `reloptions` has them. */
function storageParameters(options: string | null | undefined): ReadonlyMap<string, number> {
  const pairs = (options ?? "").split(",").map((option) => option.split("="));
  return new Map(pairs.map(([name = "", value]) => [name, Number(value)]));
}
