import { PGVectorStore } from "@langchain/community/vectorstores/pgvector";
import { Document } from "@langchain/core/documents";
import type { Embeddings } from "@langchain/core/embeddings";
import type pg from "pg";
import type { Chunk } from "../data.js";
import type { BenchServer } from "../server.js";
import { HNSW, PGVECTOR_STORE, type Contender, type SearchRequest } from "./contender.js";

/** How a {@link PgVectorStoreContender} is set up. */
export interface PgVectorStoreSetup {
  dimensions: number;
  embeddings: Embeddings;
}

/**
 * `PGVectorStore` of `@langchain/community`, used as its documentation shows.
 *
 * @see https://docs.langchain.com/oss/javascript/integrations/vectorstores/pgvector
 */
export class PgVectorStoreContender implements Contender {
  readonly name = PGVECTOR_STORE;
  readonly store: PGVectorStore;
  readonly schema: string;
  readonly dimensions: number;

  private constructor(store: PGVectorStore, schema: string, dimensions: number) {
    this.store = store;
    this.schema = schema;
    this.dimensions = dimensions;
  }

  /** Creates its table in a new schema. */
  static async open(server: BenchServer, setup: PgVectorStoreSetup): Promise<PgVectorStoreContender> {
    const schema = server.schemaName("pgvector_store");
    await server.pool.query(`CREATE SCHEMA ${schema}`);
    return PgVectorStoreContender.openIn(schema, server.pool, setup);
  }

  /** Opens the existing table, or creates one. */
  static async openIn(
    schema: string,
    pool: pg.Pool,
    { dimensions, embeddings }: PgVectorStoreSetup,
  ): Promise<PgVectorStoreContender> {
    const store = await PGVectorStore.initialize(embeddings, {
      pool,
      tableName: "documents",
      schemaName: schema,
      dimensions,
      distanceStrategy: "cosine",
    });
    store.client?.release(); // it keeps a client, without which the pool cannot end
    return new PgVectorStoreContender(store, schema, dimensions);
  }

  createIndex(): Promise<void> {
    return this.store.createHnswIndex({ dimensions: this.dimensions, ...HNSW });
  }

  /** Adds chunks in batches of the store's own size. */
  async addVectors(chunks: readonly Chunk[]): Promise<void> {
    for (let first = 0; first < chunks.length; first += this.store.chunkSize) {
      const batch = chunks.slice(first, first + this.store.chunkSize);
      await this.store.addVectors(
        batch.map(({ vector }) => vector),
        batch.map(({ text, metadata }) => new Document({ pageContent: text, metadata })),
      );
    }
  }

  async search({ vector, k, filter }: SearchRequest): Promise<string[]> {
    const found = await this.store.similaritySearchVectorWithScore(vector, k, filter);
    return found.map(([{ pageContent }]) => pageContent);
  }
}
