import type { TransactionClient } from "../calls/orm-transactions.js";
import { namesOfProperties } from "../calls/checks.js";
import { MAX_EF_SEARCH } from "./scan.js";
import type { MarginalRelevance } from "./marginal-relevance.js";
import type { DocumentCompressor, RerankOptions, Reranker } from "./rerank.js";
import type { Consistency } from "../standby/token.js";
import type { Filter } from "../types.js";
import type { SearchMode, SearchStrategy } from "../hit-types.js";

/** A scan cannot return more chunks than it has candidates. */
export const MAX_K = MAX_EF_SEARCH;
/** pgvector's default. At 0.5 M chunks of real text it finds about 75 to 80 % of the true nearest neighbors. */
export const DEFAULT_EF_SEARCH = 40;
/** Default of `k`. */
export const DEFAULT_K = 5;
/** With ten candidates per chunk a `bit` index finds what a `vector` index does (measured: docs/performance.md). */
export const DEFAULT_RERANK_FACTOR = 10;
/** The weights that find best on question sets in Portuguese and English (measured: docs/retrieval.md). */
export const DEFAULT_WEIGHTS = { vector: 0.35, text: 0.65 };
/** A higher weight would drown out the other search. */
export const MAX_WEIGHT = 1000;
/** Bounds the work: a hundred times that of a search without re-ranking. */
export const MAX_RERANK_FACTOR = 100;
/** More than any prompt needs from one training. */
export const MAX_NEIGHBORS = 50;
/** LangChain's defaults for an MMR search: number of candidates, and weight of relevance against diversity. */
export const DEFAULT_FETCH_K = 20;
export const DEFAULT_LAMBDA = 0.5;

/** A value that only some modes or strategies take. */
type OnlyWith<Chosen, Required, Value> = Chosen extends Required ? Value : never;

/**
 * Options of one search with `similar`. All are optional. As the type of a variable it takes every mode, and strategy `chunks`;
 * name them to get the fields of that mode's hits: `SimilarOptions<"hybrid">`, `SimilarOptions<"text", "trainings">`.
 *
 * Combinations of options with a mode or a strategy that can never work do not compile.
 */
