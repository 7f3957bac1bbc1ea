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
import type { Filter, Training, UpsertResult } from "../types.js";
import {
  ADD_OPTIONS,
  ADD_VECTORS_OPTIONS,
  checkRetrieverFields,
  MMR_OPTIONS,
  type AddOptions,
  type AddVectorsOptions,
} from "./vector-store-names.js";

/** The operations of the index that a vector store needs. */
export interface VectorStoreOperations extends DocumentIds {
  /**
   * Checks all trainings before it stores the first.
   *
   * @param vectors - one precomputed vector per training, each of which must be a single chunk
   */
  upsert(trainings: readonly Training[], vectors?: GivenVectors): Promise<UpsertResult[]>;
  /** Refuses ids of chunks that are not ids of trainings. */
  delete(selection: VectorStoreSelection): Promise<void>;
  search(query: string | number[], search: VectorStoreSearch): Promise<FoundChunk[]>;
  readById(ids: readonly string[]): Promise<ChunkById[]>;
}

/** Vectors that the caller gives. */
export interface GivenVectors {
  vectors: readonly number[][];
  /** The name of their model, if the caller gives it. */
  named: string | undefined;
}

/** A search of a vector store. */
export interface VectorStoreSearch {
  k: number;
  filter: Filter | undefined;
  mmr?: { fetchK: number | undefined; lambda: number | undefined } | undefined;
}

/** What `delete` takes: either ids or a filter. */
export type VectorStoreSelection = { ids: string[]; filter?: undefined } | { ids?: undefined; filter: Filter };

/** LangChain's default. */
const DEFAULT_K = 4;

/**
 * A `TrainingIndex` as LangChain's `PGVectorStore`, for code that takes a vector store. Get it from
 * `TrainingIndex.vectorStore`.
 *
 * Each added document becomes a training of one chunk. Both have the id `ids[i]`, else the document's own, else a new uuid.
 * Integer ids are not generated: pass them as digits. Adding an id again replaces it.
 *
 * Differences from `PGVectorStore`: adding returns the ids; a score is a similarity (1 - cosine distance); filters are bound
 * parameters, and refused if they are not understood; the index's filter applies everywhere; `delete` needs a selection;
 * `end` does not end the host's pool.
 *
 * @example
 * ```ts
 * const store = index.vectorStore;
 * const document = { pageContent: "Boleto só para empresas.", metadata: { grupo: "financeiro" } };
 * await store.addDocuments([document], { ids: ["boleto"] });
 * const found = await store.similaritySearchWithScore("Posso pagar com boleto?", 2, { grupo: "financeiro" });
 * ```
 */
export class TrainingVectorStore extends PGVectorStoreBase {
  declare FilterType: Filter;
  readonly #operations: VectorStoreOperations;

