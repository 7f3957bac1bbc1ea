import { bootstrapMeanInterval, mean, type Interval } from "./interval.js";

/** The number of hits that are asked for; a right hit further down counts as not found. */
export const K = 10;

/** The place of the first right hit, from 1; `undefined` if none of the first {@link K} is right. */
export type Rank = number | undefined;

/** A measure of retrieval: the mean of a score of each question. */
export interface Measure {
  name: string;
  /** From 0 to 1. */
  scoreOf: (rank: Rank) => number;
  /** The 95 % confidence interval of the mean of these scores. */
  intervalOf: (scores: readonly number[], seed: number) => Interval;
}

/** The 97.5 % quantile of the normal distribution. */
const NORMAL_QUANTILE = 1.96;

/**
 * The Wilson score interval of a share. A bootstrap would give a set of 30 questions that are all answered the interval 1 to
 * 1; this one gives .89 to 1.
 */
function shareInterval(scores: readonly number[]): Interval {
  const count = scores.length;
  const share = mean(scores);
  const squared = NORMAL_QUANTILE ** 2;
  const centre = (share + squared / (2 * count)) / (1 + squared / count);
  const half =
    (NORMAL_QUANTILE / (1 + squared / count)) *
    Math.sqrt((share * (1 - share)) / count + squared / (4 * count * count));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** R@`limit`: the share of the questions with a right hit among the first `limit`. */
function recallAt(limit: number): Measure {
  return {
    name: `R@${limit}`,
    scoreOf: (rank) => (rank !== undefined && rank <= limit ? 1 : 0),
    intervalOf: shareInterval,
  };
}

/** R@1, R@5 and R@10. */
export const RECALLS: readonly Measure[] = [recallAt(1), recallAt(5), recallAt(K)];

/** {@link RECALLS}, and the mean of the reciprocal ranks (0 for a question without a right hit). */
export const MEASURES: readonly Measure[] = [
  ...RECALLS,
  {
    name: `MRR@${K}`,
    scoreOf: (rank) => (rank === undefined ? 0 : 1 / rank),
    intervalOf: bootstrapMeanInterval,
  },
];
