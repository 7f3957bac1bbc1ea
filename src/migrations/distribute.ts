/** Gives a schema to one node of a Citus cluster, and takes it back for changes that Citus does not allow on distributed tables. */
import { InvalidArgumentError, SchemaError } from "../errors.js";
import type { Catalog } from "../schema/catalog.js";
import { readCluster, refuseWorker, type Cluster } from "../schema/citus.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteIdentifier, quoteLiteral } from "../postgres/identifiers.js";
import { createFunctions, functionBodies } from "../storing/distributed-functions.js";
import { dropForeignKey, ensureForeignKey } from "./host-table.js";
import type { MigrateOptions, MigrationPlan, ResolvedHostTable } from "./options.js";
import { run } from "./run.js";

/**
 * The place of the schema in the cluster; `undefined` for a database without Citus.
 *
 * @throws {@link SchemaError} on a worker, without Citus, or where `CREATE TABLE` would distribute each table by itself
 */
export async function checkCluster(
  client: Queryable,
  { hasCitus, migrated }: Pick<Catalog, "hasCitus" | "migrated">,
  { schema, citus }: Pick<MigrateOptions, "citus"> & { schema: string },
): Promise<Cluster | undefined> {
  if (!hasCitus) {
    if (citus === undefined) return undefined;
    throw new SchemaError(
      "EXTENSION_MISSING",
      'citus is "schema", but this database has no Citus: run CREATE EXTENSION citus on all nodes and add the workers, or leave citus out',
    );
  }
  const cluster = await readCluster(client, schema);
  refuseWorker(cluster);
  if (migrated) return cluster;
  if (cluster.distributesNewSchemas || cluster.isDistributed) {
    throw new SchemaError(
      "UNSUPPORTED_SETTING",
      cluster.isDistributed
        ? `Schema ${JSON.stringify(schema)} is empty and distributed already, and its tables cannot be created so: drop it, and run ` +
            'migrate(pool, { citus: "schema" }), which distributes it'
        : "citus.enable_schema_based_sharding is on for this session, so tables would be distributed before they are complete: run " +
            'ALTER ROLE ... SET citus.enable_schema_based_sharding = off, reconnect, and run migrate(pool, { citus: "schema" })',
    );
  }
  return cluster;
}

/** @throws {@link SchemaError} for a host table that a distributed schema cannot reference */
export async function requireReferenceTable(client: Queryable, host: ResolvedHostTable | undefined): Promise<void> {
  if (!host) return;
  const rows = await query(
    client,
    "migrate",
    `SELECT FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND p.partmethod = 'n' AND p.repmodel = 't'`,
    [host.schema, host.table],
  );
  if (rows.length > 0) return;
  throw new SchemaError(
    "SCHEMA_CONFLICT",
    `The host's table ${host.quotedTable} is not on all nodes, so trainings on one of them cannot reference it: run ` +
      `SELECT create_reference_table(${quoteLiteral(host.quotedTable)}), or leave trainings out`,
  );
}

/**
 * Takes the schema back to the coordinator, with all rows, and without the foreign key to the host's table: Citus allows few changes
 * of tables that reference one on all nodes. {@link distribute} gives it away again.
 *
 * @returns the host's table
 */
export async function undistribute(client: Queryable, schema: string): Promise<ResolvedHostTable | undefined> {
  const quoted = quoteIdentifier(schema, "schema");
  const host = await dropForeignKey(client, { schema, training: `${quoted}.training` });
  await run(client, `SELECT pg_catalog.citus_schema_undistribute(${quoteLiteral(quoted)})`);
  return host;
}

/**
 * Gives the schema to one node, which Citus chooses, creates the functions that write to it, and adds the foreign key to the host's
 * table. The trigger that made lexemes for older versions of this library goes: such versions cannot write to a distributed schema.
 */
export async function distribute(client: Queryable, plan: MigrationPlan): Promise<void> {
  const { names, schema } = plan;
  const former = await dropForeignKey(client, { schema, training: names.training });
  const trainings = plan.trainings ?? former;
  await requireReferenceTable(client, trainings);
  await run(client, `DROP TRIGGER IF EXISTS store_lexemes ON ${names.chunk}`);
  await run(client, `SELECT pg_catalog.citus_schema_distribute(${quoteLiteral(names.schema)})`);
  await ensureForeignKey(client, { ...plan, trainings });
  for (const statement of createFunctions(plan)) await run(client, statement);
}

/** Creates the functions of a distributed schema again if they are those of another version of the library. */
export async function ensureFunctions(client: Queryable, plan: MigrationPlan): Promise<void> {
  const bodies = functionBodies(plan);
  const found = await query(
    client,
    "migrate",
    "SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.prosrc = ANY ($2::text[])",
    [plan.schema, bodies],
  );
  if (found.length === bodies.length) return;
  for (const statement of createFunctions(plan)) await run(client, statement);
}

/** @throws {@link InvalidArgumentError} */
export function checkCitus(citus: unknown): "schema" | undefined {
  if (citus === undefined || citus === "schema") return citus;
  throw new InvalidArgumentError(
    "citus",
    citus === "tables"
      ? 'is "tables", which is not supported: use "schema", with a schema for each tenant'
      : 'must be "schema"',
  );
}
