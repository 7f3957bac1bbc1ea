import {
  parseCallbackConfigArg,
  type CallbackManagerForRetrieverRun,
} from "@langchain/core/callbacks/manager";
import { Document } from "@langchain/core/documents";
import { BaseRetriever, type BaseRetrieverInput } from "@langchain/core/retrievers";
import { ensureConfig, type RunnableConfig } from "@langchain/core/runnables";
import { InvalidArgumentError } from "./errors.js";
import { checkOptions } from "./checks.js";
import type { AnySearchOptions, SimilarOptions } from "./search-options.js";
import { searchCondition } from "./store/search-filter.js";
import type { ChunkPassage, Hit, HybridHit, Metadata, SearchMode } from "./types.js";

/** What a retriever searches: a `TrainingIndex`. */
export interface SearchableIndex {
  similar(query: string, options?: SimilarOptions<SearchMode>): Promise<Hit[]>;
}

/** What a retriever searches with: all options of a search for chunks but those that are of one call. */
export type RetrieverSearch = Omit<SimilarOptions<SearchMode>, "signal" | "client" | "strategy">;

/** Options of {@link TrainingRetriever}: those of a search, and LangChain's `callbacks`, `tags`, `metadata`. */
export interface TrainingRetrieverOptions extends BaseRetrieverInput, RetrieverSearch {}

/** One entry for each option, so that none is forgotten here: what else `configurable` holds is for others. */
const SEARCH_OPTIONS = Object.keys({
  mode: true,
  weights: true,
  onTextOnly: true,
  k: true,
  filter: true,
  minScore: true,
  maxDistance: true,
  perTraining: true,
  neighbors: true,
  mmr: true,
  efSearch: true,
  rerankFactor: true,
  timeoutMs: true,
} satisfies Record<keyof RetrieverSearch, true>);

/** The metadata of a document that a retriever returns: the chunk's own, and where it comes from. */
export type RetrievedMetadata = Metadata &
  Omit<ChunkPassage, "content" | "metadata"> &
  Partial<Pick<HybridHit, "score" | "distance" | "textScore" | "fusedScore">>;

/** A hit as LangChain passes it on. `id` is the chunk's. */
export function toDocument({ content, metadata, ...place }: Hit): Document<RetrievedMetadata> {
  return new Document({ id: place.chunkId, pageContent: content, metadata: { ...metadata, ...place } });
}

/**
 * A LangChain retriever over a `TrainingIndex`: `invoke`, `batch`, `stream`, `pipe`, callbacks and tags work.
 *
 * A call can have options of its own in `configurable`, as in `invoke(question, { configurable: { k: 3 } })`. They take
 * the place of the retriever's, but for `filter`, which narrows further. The `signal` and the `timeout` of a call end
 * its search.
 */
export class TrainingRetriever extends BaseRetriever<RetrievedMetadata> {
  static override lc_name(): string {
    return "TrainingRetriever";
  }

  override lc_namespace = ["langchain_training_index", "retrievers"];
  readonly #index: SearchableIndex;
  readonly #options: RetrieverSearch;

  /** @throws {@link InvalidArgumentError} for an index that cannot be searched, or options that are not a retriever's */
  constructor(index: SearchableIndex, options: TrainingRetrieverOptions = {}) {
    if (typeof (index as SearchableIndex | undefined)?.similar !== "function") {
      throw new InvalidArgumentError("index", "must be a TrainingIndex");
    }
    checkOptions(options);
    const { strategy = "chunks" } = options as AnySearchOptions;
    if (strategy !== "chunks") {
      throw new InvalidArgumentError("strategy", "must be chunks: LangChain takes documents");
    }
    const { callbacks, tags, metadata, verbose, ...search } = options;
    super(definedOf({ callbacks, tags, metadata, verbose }));
    this.#index = index;
    this.#options = search;
  }

  /**
   * The chunks that answer the question.
   *
   * @throws {@link InvalidArgumentError} for an option in `configurable` that is not usable
   * @throws {@link EmbeddingError} | {@link DatabaseError} | {@link AbortError}
   */
  override async invoke(
    input: string,
    options?: RunnableConfig<RetrieverSearch & Record<string, unknown>>,
  ): Promise<Document<RetrievedMetadata>[]> {
    const config = ensureConfig<RunnableConfig>(parseCallbackConfigArg(options));
    return new RetrieverCall(this, config).invoke(input, config);
  }

  /**
   * The chunks that answer the query, best first, with their scores in the metadata.
   *
   * @param config - of the call; LangChain itself passes none on
   */
  override async _getRelevantDocuments(
    query: string,
    _runManager?: CallbackManagerForRetrieverRun,
    config: RunnableConfig = {},
  ): Promise<Document<RetrievedMetadata>[]> {
    const ofCall = searchOf(config);
    const filters = [this.#options.filter, ofCall.filter].filter((filter) => filter !== undefined);
    // Its errors are to name the filter as the call gave it, not its place beside the other one.
    searchCondition([], ofCall.filter);
    const narrowed = filters.length > 1 ? { filter: { $and: filters } } : {};
    const hits = await this.#index.similar(query, { ...this.#options, ...ofCall, ...narrowed });
    return hits.map(toDocument);
  }
}

/** One call of a retriever. LangChain's `invoke` keeps the config to itself; this one remembers it. */
class RetrieverCall extends BaseRetriever<RetrievedMetadata> {
  override lc_namespace: string[];
  readonly #retriever: TrainingRetriever;
  readonly #config: RunnableConfig;

  constructor(retriever: TrainingRetriever, config: RunnableConfig) {
    const { callbacks, tags, metadata, verbose } = retriever;
    super(definedOf({ callbacks, tags, metadata, verbose }));
    this.lc_namespace = retriever.lc_namespace;
    this.#retriever = retriever;
    this.#config = config;
  }

  /** Callbacks are told of the retriever. */
  override toJSON(): ReturnType<BaseRetriever["toJSON"]> {
    return this.#retriever.toJSON();
  }

  override _getRelevantDocuments(
    query: string,
    runManager?: CallbackManagerForRetrieverRun,
  ): Promise<Document<RetrievedMetadata>[]> {
    return this.#retriever._getRelevantDocuments(query, runManager, this.#config);
  }
}

/** The options of one search that a config has. */
function searchOf({ configurable, signal }: RunnableConfig): SimilarOptions<SearchMode> {
  const given = (configurable ?? {}) as Record<string, unknown>;
  return definedOf({ ...Object.fromEntries(SEARCH_OPTIONS.map((name) => [name, given[name]])), signal });
}

/** Without the keys that say nothing: they would hide what stands in their place. */
function definedOf<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
