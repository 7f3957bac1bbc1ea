import { checkPool } from "../store/database-checks.js";
import { InvalidArgumentError, SchemaError } from "../errors.js";
import { boundedPool } from "../store/bounded-database.js";
import {
  readActiveProfile,
  readCatalog,
  readMigrations,
  refuseNewerSchema,
  requireExtension,
  type Catalog,
} from "../store/catalog.js";
import { inTransaction, query, sqlStateOf, type DatabasePool, type Queryable } from "../store/database.js";
import { FIRST_PROFILE_ID, SCHEMA_VERSION } from "../store/layout.js";
import { MAX_DIMENSIONS } from "../store/vector-index.js";
import { installExtension, migrationTableStatement, recordStatement, schemaStatement } from "./bootstrap.js";
import { ensureForeignKey, readHostIdType } from "./host-table.js";
import { migrations } from "./list.js";
import {
  checkMigrateNames,
  MIGRATE_OPTIONS,
  planMigration,
  widerType,
  type FoundOptions,
  type MigrateOptions,
  type MigrationPlan,
} from "./options.js";
import { run } from "./run.js";
import { ensureTextSearch } from "./text-search.js";
import { ensureVectorIndex } from "./vector-index.js";
import { askedType, recordVectorIndex, refuseOtherParameters, standingHnsw } from "./vector-index-record.js";

/** What a call of `migrate` did. */
export interface MigrateResult {
  schema: string;
  /** The version of the schema now. */
  version: number;
  /** The versions that this call applied; none when everything stood. */
  applied: number[];
  /**
   * `kept`: it was there. `built`: it was missing, broken or of another type, and was built. `building`: another session
   * is at it.
   */
  vectorIndex: "kept" | "built" | "building";
}

/** The first half of the lock's key, ASCII "ltix"; the second is a hash of the schema's name. */
const LOCK_CLASS = 0x6c746978;
/** Two schemas that create the extension at once: one meets the other's entry in the catalog. */
const CREATION_RACES = new Set(["23505", "42710", "42P06", "42P07"]);
const MAX_ATTEMPTS = 5;

/**
 * Brings a schema to the layout that this library works on.
 *
 * Idempotent: a repeat finds nothing to do. Safe when many processes start at once: they take turns at an
 * advisory lock, and all migrations commit together with their versions. Only a vector index that is missing,
 * whose build broke off, or that is to be of another type, is built outside that transaction, with CREATE INDEX
 * CONCURRENTLY; the one that it replaces is dropped when it is there. A call that is killed meanwhile is completed by
 * the next one.
 *
 * @throws {@link InvalidArgumentError} for an option that is not usable
 * @throws {@link SchemaError} when pgvector or a right is missing (the message says what to run), when the
 * schema stands with other options, or when it is newer than the library
 * @throws {@link DatabaseError} when Postgres cannot be reached
 */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  checkMigrateNames(options, MIGRATE_OPTIONS, "migrate");
  const { schema } = planMigration(options); // refuses what is wrong before a connection is taken
  // What a migration waits for, or builds, may take hours.
  const bounded = boundedPool(checkPool(pool), { statementMs: Infinity });
  for (let attempt = 1; ; attempt++) {
    try {
      const { plan, applied } = await inTransaction(bounded, (client) =>
        migrateInOrder(client, schema, options),
      );
      const vectorIndex =
        applied.length > 0 && applied[0] === 1 ? "built" : await ensureVectorIndex(bounded, plan);
      return { schema, version: SCHEMA_VERSION, applied, vectorIndex };
    } catch (error) {
      if (!CREATION_RACES.has(sqlStateOf(error) ?? "") || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function migrateInOrder(
  client: Queryable,
  schema: string,
  options: MigrateOptions,
): Promise<{ plan: MigrationPlan; applied: number[] }> {
  await query(client, "SELECT pg_advisory_xact_lock($1, hashtext($2))", [LOCK_CLASS, schema]);
  const catalog = await readCatalog(client, schema, FIRST_PROFILE_ID);
  const applied = catalog.migrated ? await readMigrations(client, schema) : undefined;
  const plan = await planFor(client, catalog, options, (applied?.version ?? 0) > 0);

  if (applied) refuseNewerSchema(schema, applied);
  else {
    if (!catalog.schemaExists) await run(client, schemaStatement(plan.names));
    await run(client, migrationTableStatement(plan.names));
  }
  const pending = migrations.filter(({ version }) => version > (applied?.version ?? 0));
  for (const migration of pending) {
    for (const statement of migration.statements(plan)) await run(client, statement);
    await run(client, recordStatement(migration, plan.names));
  }
  await ensureForeignKey(client, plan);
  if (applied) {
    await recordVectorIndex(client, catalog, options, plan);
    await ensureTextSearch(client, options, plan);
  }
  return { plan, applied: pending.map(({ version }) => version) };
}

/** The plan, with what the database has already decided. */
async function planFor(
  client: Queryable,
  catalog: Catalog,
  options: MigrateOptions,
  stands: boolean,
): Promise<MigrationPlan> {
  const asked = planMigration(options);
  const extension = requireExtension(catalog.extension ?? (await installExtension(client, asked)));
  const found: FoundOptions = { extensionSchema: extension.schema };
  if (asked.trainings) found.hostIdType = await readHostIdType(client, asked.trainings);
  if (!stands) return planMigration(options, found);

  const { dimensions } = await readActiveProfile(client, asked.schema);
  const standing = { dimensions, idType: catalog.idType ?? asked.idType };
  for (const option of ["dimensions", "idType"] as const) {
    const given = options[option];
    if (given === undefined || given === standing[option]) continue;
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `${option} is ${given}, but schema ${JSON.stringify(asked.schema)} was migrated with ${standing[option]}: ` +
        "leave it out, or migrate another schema",
    );
  }
  const type = askedType(catalog, options);
  if (dimensions > MAX_DIMENSIONS[type]) {
    throw new InvalidArgumentError(
      "vectorIndex",
      `is ${type}, which holds up to ${MAX_DIMENSIONS[type]} dimensions, but schema ${JSON.stringify(asked.schema)} ` +
        `has ${dimensions}: ${widerType(dimensions) ?? "no type"} can hold them`,
    );
  }
  const { vectorIndex } = catalog;
  const hnsw = standingHnsw(catalog, options);
  const plan = planMigration({ ...options, ...standing, vectorIndex: vectorIndex.type, hnsw }, found);
  refuseOtherParameters(catalog, options, plan);
  return plan;
}
