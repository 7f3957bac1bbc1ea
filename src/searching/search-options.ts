import { checkFunction, checkInteger, checkNames, checkNumber, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { checkCall } from "../calls/call-options.js";
import { MAX_EF_SEARCH } from "./scan.js";
import type { Condition } from "../filtering/condition.js";
import type { Queryable } from "../postgres/database.js";
import {
  checkRerank,
  type CheckedRerank,
  type DocumentCompressor,
  type RerankOptions,
  type Reranker,
} from "./rerank.js";
import { searchCondition } from "../filtering/filter.js";
import type { Filter, SearchMode, SearchStrategy } from "../types.js";

/** A scan cannot return more chunks than it has candidates. */
export const MAX_K = MAX_EF_SEARCH;
/** pgvector's default. At 0.5 M chunks of real text it finds about 75 to 80 % of the true nearest neighbors. */
export const DEFAULT_EF_SEARCH = 40;
/** Default of `k`. */
export const DEFAULT_K = 5;
/** With ten candidates per chunk a `bit` index finds what a `vector` index does (measured: docs/performance.md). */
export const DEFAULT_RERANK_FACTOR = 10;
/** The weights that find best on question sets in Portuguese and English (measured: docs/retrieval.md). */
const DEFAULT_WEIGHTS = { vector: 0.35, text: 0.65 };
/** A higher weight would drown out the other search. */
const MAX_WEIGHT = 1000;
/** Bounds the work: a hundred times that of a search without re-ranking. */
export const MAX_RERANK_FACTOR = 100;
/** More than any prompt needs from one training. */
const MAX_NEIGHBORS = 50;
/** LangChain's defaults for an MMR search: number of candidates, and weight of relevance against diversity. */
export const DEFAULT_FETCH_K = 20;
const DEFAULT_LAMBDA = 0.5;

/** Options of one search with `similar`. All are optional. */
export interface SimilarOptions<Mode extends SearchMode = "vector", Strategy extends SearchStrategy = "chunks"> {
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
  maxDistance?: number | undefined;
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
  mmr?: { fetchK?: number | undefined; lambda?: number | undefined } | undefined;
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
  rerank?: Reranker | DocumentCompressor | RerankOptions | undefined;
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
   * Your own client to search with. Inside a transaction the search sees what the transaction has written; it leaves no
   * setting behind, and if it fails, the transaction can continue.
   */
  client?: Queryable | undefined;
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
  efSearch: true,
  rerankFactor: true,
  client: true,
  signal: true,
  timeoutMs: true,
});
const WEIGHTS = namesOfProperties<NonNullable<AnySearchOptions["weights"]>>({ vector: true, text: true });
const NEIGHBORS = namesOfProperties<NonNullable<AnySearchOptions["neighbors"]>>({
  before: true,
  after: true,
});
const MMR = namesOfProperties<NonNullable<AnySearchOptions["mmr"]>>({ fetchK: true, lambda: true });

/** A search's options, checked, with every default filled in. */
export interface CheckedSearch {
  mode: SearchMode;
  strategy: SearchStrategy;
  k: number;
  efSearch: number;
  rerankFactor: number;
  condition: Condition | undefined;
  weights: { vector: number; text: number };
  minScore: number;
  maxDistance: number;
  perTraining: number | undefined;
  neighbors: { before: number; after: number } | undefined;
  mmr: { fetchK: number; lambda: number } | undefined;
  matches: boolean;
  rerank: CheckedRerank | undefined;
}

const searchStrategies: readonly SearchStrategy[] = ["chunks", "trainings"];
const searchModes: readonly SearchMode[] = ["vector", "text", "hybrid"];

/**
 * @param defaults - the index's filter, which applies to every search, and its `efSearch`
 * @throws {@link InvalidArgumentError} naming the option
 */
