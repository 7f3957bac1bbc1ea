import { SchemaError } from "../errors.js";
import { readCatalog, type InstalledExtension } from "../schema/catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import type { Names } from "../schema/layout.js";
import type { Migration } from "./list.js";
import type { MigrationPlan } from "./options.js";
import { run } from "./run.js";

/** The statements that install pgvector if it is missing. */
export function extensionStatements({ extensionSchema }: Pick<MigrationPlan, "extensionSchema">): string[] {
  const schema = quoteIdentifier(extensionSchema, "extensionSchema");
  return [
    ...(extensionSchema === "public" ? [] : [`CREATE SCHEMA IF NOT EXISTS ${schema}`]),
    `CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA ${schema}`,
  ];
}

/** The statement that creates the index's schema. */
export function schemaStatement({ schema }: Names): string {
  return `CREATE SCHEMA IF NOT EXISTS ${schema}`;
}

/** The statement that creates the table of applied migrations. */
export function migrationTableStatement({ migration }: Names): string {
  return `CREATE TABLE IF NOT EXISTS ${migration} (
  version integer PRIMARY KEY,
  name text NOT NULL,
  breaking boolean NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;
}

/**
 * The statement that records a migration. Names are constants of this library without quotes, so they need no escaping.
 */
export function recordStatement({ version, name, breaking }: Migration, { migration }: Names): string {
  return `INSERT INTO ${migration} (version, name, breaking) VALUES (${version}, '${name}', ${breaking ? "true" : "false"})`;
}

/** Installs pgvector. @throws {@link SchemaError} if the server does not have it, or if the role may not install it */
export async function installExtension(client: Queryable, plan: MigrationPlan): Promise<InstalledExtension> {
  const available = await query(
    client,
    "migrate",
    "SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'vector'",
  );
  if (available.length === 0) {
    throw new SchemaError(
      "EXTENSION_MISSING",
      "pgvector is not available on this server: install its package there, or use an image with it, such as pgvector/pgvector:pg17",
    );
  }
  for (const statement of extensionStatements(plan)) await run(client, statement);
  const { extension } = await readCatalog(client, plan.schema, plan.names.profileId);
  if (!extension)
    throw new SchemaError(
      "EXTENSION_MISSING",
      "CREATE EXTENSION vector succeeded, but pgvector is not in the catalog: run migrate again",
    );
  return extension;
}
