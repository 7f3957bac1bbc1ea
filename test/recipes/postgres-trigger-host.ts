/** The host of the recipe `postgres-trigger` in its own database, and checks that the index is in step with its table. */
import { TrainingIndex } from "langchain-training-index";
import { migrate, type MigrateOptions } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { runMigrations } from "graphile-worker";
import pg from "pg";
import { expect, onTestFinished } from "vitest";
import { tableSql, triggerSql } from "../../examples/postgres-trigger/sql.js";
import { startTrainingWorker } from "../../examples/postgres-trigger/start-worker.js";
import { temporaryDatabase } from "../../tooling/temporary-database.js";
import { requireServerUrl } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, until } from "../support/index.js";

type Database = pg.Pool | pg.PoolClient;

/** An empty database; it is dropped when the test ends. */
export async function openDatabase(): Promise<{ url: string; pool: pg.Pool }> {
  const { url, drop } = await temporaryDatabase(requireServerUrl(), "postgres_trigger");
  const pool = new pg.Pool({ connectionString: url, max: 20 });
  pool.on("error", () => undefined);
  onTestFinished(async () => {
    await pool.end();
    await drop();
  });
  return { url, pool };
}

/** The host's table with the queue, the index and the triggers, before any worker runs. */
export async function openHost(
  migration: MigrateOptions = { idType: "integer" },
  seed?: (pool: pg.Pool) => Promise<void>,
): Promise<{ url: string; pool: pg.Pool; index: TrainingIndex; embeddings: CountingEmbeddings }> {
  const { url, pool } = await openDatabase();
  await pool.query(tableSql);
  await seed?.(pool);
  await runMigrations({ pgPool: pool });
  await migrate(pool, { dimensions: DIMENSIONS, ...migration });
  await pool.query(triggerSql);
  const embeddings = new CountingEmbeddings(migration.dimensions ?? DIMENSIONS);
  return { url, pool, embeddings, index: await TrainingIndex.initialize(embeddings, { pool }) };
}

/** A host that is ready for a worker. */
export type Host = Awaited<ReturnType<typeof openHost>>;

/** Starts a worker in this process. It ends when it is stopped or the test ends. `failures` are the errors of its jobs. */
export async function startWorker({ pool, index }: Pick<Host, "pool" | "index">): Promise<{
  stop: () => Promise<void>;
  stopped: Promise<void>;
  failures: unknown[];
}> {
  const failures: unknown[] = [];
  const runner = await startTrainingWorker({
    pool,
    index,
    handlesSignals: false,
    onFailed: (_job, error) => failures.push(error),
  });
  let isStopped = false;
  const stopped = runner.promise.then(() => {
    isStopped = true;
  });
  const stop = async (): Promise<void> => {
    if (!isStopped) await runner.stop();
  };
  onTestFinished(stop);
  return { stop, stopped, failures };
}

/** Runs a worker until all waiting jobs are done. */
export async function runWaitingJobs(host: Host): Promise<void> {
  const { stop, failures } = await startWorker(host);
  await untilDone(host.pool);
  await stop();
  expect(failures).toEqual([]);
}

/** Whether a session of this database waits for a lock. */
export async function isWaiting(pool: pg.Pool): Promise<boolean> {
  const { rowCount } = await pool.query(
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
  );
  return rowCount !== 0;
}

/** Inserts a training as the host does. @returns its id */
export async function insertTraining(database: Database, conteudo: string, isFinal = true): Promise<number> {
  const { rows } = await database.query<{ id: number }>(
    `INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado)
      VALUES ('entregas', 'logistica', $1, $2) RETURNING id`,
    [conteudo, isFinal],
  );
  return rows[0]?.id ?? NaN;
}

/** The keys of the unfinished jobs; `null` for a job that a newer one has replaced. */
export async function readJobs(database: Database): Promise<(string | null)[]> {
  const { rows } = await database.query<{ key: string | null }>(
    "SELECT key FROM graphile_worker.jobs WHERE task_identifier = 'index_training' ORDER BY id",
  );
  return rows.map(({ key }) => key);
}

