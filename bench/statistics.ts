/** The value that this share of all values does not exceed; NaN where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
}

/** Half of all values are below it. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** NaN where there are none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** How long it takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The list, begun at another place: whoever came first comes later in the next round. */
export function rotate<Item>(items: readonly Item[], places: number): Item[] {
  return items.map((_, index) => items[(index + places) % items.length] as Item);
}
