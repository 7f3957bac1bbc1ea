import { inspect, type InspectOptions } from "node:util";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { BULK_LOAD_OPTIONS, checkBulkLoad, type BulkLoadOptions } from "./writing/bulk-load.js";
import { checkIterable, isObject } from "./calls/checks.js";
import { openParts, shownParts, type IndexParts } from "./opening/index-parts.js";
import type { IndexingRun, OnFailure, ResultOf } from "./writing/indexing-run.js";
import { constructorRefused, type TrainingIndexOptions } from "./opening/index-options.js";
import {
  checkPrune,
  checkSelection,
  checkUpsertMany,
  DELETE_MANY_OPTIONS,
  DELETE_OPTIONS,
  PREPARE_OPTIONS,
  UPSERT_MANY_OPTIONS,
  UPSERT_OPTIONS,
  type DeleteOptions,
  type PrepareOptions,
  type PruneOptions,
  type UpsertManyOptions,
  type UpsertOptions,
} from "./writing/write-options.js";
import { checkCall } from "./calls/call-options.js";
import { onlyResult, PreparedTraining } from "./writing/prepared-training.js";
import { retrieverSearch, TrainingRetriever, type TrainingRetrieverOptions } from "./langchain/retriever.js";
import { TrainingTool } from "./langchain/tool.js";
import { checkToolOptions, type TrainingToolOptions } from "./langchain/tool-options.js";
import type { FoundHit } from "./searching/hits.js";
import type { SimilarOptions } from "./searching/search-options.js";
import { compileFilter } from "./filtering/filter.js";
import { decodeTrainingId, encodeTrainingId, encodeTrainingIds } from "./schema/training-id.js";
import { withTimeLimit } from "./calls/time-limit.js";
import { encodeRevision, normalizeTraining, type NormalizedTraining } from "./chunking/training-input.js";
import { requireScope } from "./writing/scope.js";
import { bulkLoadRun, upsertRun } from "./writing/training-runs.js";
import type {
  DeleteResult,
  Metadata,
  SearchMode,
  SearchStrategy,
  Training,
  TrainingId,
  TrainingSelection,
  UpsertResult,
} from "./types.js";
import { vectorStoreOperations } from "./langchain/vector-store-operations.js";
import { TrainingVectorStore } from "./langchain/vector-store.js";

/**
 * Keeps the vectors of trainings in step with their texts, and finds the passages that answer a question.
 *
 * Holds no connection between calls: any number of instances, in any number of processes, can work on one schema. All
 * methods can be called concurrently, even for the same id.
 * @example
 * ```ts
 * const index = await TrainingIndex.initialize(ollamaEmbeddings(), { pool });
 * ```
 */
export class TrainingIndex<OwnMetadata extends object = Metadata> {
  readonly #parts: IndexParts;
  #vectorStore: TrainingVectorStore | undefined;

  private constructor(parts: IndexParts) {
    if (!isObject(parts) || !("searcher" in parts)) throw constructorRefused();
    this.#parts = parts;
  }

  /**
   * Opens an index on a schema that `migrate` has created. The first write records the embedding model; later indexes and
   * writes must use the same one. A schema without chunks accepts any model.
   * @typeParam OwnMetadata - the type of your metadata, for hits and writes; stored metadata is not checked against it
   * @throws {@link InvalidArgumentError} for an invalid or unknown option
   * @throws {@link SchemaError} if the schema is missing or outdated, or holds vectors of another model
   * @throws {@link DatabaseError} if Postgres cannot be reached
   */
  static async initialize<OwnMetadata extends object = Metadata>(
    embeddings: EmbeddingsInterface,
    options: TrainingIndexOptions,
  ): Promise<TrainingIndex<OwnMetadata>> {
    return new TrainingIndex(await openParts(embeddings, options));
  }

  /** The output of `console.log`. Leaves out the pool, whose options may contain a password. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `TrainingIndex ${inspect(shownParts(this.#parts), options)}`;
  }

  /**
   * Stores a version of a training, and replaces the previous one. Only chunks with new text are embedded; the others keep
   * their rows and vectors. Searches find the old version until the new one is complete.
   *
   * A repeat returns `unchanged`. A call that a newer upsert or delete has overtaken returns `superseded`; it is not an error.
   * @example
   * ```ts
   * const { status } = await index.upsertTraining({ id: "frete", content: "O frete custa doze reais." });
   * ```
   * @throws {@link InvalidArgumentError} for a training or option that is invalid, before anything is done
   * @throws {@link EmbeddingError} if the embedder fails; the stored version is unchanged
   * @throws {@link DatabaseError} if Postgres fails; the stored version is unchanged
   * @throws {@link AbortError} if the signal fires
   */
  async upsertTraining(training: Training<OwnMetadata>, options: UpsertOptions = {}): Promise<UpsertResult> {
    const normalized = this.#normalize(training);
    checkCall(options, UPSERT_OPTIONS, "upsertTraining");
    return withTimeLimit(options, async (signal) => {
      const batch = await this.#parts.indexer.prepare([normalized], { ...options, signal });
      return onlyResult(await batch.commit(options.client, signal));
    });
  }

