import { setTimeout as sleep } from "node:timers/promises";
import { checkFunction } from "../calls/checks.js";
import { checkPool } from "../calls/host-database.js";
import { notifier } from "../calls/notices.js";
import { InvalidArgumentError } from "../errors.js";
import { boundedPool } from "../postgres/bounded-database.js";
import {
  readCatalog,
  readMigrations,
  refuseNewerSchema,
  requireActiveProfile,
  requireExtension,
  type ActiveProfile,
  type AppliedMigrations,
  type Catalog,
} from "../schema/catalog.js";
import { affectsSpeedOnly, readDamage } from "../schema/damage.js";
import { inTransaction, query, sqlStateOf, type DatabasePool, type Queryable } from "../postgres/database.js";
import { SCHEMA_VERSION, type CitusMode, type Layout } from "../schema/layout.js";
import { refuseReadOnly, refuseSettings } from "../postgres/settings.js";
import { liftTimeouts } from "../postgres/timeouts.js";
import { MAX_DIMENSIONS } from "../schema/vector-index.js";
import { fillWords } from "../words/stored-words.js";
import { installExtension, migrationTableStatement, recordStatement, schemaStatement } from "./bootstrap.js";
import { applyChange, targetOptions, type StoredOptions } from "./change.js";
import { checkCitus, checkCluster, distribute, ensureFunctions, refuseTextSearch, undistribute } from "./distribute.js";
import { ensureForeignKey, readHostIdType, readReferencedIdType } from "./host-table.js";
import { migrations } from "./list.js";
import {
  checkMigrateNames,
  MIGRATE_OPTIONS,
  planMigration,
  widerType,
  type FoundOptions,
  type MigrateOptions,
  requestedMethod,
  type MigrationPlan,
} from "./options.js";
import { repair } from "./repair.js";
import { run } from "./run.js";
import { ensureTextSearch, ensureWritableLexemes, grantWords } from "./text-search.js";
import { ensureVectorIndex } from "./vector-index.js";
import { recordVectorIndex, refuseOtherParameters, requestedHnsw, requestedIndexType } from "./vector-index-record.js";

/** The versions that added text search, and the table of words. */
const VERSION_WITH_TEXT_SEARCH = 4;
const VERSION_WITH_WORDS = 6;

/** The result of {@link migrate}. */
export interface MigrateResult {
  schema: string;
  /** The version of the schema after the call. */
  version: number;
  /** The versions that this call applied, in order; empty if the schema was up to date. */
  applied: number[];
  /**
   * `kept`: it existed already. `built`: it was missing, invalid or of another type, and this call built it.
   * `building`: another session is building it.
   */
  vectorIndex: "kept" | "built" | "building";
  /** Missing parts that this call recreated, named as in `migrationStatus`; left out if there were none. */
  repaired?: string[];
}

/**
 * Overrides settings under which `CREATE TABLE` would use another access method, or literals read backslashes as
 * escapes.
 */
const NEUTRAL_SETTINGS = `SELECT pg_catalog.set_config('default_table_access_method', 'heap', true),
  pg_catalog.set_config('standard_conforming_strings', 'on', true)`;

/** So that Citus can change tables, functions and foreign keys on all nodes in one transaction. */
const ONE_CONNECTION_TO_EACH_NODE = "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'";

/** The first half of the lock's key, ASCII "ltix"; the second is a hash of the schema's name. */
const LOCK_CLASS = 0x6c746978;
/**
 * SQLSTATEs of two sessions that create the extension or a schema at the same time: one meets the other's catalog
 * entry, or both update it (XX000, "tuple concurrently updated"), or a deadlock (40P01) between them is ended. The other session may
 * also be another application.
 */
const RACES = new Set(["23505", "42710", "42P06", "42P07", "XX000", "40P01"]);
const MAX_ATTEMPTS = 5;
/** Pause before the next attempt, so that the other session can commit; multiplied by the attempt. */
const PAUSE_MS = 50;

/**
 * Creates the index's schema, or updates it to the version of this library. Also installs pgvector, recreates missing
 * parts of the schema that can be derived from the rest, and adds or changes what the options ask for.
 *
 * Idempotent: a repeat finds nothing to do. Safe if many processes start at once: they take turns by an advisory lock,
 * and all migrations commit together with their version numbers. In an existing schema, a vector index that is missing,
 * invalid or of another type is built afterwards with `CREATE INDEX CONCURRENTLY`, and only then replaces the old one.
 * If the process is killed during the build, the next call completes it. Statements have no time limit, because a build
 * can take hours.
 *
 * Where text search is new, or was added before version 6, it then reads all chunks once and adds their words to the table of
 * words, in short transactions of their own. Until then typing errors are corrected only to the words added so far. If the
 * process is killed, the next call does it again.
 *
 * @example
 * ```ts
 * import pg from "pg";
 * import { migrate } from "langchain-training-index/migrations";
 *
 * const pool = new pg.Pool();
 * const { version, applied } = await migrate(pool, { trainings: { table: "oraculo_treinamento" } });
 * console.log(`version ${version}, applied now: ${applied.join(", ") || "none"}`);
 * ```
 *
 * @throws `InvalidArgumentError` for an invalid option
 * @throws `SchemaError` if pgvector or a right is missing (the message says what to run), if the schema was
 * migrated with other options, is damaged beyond repair, or is newer than the library
 * @throws `DatabaseError` if Postgres cannot be reached or fails; `CONFLICT` if other sessions keep changing the
 * vector index
 */
