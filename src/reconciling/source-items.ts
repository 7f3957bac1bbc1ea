import { checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import { encodeRevision, type NormalizedTraining } from "../chunking/training-input.js";
import { InvalidArgumentError } from "../errors.js";
import { encodeTrainingId } from "../schema/training-id.js";
import type { Metadata, IdType, Revision, Training, TrainingId } from "../types.js";

/** A training that the host has, without its content. */
export interface TrainingReference {
  id: TrainingId;
  /** The revision of its current version. Without one only its presence is compared. */
  revision?: Revision | undefined;
}

/** A training whose content is only loaded if the index has to be repaired. */
export interface LoadableTraining<OwnMetadata extends object = Metadata> extends TrainingReference {
  /**
   * Returns the whole training, with the same id; `undefined` if it has been deleted meanwhile. Without a `revision` of its
   * own it gets that of this item. What it throws ends the call unchanged.
   */
  load: () => Training<OwnMetadata> | undefined | Promise<Training<OwnMetadata> | undefined>;
}

/** The host's trainings, in any order, each id once. */
export type TrainingSource<Item> = Iterable<Item> | AsyncIterable<Item>;

/** Checks a training, and converts it to one form. */
export type Normalize = (training: Training, option?: string) => NormalizedTraining;

/** A checked item of a source. */
export interface SourceItem {
  id: TrainingId;
  /** The id in the form sent to Postgres. */
  key: string;
  revision: string | null;
  /** The whole training, if the source has it. */
  training: NormalizedTraining | undefined;
  /** Loads the whole training; only for a {@link LoadableTraining}. */
  load: (() => Promise<NormalizedTraining | undefined>) | undefined;
}

/**
 * The size of the items that are compared at a time: 500 references, or whole trainings of 40,000 characters, 100 at most. With larger
 * batches V8 moves them to its old generation, which then grows by tens of MB before it is collected.
 */
const BATCH_SIZE = 40_000;
const LEAST_SIZE = { reference: BATCH_SIZE / 500, training: BATCH_SIZE / 100 };
/** Trainings and characters that are repaired together, as in `upsertTrainings`. */
const REPAIR_LIMITS = { items: 100, size: 160_000 };

const REFERENCE = namesOfProperties<LoadableTraining>({ id: true, revision: true, load: true });

/**
 * Checks an item of a source.
 *
 * @param index - the place of the item in the source, for errors
 * @throws {@link InvalidArgumentError}
 */
export function readSourceItem(given: unknown, index: number, idType: IdType, normalize: Normalize): SourceItem {
  const option = `source[${index}]`;
  if (isObject(given) && ("content" in given || "documents" in given)) {
    const training = normalize(given as Training, option);
    const { id, key, revision } = training;
    return { id, key, revision, training, load: undefined };
  }
  if (!isObject(given)) {
    throw new InvalidArgumentError(option, "must be a training, { id, revision }, or { id, revision, load }");
  }
  checkNames(given, REFERENCE, "an item of a source", option);
  const item = given as TrainingReference & Partial<LoadableTraining>;
  const { id, revision } = item;
  if (item.load !== undefined && typeof item.load !== "function") {
    throw new InvalidArgumentError(`${option}.load`, "must be a function that returns the training");
  }
  const key = encodeTrainingId(id, idType, `${option}.id`);
  const loadChecked = async (): Promise<NormalizedTraining | undefined> => {
    const loaded = await item.load?.();
    if (!loaded) return undefined;
    const training = normalize(loaded.revision === undefined ? { ...loaded, revision } : loaded, `${option}.load()`);
    if (training.key === key) return training;
    throw new InvalidArgumentError(`${option}.load()`, "returned a training with another id");
  };
  return {
    id,
    key,
    revision: encodeRevision(revision, `${option}.revision`),
    training: undefined,
    load: item.load && loadChecked,
  };
}

/**
 * Groups items into batches, in order. Reads no further than the batch.
 *
 * @param read - checks an item; its second argument is the place of the item in the source
 */
export async function* itemBatches(
  source: AsyncIterable<unknown>,
  read: (given: unknown, index: number) => SourceItem,
): AsyncGenerator<SourceItem[], void, undefined> {
  let batch: SourceItem[] = [];
  let size = 0;
  let index = 0;
  for await (const given of source) {
    const item = read(given, index++);
    batch.push(item);
    size += item.training ? Math.max(charactersOf(item.training), LEAST_SIZE.training) : LEAST_SIZE.reference;
    if (size < BATCH_SIZE) continue;
    yield batch;
    batch = [];
    size = 0;
  }
  if (batch.length > 0) yield batch;
}

/** Whether trainings are as many and as long as one batch of repairs may be. */
export function isFullBatch(trainings: readonly NormalizedTraining[]): boolean {
  const size = trainings.reduce((sum, training) => sum + charactersOf(training), 0);
  return trainings.length >= REPAIR_LIMITS.items || size >= REPAIR_LIMITS.size;
}

function charactersOf({ sources }: NormalizedTraining): number {
  return sources.reduce((sum, { text }) => sum + text.length, 0);
}
