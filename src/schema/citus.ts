/** What a Citus cluster adds to the catalogs: where a schema is. */
import { DatabaseError, SchemaError } from "../errors.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import type { StatementName } from "../postgres/statement-names.js";
import type { IndexProgress } from "./index-progress.js";
import { chunkTable, type CitusMode, type Names } from "./layout.js";

/** SQL of whether the database has Citus, as text. Only then do the catalogs exist that {@link readCluster} reads. */
export const HAS_CITUS = "EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus')::text";

/** The place of a schema in a Citus cluster. */
export interface Cluster {
  /** Whether the server is a worker: the coordinator is another node. */
  isWorker: boolean;
  /** How the cluster holds the schema; `undefined` for tables of the coordinator itself. */
  mode: CitusMode | undefined;
  /** Whether tables that this session creates in a new schema would be distributed at once. */
  distributesNewSchemas: boolean;
}

interface ClusterRow {
  is_worker: string;
  mode: CitusMode | null;
  distributes: string;
}

const READ_CLUSTER = `
SELECT (SELECT groupid <> 0 FROM pg_catalog.pg_dist_local_group)::text AS is_worker,
  CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_dist_schema s JOIN pg_catalog.pg_namespace n ON n.oid = s.schemaid WHERE n.nspname = $1)
    THEN 'schema'
    WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = 'training' AND p.partmethod = 'h') THEN 'tables' END AS mode,
  pg_catalog.current_setting('citus.enable_schema_based_sharding') AS distributes`;

/** Reads the place of a schema in the cluster. The database must have Citus. */
export async function readCluster(database: Queryable, schema: string): Promise<Cluster> {
  const [row] = await query<ClusterRow>(database, "read-catalog", READ_CLUSTER, [schema]);
  if (!row) throw new SchemaError("SCHEMA_MISSING", "The catalogs of Citus could not be read");
  return {
    isWorker: row.is_worker === "true",
    mode: row.mode ?? undefined,
    distributesNewSchemas: row.distributes === "on",
  };
}

/**
 * Refuses a worker: tickets are of a sequence on the coordinator.
 *
 * @throws {@link SchemaError}
 */
export function refuseWorker({ isWorker }: Pick<Cluster, "isWorker">): void {
  if (!isWorker) return;
  throw new SchemaError(
    "UNSUPPORTED_SETTING",
    "This server is a worker of a Citus cluster, and the tickets of writes are taken on the coordinator: connect the pool to the coordinator",
  );
}

/**
 * SQL of what the status says of a table, whose row of `pg_class` is `r`. Statistics are those of the primary: a standby has none.
 *
 * @param name - SQL of its name
 */
export function tableAsJson(name: string): string {
  const later = (kind: "vacuum" | "analyze"): string => {
    // Of the last one by hand or by autovacuum, in milliseconds.
    const [byHand, automatic] = ["", "auto"].map((by) => `pg_catalog.pg_stat_get_last_${by}${kind}_time(r.oid)`);
    return `floor(extract(epoch FROM greatest(${byHand}, ${automatic})) * 1000)`;
  };
  return `pg_catalog.json_build_object('name', ${name},
      'bytes', pg_catalog.pg_table_size(r.oid), 'indexBytes', pg_catalog.pg_indexes_size(r.oid),
      'liveRows', pg_catalog.pg_stat_get_live_tuples(r.oid), 'deadRows', pg_catalog.pg_stat_get_dead_tuples(r.oid),
      'lastVacuum', ${later("vacuum")}, 'lastAnalyze', ${later("analyze")})`;
}

/**
 * SQL of what Postgres says of a build of an index on a table: `phase`, `blocksDone` and so on. Null if none is running.
 *
 * @param isOfTable - SQL of whether `relid` is the oid of the table
 */
export function buildAsJson(isOfTable: string): string {
  return `(SELECT pg_catalog.json_build_object('phase', b.phase, 'blocksDone', b.blocks_done, 'blocksTotal', b.blocks_total,
        'tuplesDone', b.tuples_done, 'tuplesTotal', b.tuples_total)
      FROM pg_catalog.pg_stat_progress_create_index b
      WHERE b.datname = pg_catalog.current_database() AND ${isOfTable} LIMIT 1)`;
}

/** The distributed tables `t` of a schema with their shards `r` on the node that runs it. A shard has the name of its table and its number. */
const SHARDS_OF_NODE = `pg_catalog.pg_dist_shard d JOIN pg_catalog.pg_class t ON t.oid = d.logicalrelid
    JOIN pg_catalog.pg_class r ON r.relnamespace = t.relnamespace AND r.relname = t.relname || '_' || d.shardid`;

