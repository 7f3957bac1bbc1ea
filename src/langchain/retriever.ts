import {
  parseCallbackConfigArg,
  type CallbackManagerForRetrieverRun,
} from "@langchain/core/callbacks/manager";
import { Document } from "@langchain/core/documents";
import { BaseRetriever, type BaseRetrieverInput } from "@langchain/core/retrievers";
import { ensureConfig, type RunnableConfig } from "@langchain/core/runnables";
import { checkOptions, isPromise, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import {
  definedOf,
  narrowSearch,
  RETRIEVER_SEARCH,
  type RetrieverSearch,
} from "../searching/narrowed-search.js";
import { DEFAULT_EF_SEARCH } from "../searching/search-options.js";
import { checkSearch, type AnySearchOptions, type SimilarOptions } from "../searching/search-options.js";
import { PLACE_KEY } from "../text.js";
import type { Hit, Metadata, RetrievedPlace, SearchMode } from "../types.js";

/** What a retriever searches: a `TrainingIndex`. */
export interface SearchableIndex {
  similar(query: string, options?: SimilarOptions<SearchMode>): Promise<Hit[]>;
}

/** Options of {@link TrainingRetriever}: those of a search, and LangChain's `callbacks`, `tags`, `metadata`. */
export interface TrainingRetrieverOptions extends BaseRetrieverInput, RetrieverSearch {}

/** What a {@link TrainingRetriever} looks at in the `configurable` of a call; what else is there is for others. */
export type RetrieverConfigurable = Record<string, unknown> & {
  /** Options of this call, which narrow those of the retriever. */
  trainings?: RetrieverSearch | undefined;
};

/** Names of the options of a {@link TrainingRetriever}. */
const RETRIEVER_OPTIONS = [
  ...RETRIEVER_SEARCH,
  "strategy", // `chunks`, which it has anyway
  ...namesOfProperties<BaseRetrieverInput>({ callbacks: true, tags: true, metadata: true, verbose: true }),
];

/** The key of a config's `configurable` that holds the options of one call. */
const CALL_KEY = "trainings";

/** The metadata of a document that a retriever returns: the chunk's own as it is, and beside it where it comes from. */
export type RetrievedMetadata = Metadata & { [PLACE_KEY]: RetrievedPlace };

/** A hit as LangChain passes it on. `id` is the chunk's. */
export function toDocument({ content, metadata, ...place }: Hit): Document<RetrievedMetadata> {
  return new Document({
    id: place.chunkId,
    pageContent: content,
    metadata: { ...metadata, [PLACE_KEY]: place },
  });
}

/**
 * What a retriever searches with, of its options.
 *
 * @throws {@link InvalidArgumentError} for a name that is not known, and for an option that is not usable
 */
export function retrieverSearch(options: TrainingRetrieverOptions): RetrieverSearch {
  checkOptions(options, RETRIEVER_OPTIONS, "a retriever");
  const { strategy = "chunks" } = options as AnySearchOptions;
  if (strategy !== "chunks") {
    throw new InvalidArgumentError("strategy", "must be chunks: LangChain takes documents");
  }
  const search: RetrieverSearch = Object.fromEntries(
    Object.entries(options).filter(([name]) => RETRIEVER_SEARCH.includes(name)),
  );
  checkSearch(search, { scope: [], efSearch: DEFAULT_EF_SEARCH });
  return search;
}

/**
 * A LangChain retriever over a `TrainingIndex`: `invoke`, `batch`, `stream`, `pipe`, callbacks and tags work.
 *
 * A call can have options of its own, `invoke(question, { configurable: { trainings: { k: 3, filter } } })`; nothing else
 * in `configurable` is looked at. They only narrow what the retriever was made with, since `configurable` may come from a
 * client: filters are ANDed, thresholds get stricter, and bounds get smaller (a larger one is taken for the retriever's
 * own). What must hold for every call is an option of the retriever: `withConfig` is no place for it, as LangChain lets
 * the `configurable` of a call take the place of it. The `signal` and the `timeout` of a call end its search.
 */
export class TrainingRetriever extends BaseRetriever<RetrievedMetadata> {
  static override lc_name(): string {
    return "TrainingRetriever";
  }

  override lc_namespace = ["langchain_training_index", "retrievers"];
  readonly #index: SearchableIndex;
  readonly #options: RetrieverSearch;

  readonly #efSearch: number;

  /**
   * @param efSearch - what the index searches with where no `efSearch` is named
   * @throws {@link InvalidArgumentError} for an index that cannot be searched, or options that are not a retriever's
   */
  constructor(
    index: SearchableIndex,
    options: TrainingRetrieverOptions = {},
    efSearch: number = DEFAULT_EF_SEARCH,
  ) {
    if (typeof (index as SearchableIndex | undefined)?.similar !== "function") {
      throw new InvalidArgumentError(
        "index",
        isPromise(index) ? "is a promise: await TrainingIndex.initialize(...)" : "must be a TrainingIndex",
      );
    }
    const search = retrieverSearch(options);
    const { callbacks, tags, metadata, verbose } = options;
    super(definedOf({ callbacks, tags, metadata, verbose }));
    this.#index = index;
    this.#options = search;
    this.#efSearch = efSearch;
  }

  /**
   * The chunks that answer the question.
   *
   * @throws {@link InvalidArgumentError} for an input that is no text, and for an option of the call that is not usable
   * @throws {@link EmbeddingError} | {@link DatabaseError} | {@link AbortError}
   */
  override async invoke(
    input: string,
    options?: RunnableConfig<RetrieverConfigurable>,
  ): Promise<Document<RetrievedMetadata>[]> {
    if (typeof input !== "string") {
      throw new InvalidArgumentError(
        "input",
        "must be a string: a chain picks the question first, RunnableLambda.from(({ question }) => question).pipe(retriever)",
      );
    }
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
    const { configurable, signal } = config;
    const asked = (configurable as RetrieverConfigurable | undefined)?.[CALL_KEY];
    const search =
      asked === undefined
        ? this.#options
        : narrowSearch(this.#options, asked, this.#efSearch, `configurable.${CALL_KEY}`);
    const hits = await this.#index.similar(query, { ...search, ...definedOf({ signal }) });
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
