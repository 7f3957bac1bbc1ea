import { InvalidArgumentError } from "../errors.js";
import { SCHEMA_VERSION } from "../schema/layout.js";
import { extensionStatements, migrationTableStatement, recordStatement, schemaStatement } from "./bootstrap.js";
import { migrations } from "./list.js";
import { checkMigrateNames, MIGRATE_OPTIONS, planMigration, type MigrateOptions } from "./options.js";

/** Options of {@link migrationSql}. */
export interface MigrationSqlOptions extends Omit<MigrateOptions, "onNotice" | "citus"> {
  /**
   * The current version of the schema: only later migrations are printed. Default 0, for all of them. From version 1
   * on, `idType` and `hnsw` must be given if the schema was migrated with other values than the defaults, and from
   * version 4 on `textSearch` if it was migrated with it.
   */
  from?: number | undefined;
}

const MIGRATION_SQL_OPTIONS = [...MIGRATE_OPTIONS.filter((name) => name !== "onNotice" && name !== "citus"), "from"];

/**
 * The statements of {@link migrate} as one text, for hosts with their own migration tool (Django's `RunSQL`, Prisma,
 * Flyway). Run it once, in one transaction; a second run fails. It does not ask a database, so `extensionSchema` must
 * be given if pgvector is in another schema than `public`, and `idType` if `trainings` is given. It cannot change the
 * type of an existing vector index, which takes statements that cannot run in a transaction, nor add text search from
 * version 4 on: use `migrate` for these.
 *
 * @example
 * ```ts
 * import { writeFileSync } from "node:fs";
 * import { migrationSql } from "langchain-training-index/migrations";
 *
 * const sql = migrationSql({ idType: "bigint", trainings: { table: "oraculo_treinamento" } });
 * writeFileSync("0042_training_index.sql", sql);
 * ```
 *
 * @returns the statements, each ended by a semicolon
 * @throws `InvalidArgumentError` for an invalid option
 */
export function migrationSql(options: MigrationSqlOptions = {}): string {
  checkMigrateNames(options, MIGRATION_SQL_OPTIONS, "migrationSql");
  const { from = 0 } = options;
  if (!Number.isInteger(from) || from < 0 || from > SCHEMA_VERSION) {
    throw new InvalidArgumentError("from", `must be an integer from 0 to ${SCHEMA_VERSION}`);
  }
  if (options.trainings && options.idType === undefined) {
    throw new InvalidArgumentError(
      "idType",
      "must be given with trainings: migrationSql does not ask the database for the column's type",
    );
  }
  const plan = planMigration(options);
  if (from === 1 && plan.vectorIndex !== "vector") {
    throw new InvalidArgumentError(
      "vectorIndex",
      'can only be "vector" with from: 1, because that version has such an index: print and run the statements without ' +
        "vectorIndex, then run migrate(pool, { vectorIndex }) to change it",
    );
  }
  const preparation =
    from > 0 ? [] : [...extensionStatements(plan), schemaStatement(plan.names), migrationTableStatement(plan.names)];
  const pending = migrations.filter(({ version }) => version > from);
  const statements = pending.flatMap((migration) => [
    ...migration.statements(plan),
    recordStatement(migration, plan.names),
  ]);
  return [...preparation, ...statements].map((statement) => `${statement};\n`).join("\n");
}
