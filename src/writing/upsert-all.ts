import { orAbort } from "../errors.js";
import type { Indexer } from "./indexer.js";
import { withTimeLimit, type CallLimits } from "../calls/time-limit.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { FailedUpsert, UpsertResult } from "../types.js";

/**
 * What is prepared and stored at once, in trainings and characters: some 200 chunks, whose swap is soon over. From 200,000
 * characters on, Postgres gave memory back to the system after each statement and took it anew: 40,000 page faults for
 * 10,000 chunks of 1024 dimensions, at 160,000 it was 2,000.
 */
const BATCH_LIMITS = { items: 100, size: 160_000 };

/** Enough to keep two cores busy with loading alone; more brought nothing (docs/performance.md). */
const DEFAULT_CONCURRENCY = 4;

/** Options of {@link upsertAll}. */
export interface UpsertAllOptions {
  /** Batches under way at a time. Default 4. */
  concurrency?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Of each batch. */
  timeoutMs?: number | undefined;
  /** What a training does that cannot be indexed: it ends the run, or fails alone. Default `throw`. */
  onFailure?: "throw" | "continue" | undefined;
}

/** What came of one training. */
export type RunResult = UpsertResult | FailedUpsert;

/** Trainings that are stored together, each id at most once, and in their places those that have failed already. */
interface Batch {
  entries: readonly (NormalizedTraining | FailedUpsert)[];
  keys: ReadonlySet<string>;
}

/**
 * Upserts trainings in batches, some of them at a time. Results come in the order of the trainings, each as soon as all
 * before it have ended. Batches that have an id in common are never under way together, so that the later version of two
 * is stored later.
 *
 * A batch is taken from the source only when it may begin, which bounds how many trainings are in memory. When one fails,
 * those behind it are stopped; when the source fails, those before are finished first.
 */
export async function* upsertAll(
  indexer: Indexer,
  trainings: Iterable<NormalizedTraining | FailedUpsert> | AsyncIterable<NormalizedTraining | FailedUpsert>,
  { concurrency = DEFAULT_CONCURRENCY, signal, timeoutMs, onFailure = "throw" }: UpsertAllOptions = {},
): AsyncGenerator<RunResult, void, undefined> {
  const source = cutIntoBatches(trainings);
  const pipeline = new Pipeline(indexer, { signal, timeoutMs }, onFailure);
  let next: Promise<IteratorResult<Batch, void>> | undefined;
  try {
    for (;;) {
      while (pipeline.size >= concurrency) yield* await pipeline.finishOldest();
      const arriving = (next ??= source.next());
      // Results do not wait for a slow source.
      if (await orAbort(() => pipeline.oldestEndsBefore(arriving), signal)) {
        yield* await pipeline.finishOldest();
        continue;
      }
      next = undefined;
      const { batch, failure } = await takeArrived(arriving);
      while (pipeline.size > 0 && (!batch || pipeline.sharesAnId(batch)))
        yield* await pipeline.finishOldest();
      if (failure) throw failure.error;
      if (!batch) return;
      pipeline.begin(batch);
    }
  } finally {
    await pipeline.stop();
    const closed = source.return();
    // A source that is waited for would hold up the caller, who has turned away.
    if (next === undefined) await closed;
    else closed.catch(noop);
  }
}

/** What came of a look for the next batch: neither at the end of the source. */
async function takeArrived(
  arriving: Promise<IteratorResult<Batch, void>>,
): Promise<{ batch?: Batch | undefined; failure?: { error: unknown } }> {
  try {
    const { value } = await arriving;
    return { batch: value ?? undefined };
  } catch (error) {
    return { failure: { error } };
  }
}

async function* cutIntoBatches(
  trainings: Iterable<NormalizedTraining | FailedUpsert> | AsyncIterable<NormalizedTraining | FailedUpsert>,
): AsyncGenerator<Batch, void, undefined> {
  let entries: (NormalizedTraining | FailedUpsert)[] = [];
  let keys = new Set<string>();
  let characters = 0;
  const takeBatch = (): Batch => {
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

/** The batches under way, in order. */
class Pipeline {
  readonly #indexer: Indexer;
  readonly #limits: CallLimits;
  readonly #stopping = new AbortController();
  readonly #onFailure: "throw" | "continue";
  readonly #underWay: { batch: Batch; results: Promise<RunResult[]> }[] = [];

  constructor(indexer: Indexer, limits: CallLimits, onFailure: "throw" | "continue") {
    this.#indexer = indexer;
    this.#limits = limits;
    this.#onFailure = onFailure;
  }

  get size(): number {
    return this.#underWay.length;
  }

  begin(batch: Batch): void {
    const store = (signal: AbortSignal | undefined): Promise<RunResult[]> => this.#store(batch, signal);
    const results = withTimeLimit(this.#limits, store, this.#stopping.signal);
    results.catch(noop); // told when its turn comes
    this.#underWay.push({ batch, results });
  }

  async #store({ entries }: Batch, signal: AbortSignal | undefined): Promise<RunResult[]> {
    const trainings = entries.filter((entry) => "key" in entry);
    if (trainings.length === 0) return entries.filter((entry) => "status" in entry);
    const results =
      this.#onFailure === "continue"
        ? await this.#indexer.upsertEach(trainings, signal)
        : await (await this.#indexer.prepare(trainings, { signal })).commit(undefined, signal);
    const inOrder = results.values();
    return entries.flatMap((entry) => ("status" in entry ? entry : (inOrder.next().value ?? [])));
  }

  sharesAnId(batch: Batch): boolean {
    return this.#underWay.some((work) => [...batch.keys].some((key) => work.batch.keys.has(key)));
  }

  /** Whether the oldest one has ended when something else does. */
  async oldestEndsBefore(other: Promise<unknown>): Promise<boolean> {
    const [oldest] = this.#underWay;
    const otherEnds = other.then(never, never);
    if (!oldest) return otherEnds;
    return Promise.race([oldest.results.then(always, always), otherEnds]);
  }

  /** @throws what the oldest one failed for */
  async finishOldest(): Promise<RunResult[]> {
    return (await this.#underWay.shift()?.results) ?? [];
  }

  /** Stops what is under way, and waits until it has stopped. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#underWay.map(({ results }) => results));
  }
}

function always(): boolean {
  return true;
}

function never(): boolean {
  return false;
}

function noop(): void {
  // Nobody is to be told.
}
