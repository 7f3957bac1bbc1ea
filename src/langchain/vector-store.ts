import { inspect, type InspectOptions } from "node:util";
import { Document } from "@langchain/core/documents";
import type { Callbacks } from "@langchain/core/callbacks/manager";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type {
  MaxMarginalRelevanceSearchOptions,
  VectorStoreRetriever,
  VectorStoreRetrieverInput,
} from "@langchain/core/vectorstores";
import { InvalidArgumentError } from "../errors.js";
import { checkList, checkNames, checkOptions, isObject } from "../calls/checks.js";
import { documentTrainings, type DocumentIds } from "./document-trainings.js";
import { checkSelection } from "../writing/write-options.js";
import { PGVectorStoreBase } from "./pgvector-store.js";
import type { DatabasePool } from "../postgres/database.js";
import { chunkTable, type Layout } from "../schema/layout.js";
import type { ChunkById } from "./chunks-by-id.js";
import type { FoundChunk } from "../searching/hits.js";
import type { EqualityFilter, Filter, Training, UpsertResult } from "../types.js";
import { ADD_OPTIONS, checkRetrieverFields, MMR_OPTIONS, type AddOptions } from "./vector-store-names.js";

/** What a vector store needs of the index that it is a view of. */
export interface VectorStoreOperations extends DocumentIds {
  /**
   * Checks all of them first.
   *
   * @param vectors - ready vectors, one for each training, for trainings of one ready chunk
   */
  upsert(trainings: readonly Training[], vectors?: readonly number[][]): Promise<UpsertResult[]>;
  /** Refuses ids of chunks that are parts of longer trainings. */
  delete(selection: VectorStoreSelection): Promise<void>;
  search(query: string | number[], search: VectorStoreSearch): Promise<FoundChunk[]>;
  readById(ids: readonly string[]): Promise<ChunkById[]>;
}

/** A search as a vector store asks for it. */
export interface VectorStoreSearch {
  k: number;
  filter: Filter | undefined;
  mmr?: { fetchK: number | undefined; lambda: number | undefined } | undefined;
}

/** What `delete` takes: one of both. */
export type VectorStoreSelection =
  { ids: string[]; filter?: undefined } | { ids?: undefined; filter: EqualityFilter };

/** LangChain's default. */
const DEFAULT_K = 4;

/**
 * The rows of a `TrainingIndex` as LangChain's `PGVectorStore`, for whatever takes a vector store.
 *
 * Each document added is a training of one ready chunk; its id is `ids[i]`, else the document's own, else a new
 * uuid, and names both; where ids are integers it has to be given, in digits. Adding an id again replaces it. What differs from `PGVectorStore`: ids are returned, a
 * score is a similarity (1 - cosine distance), filters are bound and refused when not understood, the filter of
 * the index applies everywhere, nothing is ever deleted without a selection, and the host's pool is never ended.
 */
export class TrainingVectorStore extends PGVectorStoreBase {
  declare FilterType: Filter;
  readonly #operations: VectorStoreOperations;

  constructor(
    embeddings: EmbeddingsInterface,
    pool: DatabasePool,
    layout: Layout,
    operations: VectorStoreOperations,
  ) {
    if (!isObject(operations)) throw madeByIndex("TrainingVectorStore");
    super(embeddings, {
      pool,
      tableName: chunkTable(layout.profileId),
      schemaName: layout.schema,
      extensionSchemaName: layout.extensionSchema,
      columns: {
        idColumnName: "id",
        vectorColumnName: "embedding",
        contentColumnName: "content",
        metadataColumnName: "metadata",
      },
      distanceStrategy: "cosine",
      scoreNormalization: "similarity",
      skipInitializationCheck: true,
    });
    this.#operations = operations;
  }

