import { inspect, type InspectOptions } from "node:util";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { BulkLoadOptions } from "./writing/bulk-load.js";
import { isObject } from "./calls/checks.js";
import { narrowedParts, openParts, shownParts, type IndexParts } from "./opening/index-parts.js";
import type { IndexingRun, OnFailure, ResultOf } from "./writing/indexing-run.js";
import { constructorRefused, type TrainingIndexOptions } from "./opening/index-options.js";
import { deleteMany, deleteOne } from "./writing/remover.js";
import {
  checkPrune,
  PREPARE_OPTIONS,
  UPSERT_OPTIONS,
  type DeleteOptions,
  type PrepareOptions,
  type PruneOptions,
  type UpsertManyOptions,
  type UpsertOptions,
} from "./writing/write-options.js";
import { checkCall } from "./calls/call-options.js";
import type { ExportOptions, ExportSource, ImportOptions, ImportSummary } from "./exporting/export-options.js";
import { onlyResult, PreparedTraining } from "./writing/prepared-training.js";
import { retrieverSearch, TrainingRetriever, type TrainingRetrieverOptions } from "./langchain/retriever.js";
import { TrainingTool } from "./langchain/tool.js";
import { checkToolOptions, type TrainingToolOptions } from "./langchain/tool-options.js";
import type { FoundHit } from "./searching/hits.js";
import type { CountOptions, ListOptions, StoredReadOptions } from "./inspecting/read-options.js";
import type { IndexStatus } from "./inspecting/index-status.js";
import { readStatus, type StatusOptions } from "./inspecting/status.js";
import type { StoredCount, StoredTraining } from "./inspecting/stored-training.js";
import type { SimilarOptions } from "./searching/search-options.js";
import { withTimeLimit } from "./calls/time-limit.js";
import { normalizeTraining, type NormalizedTraining } from "./chunking/training-input.js";
import type { Drift } from "./reconciling/drift.js";
import type { ReconcileOptions, VerifyOptions } from "./reconciling/reconcile-options.js";
import type { Reconciliation } from "./reconciling/reconciler.js";
import type { LoadableTraining, TrainingReference, TrainingSource } from "./reconciling/source-items.js";
import { checkRecall, type RecallOptions } from "./recall/recall-options.js";
import { measureRecall, type RecallReport } from "./recall/recall.js";
import { requireScope, requireWhole, requireWritable } from "./writing/scope.js";
import { bulkLoadRun, upsertRun } from "./writing/training-runs.js";
import type { DeleteResult, Filter, Metadata, Training, TrainingId, TrainingSelection } from "./types.js";
import type { UpsertResult, WriteToken } from "./types.js";
import type { ChunkPassage, SearchMode, SearchStrategy } from "./hit-types.js";
import type { TrainingVectorStore } from "./langchain/vector-store.js";
import { openVectorStore } from "./langchain/open-vector-store.js";
import type { TokenOptions } from "./standby/write-tokens.js";
import { retire, type RetireOptions } from "./switching/retire.js";
import type { SwitchOptions } from "./switching/switch-options.js";
import type { SwitchedModel, SwitchResult } from "./switching/switch-types.js";

