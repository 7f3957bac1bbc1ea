/** What a Citus cluster adds to the catalogs: where a schema is. */
import { SchemaError } from "../errors.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { chunkTable, type Names } from "./layout.js";

/** SQL of whether the database has Citus, as text. Only then do the catalogs exist that {@link readCluster} reads. */
export const HAS_CITUS = "EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus')::text";

/** The place of a schema in a Citus cluster. */
export interface Cluster {
  /** Whether the server is a worker: the coordinator is another node. */
  isWorker: boolean;
  /** Whether one node of the cluster holds the schema. */
  isDistributed: boolean;
  /** Whether tables that this session creates in a new schema would be distributed at once. */
  distributesNewSchemas: boolean;
}

interface ClusterRow {
  is_worker: string;
  is_distributed: string;
  distributes: string;
}

const READ_CLUSTER = `
SELECT (SELECT groupid <> 0 FROM pg_catalog.pg_dist_local_group)::text AS is_worker,
  EXISTS (SELECT 1 FROM pg_catalog.pg_dist_schema s JOIN pg_catalog.pg_namespace n ON n.oid = s.schemaid WHERE n.nspname = $1)::text
    AS is_distributed,
  pg_catalog.current_setting('citus.enable_schema_based_sharding') AS distributes`;

/** Reads the place of a schema in the cluster. The database must have Citus. */
export async function readCluster(database: Queryable, schema: string): Promise<Cluster> {
  const [row] = await query<ClusterRow>(database, "read-catalog", READ_CLUSTER, [schema]);
  if (!row) throw new SchemaError("SCHEMA_MISSING", "The catalogs of Citus could not be read");
  return {
    isWorker: row.is_worker === "true",
    isDistributed: row.is_distributed === "true",
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

/** The name of the function that reads sizes and statistics on the node of a Citus cluster that has them. */
export function storageFunction({ schema, profileId }: Pick<Names, "schema" | "profileId">): string {
  return `${schema}.storage_${profileId}`;
}

/** The body of the function: each shard is a table with the name of its table and its own number. Returns JSON. */
export function storageBody({ schema, profileId }: Pick<Names, "schema" | "profileId">): string {
  const chunk = `${quoteLiteral(`${schema}.${chunkTable(profileId)}`)}::regclass`;
  const shards = `pg_catalog.pg_dist_shard d JOIN pg_catalog.pg_class t ON t.oid = d.logicalrelid
    JOIN pg_catalog.pg_class r ON r.relnamespace = t.relnamespace AND r.relname = t.relname || '_' || d.shardid`;
  return `BEGIN
  RETURN (SELECT pg_catalog.json_build_object(
    'tables', (SELECT pg_catalog.json_agg(${tableAsJson("t.relname")} ORDER BY t.relname)
      FROM ${shards} WHERE t.relnamespace = c.relnamespace AND t.relkind = 'r'),
    'chunkBytes', pg_catalog.pg_relation_size(c.oid), 'lacksStatistics', c.reltuples < 0,
    'vectorIndexes', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', regexp_replace(ic.relname, '_[0-9]+$', ''),
        'valid', i.indisvalid, 'ready', i.indisready, 'bytes', pg_catalog.pg_relation_size(ic.oid)))
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND ic.relname ^@ '${chunkTable(profileId)}_embedding'),
    'build', (SELECT pg_catalog.json_build_object('phase', b.phase, 'blocksDone', b.blocks_done, 'blocksTotal', b.blocks_total,
        'tuplesDone', b.tuples_done, 'tuplesTotal', b.tuples_total)
      FROM pg_catalog.pg_stat_progress_create_index b
      WHERE b.datname = pg_catalog.current_database() AND b.relid = c.oid LIMIT 1))
  FROM (SELECT r.* FROM ${shards} WHERE t.oid = ${chunk}) c);
END`;
}
