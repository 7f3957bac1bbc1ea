import { checkFunction, checkInteger, checkNames, checkNumber, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { checkCall } from "../calls/call-options.js";
import { MAX_EF_SEARCH } from "./scan.js";
import type { Condition } from "../filtering/condition.js";
import type { Queryable } from "../postgres/database.js";
import type { Scope } from "../filtering/filter.js";
import { searchCondition } from "../filtering/search-filter.js";
import type { Filter, SearchMode, SearchStrategy } from "../types.js";

/** More chunks than candidates cannot come back. */
export const MAX_K = MAX_EF_SEARCH;
/** pgvector's own default; about .75-.8 of the true neighbours at 0.5 M chunks of real text (research: perf.md §1.8). */
export const DEFAULT_EF_SEARCH = 40;
/** How many chunks a search returns when it is not told. */
export const DEFAULT_K = 5;
/** Measured (docs/performance.md): at ten candidates for each chunk a `bit` index finds what a `vector` index does. */
export const DEFAULT_RERANK_FACTOR = 10;
/** More would leave nothing of the other search. */
const MAX_WEIGHT = 1000;
/** A hundred times the work of a search that returns the candidates themselves. */
const MAX_RERANK_FACTOR = 100;
/** More than any prompt wants of one training. */
const MAX_NEIGHBORS = 50;
/** LangChain's defaults for the candidates of an MMR search, and for their relevance against diversity. */
export const DEFAULT_FETCH_K = 20;
const DEFAULT_LAMBDA = 0.5;

/** Options of one search. */
export interface SimilarOptions<
  Mode extends SearchMode = "vector",
  Strategy extends SearchStrategy = "chunks",
> {
  /** What is returned. `trainings` goes with mode `vector` only. Default `chunks`. */
  strategy?: Strategy | undefined;
  /**
   * Default `vector`. The others need a schema that was migrated with `textSearch`, and a question that is a text, of which
   * the first 128 different words within the first 20,000 characters are looked for.
   */
  mode?: Mode | undefined;
  /** Only of mode `hybrid`: how much each search counts, 0 or more, not both 0. Default 1 each. */
  weights?: { vector?: number | undefined; text?: number | undefined } | undefined;
  /**
   * Only of mode `hybrid`: allows to answer by words alone when the embedder fails, and is called with its error. Without
   * it the error is thrown. `onNotice` of the index is told as well.
   */
  onTextOnly?: ((error: Error) => void) | undefined;
  /** How many chunks, or trainings, to return at most, 1 to 1000. Default 5. */
  k?: number | undefined;
  /** Narrows the search; ANDed with the filter of the index. */
  filter?: Filter | undefined;
  /**
   * Leaves out what scores less, -1 to 1: of what the search found, so fewer than `k` come back. Not of mode `text`, whose
   * scores are no similarities, nor together with `onTextOnly`. With strategy `trainings` the score is the training's.
   */
  minScore?: number | undefined;
  /** As `minScore`, by the distance, 0 to 2: leaves out what is farther away. */
  maxDistance?: number | undefined;
  /**
   * At most so many chunks of one training, 1 to 1000: the page is filled with those of other trainings. Default: as they
   * come. With strategy `trainings` the chunks that come along with each, default 3.
   */
  perTraining?: number | undefined;
  /**
   * Widens each passage by so many chunks before and after it, 0 to 50 each, default 0, of the same version and with
   * nothing twice. A chunk that a filter excludes ends the passage. See {@link ChunkPassage.neighbors}. Passages of one training can overlap then; `formatContext` joins them.
   */
  neighbors?: { before?: number | undefined; after?: number | undefined } | undefined;
  /**
   * Only of mode `vector` and strategy `chunks`: relevant and unlike each other, by maximal marginal relevance among the
   * `fetchK` nearest (default 20, at least `k`), in the order of its choice. `lambda` weighs relevance (1) against
   * diversity (0), default 0.5.
   */
  mmr?: { fetchK?: number | undefined; lambda?: number | undefined } | undefined;
  /**
   * Candidates that the HNSW scan keeps: higher finds more of the true neighbours and costs time.
   * 1 to 1000, default that of the index (40), never less than `k`.
   *
   * @see https://github.com/pgvector/pgvector#query-options
   */
  efSearch?: number | undefined;
  /**
   * Only with a vector index of type `bit`: how many candidates for each chunk to return are compared again on their
   * full vectors. 1 to 100, default 10.
   */
  rerankFactor?: number | undefined;
  /**
   * A client of the host's to search with, for example in its transaction: it sees what that has written. The search leaves
   * nothing in the transaction, no setting and no failure.
   */
  client?: Queryable | undefined;
  /** Ends the call early with `AbortError`, on the server too. */
  signal?: AbortSignal | undefined;
  /**
   * Bounds the whole call, the question's embedding included, in milliseconds: then it ends with the code `TIMEOUT`, on the
   * server too. Default: no bound of the whole, but 30 s for a client of the pool and 60 s for a statement.
   */
  timeoutMs?: number | undefined;
}

/** The options of any search. */
export type AnySearchOptions = SimilarOptions<SearchMode, SearchStrategy>;

/** Names of the options of a search. */
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
}

