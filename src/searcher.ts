import type { Embedder } from "./embedding/embedder.js";
import { checkFunction, checkInteger } from "./checks.js";
import { EmbeddingError, InvalidArgumentError, throwIfAborted } from "./errors.js";
import {
  checkCall,
  checkQuery,
  checkWeights,
  DEFAULT_K,
  DEFAULT_RERANK_FACTOR,
  MAX_K,
  MAX_RERANK_FACTOR,
} from "./options.js";
import type { Condition } from "./store/condition.js";
import type { Conditions } from "./store/filter.js";
import { searchCondition } from "./store/search-filter.js";
import { search, type FoundChunk, type SearchTarget } from "./store/search.js";
import { requireTextSearch, searchHybrid, searchText, searchTextOnly } from "./store/text-search.js";
import { searchTrainings } from "./store/training-search.js";
import type {
  ChunkHit,
  Hit,
  HybridHit,
  SearchMode,
  SearchStrategy,
  SimilarOptions,
  TrainingHit,
} from "./types.js";

/** What a {@link Searcher} works with. */
export interface SearcherParts {
  target: SearchTarget;
  embedder: Embedder;
  /** The filter of the index, compiled. */
  scope: Conditions;
  /** The index's default of `efSearch`. */
  efSearch: number;
}

/** A search's options, checked, with every default filled in. */
export interface CheckedSearch {
  k: number;
  efSearch: number;
  rerankFactor: number;
  condition: Condition | undefined;
  mode: SearchMode;
  weights: { vector: number; text: number };
}

/** The options of any search. */
type AnySearchOptions = SimilarOptions<SearchMode, SearchStrategy>;

const searchStrategies: readonly SearchStrategy[] = ["chunks", "trainings"];
const searchModes: readonly SearchMode[] = ["vector", "text", "hybrid"];

/** The chunks nearest to a query, with all that it takes to choose among them. */
export interface Candidates {
  /** Of the query. */
  vector: number[];
  /** Nearest first, each with its vector. */
  found: FoundChunk[];
}

/** Finds the chunks nearest to a query. */
export class Searcher {
  readonly #parts: SearcherParts;

  constructor(parts: SearcherParts) {
    this.#parts = parts;
  }

  /** @throws {@link InvalidArgumentError} naming the option */
  check(options: AnySearchOptions): CheckedSearch {
    checkCall(options);
    const { scope, efSearch, target } = this.#parts;
    const { mode = "vector" } = options;
    if (!searchModes.includes(mode)) {
      throw new InvalidArgumentError("mode", `must be one of ${searchModes.join(", ")}`);
    }
    if (mode !== "vector") requireTextSearch(target);
    const { strategy = "chunks" } = options;
    if (!searchStrategies.includes(strategy)) {
      throw new InvalidArgumentError("strategy", `must be one of ${searchStrategies.join(", ")}`);
    }
    if (strategy === "trainings" && mode !== "vector") {
      throw new InvalidArgumentError("strategy", 'trainings goes with mode "vector" only');
    }
    checkFunction("onTextOnly", options.onTextOnly);
    return {
      mode,
      weights: checkWeights(options.weights),
      k: checkInteger("k", options.k ?? DEFAULT_K, 1, MAX_K),
      efSearch: checkInteger("efSearch", options.efSearch ?? efSearch, 1, MAX_K),
      rerankFactor: checkInteger(
        "rerankFactor",
        options.rerankFactor ?? DEFAULT_RERANK_FACTOR,
        1,
        MAX_RERANK_FACTOR,
      ),
      condition: searchCondition(scope, options.filter),
    };
  }

  /** Best first. @throws {@link InvalidArgumentError} before anything is asked of embedder or database */
  async find(query: string | ArrayLike<number>, options: AnySearchOptions): Promise<Hit[] | TrainingHit[]> {
    checkCall(options);
    const { mode, strategy } = options;
    if (strategy === "trainings") return this.#findTrainings(query, options);
    if (mode === "text" || mode === "hybrid") return this.#findByWords(query, options);
    const found = await this.search(query, options);
    return found.map(({ hit }): ChunkHit => hit);
  }

  /** Nearest first. @throws {@link InvalidArgumentError} before anything is asked of embedder or database */
  async search(query: string | ArrayLike<number>, options: AnySearchOptions): Promise<FoundChunk[]> {
    const { found } = await this.#find(query, options, false);
    return found;
  }

  /** As {@link search}, with the vectors. */
  async searchCandidates(query: string | ArrayLike<number>, options: AnySearchOptions): Promise<Candidates> {
    const { vector, found } = await this.#find(query, options, true);
    return { vector: Array.from(vector), found };
  }

  async #findTrainings(query: string | ArrayLike<number>, options: AnySearchOptions): Promise<TrainingHit[]> {
    const checked = this.check(options);
    const vector = await this.#vectorOf(query, options.signal);
    return searchTrainings(this.#parts.target, { ...checked, vector });
  }

  async #findByWords(query: string | ArrayLike<number>, options: AnySearchOptions): Promise<Hit[]> {
    const { target } = this.#parts;
    const checked = this.check(options);
    const question = checkQuery(query, target.dimensions);
    if (typeof question !== "string") {
      throw new InvalidArgumentError(
        "query",
        `must be a text in mode ${checked.mode}: a vector has no words`,
      );
    }
    const search = { ...checked, question };
    if (checked.mode === "hybrid") return this.#findByBoth(search, options);
    throwIfAborted(options.signal);
    return searchText(target, search);
  }

  async #findByBoth(
    search: CheckedSearch & { question: string },
    { signal, onTextOnly }: AnySearchOptions,
  ): Promise<HybridHit[]> {
    const { target, embedder } = this.#parts;
    try {
      const vector = await embedder.embedQuery(search.question, signal);
      throwIfAborted(signal);
      return await searchHybrid(target, { ...search, vector });
    } catch (error) {
      if (!onTextOnly || !(error instanceof EmbeddingError)) throw error;
      onTextOnly(error);
      return searchTextOnly(target, search);
    }
  }

  async #find(
    query: string | ArrayLike<number>,
    options: AnySearchOptions,
    withEmbedding: boolean,
  ): Promise<{ vector: Float32Array; found: FoundChunk[] }> {
    const { target } = this.#parts;
    const checked = this.check(options);
    const vector = await this.#vectorOf(query, options.signal);
    return { vector, found: await search(target, { ...checked, vector, withEmbedding }) };
  }

  async #vectorOf(query: string | ArrayLike<number>, signal: AbortSignal | undefined): Promise<Float32Array> {
    const { target, embedder } = this.#parts;
    const given = checkQuery(query, target.dimensions);
    const vector = typeof given === "string" ? await embedder.embedQuery(given, signal) : given;
    throwIfAborted(signal);
    return vector;
  }
}
