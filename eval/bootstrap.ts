import { bootstrapMeanInterval, mean, type Interval } from "../src/cli/evaluating/interval.js";

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

/**
 * If fewer questions changed, the verdict is noise. Five that all changed for the better happen by chance in 6 % of the
 * comparisons of equals (sign test), but the bootstrap, which knows no others, would call them certain.
 */
const FEWEST_CHANGED = 6;

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
