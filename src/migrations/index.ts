/**
 * Migrations of the index's own schema, for a host's deployment. Imports no LangChain.
 *
 * @module langchain-training-index/migrations
 */
export type { Notice, NoticeCode } from "../calls/notices.js";
export { migrate, type MigrateResult } from "./migrate.js";
export type { HostTable, MigrateOptions } from "./options.js";
export { migrationSql, type MigrationSqlOptions } from "./print.js";
export type { TextSearchLanguage } from "../schema/lexemes.js";
export type { VectorIndexType } from "../schema/vector-index.js";
export {
  diskannIndex,
  vchordrqIndex,
  type DiskannOptions,
  type VchordrqOptions,
  type VectorIndexMethod,
  type VectorIndexNames,
} from "../schema/vector-index-method.js";
export type { InstalledExtension } from "../schema/catalog.js";
export type { VectorIndexState } from "../schema/vector-index-catalog.js";
export { migrationStatus, type MigrationStatus } from "./status.js";
