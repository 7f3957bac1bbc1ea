import { namesOfProperties } from "../calls/checks.js";
import { checkDatabase } from "../calls/host-database.js";
import { readCatalog, readMigrations, type InstalledExtension } from "../schema/catalog.js";
import { nameOf, readDamage } from "../schema/damage.js";
import type { DatabasePool, Queryable } from "../postgres/database.js";
import { boundedDatabase } from "../postgres/host-client.js";
import { SCHEMA_VERSION } from "../schema/layout.js";
import type { TextSearchLanguage } from "../schema/lexemes.js";
import type { VectorIndexState } from "../schema/vector-index-catalog.js";
import type { VectorIndexType } from "../schema/vector-index.js";
import type { IdType } from "../types.js";
import { migrations } from "./list.js";
import { checkMigrateNames, planMigration, type MigrateOptions } from "./options.js";

/** The state of a schema, as {@link migrationStatus} reports it. */
export interface MigrationStatus {
  schema: string;
  /** The version of the schema; 0 before the first migration. */
  version: number;
  /** The version that this library needs. */
  latest: number;
  /**
   * Missing parts of the schema, such as `column chunk_1.embedding`, except the vector index, which has its own field.
   * `migrate` recreates what can be derived from the rest, and otherwise says what to do.
   */
  damaged: string[];
  /** Names of the migrations that `migrate` would apply, in order. */
  pending: string[];
  /** The installed pgvector; `undefined` if it is not installed. */
  extension: Pick<InstalledExtension, "version" | "schema"> | undefined;
  /** The type of training ids; `undefined` before the first migration. */
  idType: IdType | undefined;
  /** Components of each vector; `undefined` before the first migration. */
  dimensions: number | undefined;
  /** The recorded embedding model; `undefined` until the first write. */
  model: string | undefined;
  /** Only a `valid` vector index is used by searches. `migrate` builds one that is `missing` or `invalid`. */
  vectorIndex: VectorIndexState;
  /** The recorded type of the vector index; `undefined` before the first migration. */
  vectorIndexType: VectorIndexType | undefined;
  /** The language of text search; `undefined` if the schema has none. */
  textSearch: TextSearchLanguage | undefined;
}

const STATUS_OPTIONS = namesOfProperties<Pick<MigrateOptions, "schema">>({ schema: true });

/**
 * Reports the state of a schema, such as its version, pending migrations and missing parts. Only reads, so it can be
 * called at any time.
 *
 * @example
 * ```ts
 * import pg from "pg";
 * import { migrationStatus } from "langchain-training-index/migrations";
 *
 * const { version, latest, damaged } = await migrationStatus(new pg.Pool());
 * if (version < latest || damaged.length > 0) throw new Error("run migrate(pool) before the deployment");
 * ```
 *
 * @param options - `schema`: the schema to report on. Default `training_index`
 * @throws `InvalidArgumentError` for an invalid option or pool
 * @throws `DatabaseError` | `SchemaError` if the database cannot be reached or read
 */
export async function migrationStatus(
  pool: DatabasePool | Queryable,
  options: Pick<MigrateOptions, "schema"> = {},
): Promise<MigrationStatus> {
  checkMigrateNames(options, STATUS_OPTIONS, "migrationStatus");
  const { schema } = planMigration(options);
  const database = boundedDatabase(checkDatabase(pool));
  const catalog = await readCatalog(database, schema);
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
