import { namesOfProperties } from "../calls/checks.js";
import { checkDatabase } from "../calls/host-database.js";
import { readCatalog, readMigrations, type InstalledExtension } from "../schema/catalog.js";
import { nameOf, readDamage } from "../schema/damage.js";
import type { DatabasePool, Queryable } from "../postgres/database.js";
import { boundedDatabase } from "../postgres/host-client.js";
import { FIRST_PROFILE_ID, SCHEMA_VERSION } from "../schema/layout.js";
import type { TextSearchLanguage } from "../schema/lexemes.js";
import type { VectorIndexState } from "../schema/vector-index-catalog.js";
import type { VectorIndexType } from "../schema/vector-index.js";
import type { IdType } from "../types.js";
import { migrations } from "./list.js";
import { checkMigrateNames, planMigration, type MigrateOptions } from "./options.js";

/** What stands in a schema, and what is missing. */
export interface MigrationStatus {
  schema: string;
  /** The version that the schema is at; 0 before the first migration. */
  version: number;
  /** The version that this library works with. */
  latest: number;
  /**
   * What should be there and is not, as `column chunk_1.embedding`, but for the vector index, which has a field of its own.
   * `migrate` makes again what can be made from the rest, and says of the rest what to do.
   */
  damaged: string[];
  /** Names of the migrations that `migrate` would apply. */
  pending: string[];
  /** `undefined` when pgvector is not installed. */
  extension: Pick<InstalledExtension, "version" | "schema"> | undefined;
  idType: IdType | undefined;
  dimensions: number | undefined;
  /** The recorded model; `undefined` until an index has been opened. */
  model: string | undefined;
  /** Whether Postgres can use the vector index. `migrate` builds it where it is missing or invalid. */
  vectorIndex: VectorIndexState;
  /** What the vector index holds, as recorded; `undefined` before the first migration. */
  vectorIndexType: VectorIndexType | undefined;
  /** The language in which chunks can be searched for words; `undefined` where they cannot. */
  textSearch: TextSearchLanguage | undefined;
}

const STATUS_OPTIONS = namesOfProperties<Pick<MigrateOptions, "schema">>({ schema: true });

/**
 * Says what `migrate` would find. Reads only.
 *
 * @throws {@link DatabaseError} | {@link SchemaError} when the database cannot be reached or read
 */
export async function migrationStatus(
  pool: DatabasePool | Queryable,
  options: Pick<MigrateOptions, "schema"> = {},
): Promise<MigrationStatus> {
  checkMigrateNames(options, STATUS_OPTIONS, "migrationStatus");
  const { schema } = planMigration(options);
  const database = boundedDatabase(checkDatabase(pool));
  const catalog = await readCatalog(database, schema, FIRST_PROFILE_ID);
  const version = catalog.migrated ? (await readMigrations(database, schema)).version : 0;
  const { missing, active: profile } = await readDamage(database, schema, version);
  return {
    schema,
    version,
    latest: SCHEMA_VERSION,
    damaged: missing.map(nameOf),
    pending: migrations.filter((migration) => migration.version > version).map(({ name }) => name),
    extension: catalog.extension && { version: catalog.extension.version, schema: catalog.extension.schema },
    idType: catalog.idType,
    dimensions: profile?.dimensions,
    model: profile?.recorded?.model,
    vectorIndex: catalog.vectorIndex.state,
    vectorIndexType: version > 0 ? catalog.vectorIndex.type : undefined,
    textSearch: profile?.textSearch,
  };
}