export interface SimilarOptions<Mode extends SearchMode = SearchMode, Strategy extends SearchStrategy = "chunks"> {
  /** What to return: `chunks` (default), or `trainings`: each training once, with its best chunks. */
  strategy?: Strategy | undefined;
  /**
   * How to search: by `vector` (default), by words (`text`, ranked with BM25), or by both (`hybrid`). `text` and `hybrid`
   * need a schema migrated with `textSearch` and a query that is a text. They use the first 128 different words within its
   * first 20,000 characters.
   */
  mode?: Mode | undefined;
  /**
   * Mode `hybrid` only: the weight of similarity and coverage in the score, 0 to 1000 each, not both 0. They are divided by
   * their sum. Default `{ vector: 0.35, text: 0.65 }`; one that is left out keeps its default.
   */
  weights?: { vector?: number | undefined; text?: number | undefined } | undefined;
  /**
   * Modes `text` and `hybrid`: whether words of the question that no chunk has are read as the closest words of the chunks that
   * the search may see. They count less; numbers and codes are never changed. The hit says so in `corrections`. Default `true`.
   */
  typos?: boolean | undefined;
  /**
   * Mode `hybrid` only: if the embedder fails, the search is answered by words alone, and this is called with the error.
   * Without it the error is thrown. The index's `onNotice` is called as well.
   */
  onTextOnly?: ((error: Error) => void) | undefined;
  /** How many chunks or trainings to return at most: 1 to 1000. Default 5. */
  k?: number | undefined;
  /** Returns only chunks whose metadata match it. ANDed with the index's own filter. */
  filter?: Filter | undefined;
  /**
   * Drops chunks with a lower `score`, -1 to 1: in mode `vector` the similarity, in `text` the coverage, in `hybrid` their
   * weighted sum, without the similarity's part if the question could not be embedded. It is applied to what the search found,
   * so fewer than `k` hits may come back. With strategy `trainings`, a training without such a chunk is dropped. Default: none.
   */
  minScore?: number | undefined;
  /**
   * As `minScore`, by cosine distance, 0 to 2: drops chunks that are farther away. Refused in mode `text`, which has no
   * distances, and together with `onTextOnly`. Default: none.
   */
  maxDistance?: OnlyWith<Mode, "vector" | "hybrid", number> | undefined;
  /**
   * Returns at most this many chunks of each training, 1 to 1000, and fills the page with chunks of other trainings.
   * Default: no limit. With strategy `trainings`: how many of its best chunks each hit has, default 3.
   */
  perTraining?: number | undefined;
  /**
   * Extends each passage by up to this many chunks before and after it, 0 to 50, default 0 each. They are of the same
   * version, and overlapping text is not repeated. The passage stops at a chunk that a filter excludes. Passages of one
   * training can then overlap; `formatContext` joins them. See {@link ChunkPassage.neighbors}.
   */
  neighbors?: { before?: number | undefined; after?: number | undefined } | undefined;
  /**
   * Mode `vector` and strategy `chunks` only: chooses hits that are relevant but unlike each other, by maximal marginal
   * relevance, among the `fetchK` nearest (1 to 1000, default 20, raised to `k`), and returns them in the order chosen.
   * `lambda` weighs relevance (1) against diversity (0), default 0.5.
   */
  mmr?: OnlyWith<Mode, "vector", OnlyWith<Strategy, "chunks", MarginalRelevance>> | undefined;
  /**
   * Modes `text` and `hybrid` only: `true` returns in `matches` where the question's words are in each hit's content, for
   * highlighting, in whatever form they are there. Default `false`.
   */
  matches?: boolean | undefined;
  /**
   * Puts the `from` best hits (default 30) into a better order and returns the `k` best of them: a function
   * `(question, hits, { signal }) => hits`, a LangChain document compressor, or `{ by, from, onFailure, timeoutMs }`. It sees
   * the hits that meet the thresholds, with their neighbors. If it fails, so does the call, unless `onFailure` is `continue`.
   * Strategy `chunks` only, for a query that is a text, and not together with `mmr`.
   */
  rerank?: OnlyWith<Strategy, "chunks", Reranker | DocumentCompressor | RerankOptions> | undefined;
  /**
   * For a query that is a vector: the name of the model that made it. Needed if the index was opened with several models, which cannot tell. If
   * another one is in use, the call ends with `PROFILE_RETIRED`: make the vector with the model of `status().model`.
   */
  model?: string | undefined;
  /**
   * Candidates that the HNSW scan keeps, 1 to 1000. More find more of the true nearest chunks, and take longer. Default:
   * the index's own (40 unless it was opened with another); raised to `k` where that is higher.
   *
   * @see https://github.com/pgvector/pgvector#query-options
   */
  efSearch?: number | undefined;
  /**
   * Vector index of type `bit` only: how many candidates per returned chunk are compared again by their full vectors,
   * 1 to 100, default 10.
   */
  rerankFactor?: number | undefined;
  /**
   * Your own client, or your ORM's transaction, to search with. Inside a transaction the search sees what the transaction has written; it leaves no
   * setting behind, and if it fails, the transaction can continue.
   */
  client?: TransactionClient | undefined;
  /**
   * With a `readPool`: waits until the standby has the writes of these tokens, a bounded time, else the primary answers. Without one
   * every search sees all writes that have ended. Not together with `client`. Default: the standby answers with what it has.
   */
  consistency?: Consistency | undefined;
  /** Aborts the call with `AbortError`, and cancels the statement on the server. */
  signal?: AbortSignal | undefined;
  /**
   * Time limit of the whole call in milliseconds, embedding included. When it is reached, the call fails with the code
   * `TIMEOUT`, and the statement is cancelled on the server. Default: none for the whole call, but 30 s to get a client from
   * the pool and 60 s for each statement.
   */
  timeoutMs?: number | undefined;
}

/** Options of a search in any mode and strategy. */
export type AnySearchOptions = SimilarOptions<SearchMode, SearchStrategy>;

/** The option names of a search. */
export const SEARCH_OPTIONS = namesOfProperties<AnySearchOptions>({
  strategy: true,
  mode: true,
  weights: true,
  typos: true,
  onTextOnly: true,
  k: true,
  filter: true,
  minScore: true,
  maxDistance: true,
  perTraining: true,
  neighbors: true,
  mmr: true,
  matches: true,
  rerank: true,
  model: true,
  efSearch: true,
  rerankFactor: true,
  client: true,
  consistency: true,
  signal: true,
  timeoutMs: true,
});
