import { SchemaError } from "../errors.js";
import type { IdType } from "../types.js";
import { query, type HostNumber, type Queryable } from "../postgres/database.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { HAS_CITUS } from "./citus.js";
import { FIRST_PROFILE_ID, SCHEMA_VERSION } from "./layout.js";
import { textSearchLanguages, type TextSearchLanguage } from "./lexemes.js";
import { READ_SETTINGS, type Settings } from "../postgres/settings.js";
import { idTypeOf } from "./training-id.js";
import { readVectorIndexes, type VectorIndexes } from "./vector-index-catalog.js";

/** The first version with iterative scans; without them a filtered search returns too few rows. */
const OLDEST_EXTENSION = "0.8.0";

/** The pgvector installation of a database. */
export interface InstalledExtension {
  version: string;
  schema: string;
  /** The oid of the type `vector`. */
  vectorOid: number;
}

/** What the system catalogs say about a schema. Can be read before the schema is migrated. */
export interface Catalog extends VectorIndexes {
  /** The profile whose vector indexes these are. */
  profileId: number;
  extension: InstalledExtension | undefined;
  schemaExists: boolean;
  migrated: boolean;
  /** The type of the column `training.id`. */
  idType: IdType | undefined;
  settings: Settings;
  /** Whether the database has Citus. */
  hasCitus: boolean;
}

interface CatalogRow {
  extension_version: string | null;
  extension_schema: string | null;
  vector_oid: string | null;
  /** Cast to text, like all values of other types: a host can install type parsers for them in `pg`. */
  schema_exists: string;
  migrated: string;
  id_type: string | null;
  has_profile: string;
  has_citus: string;
  settings: string;
}

const READ_CATALOG = `
SELECT
  e.extversion AS extension_version,
  en.nspname::text AS extension_schema,
  (SELECT t.oid::text FROM pg_catalog.pg_type t WHERE t.typnamespace = en.oid AND t.typname = 'vector') AS vector_oid,
  (n.oid IS NOT NULL)::text AS schema_exists,
  (m.oid IS NOT NULL)::text AS migrated,
  (SELECT t.typname::text FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id'
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = n.oid AND c.relname = 'training') AS id_type,
  EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'profile')::text AS has_profile,
  ${HAS_CITUS} AS has_citus,
  ${READ_SETTINGS} AS settings
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
LEFT JOIN pg_catalog.pg_namespace en ON en.oid = e.extnamespace
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1
LEFT JOIN pg_catalog.pg_class m ON m.relnamespace = n.oid AND m.relname = 'migration'`;

/** @param given - the profile whose vector indexes are read. Default: the active one */
export async function readCatalog(database: Queryable, schema: string, given?: number): Promise<Catalog> {
  const [row] = await query<CatalogRow>(database, "read-catalog", READ_CATALOG, [schema]);
  if (!row) throw new SchemaError("SCHEMA_MISSING", "The system catalogs of the database could not be read");
  const hasProfile = row.has_profile === "true";
  const profileId = given ?? (hasProfile ? await readActiveId(database, schema) : FIRST_PROFILE_ID);
  return {
    profileId,
    extension:
      row.extension_version === null || row.extension_schema === null
        ? undefined
        : {
            version: row.extension_version,
            schema: row.extension_schema,
            vectorOid: Number(row.vector_oid),
          },
    schemaExists: row.schema_exists === "true",
    migrated: row.migrated === "true",
    idType: idTypeOf(row.id_type),
    hasCitus: row.has_citus === "true",
    settings: JSON.parse(row.settings) as Settings,
    ...(await readVectorIndexes(database, schema, profileId, hasProfile)),
  };
}

/** The id of the active profile; that of the first one if there is none. The table of profiles must exist. */
export async function readActiveId(database: Queryable, schema: string): Promise<number> {
  const profile = `${quoteIdentifier(schema, "schema")}.profile`;
  const [row] = await query<{ id: HostNumber }>(
    database,
    "read-profile",
    `SELECT id::text AS id FROM ${profile} WHERE status = 'active'`,
  );
  return Number(row?.id ?? FIRST_PROFILE_ID);
}

/** Whether a pgvector version is at least `minimum`. Suffixes that are not numbers, as in `0.8.0-yb-1.0`, are ignored. */
export function isVersionAtLeast(version: string, minimum: string): boolean {
  const [installed, needed] = [version, minimum].map((text) =>
    text.split(".").map((part) => Number.parseInt(part, 10) || 0),
  );
  const place = needed?.findIndex((part, index) => (installed?.[index] ?? 0) !== part) ?? -1;
  return place < 0 || (installed?.[place] ?? 0) > (needed?.[place] ?? 0);
}