  /** What `console.log` shows: nothing of the pool, whose address can hold a password. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { schemaName: schema, tableName: table } = this;
    return `TrainingVectorStore ${inspect({ schema, table }, options)}`;
  }

  override _vectorstoreType(): string {
    return "training_index";
  }

  /**
   * Adds documents, each as one chunk.
   *
   * @returns their ids, in order
   * @throws {@link InvalidArgumentError} for an id that comes twice, a count of ids other than that of documents, or
   * what is no document; nothing is stored then
   * @throws {@link EmbeddingError} `TEXT_TOO_LONG` for a document that the model does not read whole: each is one chunk
   * here; `upsertTraining` splits
   */
  override async addDocuments(documents: Document[], options?: AddOptions): Promise<string[]> {
    checkNames(options, ADD_OPTIONS, "addDocuments");
    const trainings = documentTrainings(documents, options?.ids, this.#operations);
    await this.#operations.upsert(trainings);
    return trainings.map(({ id }) => id);
  }

  /** As `addDocuments`, with ready vectors: nothing is embedded. */
  override async addVectors(
    vectors: number[][],
    documents: Document[],
    options?: AddOptions,
  ): Promise<string[]> {
    checkNames(options, ADD_OPTIONS, "addVectors");
    checkList("vectors", vectors);
    const trainings = documentTrainings(documents, options?.ids, this.#operations);
    if (vectors.length !== trainings.length) {
      throw new InvalidArgumentError("vectors", "must be as many as the documents");
    }
    await this.#operations.upsert(trainings, vectors);
    return trainings.map(({ id }) => id);
  }

  /**
   * Deletes trainings by id or by filter. Unknown ids are no error.
   *
   * @throws {@link InvalidArgumentError} unless exactly one of both is given; for an empty filter; for an id that is
   * none; for the id of a chunk that is part of a longer training, which would be left with a hole. Nothing is deleted
   * then.
   */
  override async delete(selection: VectorStoreSelection): Promise<void> {
    await this.#operations.delete(checkSelection(selection, "delete", "delete"));
  }

  /**
   * The chunks with these ids, in their order; unknown ids are left out.
   *
   * @throws {@link InvalidArgumentError} for an id that is none
   */
  async getByIds(ids: string[]): Promise<Document[]> {
    const chunks = await this.#operations.readById(ids);
    return chunks.map(({ id, content, metadata }) => new Document({ id, pageContent: content, metadata }));
  }

  override async similaritySearch(query: string, k = DEFAULT_K, filter?: Filter): Promise<Document[]> {
    const found = await this.#search(query, k, filter);
    return found.map(([document]) => document);
  }

  /** Documents with their scores, best first; a score is a similarity, higher is better. */
  override similaritySearchWithScore(
    query: string,
    k = DEFAULT_K,
    filter?: Filter,
  ): Promise<[Document, number][]> {
    return this.#search(query, k, filter);
  }

  override similaritySearchVectorWithScore(
    query: number[],
    k: number,
    filter?: Filter,
  ): Promise<[Document, number][]> {
    return this.#search(query, k, filter);
  }

  /** Both readings of each hit, as `PGVectorStore` has it. */
  async similaritySearchVectorWithScores(
    query: number[],
    k: number,
    filter?: Filter,
  ): Promise<[Document, { distance: number; similarity: number }][]> {
    const found = await this.#operations.search(query, { k, filter });
    return found.map((chunk) => {
      const { distance, score } = chunk.hit;
      return [toDocument(chunk), { distance, similarity: score }];
    });
  }

  /**
   * Relevant and unlike each other: `k` of the `fetchK` nearest, in the order in which MMR chose them.
   *
   * @throws {@link InvalidArgumentError} for a blank query or a bad option, before anything is embedded
   */
  override async maxMarginalRelevanceSearch(
    query: string,
    options: MaxMarginalRelevanceSearchOptions<Filter>,
  ): Promise<Document[]> {
    checkOptions(options, MMR_OPTIONS, "maxMarginalRelevanceSearch");
    const { k, fetchK, lambda, filter } = options;
    const found = await this.#operations.search(query, { k, filter, mmr: { fetchK, lambda } });
    return found.map(toDocument);
  }

  /**
   * The store as a LangChain retriever. {@link TrainingIndex.asRetriever} has more options, and says where documents come
   * from.
   *
   * @throws {@link InvalidArgumentError} for a name that is not known
   */
  override asRetriever(
    kOrFields?: number | Partial<VectorStoreRetrieverInput<this>>,
    ...others: [Filter?, Callbacks?, string[]?, Record<string, unknown>?, boolean?]
  ): VectorStoreRetriever<this> {
    if (typeof kOrFields !== "number") checkRetrieverFields(kOrFields);
    return super.asRetriever(kOrFields, ...others);
  }

  /** Does nothing: the pool is the host's. */
  end(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws {@link InvalidArgumentError} always: tables are made by `migrate`, not at run time */
  ensureTableInDatabase(): Promise<never> {
    return refuseDdl("ensureTableInDatabase");
  }

  /** @throws {@link InvalidArgumentError} always: there are no collections; use a schema, or metadata and a filter */
  ensureCollectionTableInDatabase(): Promise<never> {
    return refuseDdl("ensureCollectionTableInDatabase");
  }

  /** @throws {@link InvalidArgumentError} always: the index is made and kept by `migrate` */
  createHnswIndex(): Promise<never> {
    return refuseDdl("createHnswIndex");
  }

  /** @throws {@link InvalidArgumentError} always: a store comes from `TrainingIndex.vectorStore` */
  static initialize(): Promise<never> {
    return refuseConstruction("initialize");
  }

  /** @throws {@link InvalidArgumentError} always: a store comes from `TrainingIndex.vectorStore` */
  static fromTexts(): Promise<never> {
    return refuseConstruction("fromTexts");
  }

  /** @throws {@link InvalidArgumentError} always: a store comes from `TrainingIndex.vectorStore` */
  static fromDocuments(): Promise<never> {
    return refuseConstruction("fromDocuments");
  }

  async #search(query: string | number[], k: number, filter?: Filter): Promise<[Document, number][]> {
    const found = await this.#operations.search(query, { k, filter });
    return found.map((chunk) => [toDocument(chunk), chunk.hit.score]);
  }
}

/** The document as it was added: scores travel beside it, not in its metadata. */
function toDocument({ hit }: FoundChunk): Document {
  return new Document({ id: hit.chunkId, pageContent: hit.content, metadata: hit.metadata });
}

function refuseDdl(method: string): Promise<never> {
  return Promise.reject(new InvalidArgumentError(method, "makes no tables here: run migrate(pool)"));
}

function refuseConstruction(method: string): Promise<never> {
  return Promise.reject(madeByIndex(method));
}

function madeByIndex(method: string): InvalidArgumentError {
  return new InvalidArgumentError(
    method,
    "makes no store here: use (await TrainingIndex.initialize(...)).vectorStore",
  );
}