export async function migrate(pool: DatabasePool, options: MigrateOptions = {}): Promise<MigrateResult> {
  checkMigrateNames(options, MIGRATE_OPTIONS, "migrate");
  const { schema } = planMigration(options); // refuses invalid options before a connection is taken
  checkCitus(options);
  // Waits for locks, rewrites and builds may take hours.
  const notify = notifier(checkFunction("onNotice", options.onNotice));
  const bounded = boundedPool(checkPool(pool), { statementMs: Infinity }, notify);
  for (let attempt = 1; ; attempt++) {
    try {
      const { plan, applied, repaired } = await inTransaction(bounded, (client) =>
        migrateInOrder(client, schema, options),
      );
      await fillWords(bounded, await readLayout(bounded, plan));
      const vectorIndex = applied.length > 0 && applied[0] === 1 ? "built" : await ensureVectorIndex(bounded, plan);
      return {
        schema,
        version: SCHEMA_VERSION,
        applied,
        vectorIndex,
        ...(repaired.length === 0 ? {} : { repaired }),
      };
    } catch (error) {
      if (!RACES.has(sqlStateOf(error) ?? "") || attempt === MAX_ATTEMPTS) throw error;
      const message = "Another session created or changed the same objects, so the migration is run again";
      notify({ code: "RETRY", message, cause: error });
      await sleep(attempt * PAUSE_MS);
    }
  }
}

/** The layout of the migrated schema, with the stored language of text search. */
async function readLayout(
  database: Queryable,
  { schema, extensionSchema, idType, names }: MigrationPlan,
): Promise<Layout> {
  const { textSearch } = await requireActiveProfile(database, schema);
  return { schema, extensionSchema, idType, profileId: names.profileId, textSearch };
}

async function migrateInOrder(
  client: Queryable,
  schema: string,
  options: MigrateOptions,
): Promise<{ plan: MigrationPlan; applied: number[]; repaired: string[] }> {
  await liftTimeouts(client);
  await query(client, "migrate", NEUTRAL_SETTINGS);
  await query(client, "migrate", "SELECT pg_catalog.pg_advisory_xact_lock($1, pg_catalog.hashtext($2))", [
    LOCK_CLASS,
    schema,
  ]);
  let catalog = await readCatalog(client, schema);
  refuseReadOnly(catalog.settings);
  refuseSettings(catalog.settings);
  const cluster = await checkCluster(client, catalog, { schema, citus: options.citus });
  const citus = cluster && (cluster.mode ?? options.citus);
  if (citus === "tables") await run(client, ONE_CONNECTION_TO_EACH_NODE);
  const applied = catalog.migrated ? await readMigrations(client, schema) : undefined;
  if (applied) refuseNewerSchema(schema, applied);
  // Citus allows few changes of distributed tables: for all others the schema comes back for a moment.
  const isLocalChange =
    cluster?.mode !== undefined && (await changesTables(client, catalog, options, { applied, mode: cluster.mode }));
  const formerHost = isLocalChange ? await undistribute(client, { schema, mode: cluster.mode }) : undefined;
  const repaired = await repair(client, schema, applied?.version ?? 0);
  if (repaired.length > 0) catalog = await readCatalog(client, schema);
  const planned = await planFor(client, catalog, options, applied?.version ?? 0);
  const { stored } = planned;
  // A table that references one on all nodes can hardly be changed: the foreign key is added when the schema is on its node.
  const plan = citus ? { ...planned.plan, trainings: undefined } : planned.plan;

  if (!applied) {
    if (!catalog.schemaExists) await run(client, schemaStatement(plan.names));
    await run(client, migrationTableStatement(plan.names));
  }
  const pending = migrations.filter(({ version }) => version > (applied?.version ?? 0));
  for (const migration of pending) {
    for (const statement of migration.statements(plan)) await run(client, statement);
    await run(client, recordStatement(migration, plan.names));
  }
  if (applied && pending.some(({ version }) => version === VERSION_WITH_WORDS)) await grantWords(client, plan.names);
  if (stored) await applyChange(client, catalog, stored, plan, citus);
  await ensureForeignKey(client, plan);
  if (applied) {
    await recordVectorIndex(client, catalog, options, plan);
    await ensureWritableLexemes(client, plan.names);
    await ensureTextSearch(client, options, plan);
  }
  if (citus) {
    const { textSearch } = await requireActiveProfile(client, schema);
    const give = cluster.mode !== undefined && !isLocalChange ? ensureFunctions : distribute;
    await give(client, { ...plan, textSearch, trainings: planned.plan.trainings ?? formerHost }, citus);
  }
  return { plan, applied: pending.map(({ version }) => version), repaired };
}

