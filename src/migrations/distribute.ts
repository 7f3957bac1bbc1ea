/**
 * Gives a schema to one node of a Citus cluster, or spreads its trainings over all nodes, and takes it back for changes that Citus does not
 * allow on distributed tables.
 */
import { InvalidArgumentError, SchemaError } from "../errors.js";
import type { Catalog } from "../schema/catalog.js";
import { readCluster, refuseWorker, type Cluster } from "../schema/citus.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteIdentifier, quoteLiteral } from "../postgres/identifiers.js";
import { createFunctions, functionBodies } from "../storing/distributed-functions.js";
import { dropForeignKey, ensureForeignKey } from "./host-table.js";
import { indexedTable, chunkTable, type CitusMode } from "../schema/layout.js";
import type { MigrateOptions, MigrationPlan, ResolvedHostTable } from "./options.js";
import { run } from "./run.js";

/** ASCII "ltixcits", the key of a lock. */
const LOCK_KEY = "7814987219179500659";

/**
 * Lets one migration at a time spread tables, also of other schemas: each locks catalogs of Citus, one after the other. A migration that takes
 * its tables back first has to wait before that, since it would hold such a lock while it waits for another migration that needs it.
 */
async function waitForOtherMigrations(client: Queryable): Promise<void> {
  await run(client, `SELECT pg_catalog.pg_advisory_xact_lock(${LOCK_KEY})`);
}

/**
 * The place of the schema in the cluster; `undefined` for a database without Citus.
 *
 * @throws {@link SchemaError} on a worker, without Citus, where `CREATE TABLE` would distribute each table by itself, or if the schema is
 * distributed in another way
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
      `citus is ${JSON.stringify(citus)}, but this database has no Citus: ` +
        "run CREATE EXTENSION citus on all nodes and add the workers, or leave citus out",
    );
  }
  const cluster = await readCluster(client, schema);
  refuseWorker(cluster);
  if (migrated && citus !== undefined && cluster.mode !== undefined && citus !== cluster.mode) {
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `citus is ${JSON.stringify(citus)}, but schema ${JSON.stringify(schema)} was migrated with ${JSON.stringify(cluster.mode)}: leave it ` +
        "out, or migrate another schema and move the trainings there with exportTrainings and importTrainings",
    );
  }
  if (migrated) return cluster;
  if (cluster.distributesNewSchemas || cluster.mode !== undefined) {
    const call = `migrate(pool, { citus: ${JSON.stringify(citus ?? "schema")} })`;
    throw new SchemaError(
      "UNSUPPORTED_SETTING",
      cluster.mode !== undefined
        ? `Schema ${JSON.stringify(schema)} is empty and distributed already, and its tables cannot be created so: drop it, and run ` +
            `${call}, which distributes it`
        : "citus.enable_schema_based_sharding is on for this session, so tables would be distributed before they are complete: run " +
            `ALTER ROLE ... SET citus.enable_schema_based_sharding = off, reconnect, and run ${call}`,
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
 * @throws {@link SchemaError} if trainings are spread over all nodes: the coordinator may be too small for them
 */
export async function undistribute(
  client: Queryable,
  { schema, mode }: { schema: string; mode: CitusMode | undefined },
): Promise<ResolvedHostTable | undefined> {
  const quoted = quoteIdentifier(schema, "schema");
  if (mode === "tables") {
    await refuseChange(client, schema);
    await waitForOtherMigrations(client);
  }
  const host = await dropForeignKey(client, { schema, training: `${quoted}.training` });
  const statements =
    mode === "tables"
      ? [
          `SELECT pg_catalog.undistribute_table(${quoteLiteral(`${quoted}.training`)}, cascade_via_foreign_keys => true)`,
          `SELECT pg_catalog.undistribute_table(${quoteLiteral(`${quoted}.profile`)})`,
        ]
      : [`SELECT pg_catalog.citus_schema_undistribute(${quoteLiteral(quoted)})`];
  for (const statement of statements) await run(client, statement);
  return host;
}

async function refuseChange(client: Queryable, schema: string): Promise<void> {
  const training = `${quoteIdentifier(schema, "schema")}.training`;
  if ((await query(client, "migrate", `SELECT FROM ${training} LIMIT 1`)).length === 0) return;
  const undistribute = `SELECT undistribute_table(${quoteLiteral(training)}, cascade_via_foreign_keys => true)`;
  throw new SchemaError(
    "SCHEMA_CONFLICT",
    `The tables of schema ${JSON.stringify(schema)} have to be changed, and its trainings are spread over a Citus cluster, where Citus does not ` +
      'allow that: migrate another schema with citus: "tables" and move the trainings there with exportTrainings and importTrainings; or, if the ' +
      `coordinator has room for all of them, run ${undistribute} and migrate again`,
  );
}

