import { SchemaError } from "../errors.js";
import type { Catalog } from "../schema/catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import { FIRST_PROFILE_ID, type Names } from "../schema/layout.js";
import { vectorIndexName, vectorIndexTypes } from "../schema/vector-index.js";
import type { IdType } from "../types.js";
import type { MigrateOptions, MigrationPlan } from "./options.js";
import { run } from "./run.js";

/** What a schema was made with, and cannot be changed but by rewriting its tables. */
export interface StoredOptions {
  dimensions: number;
  idType: IdType;
}

/**
 * What a schema that stands is to be like: as it is, but for what can be changed. Ids grow from integer to bigint with the
 * host's column, or where that is asked for; vectors get other dimensions as long as there are none.
 *
 * @param hostIdType - of the host's column, where the trainings follow one or are to
 * @throws {@link SchemaError} for what cannot be changed, with the way out
 */
export async function changeOf(
  client: Queryable,
  stored: StoredOptions,
  { options, schema, names, hostIdType }: ChangeParts,
): Promise<StoredOptions> {
  const { dimensions = stored.dimensions } = options;
  if (dimensions !== stored.dimensions && (await hasRows(client, names.chunk))) {
    throw standsOtherwise(schema, "dimensions", dimensions, stored.dimensions);
  }
  return { dimensions, idType: idTypeFor(stored.idType, schema, options.idType, hostIdType) };
}

/** What {@link changeOf} decides by. */
export interface ChangeParts {
  options: MigrateOptions;
  schema: string;
  names: Names;
  hostIdType: IdType | undefined;
}

function idTypeFor(
  stored: IdType,
  schema: string,
  given: IdType | undefined,
  host: IdType | undefined,
): IdType {
  const wanted = given ?? host ?? stored;
  if (wanted === stored) return stored;
  if (stored === "integer" && wanted === "bigint") return wanted;
  if (given !== undefined) throw standsOtherwise(schema, "idType", given, stored);
  if (stored === "bigint" && wanted === "integer") return stored; // it holds them all
  throw new SchemaError(
    "SCHEMA_CONFLICT",
    `The host's column is ${wanted} now, and the ids of schema ${JSON.stringify(schema)} are ${stored}, from which they ` +
      `cannot be told: run migrate(pool, { schema: "<a new one>", trainings }), index the trainings there, and open that one`,
  );
}

function standsOtherwise(schema: string, option: string, given: unknown, stored: unknown): SchemaError {
  return new SchemaError(
    "SCHEMA_CONFLICT",
    `${option} is ${String(given)}, but schema ${JSON.stringify(schema)} was migrated with ${String(stored)}` +
      `${option === "dimensions" ? " and holds vectors" : ""}: leave it out, or migrate another schema`,
  );
}

/**
 * Rewrites the tables for what {@link changeOf} has decided. The vector index goes, so that it is built when the tables can
 * be used again, and not while all wait.
 */
export async function applyChange(
  client: Queryable,
  { vectorIndex }: Catalog,
  stored: StoredOptions,
  { names, dimensions, idType }: MigrationPlan,
): Promise<void> {
  const isResized = dimensions !== stored.dimensions;
  if (!isResized && idType === stored.idType) return;
  for (const type of vectorIndexTypes) {
    await run(client, `DROP INDEX IF EXISTS ${names.schema}.${vectorIndexName(FIRST_PROFILE_ID, type)}`);
  }
  if (idType !== stored.idType) {
    await run(client, `ALTER TABLE ${names.training} ALTER COLUMN id TYPE ${idType}`);
    await run(client, `ALTER TABLE ${names.indexed} ALTER COLUMN training_id TYPE ${idType}`);
    await run(client, `ALTER TABLE ${names.chunk} ALTER COLUMN training_id TYPE ${idType}`);
  }
  if (!isResized) return;
  await run(client, `LOCK TABLE ${names.chunk} IN ACCESS EXCLUSIVE MODE`);
  if (await hasRows(client, names.chunk)) {
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      "Vectors were stored while the dimensions were changed: nothing was",
    );
  }
  // The storage is that of the type then, and no longer ours.
  await run(
    client,
    `ALTER TABLE ${names.chunk} ALTER COLUMN embedding TYPE ${names.vector}(${dimensions}), ALTER COLUMN embedding SET STORAGE MAIN`,
  );
  await query(
    client,
    `UPDATE ${names.profile} SET dimensions = $2, model = NULL, query_prefix = NULL, document_prefix = NULL,
      vector_index = $3, vector_index_next = NULL WHERE id = $1`,
    [FIRST_PROFILE_ID, dimensions, vectorIndex.type],
  );
}

async function hasRows(client: Queryable, table: string): Promise<boolean> {
  const rows = await query(client, `SELECT FROM ${table} LIMIT 1`);
  return rows.length > 0;
}
