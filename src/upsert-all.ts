import type { Indexer } from "./indexer.js";
import type { NormalizedTraining } from "./training-input.js";
import type { UpsertResult } from "./types.js";

/** What is prepared and stored at once, in trainings and characters. */
const BATCH_LIMITS = { items: 100, size: 1_000_000 };

/**
 * Upserts trainings in batches, in order. A batch ends before an id that it holds already, so that the later
 * version of two is stored later.
 */
export async function* upsertAll(
  indexer: Indexer,
  trainings: Iterable<NormalizedTraining> | AsyncIterable<NormalizedTraining>,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<UpsertResult, void, undefined> {
  let pending = new Map<string, NormalizedTraining>();
  let characters = 0;
  const flush = async (): Promise<UpsertResult[]> => {
    const batch = [...pending.values()];
    pending = new Map();
    characters = 0;
    return batch.length === 0 ? [] : (await indexer.prepare(batch, options)).commit();
  };
  for await (const training of trainings) {
    if (pending.has(training.key)) yield* await flush();
    pending.set(training.key, training);
    characters += training.sources.reduce((sum, { text }) => sum + text.length, 0);
    if (pending.size >= BATCH_LIMITS.items || characters >= BATCH_LIMITS.size) yield* await flush();
  }
  yield* await flush();
}
