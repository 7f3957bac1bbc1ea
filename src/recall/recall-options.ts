import { checkCall } from "../calls/call-options.js";
import { checkInteger, checkList, checkNumber, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { Condition } from "../filtering/condition.js";
import { searchCondition } from "../filtering/filter.js";
import { DEFAULT_RERANK_FACTOR, MAX_K, MAX_RERANK_FACTOR } from "../searching/search-options.js";
import type { Filter } from "../types.js";

/** As benchmarks of vector indexes usually measure it: recall@10. */
const DEFAULT_K = 10;
const DEFAULT_EF_SEARCH = [40, 100, 200, 400];
const MAX_SETTINGS = 20;
/** The standard error of a recall of 0.95 at k 10 is then about 0.007, if the hits of a question were independent. */
const DEFAULT_SAMPLE = 100;
/** Their vectors are in memory: 40 MB of 1024 dimensions. */
const MAX_SAMPLE = 10_000;
const DEFAULT_MAX_MS = 30_000;
const MAX_MS = 24 * 60 * 60 * 1000;
/** Above this, answers hardly change. */
const DEFAULT_TARGET = 0.95;

/** Options of `recall`. */
export interface RecallOptions {
  /** How many nearest chunks to compare: 1 to 999. Default 10. */
  k?: number | undefined;
  /** The values of `efSearch` to measure, 1 to 1000 each. Default 40, 100, 200 and 400. */
  efSearch?: readonly number[] | undefined;
  /** How many stored vectors to use as questions, chosen at random: 1 to 10,000. Default 100. */
  sample?: number | undefined;
  /** Vector index of type `bit` only: as in `similar`. Default 10. */
  rerankFactor?: number | undefined;
  /** Measures searches with this filter, among the chunks that match it. */
  filter?: Filter | undefined;
  /** The recall that the suggested `efSearch` should reach, 0 to 1. Default 0.95. */
  target?: number | undefined;
  /** No further question is begun after this time, in milliseconds. Default 30,000. */
  maxMs?: number | undefined;
  /** Ends the call early with `AbortError`. */
  signal?: AbortSignal | undefined;
  /** Time limit of the whole call in milliseconds: after it the call fails, where `maxMs` ends it with what it has. Default: none. */
  timeoutMs?: number | undefined;
}

const RECALL_OPTIONS = namesOfProperties<RecallOptions>({
  k: true,
  efSearch: true,
  sample: true,
  rerankFactor: true,
  filter: true,
  target: true,
  maxMs: true,
  signal: true,
  timeoutMs: true,
});

/** The options of `recall`, checked, with their defaults. */
export interface CheckedRecall {
  k: number;
  /** Ascending, without duplicates. */
  efSearch: readonly number[];
  sample: number;
  rerankFactor: number;
  condition: Condition | undefined;
  target: number;
  maxMs: number;
  signal: AbortSignal | undefined;
  timeoutMs: number | undefined;
}

/**
 * @param filter - of the index, compiled; `undefined` without one
 * @throws {@link InvalidArgumentError}
 */
export function checkRecall(options: RecallOptions, filter: Condition | undefined): CheckedRecall {
  checkCall(options, RECALL_OPTIONS, "recall");
  const { efSearch = DEFAULT_EF_SEARCH } = options;
  checkList("efSearch", efSearch);
  if (efSearch.length === 0 || efSearch.length > MAX_SETTINGS) {
    throw new InvalidArgumentError("efSearch", `must be a list of 1 to ${MAX_SETTINGS} values`);
  }
  const values = Array.from(efSearch, (value, index) => checkInteger(`efSearch[${index}]`, value, 1, MAX_K));
  return {
    // One more than k is searched for, because each question finds itself.
    k: checkInteger("k", options.k ?? DEFAULT_K, 1, MAX_K - 1),
    efSearch: [...new Set(values)].sort((left, right) => left - right),
    sample: checkInteger("sample", options.sample ?? DEFAULT_SAMPLE, 1, MAX_SAMPLE),
    rerankFactor: checkInteger("rerankFactor", options.rerankFactor ?? DEFAULT_RERANK_FACTOR, 1, MAX_RERANK_FACTOR),
    condition: searchCondition(filter, options.filter),
    target: checkNumber("target", options.target ?? DEFAULT_TARGET, 0, 1),
    maxMs: checkInteger("maxMs", options.maxMs ?? DEFAULT_MAX_MS, 1, MAX_MS),
    signal: options.signal,
    timeoutMs: options.timeoutMs,
  };
}
