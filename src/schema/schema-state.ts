import { SchemaError } from "../errors.js";
import type { IdType } from "../types.js";
import { encodeTextArray } from "../postgres/codec.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { query, sqlStateOf, type Queryable } from "../postgres/database.js";
import { HAS_CITUS, readCluster, readShardSizes } from "./citus.js";
import { CHUNK_PREFIX, FIRST_PROFILE_ID, namesOf, type Layout } from "./layout.js";
import { textSearchLanguages } from "./lexemes.js";
import { idTypeOf } from "./training-id.js";
import { vectorIndexName, vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** The recorded model of a profile's vectors. */
export interface RecordedModel {
  model: string;
  queryPrefix: string;
  documentPrefix: string;
}

/** The state of the schema at one moment. Statements are written for it. */
export interface SchemaState {
  layout: Layout;
  /** The oid of pgvector's type `vector`. */
  vectorOid: number;
  chunkOid: number;
  /** Components of a vector. */
  dimensions: number;
  /** `undefined` until the first write records it. */
  recorded: RecordedModel | undefined;
  /** The type of the usable vector index; `undefined` without one: then every search is exact. */
  type: VectorIndexType | undefined;
  /** Size of the chunk table, in pages; of its largest shard where trainings are spread over a cluster. */
  pages: number;
  /** How many chunks Postgres expects in the table, or in an average shard; `undefined` before the first ANALYZE, when it cannot tell how many match a filter. */
  chunks: number | undefined;
  /** The estimated cost from which Postgres compiles a statement (`jit_above_cost`); infinite if `jit` is off. */
  compilesAboveCost: number;
  /** See {@link versionOf}. */
  version: string;
  /** The version without the recorded model. */
  unclaimedVersion: string;
  /**
   * The versions that statements accept, as a parameter: this one, with no recorded model or with the open index's own
   * model.
   */
  acceptedVersions: Buffer;
  /** Whether another model is recorded than that of the open index, which works with the schema only while it has no chunks. */
  hasOtherModel: boolean;
  /** The model with which the open index works on this schema; `undefined` for a state that no index has chosen one for. */
  own: RecordedModel | undefined;
}

/** From this size on the vector index is faster than comparing all chunks, and plans may be kept. */
export const MIN_PAGES_OF_LARGE_TABLE = 100;

/** Whether the chunk table is so large that a search by the vector index is faster than an exact one. */
export function isLarge({ pages }: Pick<SchemaState, "pages">): boolean {
  return pages >= MIN_PAGES_OF_LARGE_TABLE;
}

/**
 * SQL for one row with the `version` of a schema, which changes with everything that a search statement depends on. A
 * table that is created again gets another oid; one that is rewritten or truncated gets another file. There is no row if the
 * profile is not the active one: the model was switched.
 *
 * @param chunkOid - the oid of the chunk table. It is part of the text, so that no statement runs under a name that a
 * connection prepared before the table was created again.
 */
export function versionOf(layout: Layout, chunkOid: number | string): string {
  return `SELECT ${layout.citus ? versionInCluster(chunkOid) : versionColumn(chunkOid)} AS version
    FROM ${namesOf(layout).profile} p WHERE p.id = ${layout.profileId} AND p.status = 'active'`;
}

/** @param profileOid - of the table of profiles. Citus cannot read `tableoid` in a join with the catalogs */
function versionColumn(chunkOid: number | string, profileOid = "p.tableoid"): string {
  return `pg_catalog.concat_ws(',', ${profileOid}, pg_catalog.pg_relation_filenode(${chunkOid}::oid), ${PROFILE_COLUMNS})`;
}

/** Of a schema on a Citus cluster: its tables have other oids on each node, and moving them keeps what they are. */
function versionInCluster(chunkOid: number | string): string {
  return `pg_catalog.concat_ws(',', ${chunkOid}, extract(epoch FROM p.created_at), ${PROFILE_COLUMNS})`;
}

const PROFILE_COLUMNS = "p.dimensions, p.text_search, p.model, p.query_prefix, p.document_prefix";

/** The last part of a version. Empty until the model is recorded. */
function claimIn({ model, queryPrefix, documentPrefix }: RecordedModel): string {
  return [model, queryPrefix, documentPrefix].map((part) => `,${part}`).join("");
}

/** insufficient_privilege and undefined_function, as Citus reads what a view is made of, and feature_not_supported */
const IS_REFUSED_IN_CLUSTER = new Set(["42501", "42883", "0A000"]);

interface StateRow {
  profile_id: string;
  recorded: string;
  dimensions: string;
  model: string | null;
  query_prefix: string | null;
  document_prefix: string | null;
  text_search: string | null;
  extension_schema: string;
  vector_oid: string;
  chunk_oid: string;
  id_type: string;
  indexes: string | null;
  bytes: string;
  chunks: string;
  page: string;
  compiles_above: string | null;
  version: string;
  has_citus: string;
}

/**
 * $1 schema. Does not ask `pg_jit_available()` whether Postgres has a compiler: the answer loads it into the connection (docs/performance.md).
 */
function readState(layout: Layout): string {
  // Citus cannot join pg_stats with a table of its nodes, and the coordinator has no statistics of it.
  const chunks = layout.citus
    ? "0"
    : `CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_stats s
      WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'metadata')
    THEN c.reltuples ELSE 0 END`;
  return `
SELECT p.id::text AS profile_id, p.vector_index AS recorded, p.dimensions::text AS dimensions, p.model, p.query_prefix, p.document_prefix, p.text_search,
  en.nspname::text AS extension_schema, t.oid::text AS vector_oid, c.oid::text AS chunk_oid, it.typname::text AS id_type,
  pg_catalog.pg_relation_size(c.oid)::text AS bytes,
  ${chunks}::text AS chunks, pg_catalog.current_setting('block_size') AS page,
  CASE WHEN pg_catalog.current_setting('jit')::boolean THEN pg_catalog.current_setting('jit_above_cost') END AS compiles_above,
  (SELECT pg_catalog.json_agg(ic.relname)::text FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisvalid) AS indexes,
  ${versionColumn("c.oid", `${quoteLiteral(namesOf(layout).profile)}::regclass::oid`)} AS version, ${HAS_CITUS} AS has_citus
FROM ${namesOf(layout).profile} p
JOIN pg_catalog.pg_namespace n ON n.nspname = $1
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = '${CHUNK_PREFIX}' || p.id::text
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'training_id' AND NOT a.attisdropped
JOIN pg_catalog.pg_type it ON it.oid = a.atttypid
JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
JOIN pg_catalog.pg_namespace en ON en.oid = e.extnamespace
JOIN pg_catalog.pg_type t ON t.typnamespace = en.oid AND t.typname = 'vector'
WHERE p.status = 'active'`;
}

/**
 * Reads everything that statements depend on, in a single statement. The tables are those of the active profile.
 *
 * @param known - `citus`: how a cluster held the schema when it was last looked at
 * @throws {@link SchemaError} if parts of the schema are missing
 * @throws {@link DatabaseError}
 */
export async function readSchemaState(
  database: Queryable,
  known: { schema: string } & Pick<Layout, "scanSettings" | "citus">,
): Promise<SchemaState> {
  const { schema, scanSettings } = known;
  // Not known yet; the statement depends neither on the profile, nor on the type of ids, nor on the schema of the extension.
  const provisional: Layout = { schema, profileId: FIRST_PROFILE_ID, idType: "text", extensionSchema: "public" };
  const read = (citus: Layout["citus"]): Promise<StateRow[]> =>
    query<StateRow>(database, "read-schema", readState({ ...provisional, citus }), [schema]);
  // A schema that has come to a cluster since: Citus refuses the statement in one way or another.
  const [row] = await read(known.citus).catch((error: unknown) => {
    if (known.citus || !IS_REFUSED_IN_CLUSTER.has(sqlStateOf(SchemaError.is(error) ? error.cause : error) ?? ""))
      throw error;
    return read("schema");
  });
  const idType: IdType | undefined = row && idTypeOf(row.id_type);
  if (!row || !idType) {
    throw new SchemaError(
      "SCHEMA_DAMAGED",
      `Parts of schema ${JSON.stringify(schema)} are missing: migrationStatus(pool, { schema: ${JSON.stringify(schema)} }) says which`,
    );
  }
  const profileId = Number(row.profile_id);
  const { citus, bytes, version, chunks } = await readPlace(database, { ...provisional, profileId }, row);
  const valid = new Set(JSON.parse(row.indexes ?? "[]") as string[]);
  const usable = vectorIndexTypes.filter((type) => valid.has(vectorIndexName(profileId, type)));
  const recorded =
    row.model === null
      ? undefined
      : {
          model: row.model,
          queryPrefix: row.query_prefix ?? "",
          documentPrefix: row.document_prefix ?? "",
        };
  const claim = [row.model, row.query_prefix, row.document_prefix]
    .flatMap((part) => (part === null ? [] : `,${part}`))
    .join("");
  const state = {
    layout: {
      schema,
      profileId,
      idType,
      extensionSchema: row.extension_schema,
      ...(scanSettings && { scanSettings }),
      ...(citus && { citus }),
      textSearch: textSearchLanguages.find((language) => language === row.text_search),
    },
    vectorOid: Number(row.vector_oid),
    chunkOid: Number(row.chunk_oid),
    dimensions: Number(row.dimensions),
    recorded,
    // While one index replaces another, both are usable; prefer the recorded one, which is the one that stays.
    type: usable.find((type) => type === row.recorded) ?? usable.at(-1),
    pages: Number(bytes) / Number(row.page),
    chunks: Number(chunks) > 0 ? Number(chunks) : undefined,
    compilesAboveCost: costOf(row.compiles_above),
    version,
    unclaimedVersion: version.slice(0, version.length - claim.length),
    acceptedVersions: Buffer.alloc(0),
    hasOtherModel: false,
    own: undefined,
  };
  return forModel(state, undefined);
}

/** @param setting - `jit_above_cost`, which is negative if Postgres compiles nothing */
function costOf(setting: string | null): number {
  const cost = Number(setting ?? -1);
  return cost < 0 ? Infinity : cost;
}

/** What is read of a schema in another way on a Citus cluster. */
async function readPlace(
  database: Queryable,
  layout: Layout,
  row: StateRow,
): Promise<Pick<StateRow, "bytes" | "version" | "chunks"> & Pick<Layout, "citus">> {
  if (row.has_citus !== "true") return row;
  const { mode } = await readCluster(database, layout.schema);
  if (mode === undefined) return row;
  if (mode === "tables") return readShards(database, { ...layout, citus: mode }, row);
  const text = readStateInCluster({ ...layout, citus: mode }, row.chunk_oid);
  const [read] = await query<Pick<StateRow, "bytes" | "version">>(database, "read-schema", text);
  return { citus: mode, bytes: read?.bytes ?? "0", version: read?.version ?? row.version, chunks: row.chunks };
}

/** As {@link readPlace}, of trainings that are spread over all nodes. */
async function readShards(database: Queryable, layout: Layout, row: StateRow): ReturnType<typeof readPlace> {
  const [read] = await query<Pick<StateRow, "version">>(database, "read-schema", versionOf(layout, row.chunk_oid));
  const { largestBytes, averageChunks } = await readShardSizes(database, namesOf(layout));
  const [bytes, chunks] = [largestBytes, averageChunks ?? 0].map(String) as [string, string];
  return { citus: layout.citus, bytes, chunks, version: read?.version ?? row.version };
}

/** The oid of a chunk's table is that of the node that has the table, where the statement runs: elsewhere its size is 0. */
function readStateInCluster(layout: Layout, chunkOid: string): string {
  const size = `SELECT pg_catalog.pg_relation_size(c.tableoid)::text FROM ${namesOf(layout).chunk} c LIMIT 1`;
  return `SELECT v.version, coalesce((${size}), '0') AS bytes FROM (${versionOf(layout, chunkOid)}) v`;
}

/** The state for an index that works with a model: recording this model does not count as a change of the schema. */
export function forModel(state: SchemaState, own: RecordedModel | undefined): SchemaState {
  const versions = new Set([state.unclaimedVersion]);
  if (own) versions.add(state.unclaimedVersion + claimIn(own));
  const hasOtherModel = !versions.has(state.version);
  return { ...state, own, acceptedVersions: encodeTextArray([...versions]), hasOtherModel };
}