/** Deletes all jobs, so that a test sees only later ones. */
export async function clearJobs(pool: pg.Pool): Promise<void> {
  await pool.query("SELECT graphile_worker.remove_job(key) FROM graphile_worker.jobs WHERE key IS NOT NULL");
}

/** Waits until there are no jobs. */
export async function untilDone(pool: pg.Pool): Promise<void> {
  await until(async () => (await readJobs(pool)).length === 0);
}

/** The flag of each row, by id. */
export async function readFlags(database: Database): Promise<Record<number, boolean>> {
  const { rows } = await database.query<{ id: number; flag: boolean }>(
    "SELECT id, treinamento_vetorizado AS flag FROM oraculo_treinamento",
  );
  return Object.fromEntries(rows.map(({ id, flag }) => [id, flag]));
}

interface HostRow {
  id: number;
  tag: string;
  grupo: string;
  conteudo: string;
  isFinal: boolean;
  flag: boolean;
}

interface StoredChunk {
  training: number;
  content: string;
  metadata: unknown;
  start: number;
  end: number;
  embedding: string;
}

/**
 * Checks that each row whose flag is true has exactly the vectors of its current text, tag and grupo.
 *
 * @param client - in a transaction, so that table and index are read in one snapshot
 */
export async function expectFlagsTrue(client: Database): Promise<{ rows: HostRow[]; indexed: Set<number> }> {
  const { rows } = await client.query<HostRow>(
    `SELECT id, tag, grupo, conteudo, treinamento_finalizado AS "isFinal", treinamento_vetorizado AS flag
      FROM oraculo_treinamento ORDER BY id`,
  );
  const { rows: chunks } = await client.query<StoredChunk>(
    `SELECT i.training_id AS training, c.content, c.metadata, p.start, p.end, c.embedding::text
      FROM training_index.indexed_1 i
      CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) AS p (id, start, "end")
      JOIN training_index.chunk_1 c ON c.training_id = i.training_id AND c.id = p.id`,
  );
  const { rows: all } = await client.query<{ count: string }>("SELECT count(*) FROM training_index.chunk_1");
  expect(chunks, "each chunk has its place in a training").toHaveLength(Number(all[0]?.count));
  for (const row of rows.filter(({ flag }) => flag)) {
    expect(row.isFinal, `training ${row.id} is finalised`).toBe(true);
    await expectChunks(
      row,
      chunks.filter(({ training }) => training === row.id),
    );
  }
  return { rows, indexed: new Set(chunks.map(({ training }) => training)) };
}

async function expectChunks({ id, tag, grupo, conteudo }: HostRow, chunks: StoredChunk[]): Promise<void> {
  expect(chunks.length, `training ${id} has vectors`).toBeGreaterThan(0);
  const isCovered = Array.from(conteudo, (character) => character.trim() === "");
  for (const { content, metadata, start, end, embedding } of chunks) {
    expect(content, `training ${id} has the text of now`).toBe(conteudo.slice(start, end));
    expect(metadata, `training ${id} has the tag and grupo of now`).toEqual({ tag, grupo });
    isCovered.fill(true, start, end);
    const vector = JSON.parse(embedding) as number[];
    const hashing = new HashingEmbeddings({ dimensions: vector.length });
    const [expected = []] = await hashing.embedDocuments([content]);
    const difference = Math.max(...vector.map((value, place) => Math.abs(value - (expected[place] ?? NaN))));
    expect(difference, `training ${id} has the vectors of its text`).toBeLessThan(1e-6);
  }
  expect(isCovered, `nothing of training ${id} is missing`).not.toContain(false);
}

/** Checks that the index holds exactly the final trainings of the table, and that the flags are right. */
export async function expectInStep(pool: pg.Pool): Promise<void> {
  const { rows, indexed } = await expectFlagsTrue(pool);
  const wanted = rows.filter(({ isFinal, conteudo }) => isFinal && conteudo.trim() !== "");
  expect([...indexed].sort(byNumber)).toEqual(wanted.map(({ id }) => id));
  expect(rows.filter(({ flag }) => flag).map(({ id }) => id)).toEqual(wanted.map(({ id }) => id));
}

function byNumber(left: number, right: number): number {
  return left - right;
}