const searchStrategies: readonly SearchStrategy[] = ["chunks", "trainings"];
const searchModes: readonly SearchMode[] = ["vector", "text", "hybrid"];

/**
 * @param defaults - of the index: its filter, which all searches have, and its `efSearch`
 * @throws {@link InvalidArgumentError} naming the option
 */
export function checkSearch(
  options: AnySearchOptions,
  defaults: { scope: Scope; efSearch: number },
): CheckedSearch {
  checkCall(options, SEARCH_OPTIONS, "similar");
  const { mode = "vector", strategy = "chunks" } = options;
  checkOneOf("mode", mode, searchModes);
  checkOneOf("strategy", strategy, searchStrategies);
  if (strategy === "trainings" && mode !== "vector") {
    throw new InvalidArgumentError("strategy", 'trainings goes with mode "vector" only');
  }
  checkFunction("onTextOnly", options.onTextOnly);
  const k = checkInteger("k", options.k ?? DEFAULT_K, 1, MAX_K);
  return {
    mode,
    strategy,
    k,
    efSearch: checkInteger("efSearch", options.efSearch ?? defaults.efSearch, 1, MAX_K),
    rerankFactor: checkInteger(
      "rerankFactor",
      options.rerankFactor ?? DEFAULT_RERANK_FACTOR,
      1,
      MAX_RERANK_FACTOR,
    ),
    condition: searchCondition(defaults.scope, options.filter),
    weights: checkWeights(options.weights),
    ...checkThreshold(options, mode),
    perTraining:
      options.perTraining === undefined
        ? undefined
        : checkInteger("perTraining", options.perTraining, 1, MAX_K),
    neighbors: checkNeighbors(options.neighbors),
    mmr: checkMarginalRelevance(options.mmr, k, mode === "vector" && strategy === "chunks"),
  };
}

function checkOneOf<T extends string>(option: string, value: T, known: readonly T[]): void {
  if (!known.includes(value)) throw new InvalidArgumentError(option, `must be one of ${known.join(", ")}`);
}

function checkThreshold(
  { minScore, maxDistance, onTextOnly }: AnySearchOptions,
  mode: SearchMode,
): { minScore: number; maxDistance: number } {
  if (minScore === undefined && maxDistance === undefined)
    return { minScore: -Infinity, maxDistance: Infinity };
  for (const [option, value] of Object.entries({ minScore, maxDistance })) {
    if (value === undefined) continue;
    if (mode === "text") {
      throw new InvalidArgumentError(option, "goes with mode vector or hybrid: words have no distance");
    }
    if (onTextOnly) {
      throw new InvalidArgumentError(
        option,
        "cannot be told of hits by words alone, which onTextOnly allows",
      );
    }
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

function checkMarginalRelevance(
  mmr: AnySearchOptions["mmr"],
  k: number,
  isPossible: boolean,
): CheckedSearch["mmr"] {
  if (mmr === undefined) return undefined;
  if (!isPossible) {
    throw new InvalidArgumentError("mmr", 'goes with mode "vector" and strategy "chunks" only');
  }
  checkNames(mmr, MMR, "similar", "mmr");
  const { fetchK = DEFAULT_FETCH_K, lambda = DEFAULT_LAMBDA } = mmr;
  return {
    fetchK: Math.max(checkInteger("mmr.fetchK", fetchK, 1, MAX_K), k),
    lambda: checkNumber("mmr.lambda", lambda, 0, 1),
  };
}

function checkWeights(weights: AnySearchOptions["weights"]): { vector: number; text: number } {
  if (weights === undefined) return { vector: 1, text: 1 };
  checkNames(weights, WEIGHTS, "similar", "weights");
  const { vector = 1, text = 1 } = weights;
  for (const [name, weight] of Object.entries({ vector, text })) {
    if (!Number.isFinite(weight) || weight < 0 || weight > MAX_WEIGHT) {
      throw new InvalidArgumentError(`weights.${name}`, `must be a number from 0 to ${MAX_WEIGHT}`);
    }
  }
  if (vector === 0 && text === 0) throw new InvalidArgumentError("weights", "must not both be 0");
  return { vector, text };
}
