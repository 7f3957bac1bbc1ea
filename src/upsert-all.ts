import type { Indexer } from "./indexer.js";
import type { NormalizedTraining } from "./training-input.js";
import type { Training, UpsertResult } from "./types.js";

/** What is prepared and stored at once, in trainings and characters. */
const BATCH_LIMITS = { items: 100, size: 1_000_000 };

/**
 * Upserts trainings in batches, in order. A batch ends before an id that it holds already, so that the later
 * version of two is stored later.
 *
 * @param normalize - checks a training, whose place in the list is the option to blame
 * @param vectors - ready vectors, one for each training, which is then of one ready chunk
 */
export async function* upsertAll(
  indexer: Indexer,
  normalize: (training: Training, option: string) => NormalizedTraining,
  trainings: Iterable<Training> | AsyncIterable<Training>,
  options: { signal?: AbortSignal | undefined },
  vectors?: readonly Float32Array[],
): AsyncGenerator<UpsertResult, void, undefined> {
  let pending = new Map<string, NormalizedTraining>();
  let characters = 0;
  let index = 0;
  const flush = async (): Promise<UpsertResult[]> => {
    const batch = [...pending.values()];
    pending = new Map();
    characters = 0;
    return batch.length === 0 ? [] : (await indexer.prepare(batch, options)).commit();
  };
  for await (const training of trainings) {
    const normalized = normalize(training, `trainings[${index}]`);
    attachVector(normalized, vectors?.[index]);
    index += 1;
    if (pending.has(normalized.key)) yield* await flush();
    pending.set(normalized.key, normalized);
    characters += normalized.sources.reduce((sum, { text }) => sum + text.length, 0);
    if (pending.size >= BATCH_LIMITS.items || characters >= BATCH_LIMITS.size) yield* await flush();
  }
  yield* await flush();
}

function attachVector({ sources }: NormalizedTraining, vector: Float32Array | undefined): void {
  for (const source of sources) source.vector = vector;
}
