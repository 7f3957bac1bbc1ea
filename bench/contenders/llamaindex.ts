import pg from "pg";
import type { Chunk } from "../data.js";
import type { BenchServer } from "../server.js";
import { LLAMAINDEX, type Contender, type SearchRequest } from "./contender.js";
import { importOptional } from "./optional.js";

/** What is used of `@llamaindex/postgres`. */
interface PGVectorStore {
  add(nodes: object[]): Promise<string[]>;
  query(query: object): Promise<{ nodes?: { text: string }[] }>;
}

interface PostgresModule {
  PGVectorStore: new (options: object) => PGVectorStore;
}

/** What is used of `@llamaindex/core/schema`. */
interface SchemaModule {
  TextNode: new (options: object) => object;
}

const ROWS_OF_A_CALL = 500;

/**
 * `PGVectorStore` of `@llamaindex/postgres`, as its documentation shows it, with a connection of the caller's. It looks at
 * its schema before every call, which adds a listener each time, and makes no vector index. Its makers have deprecated it.
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

  /** Nothing where the packages are not installed. */
  static async open(server: BenchServer, dimensions: number): Promise<LlamaIndexContender | undefined> {
    const postgres = await importOptional<PostgresModule>("@llamaindex/postgres");
    const schema = await importOptional<SchemaModule>("@llamaindex/core/schema");
    if (!postgres || !schema) return undefined;
    const client = new pg.Client({ connectionString: server.connectionString });
    client.setMaxListeners(0); // or Node warns of a leak in the middle of the tables
    await client.connect();
    const store = new postgres.PGVectorStore({
      client,
      schemaName: server.schemaName("llamaindex"),
      dimensions,
      embeddingModel: {}, // it wants one, and asks it nothing where vectors are given
    });
    return new LlamaIndexContender(store, schema, client);
  }

  async addVectors(chunks: readonly Chunk[]): Promise<void> {
    for (let first = 0; first < chunks.length; first += ROWS_OF_A_CALL) {
      const batch = chunks.slice(first, first + ROWS_OF_A_CALL);
      await this.#store.add(
        batch.map(({ text, metadata, vector }) => {
          // It writes its own keys into the metadata that it is given.
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

  /** The connection is its own. */
  close(): Promise<void> {
    return this.#client.end();
  }
}
