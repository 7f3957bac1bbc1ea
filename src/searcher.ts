import type { Embedder } from "./embedding/embedder.js";
import { throwIfAborted } from "./errors.js";
import { checkInteger } from "./checks.js";
import {
  checkCall,
  checkQuery,
  DEFAULT_K,
  DEFAULT_RERANK_FACTOR,
  MAX_K,
  MAX_RERANK_FACTOR,
} from "./options.js";
import { compileFilter, type Conditions } from "./store/filter.js";
import { search, type FoundChunk, type SearchTarget } from "./store/search.js";
import type { SimilarOptions } from "./types.js";

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
  conditions: Conditions;
}

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
  check(options: SimilarOptions): CheckedSearch {
    checkCall(options);
    const { scope, efSearch } = this.#parts;
    return {
      k: checkInteger("k", options.k ?? DEFAULT_K, 1, MAX_K),
      efSearch: checkInteger("efSearch", options.efSearch ?? efSearch, 1, MAX_K),
      rerankFactor: checkInteger(
        "rerankFactor",
        options.rerankFactor ?? DEFAULT_RERANK_FACTOR,
        1,
        MAX_RERANK_FACTOR,
      ),
      conditions: [...scope, ...compileFilter(options.filter)],
    };
  }

  /** Nearest first. @throws {@link InvalidArgumentError} before anything is asked of embedder or database */
  async search(query: string | ArrayLike<number>, options: SimilarOptions): Promise<FoundChunk[]> {
    const { found } = await this.#find(query, options, false);
    return found;
  }

  /** As {@link search}, with the vectors. */
  async searchCandidates(query: string | ArrayLike<number>, options: SimilarOptions): Promise<Candidates> {
    const { vector, found } = await this.#find(query, options, true);
    return { vector: Array.from(vector), found };
  }

  async #find(
    query: string | ArrayLike<number>,
    options: SimilarOptions,
    withEmbedding: boolean,
  ): Promise<{ vector: Float32Array; found: FoundChunk[] }> {
    const { target, embedder } = this.#parts;
    const checked = this.check(options);
    const given = checkQuery(query, target.dimensions);
    const vector = typeof given === "string" ? await embedder.embedQuery(given, options.signal) : given;
    throwIfAborted(options.signal);
    return { vector, found: await search(target, { ...checked, vector, withEmbedding }) };
  }
}
