/** Helpers of the contract's tests: reading the tables, stopping a call halfway, databases of their own. */
import {
  TrainingIndex,
  TrainingIndexError,
  type DatabaseClient,
  type DatabasePool,
  type TrainingId,
} from "langchain-training-index";
import pg from "pg";
import { onTestFinished } from "vitest";
import { isOnCluster, requireServerUrl, requireConnectionSetup, uniqueName } from "./databases.js";
import { CountingEmbeddings, gateOf, until, type TestIndex } from "./index.js";

/** A pool on the real server through the current connection setup; it ends with the test. */
export function openServerPool(options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: requireConnectionSetup().url, ...options });
  pool.on("error", () => undefined);
  onTestFinished(async () => {
    if (!pool.ended) await pool.end();
  });
  return pool;
}

/** A database of the real server that is dropped when the test ends. */
export async function freshDatabase(): Promise<{ pool: pg.Pool; url: URL }> {
  const name = uniqueName("database");
  const admin = openServerPool({ connectionString: requireServerUrl() });
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(requireServerUrl());
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href });
  pool.on("error", () => undefined);
  onTestFinished(async () => {
    await pool.end();
    const cleaner = new pg.Client({ connectionString: requireServerUrl() });
    await cleaner.connect();
    await cleaner.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await cleaner.end();
  });
  return { pool, url };
}

/** Another index on the schema of a test, by default with its own embedder. */
export async function openAgain(
  { schema }: Pick<TestIndex, "schema">,
  pool: DatabasePool,
  embeddings = new CountingEmbeddings(),
): Promise<TrainingIndex> {
  return TrainingIndex.initialize(embeddings, { pool, schema });
}

/** What is called around each statement of an {@link observedPool}. */
interface StatementHooks {
  before?: (text: string, on: { client: pg.PoolClient; isInTransaction: boolean }) => Promise<void> | void;
  /** When the statement has succeeded, and before the library learns of it. */
  after?: (text: string) => Promise<void> | void;
  /** The library may hide a failure by running the statement again. */
  onFailure?: (error: unknown) => void;
}

/** A pool with hooks around every statement, also around single ones, for which the library takes a client too. */
export function observedPool(pool: pg.Pool, { before, after, onFailure }: StatementHooks): DatabasePool {
  const observe = (client: pg.PoolClient): DatabaseClient => {
    let isInTransaction = false;
    return new Proxy<DatabaseClient>(client, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property);
        if (property !== "query") return typeof value === "function" ? (value.bind(target) as unknown) : value;
        return async (statement: string | { text: string }, values?: unknown[]) => {
          const text = typeof statement === "string" ? statement : statement.text;
          isInTransaction ||= text.startsWith("BEGIN");
          await before?.(text, { client, isInTransaction });
          try {
            const result = await target.query(statement as string, values);
            await after?.(text);
            return result;
          } catch (error) {
            onFailure?.(error);
            throw error;
          }
        };
      },
    });
  };
  return { query: (text, values) => pool.query(text, values), connect: async () => observe(await pool.connect()) };
}

/** The pool, with a hook before each statement of a transaction. */
export function hookedPool(
  pool: pg.Pool,
  before: (text: string, client: pg.PoolClient) => Promise<void> | void,
): DatabasePool {
  return observedPool(pool, {
    before: (text, { client, isInTransaction }) => (isInTransaction ? before(text, client) : undefined),
  });
}

/**
 * As {@link hookedPool}, for deletes: one is a single statement, unless Postgres asks for a retry, as it does here. Then it is several in a
 * transaction.
 */
export function poolOfRetriedDeletes(
  pool: pg.Pool,
  before: (text: string, client: pg.PoolClient) => Promise<void> | void,
): DatabasePool {
  return observedPool(pool, {
    before: (text, { client, isInTransaction }) => {
      if (text.includes("delete-trainings")) {
        throw Object.assign(new Error("deadlock detected"), { code: "40P01", severity: "ERROR" });
      }
      return isInTransaction ? before(text, client) : undefined;
    },
  });
}

/** Held requests to the embedder. */
export interface HeldRequest {
  /** Resolves when the first one has arrived. */
  reached: Promise<void>;
  release: () => void;
}

