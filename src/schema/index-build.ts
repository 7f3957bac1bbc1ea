import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, InvalidArgumentError, SchemaError } from "../errors.js";
import { isVersionAtLeast, requireActiveProfile, readCatalog } from "./catalog.js";
import { inTransaction, query, sqlStateOf, type DatabasePool, type Queryable } from "../postgres/database.js";
import { chunkTable, namesOf, type Layout } from "./layout.js";
import { liftTimeouts, withoutTimeouts } from "../postgres/timeouts.js";
import { readVectorIndexes, type VectorIndexes } from "./vector-index-catalog.js";
import {
  createVectorIndex,
  dropVectorIndex,
  isShortOfSharedMemory,
  OLDEST_SAFE_PARALLEL_BUILD,
  type VectorIndexDefinition,
} from "./vector-index-sql.js";
import { vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** What a build may use of the server; what is left out is as the server has it. */
export interface BuildSettings {
  /** As Postgres writes it: `512MB`. */
  maintenanceWorkMem: string | undefined;
  parallelWorkers: number | undefined;
}

/** duplicate_table, which an index counts as, and unique_violation, when both were made at once */
const DUPLICATES = new Set(["42P07", "23505"]);
/** How often a load that waits for another session's build looks again. */
const POLL_MS = 250;

/**
 * The server looks twice a second whether the connection is still there, and ends the build when it is not; else that
 * would hold up writes to its end for nobody. Postgres 13 has no such setting, and not every system supports it.
 */
const LOOK_AFTER_CONNECTION = `DO $$
BEGIN
  PERFORM pg_catalog.set_config('client_connection_check_interval', '500', true);
EXCEPTION WHEN OTHERS THEN NULL;
END $$`;

/**
 * Drops the vector index, for a load that is faster without.
 *
 * @throws {@link InvalidArgumentError} when a filled profile has an index and nobody said to build that again
 * @throws {@link SchemaError} when the role may not; nothing has changed then
 * @throws {@link DatabaseError} with the code CONFLICT when another session builds the index
 */
export async function dropBeforeLoad(pool: DatabasePool, layout: Layout, rebuild: boolean): Promise<void> {
  const indexes = await readVectorIndexes(pool, layout.schema, layout.profileId);
  const { vectorIndex, vectorIndexStates: states } = indexes;
  if (vectorIndexTypes.some((type) => states[type] === "building")) {
    throw new DatabaseError("Another session builds the vector index at the moment", {
      code: "CONFLICT",
      retryable: true,
    });
  }
  if (!rebuild && vectorIndex.state === "valid" && (await hasChunks(pool, layout))) {
    throw new InvalidArgumentError(
      "rebuild",
      "must be true for an index that holds chunks already: its vector index is dropped and built anew",
    );
  }
  await requireOwner(pool, layout);
  await keepParameters(pool, layout, indexes);
  for (const type of vectorIndexTypes) {
    if (states[type] !== "missing") await drop(pool, layout, type);
  }
}

/**
 * Builds the vector index as it is recorded, in one transaction: searches go on, writes wait. When it breaks off, at
 * whatever point, nothing of it is left.
 */
export async function buildAfterLoad(
  pool: DatabasePool,
  layout: Layout,
  settings: BuildSettings,
): Promise<void> {
  const { schema, profileId } = layout;
  const { dimensions } = await requireActiveProfile(pool, schema);
  let parallelWorkers = settings.parallelWorkers ?? (await safeWorkers(pool, layout));
  for (;;) {
    const { vectorIndex, vectorIndexStates, recordedHnsw } = await readVectorIndexes(pool, schema, profileId);
    const type = vectorIndex.next ?? vectorIndex.type;
    const state = vectorIndexStates[type];
    if (state === "valid") return; // a migration or another load has built it meanwhile
    if (state === "building") {
      // Not in the line for the table: a build that lets writes go on waits for those who stand there.
      await sleep(POLL_MS);
      continue;
    }
    if (state === "invalid") {
      await drop(pool, layout, type);
      continue;
    }
    if (!recordedHnsw)
      throw new SchemaError("SCHEMA_MISSING", "The profile of the index is gone: run migrate");
    try {
      await inTransaction(pool, (client) =>
        build(client, layout, { type, dimensions, ...recordedHnsw }, { ...settings, parallelWorkers }),
      );
    } catch (error) {
      if (isShortOfSharedMemory(error) && parallelWorkers !== 0) parallelWorkers = 0;
      else if (!DUPLICATES.has(sqlStateOf(error) ?? "")) throw error;
    }
  }
}

/** So that the planner knows from the first search on how many rows a filter lets through. */
export async function analyzeAfterLoad(pool: Queryable, layout: Layout): Promise<void> {
  const { chunk, indexed } = namesOf(layout);
  await query(pool, `ANALYZE ${chunk}, ${indexed}`);
}

async function drop(pool: DatabasePool, layout: Layout, type: VectorIndexType): Promise<void> {
  const statement = dropVectorIndex(namesOf(layout), layout.profileId, type);
  await withoutTimeouts(pool, (client) => query(client, statement));
}

async function build(
  client: Queryable,
  layout: Layout,
  definition: VectorIndexDefinition,
  { maintenanceWorkMem, parallelWorkers }: BuildSettings,
): Promise<void> {
  const names = namesOf(layout);
  await liftTimeouts(client);
  await query(client, LOOK_AFTER_CONNECTION);
  const set = "SELECT pg_catalog.set_config($1, $2, true)";
  if (maintenanceWorkMem !== undefined) {
    await query(client, set, ["maintenance_work_mem", maintenanceWorkMem]);
  }
  if (parallelWorkers !== undefined) {
    await query(client, set, ["max_parallel_maintenance_workers", parallelWorkers.toString()]);
  }
  await query(client, createVectorIndex(names, layout.profileId, definition));
  await query(
    client,
    `UPDATE ${names.profile} SET vector_index = $2, vector_index_next = NULL WHERE id = $1 AND vector_index_next = $2`,
    [layout.profileId, definition.type],
  );
}

async function hasChunks(database: Queryable, layout: Layout): Promise<boolean> {
  const rows = await query(database, `SELECT FROM ${namesOf(layout).chunk} LIMIT 1`);
  return rows.length > 0;
}

/** What Postgres asks of a role that makes an index: to own the table, and to be let into the schema. */
async function requireOwner(database: Queryable, layout: Layout): Promise<void> {
  const [row] = await query<{ may: string }>(
    database,
    `SELECT (pg_catalog.pg_has_role(c.relowner, 'USAGE') AND pg_catalog.has_schema_privilege(n.oid, 'CREATE'))::text AS may
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
    WHERE n.nspname = $1`,
    [layout.schema, chunkTable(layout.profileId)],
  );
  if (row?.may === "true") return;
  throw new SchemaError(
    "INSUFFICIENT_PRIVILEGE",
    `The database role may not drop and build an index of ${namesOf(layout).chunk}: load as the role that ran migrate`,
  );
}

/** An index that was altered by hand is built again as it is, not as it was made. */
async function keepParameters(
  database: Queryable,
  layout: Layout,
  { vectorIndex: { m, efConstruction }, recordedHnsw }: VectorIndexes,
): Promise<void> {
  if (m === recordedHnsw?.m && efConstruction === recordedHnsw?.efConstruction) return;
  await query(
    database,
    `UPDATE ${namesOf(layout).profile} SET hnsw_m = $2, hnsw_ef_construction = $3 WHERE id = $1`,
    [layout.profileId, m, efConstruction],
  );
}

async function safeWorkers(database: Queryable, layout: Layout): Promise<number | undefined> {
  const { extension } = await readCatalog(database, layout.schema, layout.profileId);
  return isVersionAtLeast(extension?.version ?? "", OLDEST_SAFE_PARALLEL_BUILD) ? undefined : 0;
}
