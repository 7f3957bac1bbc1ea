import { SchemaError } from "../errors.js";
import { query, type Queryable } from "../postgres/database.js";
import { idTypeOf } from "../schema/training-id.js";
import type { IdType } from "../types.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { resolveHostTable, type HostTable, type MigrationPlan, type ResolvedHostTable } from "./options.js";
import { run } from "./run.js";

const READ_COLUMN_TYPE = `
SELECT t.typname::text AS type
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = $1`;

const READ_FOREIGN_KEYS = `
SELECT fn.nspname::text AS schema, fc.relname::text AS table, fa.attname::text AS column, ft.typname::text AS type, k.conname::text AS name
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid AND c.relname = 'training'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
JOIN pg_catalog.pg_class fc ON fc.oid = k.confrelid
JOIN pg_catalog.pg_namespace fn ON fn.oid = fc.relnamespace
JOIN pg_catalog.pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
JOIN pg_catalog.pg_type ft ON ft.oid = fa.atttypid
WHERE k.contype = 'f'`;

/** The id type that fits the host's column. @throws {@link SchemaError} if there is none */
export async function readHostIdType(client: Queryable, host: ResolvedHostTable): Promise<IdType> {
  const name = `${host.quotedTable} (${host.quotedColumn})`;
  const [row] = await query<{ type: string }>(client, "migrate", READ_COLUMN_TYPE, [
    host.schema,
    host.table,
    host.column,
  ]);
  if (!row)
    throw new SchemaError("SCHEMA_CONFLICT", `The host's table ${name} does not exist, or this role cannot see it`);
  const idType = idTypeOf(row.type);
  if (!idType) {
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `The host's column ${name} has the type ${row.type}; ids can be text, varchar, bigint, integer or uuid`,
    );
  }
  return idType;
}

/** The id type of the host's column that a schema's trainings reference; `undefined` without a foreign key. */
export async function readReferencedIdType(client: Queryable, schema: string): Promise<IdType | undefined> {
  const [key] = await query<{ type: string }>(client, "migrate", READ_FOREIGN_KEYS, [schema]);
  return key && idTypeOf(key.type);
}

/** The REFERENCES clause of a column that references the host's. */
export function hostReference({ quotedTable, quotedColumn }: ResolvedHostTable): string {
  return `REFERENCES ${quotedTable} (${quotedColumn}) ON DELETE CASCADE`;
}

/**
 * Drops the foreign key to the host's table.
 *
 * @returns the table; `undefined` if there was none
 */
export async function dropForeignKey(
  client: Queryable,
  { schema, training }: { schema: string; training: string },
): Promise<ResolvedHostTable | undefined> {
  const [key] = await query<Required<HostTable> & { name: string }>(client, "migrate", READ_FOREIGN_KEYS, [schema]);
  if (!key) return undefined;
  await run(client, `ALTER TABLE ${training} DROP CONSTRAINT ${quoteIdentifier(key.name, "trainings")}`);
  return resolveHostTable({ schema: key.schema, table: key.table, column: key.column });
}

/** Adds the foreign key to a schema that was migrated without one. @throws {@link SchemaError} if it has another one */
export async function ensureForeignKey(client: Queryable, { schema, names, trainings }: MigrationPlan): Promise<void> {
  if (!trainings) return;
  const keys = await query<{ schema: string; table: string; column: string }>(client, "migrate", READ_FOREIGN_KEYS, [
    schema,
  ]);
  if (
    keys.some(
      (key) => key.schema === trainings.schema && key.table === trainings.table && key.column === trainings.column,
    )
  ) {
    return;
  }
  if (keys.length > 0) {
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `The trainings of schema ${JSON.stringify(schema)} already reference another table than ${trainings.quotedTable}: ` +
        "leave trainings out, or migrate another schema",
    );
  }
  await run(client, `ALTER TABLE ${names.training} ADD FOREIGN KEY (id) ${hostReference(trainings)}`);
}
