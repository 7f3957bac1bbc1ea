/**
 * Migrations of the index's own schema, for a host's deployment. Imports no LangChain.
 *
 * @module
 */
export { migrate, type MigrateResult } from "./migrate.js";
export type { HostTable, MigrateOptions } from "./options.js";
export { migrationSql, type MigrationSqlOptions } from "./print.js";
export type { TextSearchLanguage } from "../store/lexemes.js";
export type { VectorIndexType } from "../store/vector-index.js";
export { migrationStatus, type MigrationStatus } from "./status.js";
