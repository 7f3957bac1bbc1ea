import { checkIterable } from "../calls/checks.js";
import type { IndexFilter } from "../filtering/index-filter.js";
import { requireWritable } from "./scope.js";
import { BULK_LOAD_OPTIONS, bulkLoad, checkBulkLoad, type BulkLoadOptions } from "./bulk-load.js";
import type { KnownSchema } from "../schema/known-schema.js";
import type { VectorIndexMethod } from "../schema/vector-index-method.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import type { Indexer } from "./indexer.js";
import { IndexingRun, type OnFailure, type ResultOf } from "./indexing-run.js";
import { checkUpsertMany, UPSERT_MANY_OPTIONS, type UpsertManyOptions } from "./write-options.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { FailedUpsert, Training } from "../types.js";
import { upsertAll, type StoreBatch } from "./upsert-all.js";

/** Dependencies of a run. */
interface RunParts {
  pool: BoundedPool;
  /** Of the index. */
  filter: IndexFilter;
  knownSchema: Pick<KnownSchema, "forget" | "look">;
  /** The vector index of another extension. */
  method: VectorIndexMethod | undefined;
  indexer: Indexer;
}

type Trainings = Iterable<Training<object>> | AsyncIterable<Training<object>>;
type Normalize = (training: Training<object>, option: string) => NormalizedTraining;
type RunOptions<Chosen extends OnFailure> = UpsertManyOptions & { onFailure?: Chosen | undefined };

/** A run that upserts trainings. @throws {@link InvalidArgumentError} at the call */
export function upsertRun<Chosen extends OnFailure>(
  parts: RunParts,
  normalize: Normalize,
  trainings: Trainings,
  options: RunOptions<Chosen>,
): IndexingRun<ResultOf<Chosen>> {
  requireWritable(parts.filter);
  checkUpsertMany(options, UPSERT_MANY_OPTIONS, "upsertTrainings");
  checkIterable("trainings", trainings);
  return new IndexingRun(() => upsertEach(parts, normalize, trainings, options), options.onProgress);
}

/** A run that loads trainings without the vector index and builds it at the end. @throws {@link InvalidArgumentError} at the call */
export function bulkLoadRun<Chosen extends OnFailure>(
  parts: RunParts,
  normalize: Normalize,
  trainings: Trainings,
  options: RunOptions<Chosen> & BulkLoadOptions,
): IndexingRun<ResultOf<Chosen>> {
  requireWritable(parts.filter);
  checkUpsertMany(options, [...UPSERT_MANY_OPTIONS, ...BULK_LOAD_OPTIONS], "bulkLoad");
  checkBulkLoad(options);
  checkIterable("trainings", trainings);
  const { pool, knownSchema, method } = parts;
  const loadParts = {
    pool,
    method,
    upsert: (given: Trainings) => upsertEach(parts, normalize, given, options),
    onIndexChanged: () => {
      knownSchema.forget();
    },
  };
  const load = async function* (): AsyncGenerator<ResultOf<Chosen>, void, undefined> {
    // The model may have been switched: the index of another one must not be dropped.
    const { layout } = await knownSchema.look(undefined, options.signal);
    yield* bulkLoad({ ...loadParts, layout }, trainings, options);
  };
  return new IndexingRun(load, options.onProgress);
}

function upsertEach<Chosen extends OnFailure>(
  { indexer }: RunParts,
  normalize: Normalize,
  trainings: Trainings,
  options: RunOptions<Chosen>,
): AsyncGenerator<ResultOf<Chosen>, void, undefined> {
  const normalized = normalizeEach(normalize, trainings, options.onFailure === "continue");
  const store: StoreBatch<NormalizedTraining> = (batch, signal) =>
    options.onFailure === "continue" ? indexer.upsertEach(batch, signal) : indexer.upsert(batch, { signal });
  return upsertAll(store, normalized, options) as AsyncGenerator<ResultOf<Chosen>, void, undefined>;
}

async function* normalizeEach(
  normalize: Normalize,
  trainings: Trainings,
  continuesOnFailure: boolean,
): AsyncGenerator<NormalizedTraining | FailedUpsert, void, undefined> {
  let index = 0;
  for await (const training of trainings) {
    let entry: NormalizedTraining | FailedUpsert;
    try {
      entry = normalize(training, `trainings[${index++}]`);
    } catch (error) {
      if (!continuesOnFailure) throw error;
      entry = { id: (training as Training<object> | null | undefined)?.id, status: "failed", error };
    }
    yield entry;
  }
}
