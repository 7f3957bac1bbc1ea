import { maximalMarginalRelevance } from "@langchain/core/utils/math";
import type { MaxMarginalRelevanceSearchOptions } from "@langchain/core/vectorstores";
import { checkInteger, checkNumber, checkOptions } from "./checks.js";
import { MAX_K } from "./options.js";
import type { Candidates } from "./searcher.js";
import type { FoundChunk } from "./store/search.js";

/** LangChain's default for the candidates of an MMR search, and for their weight against diversity. */
const DEFAULT_FETCH_K = 20;
const DEFAULT_LAMBDA = 0.5;

/** The options of an MMR search, checked, with every default filled in. */
export interface MarginalRelevance {
  k: number;
  fetchK: number;
  lambda: number;
}

/** @throws {@link InvalidArgumentError} naming the option; the filter is left to the search */
export function checkMarginalRelevance(
  options: MaxMarginalRelevanceSearchOptions<unknown>,
): MarginalRelevance {
  checkOptions(options);
  const { k, fetchK = DEFAULT_FETCH_K, lambda = DEFAULT_LAMBDA } = options;
  return {
    k: checkInteger("k", k, 1, MAX_K),
    fetchK: checkInteger("fetchK", fetchK, 1, MAX_K),
    lambda: checkNumber("lambda", lambda, 0, 1),
  };
}

/** The `k` candidates that maximal marginal relevance chooses, in its order. */
export function chooseUnlike({ vector, found }: Candidates, k: number, lambda: number): FoundChunk[] {
  const vectors = found.map(({ embedding }) => embedding ?? []);
  return maximalMarginalRelevance(vector, vectors, lambda, k).flatMap((index) => found[index] ?? []);
}