export function checkSearch(
  options: AnySearchOptions,
  defaults: { filter?: Condition | undefined; efSearch: number },
): CheckedSearch {
  checkCall(options, SEARCH_OPTIONS, "similar");
  const { mode = "vector", strategy = "chunks" } = options;
  checkOneOf("mode", mode, searchModes);
  checkOneOf("strategy", strategy, searchStrategies);
  checkFunction("onTextOnly", options.onTextOnly);
  const k = checkInteger("k", options.k ?? DEFAULT_K, 1, MAX_K);
  return {
    mode,
    strategy,
    k,
    efSearch: checkInteger("efSearch", options.efSearch ?? defaults.efSearch, 1, MAX_K),
    rerankFactor: checkInteger("rerankFactor", options.rerankFactor ?? DEFAULT_RERANK_FACTOR, 1, MAX_RERANK_FACTOR),
    condition: searchCondition(defaults.filter, options.filter),
    weights: checkWeights(options.weights),
    ...checkThreshold(options, mode),
    perTraining:
      options.perTraining === undefined ? undefined : checkInteger("perTraining", options.perTraining, 1, MAX_K),
    neighbors: checkNeighbors(options.neighbors),
    mmr: checkMarginalRelevance(options.mmr, k, mode === "vector" && strategy === "chunks"),
    matches: checkMatches(options.matches),
    rerank: checkReranking(options),
  };
}

function checkOneOf<T extends string>(option: string, value: T, known: readonly T[]): void {
  if (!known.includes(value)) throw new InvalidArgumentError(option, `must be one of ${known.join(", ")}`);
}

function checkThreshold(
  { minScore, maxDistance, onTextOnly }: AnySearchOptions,
  mode: SearchMode,
): { minScore: number; maxDistance: number } {
  if (maxDistance !== undefined && mode === "text") {
    throw new InvalidArgumentError(
      "maxDistance",
      'works with modes "vector" and "hybrid" only: a text search has no distances; use minScore',
    );
  }
  if (maxDistance !== undefined && onTextOnly) {
    throw new InvalidArgumentError(
      "maxDistance",
      "cannot be combined with onTextOnly: hits found by words alone have no distance; use minScore",
    );
  }
  return {
    minScore: minScore === undefined ? -Infinity : checkNumber("minScore", minScore, -1, 1),
    maxDistance: maxDistance === undefined ? Infinity : checkNumber("maxDistance", maxDistance, 0, 2),
  };
}

function checkNeighbors(neighbors: AnySearchOptions["neighbors"]): CheckedSearch["neighbors"] {
  if (neighbors === undefined) return undefined;
  checkNames(neighbors, NEIGHBORS, "similar", "neighbors");
  const { before = 0, after = 0 } = neighbors;
  return {
    before: checkInteger("neighbors.before", before, 0, MAX_NEIGHBORS),
    after: checkInteger("neighbors.after", after, 0, MAX_NEIGHBORS),
  };
}

function checkMarginalRelevance(mmr: AnySearchOptions["mmr"], k: number, isAllowed: boolean): CheckedSearch["mmr"] {
  if (mmr === undefined) return undefined;
  if (!isAllowed) {
    throw new InvalidArgumentError("mmr", 'works with mode "vector" and strategy "chunks" only');
  }
  checkNames(mmr, MMR, "similar", "mmr");
  const { fetchK = DEFAULT_FETCH_K, lambda = DEFAULT_LAMBDA } = mmr;
  return {
    fetchK: Math.max(checkInteger("mmr.fetchK", fetchK, 1, MAX_K), k),
    lambda: checkNumber("mmr.lambda", lambda, 0, 1),
  };
}

function checkMatches(matches: unknown = false): boolean {
  if (typeof matches !== "boolean") throw new InvalidArgumentError("matches", "must be true or false");
  return matches;
}

function checkReranking({ rerank, strategy, mmr }: AnySearchOptions): CheckedRerank | undefined {
  if (rerank !== undefined && strategy === "trainings") {
    throw new InvalidArgumentError("rerank", 'works with strategy "chunks" only');
  }
  if (rerank !== undefined && mmr !== undefined) {
    throw new InvalidArgumentError("rerank", "cannot be combined with mmr: both choose the order of the hits");
  }
  return checkRerank(rerank, MAX_K);
}

function checkWeights(weights: AnySearchOptions["weights"]): CheckedSearch["weights"] {
  if (weights === undefined) return DEFAULT_WEIGHTS;
  checkNames(weights, WEIGHTS, "similar", "weights");
  const { vector = DEFAULT_WEIGHTS.vector, text = DEFAULT_WEIGHTS.text } = weights;
  for (const [name, weight] of Object.entries({ vector, text })) {
    if (!Number.isFinite(weight) || weight < 0 || weight > MAX_WEIGHT) {
      throw new InvalidArgumentError(`weights.${name}`, `must be a number from 0 to ${MAX_WEIGHT}`);
    }
  }
  const sum = vector + text;
  if (sum === 0) throw new InvalidArgumentError("weights", "must not both be 0");
  return { vector: vector / sum, text: text / sum };
}
