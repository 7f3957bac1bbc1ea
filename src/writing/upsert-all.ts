import { orAbort } from "../errors.js";
import { withTimeLimit, type CallLimits } from "../calls/time-limit.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { FailedUpsert, UpsertResult } from "../types.js";

/**
 * Size of a batch in trainings and characters: about 200 chunks, so that a swap is short. From 200,000 characters on,
 * Postgres returned memory to the system after each statement and allocated it again: 40,000 page faults for 10,000
 * chunks of 1024 dimensions, against 2,000 at 160,000 characters.
 */
const BATCH_LIMITS = { items: 100, size: 160_000 };

/** Keeps two cores busy during a load without embedding; more was not faster (docs/performance.md). */
const DEFAULT_CONCURRENCY = 4;

/** Options of {@link upsertAll}. */
export interface UpsertAllOptions {
  /** Batches in progress at a time. Default 4. */
  concurrency?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Time limit of each batch. */
  timeoutMs?: number | undefined;
}

/** The result or failure of one training. */
export type RunResult = UpsertResult | FailedUpsert;

/** Stores trainings with distinct ids together. @returns one result for each, in order */
export type StoreBatch<Item> = (
  trainings: readonly Item[],
  signal: AbortSignal | undefined,
) => Promise<readonly RunResult[]>;

/** Trainings with distinct ids that are stored together, and, in order, those that have already failed. */
interface Batch<Item> {
  entries: readonly (Item | FailedUpsert)[];
  keys: ReadonlySet<string>;
}

/** What batches are cut by. */
type Sized = Pick<NormalizedTraining, "key" | "sources">;

/**
 * Upserts trainings in batches, several at a time. Results come in the order of the trainings, each as soon as all
 * before it are done. Batches with a common id never run at the same time, so the later of two versions is stored
 * later.
 *
 * A batch is read from the source only when it can start, which bounds the trainings in memory. If a batch fails, later
 * ones are stopped. If the source fails, earlier ones are finished first.
 */
export async function* upsertAll<Item extends Sized>(
  store: StoreBatch<Item>,
  trainings: Iterable<Item | FailedUpsert> | AsyncIterable<Item | FailedUpsert>,
  { concurrency = DEFAULT_CONCURRENCY, signal, timeoutMs }: UpsertAllOptions = {},
): AsyncGenerator<RunResult, void, undefined> {
  const source = cutIntoBatches(trainings);
  const pipeline = new Pipeline(store, { signal, timeoutMs });
  let next: Promise<IteratorResult<Batch<Item>, void>> | undefined;
  try {
    for (;;) {
      while (pipeline.size >= concurrency) yield* await pipeline.finishOldest();
      const arriving = (next ??= source.next());
      // A slow source does not delay results that are ready.
      if (await orAbort(() => pipeline.oldestEndsBefore(arriving), signal)) {
        yield* await pipeline.finishOldest();
        continue;
      }
      next = undefined;
      const { batch, failure } = await settled(arriving);
      while (pipeline.size > 0 && (!batch || pipeline.sharesAnId(batch))) yield* await pipeline.finishOldest();
      if (failure) throw failure.error;
      if (!batch) return;
      pipeline.begin(batch);
    }
  } finally {
    await pipeline.stop();
    const closed = source.return();
    // A pending read of the source may never settle, and the caller has already left: do not wait for it.
    if (next === undefined) await closed;
    else closed.catch(noop);
  }
}

/** The next batch or the failure of the source; neither at its end. */
async function settled<Item>(
  arriving: Promise<IteratorResult<Batch<Item>, void>>,
): Promise<{ batch?: Batch<Item> | undefined; failure?: { error: unknown } }> {
  try {
    const { value } = await arriving;
    return { batch: value ?? undefined };
  } catch (error) {
    return { failure: { error } };
  }
}

async function* cutIntoBatches<Item extends Sized>(
  trainings: Iterable<Item | FailedUpsert> | AsyncIterable<Item | FailedUpsert>,
): AsyncGenerator<Batch<Item>, void, undefined> {
  let entries: (Item | FailedUpsert)[] = [];
  let keys = new Set<string>();
  let characters = 0;
  const takeBatch = (): Batch<Item> => {
    const batch = { entries, keys };
    entries = [];
    keys = new Set();
    characters = 0;
    return batch;
  };
  for await (const entry of trainings) {
    if ("key" in entry) {
      if (keys.has(entry.key)) yield takeBatch();
      keys.add(entry.key);
      characters += entry.sources.reduce((sum, { text }) => sum + text.length, 0);
    }
    entries.push(entry);
    if (entries.length >= BATCH_LIMITS.items || characters >= BATCH_LIMITS.size) yield takeBatch();
  }
  if (entries.length > 0) yield takeBatch();
}

/** The batches in progress, in order. */
class Pipeline<Item extends Sized> {
  readonly #storeBatch: StoreBatch<Item>;
  readonly #limits: CallLimits;
  readonly #stopping = new AbortController();
  readonly #inProgress: { batch: Batch<Item>; results: Promise<RunResult[]> }[] = [];

  constructor(store: StoreBatch<Item>, limits: CallLimits) {
    this.#storeBatch = store;
    this.#limits = limits;
  }

  get size(): number {
    return this.#inProgress.length;
  }

  begin(batch: Batch<Item>): void {
    const store = (signal: AbortSignal | undefined): Promise<RunResult[]> => this.#store(batch, signal);
    const results = withTimeLimit(this.#limits, store, this.#stopping.signal);
    results.catch(noop); // `finishOldest` reports it in turn
    this.#inProgress.push({ batch, results });
  }

  async #store({ entries }: Batch<Item>, signal: AbortSignal | undefined): Promise<RunResult[]> {
    const trainings = entries.filter((entry) => "key" in entry);
    if (trainings.length === 0) return entries.filter((entry) => "status" in entry);
    const inOrder = (await this.#storeBatch(trainings, signal)).values();
    return entries.flatMap((entry) => ("status" in entry ? entry : (inOrder.next().value ?? [])));
  }

  sharesAnId(batch: Batch<Item>): boolean {
    return this.#inProgress.some((work) => [...batch.keys].some((key) => work.batch.keys.has(key)));
  }

  /** Whether the oldest batch ends before `other` does. */
  async oldestEndsBefore(other: Promise<unknown>): Promise<boolean> {
    const [oldest] = this.#inProgress;
    const otherEnds = other.then(never, never);
    if (!oldest) return otherEnds;
    return Promise.race([oldest.results.then(always, always), otherEnds]);
  }

  /** @throws the error of the oldest batch */
  async finishOldest(): Promise<RunResult[]> {
    return (await this.#inProgress.shift()?.results) ?? [];
  }

  /** Stops the batches in progress, and waits until they have stopped. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#inProgress.map(({ results }) => results));
  }
}

function always(): boolean {
  return true;
}

function never(): boolean {
  return false;
}

function noop(): void {
  // The caller is gone or hears of the error elsewhere.
}
