import { HashingEmbeddings } from "langchain-training-index/testing";
import { TrainingIndex, type TrainingIndexOptions } from "langchain-training-index";
import { migrate, type MigrateOptions } from "langchain-training-index/migrations";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type pg from "pg";
import { onTestFinished } from "vitest";
import { uniqueName, type TestDatabase } from "./databases.js";

/** Few dimensions keep tests quick; what depends on 1024 says so. */
export const DIMENSIONS = 64;

/** What a test gets to work with. */
export interface TestIndex {
  index: TrainingIndex;
  embeddings: CountingEmbeddings;
  pool: pg.Pool;
  schema: string;
}

/** An index in a schema of its own, which is dropped when the test ends. */
export async function openTestIndex(
  { pool }: TestDatabase,
  options: Partial<TrainingIndexOptions> = {},
  migration: MigrateOptions = {},
): Promise<TestIndex> {
  const schema = migration.schema ?? (await migratedSchema(pool, migration));
  const embeddings = new CountingEmbeddings(migration.dimensions ?? DIMENSIONS);
  const index = await TrainingIndex.initialize(embeddings, { pool, schema, ...options });
  return { index, embeddings, pool, schema };
}

/** A migrated schema, dropped when the test ends. */
export async function migratedSchema(pool: pg.Pool, options: MigrateOptions = {}): Promise<string> {
  const schema = options.schema ?? uniqueName();
  dropAtEnd(pool, schema);
  await migrate(pool, { dimensions: DIMENSIONS, ...options, schema });
  return schema;
}

/** Drops a schema when the test ends. */
export function dropAtEnd(pool: pg.Pool, schema: string): void {
  onTestFinished(async () => {
    await pool.query(`DROP SCHEMA IF EXISTS "${schema.replaceAll('"', '""')}" CASCADE`);
  });
}

/** The hashing embedder, with a count of what it was asked for, and a way to make it wait or fail. */
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