/** Holds requests with a text that contains `marker` until they are released. */
export function holdEmbedding(embeddings: CountingEmbeddings, marker: string): HeldRequest {
  const reached = gateOf();
  const open = gateOf();
  const earlier = embeddings.before;
  embeddings.before = async (texts) => {
    if (!texts.some((text) => text.includes(marker))) return earlier(texts);
    reached.resolve();
    return open.promise;
  };
  return { reached: reached.promise, release: open.resolve };
}

/** A table of the host; it is dropped when the test ends. */
export async function hostTable(owner: pg.Pool, name = uniqueName("host"), idType = "text"): Promise<string> {
  const quoted = pg.escapeIdentifier(name);
  await owner.query(`CREATE TABLE public.${quoted} (id ${idType} PRIMARY KEY)`);
  if (isOnCluster()) await owner.query("SELECT create_reference_table($1)", [`public.${quoted}`]);
  onTestFinished(async () => {
    await owner.query(`DROP TABLE IF EXISTS public.${quoted} CASCADE`);
  });
  return name;
}

/** The number of rows of a training in each table. */
export async function countRows(
  { pool, schema }: Pick<TestIndex, "pool" | "schema">,
  id: TrainingId = "a",
): Promise<{ training: number; indexed: number; chunks: number }> {
  const name = pg.escapeIdentifier(schema);
  const { rows } = await pool.query<{ training: number; indexed: number; chunks: number }>(
    `SELECT (SELECT count(*)::integer FROM ${name}.training WHERE id::text = $1) AS training,
      (SELECT count(*)::integer FROM ${name}.indexed_1 WHERE training_id::text = $1) AS indexed,
      (SELECT count(*)::integer FROM ${name}.chunk_1 WHERE training_id::text = $1) AS chunks`,
    [id.toString()],
  );
  const [row] = rows;
  if (!row) throw new Error("a count has one row");
  return row;
}

/** The rows of a deleted training: its tombstone. */
export const TOMBSTONE_ONLY = { training: 1, indexed: 0, chunks: 0 };

/** A line for each row of `chunk_1` and `indexed_1` that changes with every write to the row. */
export async function allVersions({ pool, schema }: TestIndex): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `SELECT 'chunk ' || id || ' ' || xmin || ' ' || ctid AS line FROM ${schema}.chunk_1
    UNION ALL SELECT 'indexed ' || training_id || ' ' || xmin || ' ' || ctid FROM ${schema}.indexed_1 ORDER BY 1`,
  );
  return rows.map(({ line }) => line);
}

/** A stored chunk with its offsets. */
export interface ChunkWithOffsets {
  start: number;
  end: number;
  content: string;
}

/** The stored chunks of a training in reading order, also if they are more than a search returns. */
export async function chunksWithOffsets(
  { pool, schema }: Pick<TestIndex, "pool" | "schema">,
  id = "a",
): Promise<ChunkWithOffsets[]> {
  const { rows } = await pool.query<ChunkWithOffsets>(
    `SELECT p.start_at AS start, p.end_at AS "end", c.content FROM ${schema}.indexed_1 i
      CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
      LEFT JOIN ${schema}.chunk_1 c ON c.training_id = i.training_id AND c.id = p.id
      WHERE i.training_id = $1 ORDER BY p.place`,
    [id],
  );
  return rows;
}

/** The stored text of a training whose chunks are paragraphs. Throws if an offset is wrong or a chunk is not listed. */
export async function wholeText(test: TestIndex, id = "a"): Promise<string> {
  const chunks = await chunksWithOffsets(test, id);
  const text = chunks.map(({ content }) => content).join("\n\n");
  const isWhole = chunks.every(({ start, end, content }) => text.slice(start, end) === content);
  const { chunks: count } = await countRows(test, id);
  if (!isWhole || count !== chunks.length) throw new Error(`training ${id} is not whole: ${text}`);
  return text;
}

/** A kind of statement on the training table. */
type StatementKind = "INSERT INTO" | "DELETE FROM" | "UPDATE";

/**
 * The process ids of the sessions whose statement of this kind on the training table waits for a lock. On a Citus cluster a statement waits on a
 * worker, as a call of a function or with the number of a shard, and its kind cannot be seen.
 */
