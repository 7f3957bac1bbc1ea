import { SchemaError } from "../errors.js";
import { query, type HostNumber, type Queryable } from "../postgres/database.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { HAS_CITUS } from "./citus.js";
import { chunkTable } from "./layout.js";
import { vectorIndexName, vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** `building`: another session is building it. `invalid`: a build failed, and Postgres does not use the index. */
export type VectorIndexState = "valid" | "invalid" | "building" | "missing";

/** The vector index that a profile should have. */
export interface RecordedVectorIndex {
  /** `vector` if nothing is recorded yet. */
  type: VectorIndexType;
  /** The type of the index that will replace this one, while it is built. */
  next: VectorIndexType | undefined;
  state: VectorIndexState;
  /** From the existing index, otherwise as recorded. */
  m: number | undefined;
  efConstruction: number | undefined;
  /** The access method of the existing index; `undefined` without one. */
  method: string | undefined;
}

/** The vector indexes of a profile: the recorded one and the existing ones. */
export interface VectorIndexes {
  vectorIndex: RecordedVectorIndex;
  /** The parameters of the next build; `undefined` if nothing is recorded yet. */
  recordedHnsw: { m: number; efConstruction: number } | undefined;
  /** The state of the index of each type. Two exist while one replaces the other. */
  vectorIndexStates: Readonly<Record<VectorIndexType, VectorIndexState>>;
  /** The chunk table's storage parameter `parallel_workers`, which index builds use. */
  parallelWorkers: number | undefined;
}

/** One row per existing index, or a single row without an index. */
interface IndexRow {
  type: VectorIndexType | null;
  next: VectorIndexType | null;
  m: HostNumber | null;
  ef_construction: HostNumber | null;
  table_options: string | null;
  /** Whether an index is being built in a transaction, where other sessions do not see it yet. */
  table_building: "true" | "false";
  index_name: string | null;
  index_valid: "true" | "false" | null;
  index_building: "true" | "false";
  index_options: string | null;
  index_method: string | null;
}

/**
 * Reads the vector indexes of a profile.
 *
 * @param hasProfile - whether the table of profiles exists, in which the vector index is recorded from version 2 on
 */
export async function readVectorIndexes(
  database: Queryable,
  schema: string,
  profileId: number,
  hasProfile = true,
): Promise<VectorIndexes> {
  const rows = await query<IndexRow>(database, "read-vector-indexes", readIndexes(schema, hasProfile), [
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
    // Only bulk loads build in a transaction; they build the next type if there is one, otherwise the recorded type.
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
      method: rowOf(type)?.index_method ?? undefined,
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

/** A node of a Citus cluster reports the progress of its build only itself, but the session that waits for it keeps the table locked here. */
const IS_BUILT_BY_NODE = `(${HAS_CITUS})::boolean AND EXISTS (SELECT 1 FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
        AND l.pid <> pg_catalog.pg_backend_pid())`;

/** $1 schema, $2 the chunk table, $3 names of the indexes, $4 profile. */
function readIndexes(schema: string, hasProfile: boolean): string {
  const record = hasProfile
    ? // Read through to_jsonb: a column that an earlier version lacks is NULL.
      `SELECT p ->> 'vector_index' AS type, p ->> 'vector_index_next' AS next, p ->> 'hnsw_m' AS m,
      p ->> 'hnsw_ef_construction' AS ef_construction
    FROM (SELECT pg_catalog.to_jsonb(p) AS p FROM ${quoteIdentifier(schema, "schema")}.profile p) p WHERE p ->> 'id' = $4::text`
    : "SELECT NULL::text AS type, NULL::text AS next, NULL::text AS m, NULL::text AS ef_construction WHERE $4::text IS NULL";
  return `
SELECT r.type, r.next, r.m::text AS m, r.ef_construction::text AS ef_construction,
  pg_catalog.array_to_string(c.reloptions, ',') AS table_options,
  EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p
    WHERE p.datname = pg_catalog.current_database() AND p.relid = c.oid AND p.index_relid = 0)::text AS table_building,
  ic.relname::text AS index_name,
  i.indisvalid::text AS index_valid,
  (EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p
    WHERE p.datname = pg_catalog.current_database() AND p.index_relid = i.indexrelid) OR ${IS_BUILT_BY_NODE})::text AS index_building,
  pg_catalog.array_to_string(ic.reloptions, ',') AS index_options,
  (SELECT a.amname::text FROM pg_catalog.pg_am a WHERE a.oid = ic.relam) AS index_method
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

/** Parses `reloptions`, such as `m=16,ef_construction=64`. */
function storageParameters(options: string | null | undefined): ReadonlyMap<string, number> {
  const pairs = (options ?? "").split(",").map((option) => option.split("="));
  return new Map(pairs.map(([name = "", value]) => [name, Number(value)]));
}
