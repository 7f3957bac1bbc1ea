import { throwIfAborted } from "../errors.js";
import type { FoundChunk } from "./hits.js";
import { Turns } from "../calls/turns.js";

/** How many similarities are computed between two looks at the clock: of 1,024 dimensions they take about 0.1 ms. */
const SIMILARITIES_BETWEEN_LOOKS = 100;

/**
 * The `k` chunks that maximal marginal relevance chooses, in its order; of chunks that are as good as each other the
 * first. Each chosen chunk is compared once with each candidate, so the time grows with `k` times their number. It is
 * divided into turns: a thousand of a thousand candidates of 1,024 dimensions take most of a second.
 *
 * @param vector - of the query
 * @param found - with their vectors
 * @param lambda - weight of relevance (1) against diversity (0)
 * @throws {@link AbortError}
 * @see LangChain's `maximalMarginalRelevance`, which chooses the same and compares all anew for each choice
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
  const isTimeForOthers = (): boolean => ++similarities % SIMILARITIES_BETWEEN_LOOKS === 0 && turns.isOver;
  const pause = async (): Promise<void> => {
    await turns.pause();
    throwIfAborted(signal);
  };
  const query = measured(vector);
  const candidates: Candidate[] = [];
  for (const chunk of found) {
    const embedding = measured(chunk.embedding ?? []);
    candidates.push({ chunk, ...embedding, relevance: similarityOf(query, embedding), likeness: -Infinity });
    if (isTimeForOthers()) await pause();
  }
  const chosen: FoundChunk[] = [];
  let left = candidates;
  let best = bestOf(left, ({ relevance }) => relevance);
  while (best) {
    const last = best;
    chosen.push(last.chunk);
    if (chosen.length >= k) break;
    left = left.filter((candidate) => candidate !== last);
    for (const candidate of left) {
      candidate.likeness = Math.max(candidate.likeness, similarityOf(candidate, last));
      if (isTimeForOthers()) await pause();
    }
    best = bestOf(left, ({ relevance, likeness }) => lambda * relevance - (1 - lambda) * likeness);
  }
  return chosen;
}

/** A vector with its length, which is computed once. */
interface Measured {
  vector: ArrayLike<number>;
  length: number;
}

interface Candidate extends Measured {
  chunk: FoundChunk;
  /** Its similarity to the query. */
  relevance: number;
  /** Its similarity to that of the chosen chunks which it is most similar to. */
  likeness: number;
}

function measured(vector: ArrayLike<number>): Measured {
  return { vector, length: Math.sqrt(product(vector, vector)) };
}

/** The cosine; 0 for a vector without a direction. */
function similarityOf(left: Measured, right: Measured): number {
  const cosine = product(left.vector, right.vector) / (left.length * right.length);
  return Number.isNaN(cosine) ? 0 : cosine;
}

function product(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let sum = 0;
  for (let place = 0; place < left.length; place++) sum += (left[place] ?? 0) * (right[place] ?? 0);
  return sum;
}

function bestOf(
  candidates: readonly Candidate[],
  scoreOf: (candidate: Candidate) => number,
): Candidate | undefined {
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
