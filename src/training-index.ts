import { inspect, type InspectOptions } from "node:util";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { BULK_LOAD_OPTIONS, checkBulkLoad, type BulkLoadOptions } from "./writing/bulk-load.js";
import { InvalidArgumentError } from "./errors.js";
import { checkIterable, isObject } from "./calls/checks.js";
import { openParts, shownParts, type IndexParts } from "./opening/index-parts.js";
import type { IndexingRun, OnFailure, ResultOf } from "./writing/indexing-run.js";
import type { TrainingIndexOptions } from "./opening/index-options.js";
import {
  checkSelection,
  checkUpsertMany,
  type DeleteOptions,
  type PruneOptions,
  type UpsertManyOptions,
  type UpsertOptions,
} from "./writing/write-options.js";
import { checkCall } from "./calls/call-options.js";
import { constructorRefused } from "./opening/index-options.js";
import {
  DELETE_MANY_OPTIONS,
  DELETE_OPTIONS,
  PREPARE_OPTIONS,
  PRUNE_OPTIONS,
  UPSERT_MANY_OPTIONS,
  UPSERT_OPTIONS,
} from "./writing/write-options.js";
import { onlyResult, PreparedTraining } from "./writing/prepared-training.js";
import { retrieverSearch, TrainingRetriever, type TrainingRetrieverOptions } from "./langchain/retriever.js";
import type { SimilarOptions } from "./searching/search-options.js";
import { compileFilter } from "./filtering/filter.js";
import { decodeTrainingId, encodeTrainingId, encodeTrainingIds } from "./schema/training-id.js";
import { withTimeLimit } from "./calls/time-limit.js";
import { encodeRevision, normalizeTraining, type NormalizedTraining } from "./chunking/training-input.js";
import { requireScope } from "./writing/scope.js";
import { bulkLoadRun, upsertRun } from "./writing/training-runs.js";
import type {
  DeleteResult,
  Hit,
  SearchMode,
  SearchStrategy,
  Training,
  TrainingHit,
  TrainingId,
  TrainingSelection,
  UpsertResult,
} from "./types.js";
import { vectorStoreOperations } from "./langchain/vector-store-operations.js";
import { TrainingVectorStore } from "./langchain/vector-store.js";

/** Of 1000 years; of about 7000 Postgres could not say when they began. */
const MAX_AGE_MS = 1000 * 365 * 24 * 60 * 60 * 1000;

/**
 * Keeps the vectors of trainings in step with their texts, and finds the passages that answer a question.
 *
 * Holds no connection and no state between calls: any number of them, in any number of processes, work on one
 * schema. All methods are safe to call at once, also for one id.
 */
export class TrainingIndex {
  readonly #parts: IndexParts;
  #vectorStore: TrainingVectorStore | undefined;

  private constructor(parts: IndexParts) {
    if (!isObject(parts) || !("searcher" in parts)) throw constructorRefused();
    this.#parts = parts;
  }

  /**
   * Opens an index on a schema that `migrate` has made. The first training that is written to it records the
   * model of its embeddings; later indexes and writes must have the same. While it holds no chunks, any model may have it.
   *
   * @throws {@link InvalidArgumentError} for an option that is not usable
   * @throws {@link SchemaError} when the schema is missing or outdated, or holds vectors of another model
   * @throws {@link DatabaseError} when Postgres cannot be reached
   */
  static async initialize(
    embeddings: EmbeddingsInterface,
    options: TrainingIndexOptions,
  ): Promise<TrainingIndex> {
    return new TrainingIndex(await openParts(embeddings, options));
  }

  /** What `console.log` shows: what the index is, and nothing of its pool. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `TrainingIndex ${inspect(shownParts(this.#parts), options)}`;
  }

  /**
   * Makes this version of a training the one that is found. Texts that the stored version has too keep their rows
   * and vectors; only new ones are embedded. Readers see the old version until the new one is whole.
   *
   * A repeat is `unchanged`. A call that is overtaken by a newer upsert or delete is `superseded`, which is no error.
   *
   * @throws {@link InvalidArgumentError} for what cannot be indexed, before anything is done
   * @throws {@link EmbeddingError} when the embedder fails; the stored version stays
   * @throws {@link DatabaseError} when Postgres fails; the stored version stays
   * @throws {@link AbortError} when the signal fires
   */
  async upsertTraining(training: Training, options: UpsertOptions = {}): Promise<UpsertResult> {
    const normalized = this.#normalize(training);
    checkCall(options, UPSERT_OPTIONS, "upsertTraining");
    return withTimeLimit(options, async (signal) => {
      const batch = await this.#parts.indexer.prepare([normalized], { ...options, signal });
      return onlyResult(await batch.commit(options.client, signal));
    });
  }