export async function waitingProcesses(
  { owner, schema }: Pick<TestIndex, "owner" | "schema">,
  kind: StatementKind,
): Promise<(number | string)[]> {
  const { rows } = isOnCluster()
    ? await owner.query<{ pid: string }>(
        "SELECT global_pid AS pid FROM citus_stat_activity WHERE is_worker_query AND wait_event_type = 'Lock' AND query LIKE $1",
        [`%${schema}%`],
      )
    : await owner.query<{ pid: number }>(
        String.raw`SELECT pid FROM pg_catalog.pg_stat_activity
          WHERE wait_event_type = 'Lock' AND pg_catalog.regexp_replace(query, ' /\*.*?\*/', '') LIKE $1`,
        [`%${kind} "${schema}".training%`],
      );
  return rows.map(({ pid }) => pid);
}

/** Terminates the session with this process id, which on a Citus cluster may also be one that is unique on all nodes: a text. */
export async function terminateSession({ owner }: Pick<TestIndex, "owner">, pid: number | string): Promise<void> {
  await owner.query(
    `SELECT pg_catalog.pg_terminate_backend($1::${typeof pid === "number" ? "integer" : "bigint"}, 5000)`,
    [pid],
  );
}

/** Waits until `count` statements of this kind on the training table wait for a lock. */
export async function untilWaiting(
  test: Pick<TestIndex, "owner" | "schema">,
  kind: StatementKind,
  count = 1,
): Promise<void> {
  await until(async () => (await waitingProcesses(test, kind)).length === count);
}

/** A part of a swap: a table and the operation on its rows. */
export type SwapPart = readonly [table: string, operation: "INSERT" | "UPDATE" | "DELETE"];

/** The parts of a single-statement swap for an edit that adds chunks, removes some and keeps others. */
export const SWAP_PARTS: readonly SwapPart[] = [
  ["training", "UPDATE"],
  ["chunk_1", "DELETE"],
  ["chunk_1", "UPDATE"],
  ["chunk_1", "INSERT"],
  ["indexed_1", "UPDATE"],
];

/**
 * Runs PL/pgSQL before a part of a swap writes a row.
 *
 * @param body - statements of PL/pgSQL
 * @returns a function that removes it
 */
export async function onSwapPart(
  { owner, schema }: Pick<TestIndex, "owner" | "schema">,
  [table, operation]: SwapPart,
  body: string,
): Promise<() => Promise<void>> {
  await owner.query(`CREATE FUNCTION ${schema}.on_part() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN ${body}; RETURN coalesce(NEW, OLD); END $$`);
  await owner.query(
    `CREATE TRIGGER on_part BEFORE ${operation} ON ${schema}.${table} FOR EACH ROW EXECUTE FUNCTION ${schema}.on_part()`,
  );
  return async () => {
    await owner.query(`DROP FUNCTION ${schema}.on_part CASCADE`);
  };
}

/**
 * Makes swaps wait at one of their parts, while they hold the locks taken so far.
 *
 * @returns a function that lets them continue
 */
export async function holdSwapPart(
  test: Pick<TestIndex, "owner" | "schema">,
  part: SwapPart,
): Promise<() => Promise<void>> {
  await onSwapPart(test, part, "PERFORM pg_catalog.pg_advisory_xact_lock(hashtext(TG_TABLE_SCHEMA))");
  const holder = await test.owner.connect();
  await holder.query("BEGIN"); // one transaction: a pooler may change the session between transactions
  await holder.query("SELECT pg_catalog.pg_advisory_xact_lock(hashtext($1))", [test.schema]);
  return async () => {
    await holder.query("COMMIT");
    holder.release();
  };
}

/** The tables of a schema, by name. */
export async function tablesOf(pool: pg.Pool, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ tablename: string }>(
    "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = $1 ORDER BY tablename",
    [schema],
  );
  return rows.map(({ tablename }) => tablename);
}

/** The library's error that a call fails with. Any other outcome is thrown. */
export async function failureOf(work: Promise<unknown>): Promise<TrainingIndexError> {
  const outcome = await work.then(
    () => new Error("the call did not fail"),
    (error: unknown) => error,
  );
  if (outcome instanceof TrainingIndexError) return outcome;
  throw outcome;
}

/** All results of an async iterable, for example of `upsertTrainings`. */
export async function collect<Result>(results: AsyncIterable<Result>): Promise<Result[]> {
  const list: Result[] = [];
  for await (const result of results) list.push(result);
  return list;
}
