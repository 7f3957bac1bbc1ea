import { HashingEmbeddings } from "langchain-training-index/testing";
import { TrainingIndex, type ChunkHit, type Queryable, type TrainingIndexOptions } from "langchain-training-index";
import { migrate, migrationSql, type MigrateOptions } from "langchain-training-index/migrations";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, onTestFinished } from "vitest";
import { grantRights, uniqueName, type TestDatabase } from "./databases.js";

export { gateOf } from "./gate.js";
export { FIVE_PARAGRAPHS, paragraph, smallTraining } from "./texts.js";

/** Few dimensions keep tests fast; tests that depend on 1024 set them. */
export const DIMENSIONS = 64;

/** An index of a test, with its parts. */
export interface TestIndex {
  index: TrainingIndex;
  embeddings: CountingEmbeddings;
  pool: pg.Pool;
  owner: pg.Pool;
  schema: string;
}

/** An index in a schema of its own, which is dropped when the test ends. */
export async function openTestIndex(
  database: TestDatabase,
  options: Partial<TrainingIndexOptions> = {},
  migration: MigrateOptions = {},
): Promise<TestIndex> {
  const { pool, owner } = database;
  const schema = await migratedSchema(database, migration);
  const embeddings = new CountingEmbeddings(migration.dimensions ?? DIMENSIONS);
  const index = await TrainingIndex.initialize(embeddings, { pool, schema, ...options });
  return { index, embeddings, pool, owner, schema };
}

/**
 * An index for all tests of a suite, in a schema that is emptied before each of them. For tests that leave the schema itself,
 * and the embedder's hooks, as they are.
 */
export function sharedIndex(
  database: TestDatabase,
  { dimensions = DIMENSIONS, textSearch }: Pick<MigrateOptions, "dimensions" | "textSearch"> = {},
): () => TestIndex {
  const test = filledIndex(database, () => Promise.resolve(), { dimensions, textSearch });
  beforeEach(async () => {
    const { owner, schema, embeddings } = test();
    await owner.query(`DELETE FROM ${schema}.training`);
    Object.assign(embeddings, { texts: [], calls: 0 });
  });
  return test;
}

/** An index for all tests of a suite that is filled once, for tests that mostly read. */
export function filledIndex(
  database: TestDatabase,
  fill: (test: TestIndex) => Promise<unknown>,
  migration: MigrateOptions = {},
): () => TestIndex {
  let opened: TestIndex | undefined;
  beforeAll(async () => {
    const { pool, owner } = database;
    const schema = uniqueName();
    await create(owner, { dimensions: DIMENSIONS, ...migration, schema });
    await grantRights(database, schema);
    const embeddings = new CountingEmbeddings(migration.dimensions ?? DIMENSIONS);
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    opened = { index, embeddings, pool, owner, schema };
    await fill(opened);
  });
  afterAll(async () => {
    if (opened) await database.owner.query(`DROP SCHEMA IF EXISTS ${opened.schema} CASCADE`);
  });
  return () => {
    if (!opened) throw new Error("the index is open in hooks and tests only");
    return opened;
  };
}

/** A migrated schema, dropped when the test ends. */
export async function migratedSchema(database: TestDatabase, options: MigrateOptions = {}): Promise<string> {
  const schema = options.schema ?? uniqueName();
  dropAtEnd(database.owner, schema);
  await create(database.owner, { dimensions: DIMENSIONS, ...options, schema });
  await grantRights(database, schema);
  return schema;
}

/**
 * Creates a schema as `migrate` does. Where its statements can be printed and are all of it (those of text search are not), they are one round
 * trip, which takes half the time of `migrate`.
 */
async function create(owner: pg.Pool, options: MigrateOptions): Promise<void> {
  const { trainings, textSearch, onNotice, citus } = options;
  const needsMigrate = trainings ?? textSearch ?? onNotice ?? citus ?? process.env["TEST_CITUS_URL"];
  if (needsMigrate !== undefined) await migrate(owner, options);
  else await owner.query(migrationSql(options));
}

/** Drops a schema when the test ends. */
export function dropAtEnd(owner: pg.Pool, schema: string): void {
  onTestFinished(async () => {
    await owner.query(`DROP SCHEMA IF EXISTS "${schema.replaceAll('"', '""')}" CASCADE`);
  });
}

/** The hashing embedder, with counters and a hook that can make it wait or fail. */
export class CountingEmbeddings implements EmbeddingsInterface {
  readonly #hashing: HashingEmbeddings;
  readonly profile;
  /** Texts embedded as documents, in order. */
  texts: string[] = [];
  /** Requests for documents. */
  calls = 0;
  /** Runs before each request for documents; may wait or throw. */
  before: (texts: string[]) => Promise<void> | void = () => undefined;

  constructor(dimensions = DIMENSIONS) {
    this.#hashing = new HashingEmbeddings({ dimensions });
    this.profile = this.#hashing.profile;
  }

  async embedDocuments(texts: string[]): Promise<number[][]> {
    this.calls += 1;
    this.texts.push(...texts);
    await this.before(texts);
    return this.#hashing.embedDocuments(texts);
  }

  embedQuery(text: string): Promise<number[]> {
    return this.#hashing.embedQuery(text);
  }
}

/** The chunk rows of a training. `version` changes with every write to a row. */
export async function storedRows(
  { pool, schema }: TestIndex,
  id = "a",
): Promise<{ id: string; content: string; version: string }[]> {
  const { rows } = await pool.query<{ id: string; content: string; version: string }>(
    `SELECT c.id, c.content, c.xmin::text || c.ctid::text AS version FROM ${schema}.indexed_1 i
      JOIN ${schema}.chunk_1 c USING (training_id) WHERE c.training_id = $1
      ORDER BY array_position(i.chunk_ids, c.id)`,
    [id],
  );
  return rows;
}

/** All chunks of a training, in reading order. */
export async function chunksOf({ index }: TestIndex, id = "a"): Promise<ChunkHit[]> {
  const hits = await index.similar("loja", { k: 1000 });
  return hits.filter(({ trainingId }) => trainingId === id).sort((left, right) => left.position - right.position);
}

/** Runs `body` in a transaction as a host would. */
export async function inHostTransaction(
  pool: pg.Pool,
  end: "COMMIT" | "ROLLBACK",
  body: (client: Queryable) => Promise<unknown>,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await body(client);
    await client.query(end);
  } finally {
    client.release();
  }
}

/** Polls until the condition is true: no longer than the longest test takes, so that it does not go on after one that has failed. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const last = performance.now() + LONGEST_TEST_MS;
  while (!(await condition())) {
    if (performance.now() > last)
      throw new Error(`not true after ${LONGEST_TEST_MS / 1000} s: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const LONGEST_TEST_MS = 240_000;
