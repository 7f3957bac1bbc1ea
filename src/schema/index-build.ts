import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, InvalidArgumentError, SchemaError } from "../errors.js";
import { isVersionAtLeast, requireActiveProfile, readCatalog } from "./catalog.js";
import { inTransaction, query, sqlStateOf, type DatabasePool, type Queryable } from "../postgres/database.js";
import { chunkTable, namesOf, type Layout } from "./layout.js";
import { readProfiles } from "./profiles.js";
import { liftTimeouts, withoutTimeouts } from "../postgres/timeouts.js";
import { boundedPool } from "../postgres/bounded-database.js";
import { readVectorIndexes, type VectorIndexes } from "./vector-index-catalog.js";
import {
  createVectorIndex,
  dropVectorIndex,
  isShortOfSharedMemory,
  serialBuildNotice,
  OLDEST_SAFE_PARALLEL_BUILD,
  type VectorIndexDefinition,
} from "./vector-index-sql.js";
import type { VectorIndexMethod } from "./vector-index-method.js";
import { vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** Settings of an index build. Those that are `undefined` keep the server's value. */
export interface BuildSettings {
  /** In Postgres' notation: `512MB`. */
  maintenanceWorkMem: string | undefined;
  parallelWorkers: number | undefined;
  /** Takes the place of HNSW for an index of type `vector`. */
  method?: VectorIndexMethod | undefined;
}

/** duplicate_table (for indexes, too) and unique_violation (of concurrent CREATEs): another session built the index */
const DUPLICATES = new Set(["42P07", "23505"]);
/** Interval between checks while a load waits for another session's build. */
const POLL_MS = 250;

/**
 * Makes the server check the connection twice a second, and end the build if it is lost. Otherwise an abandoned build
 * would block writes until its end. Postgres 13 lacks the setting, and not every system supports it.
 */
const CHECK_CONNECTION = `DO $$
BEGIN
  PERFORM pg_catalog.set_config('client_connection_check_interval', '500', true);
EXCEPTION WHEN OTHERS THEN NULL;
END $$`;

/**
 * Drops the vector index before a load, which is faster without it.
 *
 * @throws {@link InvalidArgumentError} if the profile has chunks and a valid index, and `rebuild` is false
 * @throws {@link SchemaError} if the role does not own the tables; nothing has changed then
 * @throws {@link DatabaseError} with the code CONFLICT if another session is building the index, or the model is being switched
 */
export async function dropBeforeLoad(pool: DatabasePool, layout: Layout, rebuild: boolean): Promise<void> {
  await refuseDuringSwitch(pool, layout);
  const indexes = await readVectorIndexes(pool, layout.schema, layout.profileId);
  const { vectorIndex, vectorIndexStates: states } = indexes;
  if (vectorIndexTypes.some((type) => states[type] === "building")) {
    throw new DatabaseError("Another session is building the vector index: try again when it has finished", {
      code: "CONFLICT",
      retryable: true,
    });
  }
  if (!rebuild && vectorIndex.state === "valid" && (await hasChunks(pool, layout))) {
    throw new InvalidArgumentError(
      "rebuild",
      "must be true to load into an index that already holds chunks: the load drops its vector index and builds it again",
    );
  }
  await requireOwner(pool, layout);
  await keepParameters(pool, layout, indexes);
  for (const type of vectorIndexTypes) {
    if (states[type] !== "missing") await drop(pool, layout, type);
  }
}

/**
 * Builds the vector index with its recorded settings, in one transaction: searches continue, writes wait. A build that
 * fails leaves nothing behind.
 */
export async function buildAfterLoad(pool: DatabasePool, layout: Layout, settings: BuildSettings): Promise<void> {
  const { schema, profileId } = layout;
  const { id, dimensions } = await requireActiveProfile(pool, schema);
  if (id !== profileId) return; // the model was switched meanwhile; a switch builds its own index
  let parallelWorkers = settings.parallelWorkers ?? (await safeWorkers(pool, layout));
  for (;;) {
    const { vectorIndex, vectorIndexStates, recordedHnsw } = await readVectorIndexes(pool, schema, profileId);
    const type = vectorIndex.next ?? vectorIndex.type;
    const state = vectorIndexStates[type];
    if (state === "valid") return; // built by a migration or another load in the meantime
    if (state === "building") {
      // Polls rather than waiting for the table's lock: CREATE INDEX CONCURRENTLY would wait for our transaction.
      await sleep(POLL_MS);
      continue;
    }
    if (state === "invalid") {
      await drop(pool, layout, type);
      continue;
    }
    if (!recordedHnsw) throw new SchemaError("SCHEMA_MISSING", "The profile of the index is missing: run migrate");
    try {
      await inTransaction(pool, (client) =>
        build(
          client,
          layout,
          { type, dimensions, ...recordedHnsw, method: settings.method },
          { ...settings, parallelWorkers },
        ),
      );
    } catch (error) {
      if (isShortOfSharedMemory(error) && parallelWorkers !== 0) {
        parallelWorkers = 0;
        boundedPool(pool).notify(serialBuildNotice(error));
      } else if (!DUPLICATES.has(sqlStateOf(error) ?? "")) throw error;
    }
  }
}

/** Updates the planner's statistics, so that it knows from the first search on how many rows a filter matches. */
export async function analyzeAfterLoad(pool: Queryable, layout: Layout): Promise<void> {
  const { chunk, indexed } = namesOf(layout);
  await query(pool, "analyze", `ANALYZE ${chunk}, ${indexed}`);
}

async function refuseDuringSwitch(pool: Queryable, { schema }: Layout): Promise<void> {
  const building = (await readProfiles(pool, schema)).find(({ state }) => state === "building");
  if (!building) return;
  throw new DatabaseError(
    `The index is being switched to the model ${JSON.stringify(building.recorded?.model ?? "")}, so nothing can be loaded in bulk: use ` +
      "upsertTrainings, or wait for the end of the switch",
    { code: "CONFLICT", retryable: true },
  );
}

async function drop(pool: DatabasePool, layout: Layout, type: VectorIndexType): Promise<void> {
  const statement = dropVectorIndex(namesOf(layout), layout.profileId, type);
  await withoutTimeouts(pool, (client) => query(client, "build-vector-index", statement));
}

async function build(
  client: Queryable,
  layout: Layout,
  definition: VectorIndexDefinition,
  { maintenanceWorkMem, parallelWorkers }: BuildSettings,
): Promise<void> {
  const names = namesOf(layout);
  await liftTimeouts(client);
  await query(client, "set-parameters", CHECK_CONNECTION);
  await setForBuild(client, layout, "maintenance_work_mem", maintenanceWorkMem);
  await setForBuild(client, layout, "max_parallel_maintenance_workers", parallelWorkers?.toString());
  await query(client, "build-vector-index", createVectorIndex(names, layout.profileId, definition));
  await query(
    client,
    "record-vector-index",
    `UPDATE ${names.profile} SET vector_index = $2, vector_index_next = NULL WHERE id = $1 AND vector_index_next = $2`,
    [layout.profileId, definition.type],
  );
}

/** Sets what the build needs. Citus sends SET LOCAL to the node that builds, but not set_config; the value is checked. */
async function setForBuild(
  client: Queryable,
  { citus }: Layout,
  name: string,
  value: string | undefined,
): Promise<void> {
  if (value === undefined) return;
  if (!citus) {
    await query(client, "set-parameters", "SELECT pg_catalog.set_config($1, $2, true)", [name, value]);
    return;
  }
  await query(client, "set-parameters", "SET LOCAL citus.propagate_set_commands = 'local'");
  await query(client, "set-parameters", `SET LOCAL ${name} = '${value}'`);
}

async function hasChunks(database: Queryable, layout: Layout): Promise<boolean> {
  const rows = await query(database, "find-any-chunk", `SELECT FROM ${namesOf(layout).chunk} LIMIT 1`);
  return rows.length > 0;
}

/** Checks what Postgres requires for creating an index: ownership of the table, and CREATE on the schema. */
async function requireOwner(database: Queryable, layout: Layout): Promise<void> {
  const [row] = await query<{ may_create: string }>(
    database,
    "check-rights",
    `SELECT (pg_catalog.pg_has_role(c.relowner, 'USAGE') AND pg_catalog.has_schema_privilege(n.oid, 'CREATE'))::text AS may_create
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
    WHERE n.nspname = $1`,
    [layout.schema, chunkTable(layout.profileId)],
  );
  if (row?.may_create === "true") return;
  throw new SchemaError(
    "INSUFFICIENT_PRIVILEGE",
    `The database role may not drop and build an index on ${namesOf(layout).chunk}: ` +
      "run bulkLoad as the role that ran migrate",
  );
}

/** Records the index's current HNSW parameters, which someone may have altered, so that the rebuilt index keeps them. */
async function keepParameters(
  database: Queryable,
  layout: Layout,
  { vectorIndex: { m, efConstruction }, recordedHnsw }: VectorIndexes,
): Promise<void> {
  if (m === recordedHnsw?.m && efConstruction === recordedHnsw?.efConstruction) return;
  await query(
    database,
    "record-vector-index",
    `UPDATE ${namesOf(layout).profile} SET hnsw_m = $2, hnsw_ef_construction = $3 WHERE id = $1`,
    [layout.profileId, m, efConstruction],
  );
}

/** 0 for a pgvector whose parallel builds are unsafe; otherwise `undefined`, the server's setting. */
async function safeWorkers(pool: DatabasePool, layout: Layout): Promise<number | undefined> {
  const { extension } = await readCatalog(pool, layout.schema, layout.profileId);
  if (isVersionAtLeast(extension?.version ?? "", OLDEST_SAFE_PARALLEL_BUILD)) return undefined;
  boundedPool(pool).notify(serialBuildNotice());
  return 0;
}
