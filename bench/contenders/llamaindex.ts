import pg from "pg";
import type { Chunk } from "../data.js";
import type { BenchServer } from "../server.js";
import { LLAMAINDEX, type Contender, type SearchRequest } from "./contender.js";
import { importOptional } from "./optional.js";

/** The part of `@llamaindex/postgres` that is used. */
interface PGVectorStore {
  add(nodes: object[]): Promise<string[]>;
  query(query: object): Promise<{ nodes?: { text: string }[] }>;
}

interface PostgresModule {
  PGVectorStore: new (options: object) => PGVectorStore;
}

/** The part of `@llamaindex/core/schema` that is used. */
interface SchemaModule {
  TextNode: new (options: object) => object;
}

const ROWS_PER_CALL = 500;

/**
 * `PGVectorStore` of `@llamaindex/postgres`, used as its documentation shows, with the caller's connection. It checks its
 * schema before every call, which adds a listener each time, and creates no vector index. The package is deprecated.
 *
 * @see https://developers.llamaindex.ai/typescript/framework-api-reference/type-aliases/pgvectorstoreconfig
 */
export class LlamaIndexContender implements Contender {
  readonly name = LLAMAINDEX;
  readonly #store: PGVectorStore;
  readonly #schema: SchemaModule;
  readonly #client: pg.Client;

  private constructor(store: PGVectorStore, schema: SchemaModule, client: pg.Client) {
    this.#store = store;
    this.#schema = schema;
    this.#client = client;
  }

  /** `undefined` if the packages are not installed. */
  static async open(server: BenchServer, dimensions: number): Promise<LlamaIndexContender | undefined> {
    const postgres = await importOptional<PostgresModule>("@llamaindex/postgres");
    const schema = await importOptional<SchemaModule>("@llamaindex/core/schema");
    if (!postgres || !schema) return undefined;
    const client = new pg.Client({ connectionString: server.connectionString });
    client.setMaxListeners(0); // else Node warns of a leak in the middle of the tables
    await client.connect();
    const store = new postgres.PGVectorStore({
      client,
      schemaName: server.schemaName("llamaindex"),
      dimensions,
      embeddingModel: {}, // required, but not used if vectors are given
    });
    return new LlamaIndexContender(store, schema, client);
  }

  async addVectors(chunks: readonly Chunk[]): Promise<void> {
    for (let first = 0; first < chunks.length; first += ROWS_PER_CALL) {
      const batch = chunks.slice(first, first + ROWS_PER_CALL);
      await this.#store.add(
        batch.map(({ text, metadata, vector }) => {
          // A copy, as it writes its own keys into the metadata.
          return new this.#schema.TextNode({ text, metadata: { ...metadata }, embedding: vector });
        }),
      );
    }
  }

  async search({ vector, k, filter }: SearchRequest): Promise<string[]> {
    const filters = Object.entries(filter ?? {}).map(([key, value]) => ({ key, value, operator: "==" }));
    const { nodes = [] } = await this.#store.query({
      queryEmbedding: vector,
      similarityTopK: k,
      mode: "default",
      ...(filters.length > 0 ? { filters: { filters } } : {}),
    });
    return nodes.map(({ text }) => text);
  }

  /** Ends the connection, which no other contender uses. */
  close(): Promise<void> {
    return this.#client.end();
  }
}