/**
 * Gives the schema to one node, which Citus chooses, or spreads its trainings over all nodes, creates the functions that write to it, and adds
 * the foreign key to the host's table. The trigger that made lexemes for older versions of this library goes: such versions cannot write to a
 * distributed schema.
 */
export async function distribute(client: Queryable, plan: MigrationPlan, citus: CitusMode): Promise<void> {
  const { names, schema } = plan;
  if (citus === "tables") refuseTextSearch(plan);
  const former = await dropForeignKey(client, { schema, training: names.training });
  const trainings = plan.trainings ?? former;
  await requireReferenceTable(client, trainings);
  await run(client, `DROP TRIGGER IF EXISTS store_lexemes ON ${names.chunk}`);
  if (citus === "tables") {
    await waitForOtherMigrations(client);
    await spreadTrainings(client, plan);
  } else await run(client, `SELECT pg_catalog.citus_schema_distribute(${quoteLiteral(names.schema)})`);
  await ensureForeignKey(client, { ...plan, trainings });
  for (const statement of createFunctions({ ...plan, citus })) await run(client, statement);
}

/** @throws {@link SchemaError} */
export function refuseTextSearch({ schema, textSearch }: Pick<MigrationPlan, "schema" | "textSearch">): void {
  if (textSearch === undefined) return;
  throw new SchemaError(
    "SCHEMA_CONFLICT",
    `Schema ${JSON.stringify(schema)} has text search, whose scores need the statistics of all chunks, so its trainings cannot be spread over a ` +
      'cluster: run migrate(pool, { textSearch: false, citus: "tables" }), or use citus: "schema"',
  );
}

/**
 * Spreads the trainings over the nodes, each with its chunks on one node. The profile, which each write reads, is on all nodes. Into how many
 * shards is what `citus.shard_count` says.
 */
async function spreadTrainings(client: Queryable, { names }: MigrationPlan): Promise<void> {
  const table = (name: string): string => quoteLiteral(`${names.schema}.${name}`);
  const { profileId } = names;
  await run(client, `SELECT pg_catalog.create_reference_table(${table("profile")})`);
  const spread: [name: string, column: string, colocated: string][] = [
    ["training", "id", "'none'"],
    [indexedTable(profileId), "training_id", table("training")],
    [chunkTable(profileId), "training_id", table("training")],
  ];
  for (const [name, column, colocated] of spread) {
    await run(
      client,
      `SELECT pg_catalog.create_distributed_table(${table(name)}, '${column}', colocate_with => ${colocated})`,
    );
  }
  // Citus has copied the rows. The last of these empties the others, too.
  for (const name of ["profile", "training"]) {
    await run(client, `SELECT pg_catalog.truncate_local_data_after_distributing_table(${table(name)})`);
  }
}

/** Creates the functions of a distributed schema again if they are those of another version of the library. */
export async function ensureFunctions(client: Queryable, plan: MigrationPlan, citus: CitusMode): Promise<void> {
  await ensureReference(client, plan, citus);
  const bodies = functionBodies({ ...plan, citus });
  const found = await query(
    client,
    "migrate",
    "SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.prosrc = ANY ($2::text[])",
    [plan.schema, bodies],
  );
  if (found.length === bodies.length) return;
  for (const statement of createFunctions({ ...plan, citus })) await run(client, statement);
}

/** Adds the foreign key to the host's table where trainings are spread. Of a schema on one node, the change of the tables has done so. */
async function ensureReference(client: Queryable, plan: MigrationPlan, citus: CitusMode): Promise<void> {
  if (citus !== "tables" || !plan.trainings) return;
  await requireReferenceTable(client, plan.trainings);
  await ensureForeignKey(client, plan);
}

/** @throws {@link InvalidArgumentError} */
export function checkCitus({ citus, textSearch }: Pick<MigrateOptions, "citus" | "textSearch">): void {
  if (!([undefined, "schema", "tables"] as unknown[]).includes(citus)) {
    throw new InvalidArgumentError("citus", 'must be "schema" or "tables"');
  }
  if (citus !== "tables" || textSearch === undefined || textSearch === false) return;
  throw new InvalidArgumentError(
    "textSearch",
    'cannot be combined with citus: "tables": its scores need the statistics of all chunks. Leave it out, or use citus: "schema"',
  );
}