/**
 * Keeps the vectors of trainings in step with their texts, and finds the passages that answer a question.
 *
 * Holds no connection between calls: any number of instances and processes can work on one schema, at the same time and for the same id.
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
   * Opens an index on a schema that `migrate` has created. The first write records the embedding model; later indexes must use the same
   * one. Given several models, the index works with the one that is in use, and follows a {@link switchModel}; a schema without chunks
   * accepts any, and gets the last.
   * @typeParam OwnMetadata - the type of your metadata, for hits and writes; stored metadata is not checked against it
   * @throws {@link InvalidArgumentError} for an invalid or unknown option
   * @throws {@link SchemaError} if the schema is missing or outdated, or holds vectors of another model
   * @throws {@link DatabaseError} if Postgres cannot be reached
   */
  static async initialize<OwnMetadata extends object = Metadata>(
    embeddings: EmbeddingsInterface | readonly EmbeddingsInterface[],
    options: TrainingIndexOptions,
  ): Promise<TrainingIndex<OwnMetadata>> {
    return new TrainingIndex(await openParts(embeddings, options));
  }

  /**
   * An index on the same schema and pool that sees less: `filter` is ANDed with the filter of this one, in every read, write
   * and delete. Asks the database nothing, so it can be made for each request.
   *
   * Equality (`{ tenant: "acme" }`) narrows reads and writes, as `filter` of {@link initialize} does. Any other filter, or one
   * that contradicts the filter of this index, makes an index that only reads, {@link verify} and {@link recall} included; its
   * writes throw, and so does {@link reconcile}.
   * @example
   * ```ts
   * const tenant = index.withFilter({ tenant: "acme" });
   * const hits = await tenant.similar("Qual é o prazo de entrega?");
   * ```
   * @throws {@link InvalidArgumentError} for a filter that is empty or not understood
   */
  withFilter(filter: Filter): TrainingIndex<OwnMetadata> {
    return new TrainingIndex(narrowedParts(this.#parts, filter));
  }

  /** The output of `console.log`. Leaves out the pool, whose options may contain a password. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `TrainingIndex ${inspect(shownParts(this.#parts), options)}`;
  }

  /**
   * Stores a version of a training, and replaces the previous one. Only chunks with new text are embedded; the others keep
   * their rows and vectors. Searches find the old version until the new one is complete.
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
    return withTimeLimit(options, async (signal) =>
      onlyResult(await this.#parts.indexer.upsert([normalized], { ...options, signal })),
    );
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
    return new PreparedTraining(batch, options.signal, this.#parts.tokens);
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
    return bulkLoadRun(this.#parts, this.#normalize, trainings, options);
  }

  /**
   * Deletes a training with its chunks. An upsert in progress is superseded; one that starts later stores it again. A repeat: `absent`.
   * @example
   * ```ts
   * const { status, removed } = await index.deleteTraining("frete");
   * ```
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}
   */
  async deleteTraining(id: TrainingId, options: DeleteOptions = {}): Promise<DeleteResult> {
    return deleteOne(this.#parts, id, options);
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
    return deleteMany(this.#parts, selection, options);
  }

  /**
   * The token of all writes that were committed before the call, in one round trip. For writes in a transaction of your client, whose
   * results have none: call it after COMMIT.
   * @example
   * ```ts
   * const hits = await index.similar("prazo", { consistency: { after: await index.token() } });
   * ```
   * @throws {@link InvalidArgumentError} | {@link SchemaError} `INSUFFICIENT_PRIVILEGE` | {@link DatabaseError} | {@link AbortError}
   */
  async token(options: TokenOptions = {}): Promise<WriteToken> {
    return this.#parts.tokens.token(options);
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
    requireWritable(this.#parts.filter);
    checkPrune(options);
    return this.#parts.remover.prune(options);
  }

  /**
   * Reads a training by its id, without its text.
   * @example
   * ```ts
   * const training = await index.get("frete");
   * console.log(training?.revision, training?.chunks);
   * ```
   * @returns `undefined` if it is not stored, was deleted, or has metadata that the filter of the index excludes
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}
   */
  async get(id: TrainingId, options: StoredReadOptions = {}): Promise<StoredTraining<OwnMetadata> | undefined> {
    return (await this.#parts.reader.get(id, options)) as StoredTraining<OwnMetadata> | undefined;
  }

  /**
   * Lists the trainings whose own metadata matches, as `deleteTrainings` with the same filter would delete them. Ordered by
   * id: numbers by value, uuids and texts by bytes.
   * Reads page by page while it is iterated, so memory is bounded, and holds no client in between. Each page is a snapshot of
   * its own: what is written meanwhile may be listed or not, but no training is listed twice. Each iteration reads again.
   * @example
   * ```ts
   * for await (const { id, chunks } of index.list({ filter: { grupo: "loja" } })) console.log(id, chunks);
   * ```
   * @throws {@link InvalidArgumentError} at the call; the iteration throws {@link DatabaseError} | {@link AbortError}
   */
  list(options: ListOptions = {}): AsyncIterable<StoredTraining<OwnMetadata>> {
    return this.#parts.reader.list(options) as AsyncIterable<StoredTraining<OwnMetadata>>;
  }

  /**
   * Counts trainings by their own metadata, and chunks by theirs, exactly and in one snapshot. Takes longer the more there is:
   * {@link status} has an estimate for large indexes.
   * @example
   * ```ts
   * const { trainings, chunks } = await index.count({ filter: { grupo: "loja" } });
   * ```
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}
   */
  async count(options: CountOptions = {}): Promise<StoredCount> {
    return this.#parts.reader.count(options);
  }

  /**
   * Reads the chunks of a training in reading order, all of one version. Leaves out those that the filter of the index excludes.
   * @example
   * ```ts
   * for (const { position, content } of await index.chunks("frete")) console.log(position, content);
   * ```
   * @returns an empty list if the training is not stored or was deleted
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}
   */
  async chunks(id: TrainingId, options: StoredReadOptions = {}): Promise<ChunkPassage<OwnMetadata>[]> {
    return (await this.#parts.reader.chunks(id, options)) as ChunkPassage<OwnMetadata>[];
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
   * Compares the index with the host's trainings, and looks for damage in the database. Changes nothing, so it works with
   * the right to read alone.
   *
   * @param source - the host's trainings in any order, each id once: `{ id, revision }`, or whole trainings, whose chunks
   * are then compared with their texts. Without a source only the rows of the index are checked.
   * @example
   * ```ts
   * const { missing, stale, orphaned, damaged } = await index.verify([{ id: "frete", revision: 7 }]);
   * ```
   * @returns what differs. Trainings that are stored or deleted while it runs are left out
   * @throws {@link InvalidArgumentError} for an invalid option or item, or an id that occurs twice
   * @throws {@link EmbeddingError} with `sample`, if the embedder fails
   * @throws {@link DatabaseError} | {@link AbortError}; errors of the source are rethrown unchanged
   */
  async verify(
    source?: TrainingSource<Training<OwnMetadata> | TrainingReference>,
    options: VerifyOptions = {},
  ): Promise<Drift> {
    return this.#parts.reconciler.verify(source, options, this.#normalizeInScope);
  }

  /**
   * Does {@link verify}, stores what is missing, stale or damaged, and at the end deletes trainings that the source does not
   * have. Repairs are ordered like calls made when this one started: what others store or delete meanwhile stays. A repeat
   * continues an interrupted run.
   *
   * Orphans are deleted only if the source ends without an error and is not empty, and never more than `maxDeletes`. The
   * source must list everything that the filter of the index covers.
   *
   * @param source - whole trainings, or `{ id, revision, load }`, of which only those to repair are loaded
   * @example
   * ```ts
   * const { repaired, deleted } = await index.reconcile([{ id: "frete", content: "O frete custa doze reais." }]);
   * ```
   * @throws as {@link verify} and {@link upsertTraining}. What was repaired before stays. {@link InvalidArgumentError} if
   * there are more orphans than `maxDeletes`: none is deleted
   */
  async reconcile(
    source: TrainingSource<Training<OwnMetadata> | LoadableTraining<OwnMetadata>>,
    options: ReconcileOptions = {},
  ): Promise<Reconciliation> {
    requireWritable(this.#parts.filter);
    return this.#parts.reconciler.reconcile(source, options, this.#normalize);
  }

  /**
   * Measures how many of the truly nearest chunks searches find, for several values of `efSearch`, with stored vectors as
   * questions. Compares searches as `similar` makes them with exact ones. Ends after about `maxMs`.
   * @example
   * ```ts
   * const { rows, suggestion } = await index.recall({ k: 10, efSearch: [40, 100, 200] });
   * console.table(rows);
   * ```
   * @throws {@link InvalidArgumentError} for an invalid option
   * @throws {@link DatabaseError} | {@link AbortError}
   */
  async recall(options: RecallOptions = {}): Promise<RecallReport> {
    const { searcher, filter } = this.#parts;
    return measureRecall(searcher, checkRecall(options, filter.condition));
  }

  /**
   * Writes the trainings with their chunks and vectors as lines of JSON, in one snapshot, so that {@link importTrainings} can store them in
   * another index without embedding. Keeps a client of the pool, in a transaction that only reads, until the iteration ends. An index with
   * a filter exports the trainings that match it with all of their chunks.
   * @example
   * ```ts
   * await pipeline(index.exportTrainings(), createWriteStream("index.jsonl")); // of node:stream/promises
   * ```
   * @returns the lines, each with its line feed; each iteration reads again, in bounded memory
   * @throws {@link InvalidArgumentError} at the call; the iteration throws {@link SchemaError} `SCHEMA_DAMAGED` for a damaged training,
   * {@link DatabaseError} | {@link AbortError}
   */
  exportTrainings(options: ExportOptions = {}): AsyncIterable<string> {
    return this.#parts.exporter.export(options);
  }

  /**
   * Stores what {@link exportTrainings} wrote, each training completely or not at all. Embeds nothing. What the index has, or has deleted,
   * stays unless its revision is lower, so a repeat changes nothing and completes an interrupted import.
   * @example
   * ```ts
   * const { indexed } = await index.importTrainings(createReadStream("index.jsonl"));
   * ```
   * @throws {@link InvalidArgumentError} with the number of the line, for a broken export or one that is cut off; what was stored before
   * stays. {@link SchemaError} `PROFILE_MISMATCH` for vectors of another model; otherwise as {@link upsertTrainings}
   */
  async importTrainings(source: ExportSource, options: ImportOptions = {}): Promise<ImportSummary> {
    requireWritable(this.#parts.filter);
    return this.#parts.importer.import(source, options);
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

  /**
   * Reports the state of the index for an operator: how much is stored, whether searches use the vector index, versions, a switch of the
   * model, and in `warnings` what to do. Only reads; a role with `SELECT` is enough, and so is a hot standby. Counts obey the filter of the
   * index; sizes are those of the whole schema.
   * @example
   * ```ts
   * const { counts, vectorIndex, warnings } = await index.status();
   * for (const { code, message } of warnings) console.warn(code, message);
   * ```
   * @throws {@link InvalidArgumentError} | {@link DatabaseError} | {@link AbortError}; {@link SchemaError} if the schema is gone,
   * damaged, or holds vectors of another model
   */
  async status(options: StatusOptions = {}): Promise<IndexStatus> {
    return readStatus({ ...this.#parts, filter: this.#parts.filter.condition }, options);
  }

  /**
   * Changes the embedding model without downtime: embeds the stored chunks with the new model, keeps up with writes, compares both models,
   * and makes the new one the one in use, for all processes at once. Those that have to go on open the index with both,
   * `initialize([oldModel, newModel], { pool })`; others get `PROFILE_RETIRED`. A repeat continues an interrupted switch; several processes
   * share the work. A switch back only embeds what was written since, until {@link retireModel}. Needs a role that owns the tables.
   * @example
   * ```ts
   * const { report, flip } = await index.switchModel(newModel, { maxTextsPerMinute: 600 });
   * ```
   * @throws {@link InvalidArgumentError} for an invalid option, or the model that is in use
   * @throws {@link SchemaError} `SWITCH_REFUSED` if it cannot begin, or its result is not accepted
   * @throws {@link EmbeddingError} | {@link DatabaseError} | {@link AbortError}; the model in use is unchanged, and a repeat continues
   */
  async switchModel(newModel: EmbeddingsInterface, options: SwitchOptions = {}): Promise<SwitchResult> {
    requireWhole(this.#parts.filter, "switchModel");
    return this.#parts.switcher.switch(newModel, options, this.#normalizeInScope);
  }

  /**
   * Drops the model that is not in use: the one before the last {@link switchModel}, or one that an interrupted switch has begun.
   * @returns the dropped model; `undefined` if there is none
   * @throws {@link SchemaError} without the rights; {@link DatabaseError} `CONFLICT` if the tables stay locked, and nothing has changed
   */
  async retireModel(options: RetireOptions = {}): Promise<SwitchedModel | undefined> {
    requireWhole(this.#parts.filter, "retireModel");
    return retire(this.#parts, options);
  }

  /** This index as a LangChain vector store, over the same rows and with the same filter. Always the same object. */
  get vectorStore(): TrainingVectorStore {
    return (this.#vectorStore ??= openVectorStore(this.#parts, this.#normalize, (selection) =>
      this.deleteTrainings(selection),
    ));
  }

  #normalizeInScope = (
    training: Training<object>,
    option?: string,
    header = this.#parts.header,
  ): NormalizedTraining => {
    const { layout, filter } = this.#parts;
    return requireScope(normalizeTraining(training, layout.idType, option, header), filter.scope, option);
  };

  /** For writes. */
  #normalize = (training: Training<object>, option?: string): NormalizedTraining => {
    requireWritable(this.#parts.filter);
    return this.#normalizeInScope(training, option);
  };
}
