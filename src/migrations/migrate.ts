import { setTimeout as sleep } from "node:timers/promises";
import { checkPool } from "../calls/host-database.js";
import { InvalidArgumentError } from "../errors.js";
import { boundedPool } from "../postgres/bounded-database.js";
import {
  readCatalog,
  readMigrations,
  refuseNewerSchema,
  requireActiveProfile,
  requireExtension,
  type Catalog,
} from "../schema/catalog.js";
import { inTransaction, query, sqlStateOf, type DatabasePool, type Queryable } from "../postgres/database.js";
import { FIRST_PROFILE_ID, SCHEMA_VERSION } from "../schema/layout.js";
import { refuseReadOnly, refuseSettings } from "../postgres/settings.js";
import { liftTimeouts } from "../postgres/timeouts.js";
import { MAX_DIMENSIONS } from "../schema/vector-index.js";
import { installExtension, migrationTableStatement, recordStatement, schemaStatement } from "./bootstrap.js";
import { applyChange, changeOf, type StoredOptions } from "./change.js";
import { ensureForeignKey, readFollowedIdType, readHostIdType } from "./host-table.js";
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
import { repair } from "./repair.js";
import { run } from "./run.js";
import { ensureTextSearch } from "./text-search.js";
import { ensureVectorIndex } from "./vector-index.js";
import {
  askedType,
  recordVectorIndex,
  refuseOtherParameters,
  recordedHnswOf,
} from "./vector-index-record.js";

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
  /** What was missing and was made again, as `migrationStatus` names it; left out when nothing was. */
  repaired?: string[];
}

/** What would make the tables other than they are written, or reads a backslash as something else. */
const NEUTRAL_SETTINGS = `SELECT pg_catalog.set_config('default_table_access_method', 'heap', true),
  pg_catalog.set_config('standard_conforming_strings', 'on', true)`;

/** The first half of the lock's key, ASCII "ltix"; the second is a hash of the schema's name. */
const LOCK_CLASS = 0x6c746978;
/**
 * Two that create the extension or a schema at once: one meets the other's entry in the catalog, or (XX000, "tuple
 * concurrently updated") changes it together with the other, as another application that needs pgvector, too, may.
 */
const CREATION_RACES = new Set(["23505", "42710", "42P06", "42P07", "XX000"]);
const MAX_ATTEMPTS = 5;
/** Before another attempt: the other has committed by then. */
const PAUSE_MS = 50;

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
      const { plan, applied, repaired } = await inTransaction(bounded, (client) =>
        migrateInOrder(client, schema, options),
      );
      const vectorIndex =
        applied.length > 0 && applied[0] === 1 ? "built" : await ensureVectorIndex(bounded, plan);
      return {
        schema,
        version: SCHEMA_VERSION,
        applied,
        vectorIndex,
        ...(repaired.length === 0 ? {} : { repaired }),
      };
    } catch (error) {
      if (!CREATION_RACES.has(sqlStateOf(error) ?? "") || attempt === MAX_ATTEMPTS) throw error;
      await sleep(attempt * PAUSE_MS);
    }
  }
}

async function migrateInOrder(
  client: Queryable,
  schema: string,
  options: MigrateOptions,
): Promise<{ plan: MigrationPlan; applied: number[]; repaired: string[] }> {
  await liftTimeouts(client);
  await query(client, NEUTRAL_SETTINGS);
  await query(client, "SELECT pg_catalog.pg_advisory_xact_lock($1, pg_catalog.hashtext($2))", [
    LOCK_CLASS,
    schema,
  ]);
  let catalog = await readCatalog(client, schema, FIRST_PROFILE_ID);
  refuseReadOnly(catalog.settings);
  refuseSettings(catalog.settings);
  const applied = catalog.migrated ? await readMigrations(client, schema) : undefined;
  if (applied) refuseNewerSchema(schema, applied);
  const repaired = await repair(client, schema, applied?.version ?? 0);
  if (repaired.length > 0) catalog = await readCatalog(client, schema, FIRST_PROFILE_ID);
  const { plan, stored } = await planFor(client, catalog, options, (applied?.version ?? 0) > 0);

  if (!applied) {
    if (!catalog.schemaExists) await run(client, schemaStatement(plan.names));
    await run(client, migrationTableStatement(plan.names));
  }
  const pending = migrations.filter(({ version }) => version > (applied?.version ?? 0));
  for (const migration of pending) {
    for (const statement of migration.statements(plan)) await run(client, statement);
    await run(client, recordStatement(migration, plan.names));
  }
  if (stored) await applyChange(client, catalog, stored, plan);
  await ensureForeignKey(client, plan);
  if (applied) {
    await recordVectorIndex(client, catalog, options, plan);
    await ensureTextSearch(client, options, plan);
  }
  return { plan, applied: pending.map(({ version }) => version), repaired };
}

/** The plan, with what the database has already decided. */
async function planFor(
  client: Queryable,
  catalog: Catalog,
  options: MigrateOptions,
  stands: boolean,
): Promise<{ plan: MigrationPlan; stored?: StoredOptions }> {
  const asked = planMigration(options);
  const extension = requireExtension(catalog.extension ?? (await installExtension(client, asked)));
  const found: FoundOptions = { extensionSchema: extension.schema };
  if (asked.trainings) found.hostIdType = await readHostIdType(client, asked.trainings);
  const fresh = planMigration(options, found); // an idType that is given and is not the host's is refused
  if (!stands) return { plan: fresh };

  const active = await requireActiveProfile(client, asked.schema);
  const stored = { dimensions: active.dimensions, idType: catalog.idType ?? asked.idType };
  const change = await changeOf(client, stored, {
    options,
    schema: asked.schema,
    names: fresh.names,
    hostIdType: found.hostIdType ?? (await readFollowedIdType(client, asked.schema)),
  });
  const { dimensions } = change;
  const type = askedType(catalog, options);
  if (dimensions > MAX_DIMENSIONS[type]) {
    throw new InvalidArgumentError(
      "vectorIndex",
      `is ${type}, which holds up to ${MAX_DIMENSIONS[type]} dimensions, but schema ${JSON.stringify(asked.schema)} ` +
        `has ${dimensions}: ${widerType(dimensions) ?? "no type"} can hold them`,
    );
  }
  // An empty schema that gets other dimensions gets the asked index at once: the one that stands may not hold them.
  if (dimensions !== stored.dimensions) {
    Object.assign(catalog.vectorIndex, { type, next: undefined, state: "missing" });
  }
  const hnsw = recordedHnswOf(catalog, options);
  const plan = planMigration(
    { ...options, ...change, vectorIndex: catalog.vectorIndex.type, hnsw },
    { extensionSchema: extension.schema },
  );
  refuseOtherParameters(catalog, options, plan);
  return { plan, stored };
}