/** Whether the migration changes more than rows. */
async function changesTables(
  client: Queryable,
  catalog: Catalog,
  options: MigrateOptions,
  { applied, mode }: { applied: AppliedMigrations | undefined; mode: CitusMode },
): Promise<boolean> {
  const { schema, trainings, textSearch } = planMigration(options);
  if (mode === "tables") refuseTextSearch({ schema, textSearch });
  const version = applied?.version ?? 0;
  const { missing, active } = await readDamage(client, schema, version);
  // The only change of the host's column that is followed; see `targetOptions`.
  const isWidened = async (): Promise<boolean> =>
    trainings !== undefined && catalog.idType === "integer" && (await readHostIdType(client, trainings)) === "bigint";
  const isOther = <T>(given: T | undefined, stored: T | undefined): boolean => given !== undefined && given !== stored;
  return (
    version < SCHEMA_VERSION ||
    missing.some((part) => mode === "schema" || !affectsSpeedOnly(part)) ||
    isOther(options.dimensions, active?.dimensions) ||
    isOther(options.idType, catalog.idType) ||
    (await isWidened()) ||
    (options.textSearch !== undefined && textSearch !== active?.textSearch) ||
    (trainings !== undefined && mode === "schema" && (await readReferencedIdType(client, schema)) === undefined)
  );
}

/**
 * The language that the pending migrations are written for: the stored one, which {@link ensureTextSearch} changes after them, or before
 * the version with text search the requested one.
 */
function textSearchOf(
  { textSearch }: ActiveProfile,
  options: MigrateOptions,
  version: number,
): Pick<MigrateOptions, "textSearch"> {
  return { textSearch: version < VERSION_WITH_TEXT_SEARCH ? options.textSearch : (textSearch ?? false) };
}

/**
 * Plans the migration from the options and from what is already in the database.
 *
 * @param version - of the schema; 0 if it is not migrated
 */
async function planFor(
  client: Queryable,
  catalog: Catalog,
  options: MigrateOptions,
  version: number,
): Promise<{ plan: MigrationPlan; stored?: StoredOptions }> {
  const requested = planMigration(options);
  const extension = requireExtension(catalog.extension ?? (await installExtension(client, requested)));
  const found: FoundOptions = { extensionSchema: extension.schema, profileId: catalog.profileId };
  if (requested.trainings) found.hostIdType = await readHostIdType(client, requested.trainings);
  const freshPlan = planMigration(options, found); // refuses an idType that differs from the host's
  if (version === 0) return { plan: freshPlan };

  const active = await requireActiveProfile(client, requested.schema);
  const stored = { dimensions: active.dimensions, idType: catalog.idType ?? requested.idType };
  const target = await targetOptions(client, stored, {
    options,
    schema: requested.schema,
    names: freshPlan.names,
    hostIdType: found.hostIdType ?? (await readReferencedIdType(client, requested.schema)),
  });
  const { dimensions } = target;
  const type = requestedIndexType(catalog, options);
  if (dimensions > MAX_DIMENSIONS[type]) {
    throw new InvalidArgumentError(
      "vectorIndex",
      `is ${type}, which holds up to ${MAX_DIMENSIONS[type]} dimensions, but schema ${JSON.stringify(requested.schema)} ` +
        `has ${dimensions}: ${widerType(dimensions) ?? "no type"} can hold them`,
    );
  }
  // An empty schema that gets other dimensions gets the requested index type directly: the old one may not hold them.
  if (dimensions !== stored.dimensions) {
    Object.assign(catalog.vectorIndex, { type, next: undefined, state: "missing" });
  }
  const hnsw = requestedHnsw(catalog, options);
  const planned = planMigration(
    { ...options, ...target, vectorIndex: catalog.vectorIndex.type, hnsw, ...textSearchOf(active, options, version) },
    { extensionSchema: extension.schema, profileId: catalog.profileId },
  );
  const plan = { ...planned, method: requestedMethod(options) };
  refuseOtherParameters(catalog, options, plan);
  return { plan, stored };
}