  /**
   * Does all of an upsert that takes time, and opens no transaction. What is left is `commit`, which takes
   * milliseconds, and can be part of a transaction of the host's. The `signal` ends the commit, too; `timeoutMs` bounds the
   * preparation alone, and the commit takes its own.
   *
   * @throws as {@link upsertTraining}
   */
  async prepareTraining(
    training: Training,
    options: Omit<UpsertOptions, "client"> = {},
  ): Promise<PreparedTraining> {
    const normalized = this.#normalize(training);
    checkCall(options, PREPARE_OPTIONS, "prepareTraining");
    const batch = await withTimeLimit(options, (signal) =>
      this.#parts.indexer.prepare([normalized], { ...options, signal }),
    );
    return new PreparedTraining(batch, options.signal);
  }

  /**
   * Upserts many trainings, in batches: texts of several are embedded in one request, and stored by one statement.
   * While one batch is stored, the next is embedded. Memory is bounded by `concurrency` batches of some 160,000
   * characters: trainings are taken from the source no sooner than there is room. Of an id that comes twice the later one
   * stands.
   *
   * @example
   * for await (const { id, status } of index.upsertTrainings(trainings)) console.log(id, status);
   * @example
   * const { indexed, failed } = await index.upsertTrainings(trainings, { onFailure: "continue" });
   *
   * @returns a run that begins with its first use. `for await` gives the results, in order, as they come about: what was
   * yielded is stored when a later one throws; of the trainings behind it a few can be stored, too. `await` does all of it
   * and gives a summary.
   * @throws {@link InvalidArgumentError} at the call, for options and lists that are not usable; the run throws as
   * {@link upsertTraining}, and what the iterable throws, as it is
   */
  upsertTrainings<Chosen extends OnFailure = "throw">(
    trainings: Iterable<Training> | AsyncIterable<Training>,
    options: UpsertManyOptions & { onFailure?: Chosen | undefined } = {},
  ): IndexingRun<ResultOf<Chosen>> {
    checkUpsertMany(options, UPSERT_MANY_OPTIONS, "upsertTrainings");
    checkIterable("trainings", trainings);
    return upsertRun(this.#parts, this.#normalize, trainings, options);
  }

  /**
   * The first load: {@link upsertTrainings} without the vector index, which is built when all are stored. Several times
   * faster than to add each chunk to it; meanwhile searches are exact, and slower. For a role that owns the tables. A
   * load that broke off is completed by the same call.
   *
   * @returns a run, as {@link upsertTrainings}
   * @throws as {@link upsertTrainings}; {@link InvalidArgumentError} for an index that holds chunks, without `rebuild`;
   * {@link SchemaError} for a role that does not own the tables
   */
  bulkLoad<Chosen extends OnFailure = "throw">(
    trainings: Iterable<Training> | AsyncIterable<Training>,
    options: UpsertManyOptions & BulkLoadOptions & { onFailure?: Chosen | undefined } = {},
  ): IndexingRun<ResultOf<Chosen>> {
    checkUpsertMany(options, [...UPSERT_MANY_OPTIONS, ...BULK_LOAD_OPTIONS], "bulkLoad");
    checkBulkLoad(options);
    checkIterable("trainings", trainings);
    return bulkLoadRun(this.#parts, this.#normalize, trainings, options);
  }

  /**
   * Deletes a training with its chunks. An upsert of it that is under way is superseded, and one that starts
   * later brings it back. A repeat is `absent`.
   *
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}
   */
  async deleteTraining(id: TrainingId, options: DeleteOptions = {}): Promise<DeleteResult> {
    checkCall(options, DELETE_OPTIONS, "deleteTraining");
    const { layout, remover } = this.#parts;
    const key = encodeTrainingId(id, layout.idType, "id");
    const revision = encodeRevision(options.revision, "revision");
    const [outcome] = await withTimeLimit(options, (signal) =>
      remover.remove([key], { ...options, signal, revision }),
    );
    return { id, status: outcome?.status ?? "absent", removed: outcome?.removed ?? 0 };
  }

  /**
   * Deletes trainings by id, or those whose own metadata matches a filter.
   *
   * @returns one result for each id, or for each training found
   * @throws {@link InvalidArgumentError} unless exactly one of both is given; for an empty filter; for an id or an
   * option that is not usable. Nothing is deleted then.
   */
  async deleteTrainings(
    selection: TrainingSelection,
    options: Omit<DeleteOptions, "revision"> = {},
  ): Promise<DeleteResult[]> {
    const { ids, filter } = checkSelection(selection, "deleteTrainings");
    checkCall(options, DELETE_MANY_OPTIONS, "deleteTrainings");
    const { layout, remover } = this.#parts;
    if (ids === undefined) {
      const conditions = compileFilter(filter);
      const found = await withTimeLimit(options, (signal) =>
        remover.removeMatching(conditions, { ...options, signal }),
      );
      return found.map(({ key, outcome }) => ({ id: decodeTrainingId(key, layout.idType), ...outcome }));
    }
    const keys = encodeTrainingIds(ids, layout.idType);
    const distinct = [...new Set(keys)];
    const outcomes = await withTimeLimit(options, (signal) =>
      remover.remove(distinct, { ...options, signal }),
    );
    const byKey = new Map(distinct.map((key, index) => [key, outcomes[index]]));
    return ids.map((id, index) => {
      const { status, removed } = byKey.get(keys[index] ?? "") ?? { status: "absent", removed: 0 };
      return { id, status, removed };
    });
  }

  /**
   * Forgets deletes: of each a row stays, so that a call that started before it cannot bring the training back. Older
   * ones than any such call can be are of no more use. Needed only where many trainings are deleted for good.
   *
   * @returns how many were forgotten
   * @throws {@link InvalidArgumentError} for an age that is no positive number, or more than 1000 years
   * @throws {@link DatabaseError}
   */
  async prune(options: PruneOptions): Promise<number> {
    checkCall(options, PRUNE_OPTIONS, "prune");
    const { olderThanMs, client } = options;
    if (!(Number.isFinite(olderThanMs) && olderThanMs > 0 && olderThanMs <= MAX_AGE_MS)) {
      throw new InvalidArgumentError("olderThanMs", "must be a positive number, of 1000 years at most");
    }
    return withTimeLimit(options, (signal) => this.#parts.remover.prune(olderThanMs, { client, signal }));
  }

  /**
   * The chunks that answer a question, best first: by its vector, by its words, or by both (`mode`). A text is embedded as
   * a query; a vector is taken as it is. With strategy `trainings` each training once.
   *
   * @throws {@link InvalidArgumentError} for a blank query, a vector that cannot be compared, or a bad option
   * @throws {@link EmbeddingError} | {@link DatabaseError} | {@link AbortError}
   */
  async similar<Mode extends SearchMode = "vector", Strategy extends SearchStrategy = "chunks">(
    query: string | ArrayLike<number>,
    options: SimilarOptions<Mode, Strategy> = {},
  ): Promise<{ chunks: Hit<Mode>; trainings: TrainingHit }[Strategy][]> {
    const hits = await this.#parts.searcher.find(query, options);
    return hits as { chunks: Hit<Mode>; trainings: TrainingHit }[Strategy][];
  }

  /**
   * The index as a LangChain retriever.
   *
   * @throws {@link InvalidArgumentError} for a bad option, at once
   */
  asRetriever(options: TrainingRetrieverOptions = {}): TrainingRetriever {
    const { searcher } = this.#parts;
    searcher.check(retrieverSearch(options));
    return new TrainingRetriever(this, options, searcher.efSearch);
  }

  /** The same rows as a LangChain vector store, with the filter of this index. Always the same object. */
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

  #normalize = (training: Training, option?: string): NormalizedTraining => {
    const { layout, scope, header } = this.#parts;
    return requireScope(normalizeTraining(training, layout.idType, option, header), scope, option);
  };
}