  /**
   * Does the slow part of an upsert (splitting and embedding) outside any transaction. The rest is `commit`, which takes
   * milliseconds and can be part of the host's transaction. `signal` also ends the commit; `timeoutMs` bounds only the
   * preparation, since `commit` has its own.
   * @example
   * ```ts
   * const prepared = await index.prepareTraining({ id: "frete", content: "O frete custa doze reais." });
   * await prepared.commit(client); // in the transaction of this client
   * ```
   * @throws as {@link upsertTraining}
   */
  async prepareTraining(training: Training<OwnMetadata>, options: PrepareOptions = {}): Promise<PreparedTraining> {
    const normalized = this.#normalize(training);
    checkCall(options, PREPARE_OPTIONS, "prepareTraining");
    const batch = await withTimeLimit(options, (signal) =>
      this.#parts.indexer.prepare([normalized], { ...options, signal }),
    );
    return new PreparedTraining(batch, options.signal);
  }

  /**
   * Upserts many trainings in batches: each batch is embedded together and stored in one statement, while the next one is
   * embedded. Memory is bounded by `concurrency` batches of about 160,000 characters: the source is read only when there is
   * room. If an id occurs twice, the later training wins. A repeat completes an interrupted run.
   * @example
   * ```ts
   * for await (const { id, status } of index.upsertTrainings(trainings)) console.log(id, status);
   * const { indexed, failed } = await index.upsertTrainings(trainings, { onFailure: "continue" });
   * ```
   * @returns a run that starts when it is first used. `for await` yields results in order. If one throws, all results
   * yielded before are stored, and perhaps a few trainings after it. `await` completes the run and returns a summary.
   * @throws {@link InvalidArgumentError} at the call, for invalid options or trainings that are not iterable; the run
   * throws as {@link upsertTraining}, and rethrows errors of the iterable unchanged
   */
  upsertTrainings<Chosen extends OnFailure = "throw">(
    trainings: Iterable<Training<OwnMetadata>> | AsyncIterable<Training<OwnMetadata>>,
    options: UpsertManyOptions & { onFailure?: Chosen | undefined } = {},
  ): IndexingRun<ResultOf<Chosen>> {
    checkUpsertMany(options, UPSERT_MANY_OPTIONS, "upsertTrainings");
    checkIterable("trainings", trainings);
    return upsertRun(this.#parts, this.#normalize, trainings, options);
  }

  /**
   * Loads an empty index: drops the vector index, does {@link upsertTrainings}, and builds the vector index at the end. This
   * is several times faster than adding each chunk to the index; meanwhile searches are exact, and slower. Needs a role that
   * owns the tables. A repeat completes an interrupted load.
   * @example
   * ```ts
   * const { indexed } = await index.bulkLoad(trainings, { maintenanceWorkMem: "2GB" });
   * ```
   * @returns a run, see {@link upsertTrainings}
   * @throws as {@link upsertTrainings}; {@link InvalidArgumentError} if the index holds chunks and `rebuild` is not `true`;
   * {@link SchemaError} if the role does not own the tables
   */
  bulkLoad<Chosen extends OnFailure = "throw">(
    trainings: Iterable<Training<OwnMetadata>> | AsyncIterable<Training<OwnMetadata>>,
    options: UpsertManyOptions & BulkLoadOptions & { onFailure?: Chosen | undefined } = {},
  ): IndexingRun<ResultOf<Chosen>> {
    checkUpsertMany(options, [...UPSERT_MANY_OPTIONS, ...BULK_LOAD_OPTIONS], "bulkLoad");
    checkBulkLoad(options);
    checkIterable("trainings", trainings);
    return bulkLoadRun(this.#parts, this.#normalize, trainings, options);
  }

  /**
   * Deletes a training with its chunks. An upsert in progress is superseded; one that starts later stores the training
   * again. A repeat returns `absent`.
   * @example
   * ```ts
   * const { status, removed } = await index.deleteTraining("frete");
   * ```
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}
   */
  async deleteTraining(id: TrainingId, options: DeleteOptions = {}): Promise<DeleteResult> {
    checkCall(options, DELETE_OPTIONS, "deleteTraining");
    const { layout, remover } = this.#parts;
    const key = encodeTrainingId(id, layout.idType, "id");
    const revision = encodeRevision(options.revision, "revision");
    const [outcome] = await withTimeLimit(options, (signal) => remover.remove([key], { ...options, signal, revision }));
    return { id, status: outcome?.status ?? "absent", removed: outcome?.removed ?? 0 };
  }

  /**
   * Deletes trainings by id, or those whose own metadata matches a filter.
   * @returns one result for each id, or for each training that the filter matches
   * @throws {@link InvalidArgumentError} unless exactly one of `ids` and `filter` is given; for an empty filter, or an
   * invalid id or option. Nothing is deleted then.
   */
  async deleteTrainings(
    selection: TrainingSelection,
    options: Omit<DeleteOptions, "revision"> = {},
  ): Promise<DeleteResult[]> {
    const { ids, filter } = checkSelection(selection, "deleteTrainings");
    checkCall(options, DELETE_MANY_OPTIONS, "deleteTrainings");
    const { layout, remover } = this.#parts;
    if (ids === undefined) {
      const condition = compileFilter(filter);
      const found = await withTimeLimit(options, (signal) => remover.removeMatching(condition, { ...options, signal }));
      return found.map(({ key, outcome }) => ({ id: decodeTrainingId(key, layout.idType), ...outcome }));
    }
    const keys = encodeTrainingIds(ids, layout.idType);
    const distinct = [...new Set(keys)];
    const outcomes = await withTimeLimit(options, (signal) => remover.remove(distinct, { ...options, signal }));
    const byKey = new Map(distinct.map((key, index) => [key, outcomes[index]]));
    const absent = { status: "absent", removed: 0 } as const;
    return ids.map((id, index) => ({ id, ...(byKey.get(keys[index] ?? "") ?? absent) }));
  }

  /**
   * Removes tombstones, the rows that deletes leave so that an upsert which started earlier cannot restore the training.
   * Choose an age that exceeds any upsert's duration. Also deletes the words that no chunk has any more from the words that typing
   * errors are corrected to, except with a `client`. Needed only if many trainings are deleted for good.
   * @returns the number of tombstones that were removed
   * @throws {@link InvalidArgumentError} unless `olderThanMs` is a positive number of at most 1000 years
   * @throws {@link DatabaseError} | {@link AbortError}
   */
  async prune(options: PruneOptions): Promise<number> {
    checkPrune(options);
    const { olderThanMs, client } = options;
    return withTimeLimit(options, (signal) => this.#parts.remover.prune(olderThanMs, { client, signal }));
  }

  /**
   * Finds the chunks that answer a question, best first: by vector (default), by words, or by both (`mode`). A text is
   * embedded as a query, a vector is used as given. Returns at most `k` hits, default 5; with strategy `trainings` each
   * training once.
   * @example
   * ```ts
   * const hits = await index.similar("Qual é o prazo de entrega?", { k: 3, filter: { grupo: "logistica" } });
   * ```
   * @throws {@link InvalidArgumentError} for a blank query, a vector that cannot be compared, or an invalid option
   * @throws {@link EmbeddingError} | {@link DatabaseError} | {@link AbortError}
   */
  async similar<Mode extends SearchMode = "vector", Strategy extends SearchStrategy = "chunks">(
    query: string | ArrayLike<number>,
    options: SimilarOptions<Mode, Strategy> = {},
  ): Promise<FoundHit<Mode, Strategy, OwnMetadata>[]> {
    return (await this.#parts.searcher.find(query, options)) as FoundHit<Mode, Strategy, OwnMetadata>[];
  }

  /**
   * Makes a LangChain retriever that searches this index.
   * @example
   * ```ts
   * const documents = await index.asRetriever({ k: 4 }).invoke("Qual é o prazo de entrega?");
   * ```
   * @throws {@link InvalidArgumentError} at the call, for an invalid option
   */
  asRetriever(options: TrainingRetrieverOptions = {}): TrainingRetriever<OwnMetadata> {
    const { searcher } = this.#parts;
    searcher.check(retrieverSearch(options));
    return new TrainingRetriever(this, options, searcher.efSearch);
  }

  /**
   * Makes a LangChain tool that searches this index, for agents. Filter and bounds are the host's: the model can only narrow.
   * @example
   * ```ts
   * const tool = index.asTool({ name: "search_trainings", description: "Finds passages of the shop's texts.", k: 4 });
   * ```
   * @throws {@link InvalidArgumentError} at the call, for an invalid option
   */
  asTool<Context = Record<string, unknown>>(options: TrainingToolOptions<Context>): TrainingTool<Context> {
    const { searcher } = this.#parts;
    searcher.check(checkToolOptions(options).search);
    return new TrainingTool(this, options, searcher.efSearch);
  }

  /** This index as a LangChain vector store, over the same rows and with the same filter. Always the same object. */
  get vectorStore(): TrainingVectorStore {
    const { embeddings, pool, layout, profile, knownSchema, scope, indexer, searcher } = this.#parts;
    return (this.#vectorStore ??= new TrainingVectorStore(
      embeddings,
      pool.host,
      layout,
      vectorStoreOperations({
        ...{ pool, knownSchema, scope, indexer, searcher },
        dimensions: profile.dimensions,
        normalize: this.#normalize,
        deleteTrainings: (selection) => this.deleteTrainings(selection),
      }),
    ));
  }

  #normalize = (training: Training<object>, option?: string): NormalizedTraining => {
    const { layout, scope, header } = this.#parts;
    return requireScope(normalizeTraining(training, layout.idType, option, header), scope, option);
  };
}
