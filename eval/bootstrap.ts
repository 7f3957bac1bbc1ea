import { randomOf } from "../tooling/random.js";

/** Both ends of a 95 % interval. */
export interface Interval {
  low: number;
  high: number;
}

/** What a comparison says of the candidate: `noise` if these questions cannot tell it from the baseline. */
export type Verdict = "better" | "worse" | "noise";

/** A candidate compared with a baseline on the same questions. */
export interface PairedComparison {
  /** Mean score of the candidate less that of the baseline. */
  difference: number;
  interval: Interval;
  /** Number of questions whose score is higher with the candidate. */
  gained: number;
  /** Number of questions whose score is lower with the candidate. */
  lost: number;
  verdict: Verdict;
}

const RESAMPLES = 10_000;
const TAIL = 0.025;
/**
 * If fewer questions changed, the verdict is noise. Five that all changed for the better happen by chance in 6 % of the
 * comparisons of equals (sign test), but the bootstrap, which knows no others, would call them certain.
 */
const FEWEST_CHANGED = 6;

/**
 * The 95 % interval of a mean, from 10,000 resamples of the values with replacement (percentile bootstrap). The same seed
 * gives the same interval.
 */
export function bootstrapMeanInterval(values: readonly number[], seed: number): Interval {
  const random = randomOf(seed);
  const sampled = Float64Array.from(values);
  const count = sampled.length;
  const means = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    let sum = 0;
    for (let drawn = 0; drawn < count; drawn++) sum += sampled[Math.floor(random() * count)] ?? 0;
    means[resample] = sum / count;
  }
  means.sort();
  const outside = Math.floor(RESAMPLES * TAIL);
  return { low: means[outside] ?? NaN, high: means[RESAMPLES - 1 - outside] ?? NaN };
}

/**
 * Compares two lists of scores of the same questions, in the same order: the paired bootstrap resamples questions, so that
 * what makes a question hard for both does not widen the interval.
 *
 * @throws RangeError for lists of different lengths
 */
export function comparePaired(
  baseline: readonly number[],
  candidate: readonly number[],
  seed: number,
): PairedComparison {
  if (baseline.length !== candidate.length) {
    throw new RangeError(`${baseline.length} scores cannot be paired with ${candidate.length}`);
  }
  const differences = candidate.map((score, question) => score - (baseline[question] ?? 0));
  const interval = bootstrapMeanInterval(differences, seed);
  const gained = differences.filter((difference) => difference > 0).length;
  const lost = differences.filter((difference) => difference < 0).length;
  return {
    difference: mean(differences),
    interval,
    gained,
    lost,
    verdict: gained + lost < FEWEST_CHANGED ? "noise" : verdictOf(interval),
  };
}

function verdictOf({ low, high }: Interval): Verdict {
  if (low > 0) return "better";
  return high < 0 ? "worse" : "noise";
}

/** The arithmetic mean; NaN if there are none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
