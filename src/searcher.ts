import type { Embedder } from "./embedding/embedder.js";
import { throwIfAborted } from "./errors.js";
import { checkInteger, checkQuery, DEFAULT_K, MAX_K } from "./options.js";
import type { DatabasePool } from "./store/database.js";
import { compileFilter, type Conditions } from "./store/filter.js";
import type { Layout } from "./store/layout.js";
import { search, type FoundChunk } from "./store/search.js";
import type { SimilarOptions } from "./types.js";

/** What a {@link Searcher} works with. */
export interface SearcherParts {
  pool: DatabasePool;
  layout: Layout;
  embedder: Embedder;
  dimensions: number;
  /** The filter of the index, compiled. */
  scope: Conditions;
  /** The index's default of `efSearch`. */
  efSearch: number;
}

/** A search's options, checked, with every default filled in. */
export interface CheckedSearch {
  k: number;
  efSearch: number;
  conditions: Conditions;
}

/** Finds the chunks nearest to a query. */
export class Searcher {
  readonly #parts: SearcherParts;

  constructor(parts: SearcherParts) {
    this.#parts = parts;
  }

  /** @throws {@link InvalidArgumentError} naming the option */
  check(options: SimilarOptions): CheckedSearch {
    const { scope, efSearch } = this.#parts;
    return {
      k: checkInteger("k", options.k ?? DEFAULT_K, 1, MAX_K),
      efSearch: checkInteger("efSearch", options.efSearch ?? efSearch, 1, MAX_K),
      conditions: [...scope, ...compileFilter(options.filter)],
    };
  }

  /** Nearest first. @throws {@link InvalidArgumentError} before anything is asked of embedder or database */
  async search(
    query: string | ArrayLike<number>,
    options: SimilarOptions,
    withEmbedding = false,
  ): Promise<FoundChunk[]> {
    const { pool, layout, embedder, dimensions } = this.#parts;
    const checked = this.check(options);
    const given = checkQuery(query, dimensions);
    const vector = typeof given === "string" ? await embedder.embedQuery(given, options.signal) : given;
    throwIfAborted(options.signal);
    return search(pool, layout, { ...checked, vector, withEmbedding });
  }
}
