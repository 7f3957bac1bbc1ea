import { InvalidArgumentError } from "../errors.js";
import { SCHEMA_VERSION } from "../schema/layout.js";
import {
  extensionStatements,
  migrationTableStatement,
  recordStatement,
  schemaStatement,
} from "./bootstrap.js";
import { migrations } from "./list.js";
import { checkMigrateNames, MIGRATE_OPTIONS, planMigration, type MigrateOptions } from "./options.js";

/** Options of {@link migrationSql}. */
export interface MigrationSqlOptions extends MigrateOptions {
  /**
   * The version that the schema is at: only what comes after it is printed. Default 0. From version 1 on `idType` and
   * `hnsw` must be said where the schema was made with others than the defaults.
   */
  from?: number | undefined;
}

const MIGRATION_SQL_OPTIONS = [...MIGRATE_OPTIONS, "from"];

/**
 * The statements of `migrate` as one text, for hosts with a migration tool of their own (Django's `RunSQL`,
 * Prisma, Flyway). To be run once, in one transaction. No database is asked, so `extensionSchema` must be said
 * when pgvector is in another schema than `public`, and `idType` when `trainings` is given. A vector index that stands
 * is not changed into another type: that takes statements which cannot run in a transaction. Nor is text search added
 * from version 4 on.
 *
 * @throws {@link InvalidArgumentError} for an option that is not usable
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
      "must be given with trainings: no database is asked for the column's type",
    );
  }
  const plan = planMigration(options);
  if (from === 1 && plan.vectorIndex !== "vector") {
    throw new InvalidArgumentError(
      "vectorIndex",
      'can only be "vector" from version 1, which has such an index: print the statements without it, run them, and ' +
        "then migrate(pool, { vectorIndex }) to change it",
    );
  }
  const preparation =
    from > 0
      ? []
      : [...extensionStatements(plan), schemaStatement(plan.names), migrationTableStatement(plan.names)];
  const pending = migrations.filter(({ version }) => version > from);
  const statements = pending.flatMap((migration) => [
    ...migration.statements(plan),
    recordStatement(migration, plan.names),
  ]);
  return [...preparation, ...statements].map((statement) => `${statement};\n`).join("\n");
}
