/** Both ends of a 95 % interval. */
export interface Interval {
  low: number;
  high: number;
}

const RESAMPLES = 10_000;
const TAIL = 0.025;

/**
 * The 95 % interval of a mean, from 10,000 resamples of the values with replacement (percentile bootstrap). The same seed
 * gives the same interval.
 */
export function bootstrapMeanInterval(values: readonly number[], seed: number): Interval {
  const random = randomNumbers(seed);
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

/** The arithmetic mean; NaN if there are none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Random numbers from 0 to 1, the same for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
