import { throwIfAborted } from "../errors.js";
import type { FoundChunk } from "./hits.js";
import { Turns } from "../calls/turns.js";

/** Options of a search with MMR. */
export interface MarginalRelevance {
  /** Number of candidates, 1 to 1000, raised to `k`. Default 20. */
  fetchK?: number | undefined;
  /** Weight of relevance (1) against diversity (0). Default 0.5. */
  lambda?: number | undefined;
}

/** Similarities computed between two checks of the clock: about 0.1 ms at 1,024 dimensions. */
const SIMILARITIES_PER_CLOCK_CHECK = 100;

/**
 * Chooses `k` chunks by maximal marginal relevance, in the order chosen; the first of equally good ones wins. Each chosen
 * chunk is compared once with each remaining candidate, so the time grows with `k` times the number of candidates. The
 * work yields to the event loop: choosing 1,000 of 1,000 candidates with 1,024 dimensions takes most of a second.
 *
 * @param vector - the query's vector
 * @param found - the candidates, with their vectors
 * @param lambda - weight of relevance (1) against diversity (0)
 * @throws {@link AbortError}
 * @see LangChain's `maximalMarginalRelevance`, which chooses the same but recomputes all similarities for each choice
 */
export async function chooseDiverse(
  vector: ArrayLike<number>,
  found: readonly FoundChunk[],
  k: number,
  lambda: number,
  signal?: AbortSignal,
): Promise<FoundChunk[]> {
  const turns = new Turns();
  let similarities = 0;
  const shouldYield = (): boolean => ++similarities % SIMILARITIES_PER_CLOCK_CHECK === 0 && turns.isOver;
  const pause = async (): Promise<void> => {
    await turns.pause();
    throwIfAborted(signal);
  };
  const query = withNorm(vector);
  const candidates: Candidate[] = [];
  for (const chunk of found) {
    const embedding = withNorm(chunk.embedding ?? []);
    candidates.push({
      chunk,
      ...embedding,
      relevance: similarityOf(query, embedding),
      redundancy: -Infinity,
    });
    if (shouldYield()) await pause();
  }
  const chosen: FoundChunk[] = [];
  let remaining = candidates;
  let best = bestOf(remaining, ({ relevance }) => relevance);
  while (best) {
    const last = best;
    chosen.push(last.chunk);
    if (chosen.length >= k) break;
    remaining = remaining.filter((candidate) => candidate !== last);
    for (const candidate of remaining) {
      candidate.redundancy = Math.max(candidate.redundancy, similarityOf(candidate, last));
      if (shouldYield()) await pause();
    }
    best = bestOf(remaining, ({ relevance, redundancy }) => lambda * relevance - (1 - lambda) * redundancy);
  }
  return chosen;
}

/** A vector with its Euclidean norm, computed once. */
interface VectorWithNorm {
  vector: ArrayLike<number>;
  norm: number;
}

interface Candidate extends VectorWithNorm {
  chunk: FoundChunk;
  /** Similarity to the query. */
  relevance: number;
  /** Highest similarity to a chosen chunk. */
  redundancy: number;
}

function withNorm(vector: ArrayLike<number>): VectorWithNorm {
  return { vector, norm: Math.sqrt(dotProduct(vector, vector)) };
}

/** Cosine similarity; 0 for a zero vector. */
function similarityOf(left: VectorWithNorm, right: VectorWithNorm): number {
  const cosine = dotProduct(left.vector, right.vector) / (left.norm * right.norm);
  return Number.isNaN(cosine) ? 0 : cosine;
}

function dotProduct(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let sum = 0;
  for (let place = 0; place < left.length; place++) sum += (left[place] ?? 0) * (right[place] ?? 0);
  return sum;
}

function bestOf(candidates: readonly Candidate[], scoreOf: (candidate: Candidate) => number): Candidate | undefined {
  let best: Candidate | undefined;
  let bestScore = -Infinity;
  for (const candidate of candidates) {
    const score = scoreOf(candidate);
    if (best && score <= bestScore) continue;
    best = candidate;
    bestScore = score;
  }
  return best;
}
