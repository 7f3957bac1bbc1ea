/** What a Citus cluster adds to the catalogs: where a schema is. */
import { SchemaError } from "../errors.js";
import { query, type Queryable } from "../postgres/database.js";

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
  const [row] = await query<ClusterRow>(database, "read-cluster", READ_CLUSTER, [schema]);
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
