import { SchemaError } from "../errors.js";
import type { Catalog } from "../schema/catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import type { CitusMode, Names } from "../schema/layout.js";
import { vectorIndexName, vectorIndexTypes } from "../schema/vector-index.js";
import { dropFunctions } from "../storing/distributed-functions.js";
import type { IdType } from "../types.js";
import type { MigrateOptions, MigrationPlan } from "./options.js";
import { run } from "./run.js";

/** Options of a schema that can be changed only by rewriting its tables. */
export interface StoredOptions {
  dimensions: number;
  idType: IdType;
}

/**
 * The options that an existing schema will have after the migration. Ids can change from integer to bigint, if the
 * host's column or `idType` asks for it; dimensions can change while no vectors are stored.
 *
 * @throws {@link SchemaError} for any other change, with the way out
 */
export async function targetOptions(
  client: Queryable,
  stored: StoredOptions,
  { options, schema, names, hostIdType }: TargetInputs,
): Promise<StoredOptions> {
  const { dimensions = stored.dimensions } = options;
  if (dimensions !== stored.dimensions && (await hasRows(client, names.chunk))) {
    throw optionConflict(schema, "dimensions", dimensions, stored.dimensions);
  }
  return { dimensions, idType: idTypeFor(stored.idType, schema, options.idType, hostIdType) };
}

/** Inputs of {@link targetOptions}. */
export interface TargetInputs {
  options: MigrateOptions;
  schema: string;
  names: Names;
  /** The type of the host's column that trainings reference, or will reference. */
  hostIdType: IdType | undefined;
}

function idTypeFor(stored: IdType, schema: string, given: IdType | undefined, host: IdType | undefined): IdType {
  const wanted = given ?? host ?? stored;
  if (wanted === stored) return stored;
  if (stored === "integer" && wanted === "bigint") return wanted;
  if (given !== undefined) throw optionConflict(schema, "idType", given, stored);
  if (stored === "bigint" && wanted === "integer") return stored; // bigint holds every integer
  throw new SchemaError(
    "SCHEMA_CONFLICT",
    `The host's column is now ${wanted}, but the ids of schema ${JSON.stringify(schema)} are ${stored} and cannot be ` +
      `converted: run migrate(pool, { schema: "<a new one>", trainings }), index the trainings there, and open that schema`,
  );
}

function optionConflict(schema: string, option: string, given: unknown, stored: unknown): SchemaError {
  return new SchemaError(
    "SCHEMA_CONFLICT",
    `${option} is ${String(given)}, but schema ${JSON.stringify(schema)} was migrated with ${String(stored)}` +
      `${option === "dimensions" ? " and holds vectors" : ""}: leave it out, or migrate another schema`,
  );
}

/**
 * Rewrites the tables for the {@link targetOptions}. Drops the vector index, which is rebuilt after the transaction, so
 * that the tables are not locked during the build.
 *
 * @param citus - how a Citus cluster holds the schema, or is to hold it
 */
export async function applyChange(
  client: Queryable,
  { vectorIndex }: Catalog,
  stored: StoredOptions,
  plan: MigrationPlan,
  citus: CitusMode | undefined,
): Promise<void> {
  const { names, dimensions, idType } = plan;
  const isResized = dimensions !== stored.dimensions;
  if (!isResized && idType === stored.idType) return;
  for (const type of vectorIndexTypes) {
    await run(client, `DROP INDEX IF EXISTS ${names.schema}.${vectorIndexName(names.profileId, type)}`);
  }
  if (idType !== stored.idType) {
    await run(client, `ALTER TABLE ${names.training} ALTER COLUMN id TYPE ${idType}`);
    await run(client, `ALTER TABLE ${names.indexed} ALTER COLUMN training_id TYPE ${idType}`);
    await run(client, `ALTER TABLE ${names.chunk} ALTER COLUMN training_id TYPE ${idType}`);
    if (citus) await followInCluster(client, plan, stored, citus);
  }
  if (!isResized) return;
  await run(client, `LOCK TABLE ${names.chunk} IN ACCESS EXCLUSIVE MODE`);
  if (await hasRows(client, names.chunk)) {
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      "Vectors were stored while migrate was changing the dimensions: nothing was changed. Leave dimensions out, or migrate " +
        "another schema",
    );
  }
  // A change of the type resets the storage of the column.
  await run(
    client,
    `ALTER TABLE ${names.chunk} ALTER COLUMN embedding TYPE ${names.vector}(${dimensions}), ALTER COLUMN embedding SET STORAGE MAIN`,
  );
  await query(
    client,
    "migrate",
    `UPDATE ${names.profile} SET dimensions = $2, model = NULL, query_prefix = NULL, document_prefix = NULL,
      vector_index = $3, vector_index_next = NULL WHERE id = $1`,
    [names.profileId, dimensions, vectorIndex.type],
  );
}

/** What else depends on the type of the ids in a schema on a Citus cluster. */
async function followInCluster(
  client: Queryable,
  plan: MigrationPlan,
  { idType }: StoredOptions,
  citus: CitusMode,
): Promise<void> {
  // The functions for the new type are created when the schema is on the cluster.
  for (const statement of dropFunctions({ ...plan, idType, citus })) await run(client, statement);
  // Open indexes notice a rewritten table by its file. On a cluster they cannot, and compare this time instead.
  await run(client, `UPDATE ${plan.names.profile} SET created_at = now() WHERE id = ${plan.names.profileId}`);
}

async function hasRows(client: Queryable, table: string): Promise<boolean> {
  const rows = await query(client, "find-any-chunk", `SELECT FROM ${table} LIMIT 1`);
  return rows.length > 0;
}
