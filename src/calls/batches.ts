/** Upper bounds of a batch. A single item that exceeds `size` is a batch by itself. */
export interface BatchLimits {
  items: number;
  size: number;
}

/** Groups items into batches, in order, each within both limits. Reads at most one item ahead. */
export function* batches<T>(items: Iterable<T>, sizeOf: (item: T) => number, limits: BatchLimits): Generator<T[]> {
  let batch: T[] = [];
  let size = 0;
  for (const item of items) {
    const itemSize = sizeOf(item);
    if (batch.length > 0 && (batch.length >= limits.items || size + itemSize > limits.size)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += itemSize;
  }
  if (batch.length > 0) yield batch;
}
