/** Checks the options of a search. */
import { checkFunction, checkInteger, checkNames, checkNumber, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { checkCall } from "../calls/call-options.js";
import type { Condition } from "../filtering/condition.js";
import type { MarginalRelevance } from "./marginal-relevance.js";
import { checkRerank, type CheckedRerank } from "./rerank.js";
import { searchCondition } from "../filtering/filter.js";
import { checkConsistency, type CheckedConsistency } from "../standby/token.js";
import { searchModes, type SearchMode, type SearchStrategy } from "../hit-types.js";
import {
  MAX_K,
  DEFAULT_K,
  DEFAULT_RERANK_FACTOR,
  DEFAULT_WEIGHTS,
  MAX_WEIGHT,
  MAX_RERANK_FACTOR,
  MAX_NEIGHBORS,
  DEFAULT_FETCH_K,
  DEFAULT_LAMBDA,
  type AnySearchOptions,
  SEARCH_OPTIONS,
} from "./search-options.js";

const WEIGHTS = namesOfProperties<NonNullable<AnySearchOptions["weights"]>>({ vector: true, text: true });
const NEIGHBORS = namesOfProperties<NonNullable<AnySearchOptions["neighbors"]>>({
  before: true,
  after: true,
});
const MMR = namesOfProperties<MarginalRelevance>({ fetchK: true, lambda: true });

/** A search's options, checked, with every default filled in. */
export interface CheckedSearch {
  mode: SearchMode;
  strategy: SearchStrategy;
  k: number;
  efSearch: number;
  rerankFactor: number;
  condition: Condition | undefined;
  weights: { vector: number; text: number };
  typos: boolean;
  minScore: number;
  maxDistance: number;
  perTraining: number | undefined;
  neighbors: { before: number; after: number } | undefined;
  mmr: { fetchK: number; lambda: number } | undefined;
  matches: boolean;
  rerank: CheckedRerank | undefined;
  /** The model of a query that is a vector. */
  model: string | undefined;
  consistency: CheckedConsistency | undefined;
}

const searchStrategies: readonly SearchStrategy[] = ["chunks", "trainings"];

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
    typos: checkTypos(options.typos),
    ...checkThreshold(options, mode),
    perTraining:
      options.perTraining === undefined ? undefined : checkInteger("perTraining", options.perTraining, 1, MAX_K),
    neighbors: checkNeighbors(options.neighbors),
    mmr: checkMarginalRelevance(options.mmr, k, mode === "vector" && strategy === "chunks"),
    matches: checkMatches(options.matches),
    rerank: checkReranking(options),
    model: checkModel(options.model),
    consistency: checkConsistency(options, "similar"),
  };
}

function checkOneOf<T extends string>(option: string, value: T, known: readonly T[]): void {
  if (!known.includes(value)) throw new InvalidArgumentError(option, `must be one of ${known.join(", ")}`);
}

function checkTypos(typos: unknown): boolean {
  if (typos !== undefined && typeof typos !== "boolean")
    throw new InvalidArgumentError("typos", "must be true or false");
  return typos ?? true;
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

function checkModel(model: unknown): string | undefined {
  if (model === undefined || (typeof model === "string" && model.trim() !== "")) return model;
  throw new InvalidArgumentError("model", "must be the name of the model that made the vector");
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