/** @throws {@link SchemaError} with the statement to run, if pgvector is missing or too old */
export function requireExtension(extension: InstalledExtension | undefined): InstalledExtension {
  if (!extension) {
    throw new SchemaError(
      "EXTENSION_MISSING",
      "pgvector is not installed in this database: run CREATE EXTENSION vector, or migrate as a role that may do so",
    );
  }
  if (!isVersionAtLeast(extension.version, OLDEST_EXTENSION)) {
    throw new SchemaError(
      "EXTENSION_OUTDATED",
      `pgvector is ${extension.version}, but ${OLDEST_EXTENSION} is needed: ` +
        "install a newer version on the server, then run ALTER EXTENSION vector UPDATE",
    );
  }
  return extension;
}

/** The migrations that have run. */
export interface AppliedMigrations {
  /** The highest version; 0 for none. */
  version: number;
  /** The highest version whose migration older versions of this library cannot work with. */
  breakingVersion: number;
}

/** Reads the versions of the applied migrations. The schema must have been migrated. */
export async function readMigrations(database: Queryable, schema: string): Promise<AppliedMigrations> {
  const migration = `${quoteIdentifier(schema, "schema")}.migration`;
  const [row] = await query<{ version: string | null; breaking: string | null }>(
    database,
    "read-migrations",
    `SELECT max(version)::text AS version, max(version) FILTER (WHERE breaking)::text AS breaking FROM ${migration}`,
  );
  return { version: Number(row?.version ?? 0), breakingVersion: Number(row?.breaking ?? 0) };
}

/** @throws {@link SchemaError} if a migration has run that this version's statements cannot work with */
export function refuseNewerSchema(schema: string, { breakingVersion }: AppliedMigrations): void {
  if (breakingVersion <= SCHEMA_VERSION) return;
  throw new SchemaError(
    "SCHEMA_NEWER",
    `Schema ${JSON.stringify(schema)} is at version ${breakingVersion}, but this library knows versions up to ` +
      `${SCHEMA_VERSION}: upgrade langchain-training-index`,
  );
}

/** The profile whose chunk table is searched. */
export interface ActiveProfile {
  id: number;
  dimensions: number;
  /** The model of the stored vectors; `undefined` until the first write records it. */
  recorded: { model: string; queryPrefix: string; documentPrefix: string } | undefined;
  /** The language of text search; `undefined` without text search. */
  textSearch: TextSearchLanguage | undefined;
}

interface ProfileRow {
  id: HostNumber;
  dimensions: HostNumber;
  model: string | null;
  query_prefix: string | null;
  document_prefix: string | null;
  text_search: string | null;
}

/** @returns `undefined` if there is none, for example after someone has emptied the table */
export async function readActiveProfile(database: Queryable, schema: string): Promise<ActiveProfile | undefined> {
  const profile = `${quoteIdentifier(schema, "schema")}.profile`;
  const [row] = await query<ProfileRow>(
    database,
    "read-profile",
    // Read through to_jsonb, since schemas before version 4 have no column text_search.
    `SELECT id::text AS id, dimensions::text AS dimensions, model, query_prefix, document_prefix, pg_catalog.to_jsonb(p) ->> 'text_search' AS text_search
      FROM ${profile} p WHERE status = 'active'`,
  );
  if (!row) return undefined;
  return {
    id: Number(row.id),
    dimensions: Number(row.dimensions),
    recorded:
      row.model === null
        ? undefined
        : {
            model: row.model,
            queryPrefix: row.query_prefix ?? "",
            documentPrefix: row.document_prefix ?? "",
          },
    textSearch: textSearchLanguages.find((language) => language === row.text_search),
  };
}

/** Like {@link readActiveProfile}. @throws {@link SchemaError} if there is none */
export async function requireActiveProfile(database: Queryable, schema: string): Promise<ActiveProfile> {
  const active = await readActiveProfile(database, schema);
  if (active) return active;
  throw new SchemaError(
    "SCHEMA_DAMAGED",
    `Schema ${JSON.stringify(schema)} has no active profile: run migrate(pool, { schema: ${JSON.stringify(schema)} })`,
  );
}
