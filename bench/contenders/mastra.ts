import type { Chunk } from "../data.js";
import { POOL_SIZE, type BenchServer } from "../server.js";
import { HNSW, MASTRA, type Contender, type SearchRequest } from "./contender.js";
import { importOptional } from "./optional.js";

/** The part of `@mastra/pg` that is used. */
interface PgVector {
  createIndex(options: object): Promise<void>;
  buildIndex(options: object): Promise<void>;
  upsert(options: { indexName: string; vectors: number[][]; metadata: Record<string, string>[] }): Promise<string[]>;
  query(options: {
    indexName: string;
    queryVector: number[];
    topK: number;
    filter?: object;
  }): Promise<{ metadata?: { text?: string } }[]>;
  disconnect(): Promise<void>;
}

interface MastraModule {
  PgVector: new (options: object) => PgVector;
}

const INDEX_NAME = "documents";
const ROWS_PER_CALL = 1000;

/**
 * `PgVector` of `@mastra/pg`, used as its documentation shows: the text in the metadata, and indexes on the fields to filter
 * by. It sets `ef_search` itself, to 16 times `topK`.
 *
 * @see https://mastra.ai/reference/vectors/pg
 */
export class MastraContender implements Contender {
  readonly name = MASTRA;
  readonly #store: PgVector;
  readonly #dimensions: number;

  private constructor(store: PgVector, dimensions: number) {
    this.#store = store;
    this.#dimensions = dimensions;
  }

  /** Creates its table, without the vector index; `undefined` if the package is not installed. */
  static async open(server: BenchServer, dimensions: number): Promise<MastraContender | undefined> {
    const module = await importOptional<MastraModule>("@mastra/pg");
    if (!module) return undefined;
    const store = new module.PgVector({
      id: "bench",
      connectionString: server.connectionString,
      schemaName: server.schemaName("mastra"),
      max: POOL_SIZE,
      pgPoolOptions: { idleTimeoutMillis: 0 },
    });
    const contender = new MastraContender(store, dimensions);
    await store.createIndex({ ...contender.#indexOptions(), buildIndex: false });
    return contender;
  }

  createIndex(): Promise<void> {
    return this.#store.buildIndex(this.#indexOptions());
  }

  async addVectors(chunks: readonly Chunk[]): Promise<void> {
    for (let first = 0; first < chunks.length; first += ROWS_PER_CALL) {
      const batch = chunks.slice(first, first + ROWS_PER_CALL);
      await this.#store.upsert({
        indexName: INDEX_NAME,
        vectors: batch.map(({ vector }) => vector),
        metadata: batch.map(({ text, metadata }) => ({ ...metadata, text })),
      });
    }
  }

  async search({ vector, k, filter }: SearchRequest): Promise<string[]> {
    const found = await this.#store.query({
      indexName: INDEX_NAME,
      queryVector: vector,
      topK: k,
      ...(filter ? { filter } : {}),
    });
    return found.map(({ metadata }) => metadata?.text ?? "");
  }

  /** Ends its own pool. */
  close(): Promise<void> {
    return this.#store.disconnect();
  }

  #indexOptions(): object {
    return {
      indexName: INDEX_NAME,
      dimension: this.#dimensions,
      metric: "cosine",
      indexConfig: { type: "hnsw", hnsw: HNSW },
      metadataIndexes: ["metade", "grupo", "tag"],
    };
  }
}
