import { maximalMarginalRelevance } from "@langchain/core/utils/math";
import type { FoundChunk } from "./store/hits.js";

/**
 * The `k` chunks that maximal marginal relevance chooses, in its order.
 *
 * @param vector - of the query
 * @param found - with their vectors
 * @param lambda - weight of relevance (1) against diversity (0)
 */
export function chooseUnlike(
  vector: Float32Array,
  found: readonly FoundChunk[],
  k: number,
  lambda: number,
): FoundChunk[] {
  const vectors = found.map(({ embedding }) => embedding ?? []);
  return maximalMarginalRelevance(Array.from(vector), vectors, lambda, k).flatMap(
    (index) => found[index] ?? [],
  );
}