  constructor(embeddings: EmbeddingsInterface, pool: DatabasePool, layout: Layout, operations: VectorStoreOperations) {
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

  /** What `console.log` shows. The pool is left out: its connection string can hold a password. */
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
   * @returns the ids, in the order of the documents
   * @throws {@link InvalidArgumentError} if an id is invalid or repeated, if `ids` has another length than `documents`, or
   * for anything but a document; then nothing is stored
   * @throws {@link EmbeddingError} `TEXT_TOO_LONG` for a document that is longer than the model reads: documents are not
   * split here; use `upsertTraining`
   */
  override async addDocuments(documents: Document[], options?: AddOptions): Promise<string[]> {
    checkNames(options, ADD_OPTIONS, "addDocuments");
    const trainings = documentTrainings(documents, options?.ids, this.#operations);
    await this.#operations.upsert(trainings);
    return trainings.map(({ id }) => id);
  }

  /**
   * As `addDocuments`, but with one precomputed vector per document: nothing is embedded.
   *
   * @throws {@link SchemaError} `PROFILE_RETIRED` if the vectors are of another model than the one in use; then nothing is stored
   */
  override async addVectors(
    vectors: number[][],
    documents: Document[],
    options?: AddVectorsOptions,
  ): Promise<string[]> {
    checkNames(options, ADD_VECTORS_OPTIONS, "addVectors");
    checkList("vectors", vectors);
    const trainings = documentTrainings(documents, options?.ids, this.#operations);
    if (vectors.length !== trainings.length) {
      throw new InvalidArgumentError(
        "vectors",
        `must have ${trainings.length} entries, one per document, not ${vectors.length}`,
      );
    }
    await this.#operations.upsert(trainings, { vectors, named: options?.model });
    return trainings.map(({ id }) => id);
  }

  /**
   * Deletes trainings by id or by filter. Unknown ids are ignored.
   *
   * @throws {@link InvalidArgumentError} unless exactly one of them is given; for an empty filter; for an invalid id; for the
   * id of a chunk that is only part of a training, which would lose it. Then nothing is deleted.
   */
  override async delete(selection: VectorStoreSelection): Promise<void> {
    await this.#operations.delete(checkSelection(selection, "delete", "delete"));
  }

  /**
   * Reads the chunks with these ids, in the order of the ids. Unknown ids are left out.
   *
   * @throws {@link InvalidArgumentError} for an invalid id
   */
  async getByIds(ids: string[]): Promise<Document[]> {
    const chunks = await this.#operations.readById(ids);
    return chunks.map(({ id, content, metadata }) => new Document({ id, pageContent: content, metadata }));
  }

  override async similaritySearch(query: string, k = DEFAULT_K, filter?: Filter): Promise<Document[]> {
    const found = await this.#search(query, k, filter);
    return found.map(([document]) => document);
  }

  /** Finds the `k` nearest documents (default 4), best first. The score is a similarity: higher is better. */
  override similaritySearchWithScore(query: string, k = DEFAULT_K, filter?: Filter): Promise<[Document, number][]> {
    return this.#search(query, k, filter);
  }

  override similaritySearchVectorWithScore(query: number[], k: number, filter?: Filter): Promise<[Document, number][]> {
    return this.#search(query, k, filter);
  }

  /** Finds the nearest documents with distance and similarity, as `PGVectorStore` does. */
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
   * Finds documents that are relevant but unlike each other: chooses `k` of the `fetchK` nearest (default 20) by maximal
   * marginal relevance, and returns them in the order chosen.
   *
   * @throws {@link InvalidArgumentError} for a blank query or an unusable option, before anything is embedded
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
   * Makes a LangChain retriever of the store. {@link TrainingIndex.asRetriever} has more options, and its documents say where
   * they come from.
   *
   * @throws {@link InvalidArgumentError} for an unknown option
   */
  override asRetriever(
    kOrFields?: number | Partial<VectorStoreRetrieverInput<this>>,
    ...others: [Filter?, Callbacks?, string[]?, Record<string, unknown>?, boolean?]
  ): VectorStoreRetriever<this> {
    if (typeof kOrFields !== "number") checkRetrieverFields(kOrFields);
    return super.asRetriever(kOrFields, ...others);
  }

  /** Does nothing: the pool belongs to the host. */
  end(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws {@link InvalidArgumentError} always: `migrate` creates the tables */
  ensureTableInDatabase(): Promise<never> {
    return refuseDdl("ensureTableInDatabase");
  }

  /** @throws {@link InvalidArgumentError} always: there are no collections; use schemas, or metadata and a filter */
  ensureCollectionTableInDatabase(): Promise<never> {
    return refuseDdl("ensureCollectionTableInDatabase");
  }

  /** @throws {@link InvalidArgumentError} always: `migrate` creates the vector index */
  createHnswIndex(): Promise<never> {
    return refuseDdl("createHnswIndex");
  }

  /** @throws {@link InvalidArgumentError} always: get the store from `TrainingIndex.vectorStore` */
  static initialize(): Promise<never> {
    return refuseConstruction("initialize");
  }

  /** @throws {@link InvalidArgumentError} always: get the store from `TrainingIndex.vectorStore` */
  static fromTexts(): Promise<never> {
    return refuseConstruction("fromTexts");
  }

  /** @throws {@link InvalidArgumentError} always: get the store from `TrainingIndex.vectorStore` */
  static fromDocuments(): Promise<never> {
    return refuseConstruction("fromDocuments");
  }

  async #search(query: string | number[], k: number, filter?: Filter): Promise<[Document, number][]> {
    const found = await this.#operations.search(query, { k, filter });
    return found.map((chunk) => [toDocument(chunk), chunk.hit.score]);
  }
}

/** The document as it was added: its score is returned beside it, not in its metadata. */
function toDocument({ hit }: FoundChunk): Document {
  return new Document({ id: hit.chunkId, pageContent: hit.content, metadata: hit.metadata });
}

function refuseDdl(method: string): Promise<never> {
  return Promise.reject(
    new InvalidArgumentError(method, "is not supported: migrate(pool) creates tables and vector index"),
  );
}

function refuseConstruction(method: string): Promise<never> {
  return Promise.reject(madeByIndex(method));
}

function madeByIndex(method: string): InvalidArgumentError {
  return new InvalidArgumentError(
    method,
    "cannot create a store: use (await TrainingIndex.initialize(...)).vectorStore",
  );
}
