import { TrainingIndex, type BulkLoadOptions, type DatabasePool, type Training } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import type { Embeddings } from "@langchain/core/embeddings";
import type pg from "pg";
import type { Chunk } from "../data.js";
import type { BenchServer } from "../server.js";
import { HNSW, type Contender, type SearchRequest } from "./contender.js";

/** Chunks per loaded training. */
export const CHUNKS_PER_TRAINING = 20;

/** The type of the vector index. */
export type VectorIndex = "vector" | "halfvec" | "bit";

/** How a {@link LibraryContender} is set up. */
export interface LibrarySetup {
  name: string;
  dimensions: number;
  embeddings: Embeddings;
  vectorIndex?: VectorIndex;
}

/** This library, in a schema of its own. */
export class LibraryContender implements Contender {
  readonly name: string;
  readonly schema: string;
  readonly index: TrainingIndex;
  readonly #server: BenchServer;
  readonly #setup: LibrarySetup;
  readonly #efSearch: number | undefined;
  #trainings = 0;

  private constructor(
    server: BenchServer,
    schema: string,
    index: TrainingIndex,
    setup: LibrarySetup,
    efSearch?: number,
  ) {
    this.name = setup.name;
    this.schema = schema;
    this.index = index;
    this.#server = server;
    this.#setup = setup;
    this.#efSearch = efSearch;
  }

  /** Migrates a new schema and opens an index on it. */
  static async open(server: BenchServer, setup: LibrarySetup): Promise<LibraryContender> {
    const { dimensions, vectorIndex = "vector" } = setup;
    const schema = server.schemaName(`library_${vectorIndex}`);
    await migrate(server.pool, { schema, dimensions, vectorIndex, hnsw: HNSW });
    return new LibraryContender(server, schema, await openIndex(server.pool, schema, setup), setup);
  }

  /** The same rows, searched with another `efSearch`. */
  withEfSearch(name: string, efSearch: number): LibraryContender {
    return new LibraryContender(this.#server, this.schema, this.index, { ...this.#setup, name }, efSearch);
  }

  /** The same rows through another pool. */
  openThrough(pool: DatabasePool): Promise<TrainingIndex> {
    return openIndex(pool, this.schema, this.#setup);
  }

  async search({ vector, k, filter }: SearchRequest): Promise<string[]> {
    const hits = await this.index.similar(vector, { k, filter, efSearch: this.#efSearch });
    return hits.map(({ content }) => content);
  }

  /** Upserts chunks as trainings that are already split. */
  async upsert(chunks: readonly Chunk[], concurrency?: number): Promise<void> {
    const options = concurrency === undefined ? {} : { concurrency };
    for await (const { status } of this.index.upsertTrainings(this.#trainingsOf(chunks), options)) {
      if (status !== "indexed") throw new Error(`A new training was ${status} instead of indexed`);
    }
  }

  /** The first load: the vector index is built at its end. */
  async bulkLoad(chunks: readonly Chunk[], options?: BulkLoadOptions): Promise<void> {
    for await (const { status } of this.index.bulkLoad(this.#trainingsOf(chunks), options)) {
      if (status !== "indexed") throw new Error(`A new training was ${status} instead of indexed`);
    }
  }

  /** Only needed to measure a load without the vector index. */
  async dropVectorIndex(): Promise<void> {
    await dropVectorIndexes(this.#server.pool, this.schema);
  }

  *#trainingsOf(chunks: readonly Chunk[]): Generator<Training> {
    for (let first = 0; first < chunks.length; first += CHUNKS_PER_TRAINING) {
      const documents = chunks
        .slice(first, first + CHUNKS_PER_TRAINING)
        .map(({ text, metadata }) => ({ pageContent: text, metadata }));
      yield { id: `training-${this.#trainings++}`, documents, split: false };
    }
  }
}

/** Drops the HNSW indexes of a schema. */
export async function dropVectorIndexes(pool: pg.Pool, schema: string): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_am a ON a.oid = c.relam AND a.amname = 'hnsw'
      WHERE c.relnamespace = $1::regnamespace`,
    [schema],
  );
  for (const { name } of rows) await pool.query(`DROP INDEX ${name}`);
}

function openIndex(
  pool: DatabasePool,
  schema: string,
  { embeddings, dimensions }: LibrarySetup,
): Promise<TrainingIndex> {
  return TrainingIndex.initialize(embeddings, { pool, schema, profile: { model: "bench", dimensions } });
}
