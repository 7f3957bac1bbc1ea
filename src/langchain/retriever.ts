import { parseCallbackConfigArg, type CallbackManagerForRetrieverRun } from "@langchain/core/callbacks/manager";
import type { Document } from "@langchain/core/documents";
import { BaseRetriever, type BaseRetrieverInput } from "@langchain/core/retrievers";
import { ensureConfig, type RunnableConfig } from "@langchain/core/runnables";
import { checkOptions, isPromise, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import {
  definedOf,
  narrowSearch,
  RETRIEVER_SEARCH,
  type RetrieverCallSearch,
  type RetrieverSearch,
} from "../searching/narrowed-search.js";
import { DEFAULT_EF_SEARCH } from "../searching/search-options.js";
import type { AnySearchOptions, SimilarOptions } from "../searching/search-options.js";
import { checkSearch } from "../searching/checked-search.js";
import type { Metadata } from "../types.js";
import type { Hit, SearchMode } from "../hit-types.js";
import { toDocument, type RetrievedMetadata } from "./hit-document.js";

/** The part of a `TrainingIndex` that a retriever needs. */
export interface SearchableIndex<OwnMetadata extends object = Metadata> {
  similar(query: string, options?: SimilarOptions): Promise<Hit<SearchMode, OwnMetadata>[]>;
}

/** Options of {@link TrainingRetriever}: those of a search, and LangChain's `callbacks`, `tags`, `metadata`, `verbose`. */
export interface TrainingRetrieverOptions extends BaseRetrieverInput, RetrieverSearch {}

/** The `configurable` of a call. A {@link TrainingRetriever} reads `trainings` only; other keys are for other runnables. */
export type RetrieverConfigurable = Record<string, unknown> & {
  /** Options of this call. They can only narrow those of the retriever. */
  trainings?: RetrieverCallSearch | undefined;
};

/** The option names of a {@link TrainingRetriever}. */
export const RETRIEVER_OPTIONS = [
  ...RETRIEVER_SEARCH,
  "strategy", // accepted, but only as `chunks`
  ...namesOfProperties<BaseRetrieverInput>({ callbacks: true, tags: true, metadata: true, verbose: true }),
];

/** The key of a config's `configurable` that holds the options of one call. */
const CALL_KEY = "trainings";

/**
 * Picks the search options from a retriever's options.
 *
 * @throws {@link InvalidArgumentError} for an unknown name or an unusable value
 */
export function retrieverSearch(options: TrainingRetrieverOptions): RetrieverSearch {
  checkOptions(options, RETRIEVER_OPTIONS, "a retriever");
  const { strategy = "chunks" } = options as AnySearchOptions;
  if (strategy !== "chunks") {
    throw new InvalidArgumentError(
      "strategy",
      'must be "chunks", because a retriever returns documents: call index.similar for trainings',
    );
  }
  const search: RetrieverSearch = Object.fromEntries(
    Object.entries(options).filter(([name]) => RETRIEVER_SEARCH.includes(name)),
  );
  checkSearch(search, { efSearch: DEFAULT_EF_SEARCH });
  return search;
}

/**
 * A LangChain retriever over a `TrainingIndex`, with everything that retrievers have: `invoke`, `batch`, `stream`, `pipe`,
 * callbacks and tags. It returns chunks as documents, best first.
 *
 * A call can pass options under the key `trainings` of `configurable`; no other key is read. Since `configurable` may come
 * from a client, they can only narrow the retriever's own: filters are ANDed, the stricter threshold applies, and larger
 * bounds are cut to the retriever's. Options that must hold for every call belong to the retriever, not into `withConfig`:
 * LangChain replaces that `configurable` by the call's. The `signal` and `timeout` of a call end its search.
 *
 * @example
 * ```ts
 * const retriever = index.asRetriever({ k: 5, filter: { grupo: "suporte" } });
 * const documents = await retriever.invoke("Qual é o prazo de entrega?", {
 *   configurable: { trainings: { k: 2, filter: { tag: "entregas" } } },
 * });
 * ```
 */
export class TrainingRetriever<OwnMetadata extends object = Metadata> extends BaseRetriever<
  RetrievedMetadata<OwnMetadata>
> {
  static override lc_name(): string {
    return "TrainingRetriever";
  }

  override lc_namespace = ["langchain_training_index", "retrievers"];
  readonly #index: SearchableIndex<OwnMetadata>;
  readonly #options: RetrieverSearch;

  readonly #efSearch: number;

  /**
   * @param efSearch - the index's default `efSearch`, which caps that of calls. Default 40
   * @throws {@link InvalidArgumentError} for anything but a `TrainingIndex`, and for an unknown or unusable option
   */
  constructor(
    index: SearchableIndex<OwnMetadata>,
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
   * Finds the chunks that answer the question, best first.
   *
   * @throws {@link InvalidArgumentError} for an input that is not a string, and for an unusable option of the call
   * @throws {@link EmbeddingError} | {@link DatabaseError} | {@link AbortError}
   */
  override async invoke(
    input: string,
    options?: RunnableConfig<RetrieverConfigurable>,
  ): Promise<Document<RetrievedMetadata<OwnMetadata>>[]> {
    if (typeof input !== "string") {
      throw new InvalidArgumentError(
        "input",
        "must be a string: in a chain, pick it first with RunnableLambda.from(({ question }) => question).pipe(retriever)",
      );
    }
    const config = ensureConfig<RunnableConfig>(parseCallbackConfigArg(options));
    return new RetrieverCall(this, config).invoke(input, config);
  }

  /**
   * Finds the chunks that answer the query, best first. Their scores are in the metadata.
   *
   * @param config - the call's config, which LangChain's own `invoke` does not pass on
   */
  override async _getRelevantDocuments(
    query: string,
    _runManager?: CallbackManagerForRetrieverRun,
    config: RunnableConfig = {},
  ): Promise<Document<RetrievedMetadata<OwnMetadata>>[]> {
    const { configurable, signal } = config;
    const asked = (configurable as RetrieverConfigurable | undefined)?.[CALL_KEY];
    const search =
      asked === undefined
        ? this.#options
        : narrowSearch(this.#options, asked, this.#efSearch, `configurable.${CALL_KEY}`);
    const hits = await this.#index.similar(query, { ...search, ...definedOf({ signal }) });
    return hits.map((hit) => toDocument(hit));
  }
}

/** One call of a retriever. Keeps the call's config, which LangChain's `invoke` does not pass on. */
class RetrieverCall<OwnMetadata extends object> extends BaseRetriever<RetrievedMetadata<OwnMetadata>> {
  override lc_namespace: string[];
  readonly #retriever: TrainingRetriever<OwnMetadata>;
  readonly #config: RunnableConfig;

  constructor(retriever: TrainingRetriever<OwnMetadata>, config: RunnableConfig) {
    const { callbacks, tags, metadata, verbose } = retriever;
    super(definedOf({ callbacks, tags, metadata, verbose }));
    this.lc_namespace = retriever.lc_namespace;
    this.#retriever = retriever;
    this.#config = config;
  }

  /** Callbacks see the retriever, not this class. */
  override toJSON(): ReturnType<BaseRetriever["toJSON"]> {
    return this.#retriever.toJSON();
  }

  override _getRelevantDocuments(
    query: string,
    runManager?: CallbackManagerForRetrieverRun,
  ): Promise<Document<RetrievedMetadata<OwnMetadata>>[]> {
    return this.#retriever._getRelevantDocuments(query, runManager, this.#config);
  }
}