/** The sizes of the shards of a table of chunks, of all nodes. */
export interface ShardSizes {
  /** How many there are. */
  shards: number;
  /** Bytes of the largest one. */
  largestBytes: number;
  /** Chunks of an average one, as Postgres expects; `undefined` before all of them were analyzed. */
  averageChunks: number | undefined;
}

interface SizesOfNode {
  shards: number;
  largest: number;
  chunks: number;
  unknown: number;
}

/** Runs a statement on the coordinator. */
export type AskServer = <Row>(name: StatementName, text: string, values: unknown[]) => Promise<Row[]>;

/** Reads how large the shards are into which the chunks are spread, from all nodes. */
export async function readShardSizes(
  database: Queryable,
  names: Pick<Names, "schema" | "profileId">,
): Promise<ShardSizes> {
  const nodes = await askAllNodes<SizesOfNode>(
    (...statement) => query(database, ...statement),
    "read-schema",
    `SELECT pg_catalog.json_build_object('shards', count(*), 'largest', coalesce(max(pg_catalog.pg_relation_size(r.oid)), 0),
    'chunks', coalesce(sum(greatest(r.reltuples, 0)), 0), 'unknown', count(*) FILTER (WHERE r.reltuples < 0))
  FROM ${SHARDS_OF_NODE} WHERE t.oid = ${chunkOid(names)}`,
  );
  const sum = (key: keyof SizesOfNode): number => nodes.reduce((total, node) => total + node[key], 0);
  const shards = sum("shards");
  return {
    shards,
    largestBytes: Math.max(0, ...nodes.map(({ largest }) => largest)),
    averageChunks: shards === 0 || sum("unknown") > 0 ? undefined : sum("chunks") / shards,
  };
}

/** What a node says of the shards that it has, for the status. */
export interface StorageOfNode {
  tables: Record<string, number | string | null>[] | null;
  /** Bytes of the largest shard of chunks. */
  largest: number;
  lacksStatistics: boolean;
  vectorIndexes: { name: string; valid: boolean; ready: boolean; bytes: number }[] | null;
  build: IndexProgress | null;
}

/** Reads the sizes and statistics of all shards of a schema, from each node that has some. */
export async function readShardStorage(
  ask: AskServer,
  names: Pick<Names, "schema" | "profileId">,
): Promise<StorageOfNode[]> {
  const chunk = chunkOid(names);
  const isChunk = `t.oid = ${chunk}`;
  const isOfSchema = `t.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = ${chunk}) AND EXISTS (
      SELECT 1 FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = t.oid AND p.partmethod = 'h')`;
  return askAllNodes<StorageOfNode>(
    ask,
    "read-status",
    `SELECT pg_catalog.json_build_object(
    'tables', (SELECT pg_catalog.json_agg(${tableAsJson("t.relname")}) FROM ${SHARDS_OF_NODE} WHERE ${isOfSchema}),
    'largest', (SELECT coalesce(max(pg_catalog.pg_relation_size(r.oid)), 0) FROM ${SHARDS_OF_NODE} WHERE ${isChunk}),
    'lacksStatistics', (SELECT coalesce(bool_or(r.reltuples < 0 AND pg_catalog.pg_relation_size(r.oid) > 0), false)
      FROM ${SHARDS_OF_NODE} WHERE ${isChunk}),
    'vectorIndexes', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', regexp_replace(ic.relname, '_[0-9]+$', ''),
        'valid', i.indisvalid, 'ready', i.indisready, 'bytes', pg_catalog.pg_relation_size(ic.oid)))
      FROM ${SHARDS_OF_NODE} JOIN pg_catalog.pg_index i ON i.indrelid = r.oid JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
      WHERE ${isChunk} AND ic.relname ^@ '${chunkTable(names.profileId)}_embedding'),
    'build', ${buildOnNode(chunk)})`,
  );
}

/** Reads the progress of a build of an index on the chunks, from all nodes; `undefined` if there is none. */
export async function readBuildOfNodes(
  database: Queryable,
  names: Pick<Names, "schema" | "profileId">,
): Promise<IndexProgress | undefined> {
  const builds = await askAllNodes<IndexProgress | null>(
    (...statement) => query(database, ...statement),
    "read-build-progress",
    `SELECT coalesce(${buildOnNode(chunkOid(names))}, 'null')`,
  );
  return oneBuild(builds);
}

/** What the nodes say of their builds, as one: the coordinator waits while the others build. */
export function oneBuild(builds: readonly (IndexProgress | null)[]): IndexProgress | undefined {
  const running = builds.filter((build) => build !== null);
  const first = running.find(({ blocksTotal, tuplesTotal }) => blocksTotal + tuplesTotal > 0) ?? running[0];
  const sum = (count: Exclude<keyof IndexProgress, "phase">): number =>
    running.reduce((total, build) => total + build[count], 0);
  return (
    first && {
      phase: first.phase,
      blocksDone: sum("blocksDone"),
      blocksTotal: sum("blocksTotal"),
      tuplesDone: sum("tuplesDone"),
      tuplesTotal: sum("tuplesTotal"),
    }
  );
}

/** SQL of a build on a table of chunks of this node, or on one of its shards. */
function buildOnNode(chunk: string): string {
  return buildAsJson(
    `b.relid IN (SELECT ${chunk}::oid UNION ALL SELECT r.oid FROM ${SHARDS_OF_NODE} WHERE t.oid = ${chunk})`,
  );
}

function chunkOid({ schema, profileId }: Pick<Names, "schema" | "profileId">): string {
  return `${quoteLiteral(`${schema}.${chunkTable(profileId)}`)}::regclass`;
}

/**
 * Runs a statement on all nodes that returns one JSON value.
 *
 * @throws {@link DatabaseError} if a node does not answer
 */
async function askAllNodes<Answer>(ask: AskServer, name: StatementName, text: string): Promise<Answer[]> {
  const rows = await ask<{ success: string; result: string }>(
    name,
    "SELECT success::text AS success, result FROM pg_catalog.run_command_on_all_nodes($1)",
    [text],
  );
  return rows.map(({ success, result }) => {
    if (success === "true") return JSON.parse(result) as Answer;
    throw new DatabaseError(`A node of the Citus cluster could not be asked: ${result}`, {
      code: "CONNECTION_FAILED",
      retryable: true,
    });
  });
}

/** The names of the functions of a profile that write. */
export function functionNames({ schema, profileId }: Pick<Names, "schema" | "profileId">): {
  store: string;
  touch: string;
  remove: string;
  clean: string;
} {
  const named = (verb: string): string => `${schema}.${verb}_training_${profileId}`;
  return { store: named("store"), touch: named("touch"), remove: named("remove"), clean: named("clean") };
}

/** The functions that statements on spread tables call on each shard. */
export function shardFunctions({ schema }: Pick<Names, "schema">): {
  require: string;
  settings: string;
  shared: string;
} {
  return {
    require: `${schema}.require_version`,
    settings: `${schema}.search_settings`,
    shared: `${schema}.shared_entries`,
  };
}

/** What a statement fails with that was written for another version of the schema than it finds; the version follows. */
export const OTHER_SCHEMA = "another schema than the statement was written for: ";

/** The name of the function that reads sizes and statistics on the node of a Citus cluster that has them. */
export function storageFunction({ schema, profileId }: Pick<Names, "schema" | "profileId">): string {
  return `${schema}.storage_${profileId}`;
}

/** The body of the function: each shard is a table with the name of its table and its own number. Returns JSON. */
export function storageBody({ schema, profileId }: Pick<Names, "schema" | "profileId">): string {
  const chunk = chunkOid({ schema, profileId });
  const shards = SHARDS_OF_NODE;
  return `BEGIN
  RETURN (SELECT pg_catalog.json_build_object(
    'tables', (SELECT pg_catalog.json_agg(${tableAsJson("t.relname")} ORDER BY t.relname)
      FROM ${shards} WHERE t.relnamespace = c.relnamespace AND t.relkind = 'r'),
    'chunkBytes', pg_catalog.pg_relation_size(c.oid), 'lacksStatistics', c.reltuples < 0,
    'vectorIndexes', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', regexp_replace(ic.relname, '_[0-9]+$', ''),
        'valid', i.indisvalid, 'ready', i.indisready, 'bytes', pg_catalog.pg_relation_size(ic.oid)))
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND ic.relname ^@ '${chunkTable(profileId)}_embedding'),
    'build', ${buildAsJson("b.relid = c.oid")})
  FROM (SELECT r.* FROM ${shards} WHERE t.oid = ${chunk}) c);
END`;
}
