import { planChunks, type ChunkPlan } from "./chunk-plan.js";
import type { Embedder } from "./embedding/embedder.js";
import { DatabaseError, InvalidArgumentError, throwIfAborted } from "./errors.js";
import type { Splitter } from "./splitter.js";
import type { StartOrder } from "./start-order.js";
import { StalePreparation, type PlannedTraining } from "./store/chunk-difference.js";
import { query, type DatabasePool, type Queryable } from "./store/database.js";
import { swap, touch, type SwapOutcome, type WriteTarget } from "./store/swap.js";
import { write, writeEach, writeStatement } from "./store/write-transaction.js";
import * as sql from "./store/write-sql.js";
import type { NormalizedTraining } from "./training-input.js";
import type { IndexingProgress, UpsertResult } from "./types.js";

/** What an {@link Indexer} works with. */
export interface IndexerParts {
  pool: DatabasePool;
  target: WriteTarget;
  embedder: Embedder;
  splitter: Splitter;
  startOrder: StartOrder;
}

/** Options of {@link Indexer.prepare}. */
export interface PrepareOptions {
  signal?: AbortSignal | undefined;
  /** Reads through this client, where the pool has no other. */
  client?: Queryable | undefined;
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
}

/** How often a preparation is made anew when others change the same training meanwhile. */
const MAX_PREPARATIONS = 5;

interface StateRow {
  ticket?: string;
  content_ticket: string | null;
  outdated: boolean;
  in_scope: boolean;
  fingerprint: string | null;
}

/** Makes prepared batches: takes tickets, splits, compares with what stands, and embeds what is new. */
export class Indexer {
  readonly #parts: IndexerParts;

  constructor(parts: IndexerParts) {
    this.#parts = parts;
  }

  /**
   * Does all that needs no lock. The tickets are taken first: they say when the call started.
   *
   * @param trainings - each id at most once
   */
  async prepare(
    trainings: readonly NormalizedTraining[],
    options: PrepareOptions = {},
  ): Promise<PreparedBatch> {
    throwIfAborted(options.signal);
    const { pool, target, splitter, startOrder } = this.#parts;
    const keys = trainings.map(({ key }) => key);
    const revisions = trainings.map(({ revision }) => revision);
    const states = await startOrder.take(
      keys,
      () =>
        query<StateRow>(options.client ?? pool, sql.takeTickets(target.layout), [
          keys,
          revisions,
          target.scope,
        ]),
      options.client === undefined,
    );
    const items: Item[] = [];
    for (const [index, training] of trainings.entries()) {
      throwIfAborted(options.signal);
      const plan = await planChunks(training, splitter);
      items.push(new Item(training, plan, states[index]));
    }
    const batch = new PreparedBatch(this.#parts, items, options);
    await batch.embedMissing(options.client ?? pool);
    return batch;
  }
}

/** One training of a batch. */
class Item {
  readonly training: NormalizedTraining;
  readonly plan: ChunkPlan;
  readonly ticket: string;
  embedded = 0;
  #state: StateRow | undefined;

  constructor(training: NormalizedTraining, plan: ChunkPlan, state: StateRow | undefined) {
    this.training = training;
    this.plan = plan;
    this.ticket = state?.ticket ?? "0";
    this.observe(state);
  }

  /** Takes note of what is stored now. */
  observe(state: StateRow | undefined): void {
    if (state?.in_scope === false) {
      throw new InvalidArgumentError(
        "training.id",
        "is taken by a training outside the filter of this index",
      );
    }
    this.#state = state;
  }

  /** Something newer is stored: nothing has to be prepared. */
  get outdated(): boolean {
    return this.#state?.outdated ?? false;
  }

  /** The stored version, when it is the same. */
  get unchangedSince(): string | undefined {
    const same = this.#state?.fingerprint === this.plan.fingerprint;
    return same ? (this.#state?.content_ticket ?? undefined) : undefined;
  }

  get stands(): boolean {
    return this.#state?.content_ticket != null;
  }

  get planned(): PlannedTraining {
    const { key, revision, metadata } = this.training;
    return { key, revision, metadata, ticket: this.ticket, ...this.plan };
  }

  result({ status, removed }: SwapOutcome): UpsertResult {
    const chunks = this.plan.chunks.length;
    const { embedded } = this;
    const reused = status === "superseded" ? 0 : chunks - embedded;
    return { id: this.training.id, status, chunks, embedded, reused, removed };
  }
}

/** New versions of some trainings, with all their vectors at hand or known to stand. */
export class PreparedBatch {
  readonly #parts: IndexerParts;
  readonly #items: readonly Item[];
  /** By content hash. */
  readonly #vectors = new Map<string, Float32Array>();
  readonly #options: PrepareOptions;

  constructor(parts: IndexerParts, items: readonly Item[], options: PrepareOptions) {
    this.#parts = parts;
    this.#items = items;
    this.#options = options;
    for (const { hash, vector } of items.flatMap(({ plan }) => plan.chunks)) {
      if (vector) this.#vectors.set(hash, vector);
    }
  }

  /** Embeds each text that has no vector yet, neither here nor in the training's stored chunks. */
  async embedMissing(database: Queryable): Promise<void> {
    const { signal, onProgress } = this.#options;
    const items = this.#items.filter((item) => !item.outdated && item.unchangedSince === undefined);
    const standing = await this.#readStandingHashes(database, items);
    const texts = new Map<string, string>();
    const before = new Map(items.map((item) => [item, item.embedded]));
    for (const item of items) {
      for (const { hash, content } of item.plan.chunks) {
        const known = this.#vectors.has(hash) || texts.has(hash) || standing.has(item.training.key + hash);
        if (known) continue;
        texts.set(hash, content);
        item.embedded += 1;
      }
    }
    if (texts.size === 0) return;
    const total = items.reduce((sum, { plan }) => sum + plan.chunks.length, 0);
    try {
      const vectors = await this.#parts.embedder.embedDocuments([...texts.values()], {
        signal,
        onBatch: (embedded) => onProgress?.({ embedded, reused: total - texts.size, total }),
      });
      [...texts.keys()].forEach((hash, index) => {
        const vector = vectors[index];
        if (vector) this.#vectors.set(hash, vector);
      });
    } catch (error) {
      for (const [item, embedded] of before) item.embedded = embedded;
      throw error;
    }
  }

  /**
   * Puts the prepared versions in the place of the stored ones: in a transaction of its own, or in the one that
   * `client` is in. A repeat finds its own version and changes nothing.
   */
  async commit(client?: Queryable): Promise<UpsertResult[]> {
    for (let preparation = 1; ; preparation++) {
      throwIfAborted(this.#options.signal);
      try {
        const outcomes = await this.#swap(client);
        return this.#items.map((item) => item.result(outcomes.get(item) ?? SUPERSEDED));
      } catch (error) {
        if (!(error instanceof StalePreparation)) throw error;
        // In a host's transaction nothing can be embedded: it would hold its locks meanwhile.
        if (client || preparation === MAX_PREPARATIONS) throw conflict();
        await this.#prepareAgain();
      }
    }
  }

  async #swap(client: Queryable | undefined): Promise<Map<Item, SwapOutcome>> {
    const { pool, target } = this.#parts;
    const current = this.#items.filter((item) => !item.outdated);
    const unchanged = current.flatMap((item) => {
      const { key, revision } = item.training;
      const { ticket, unchangedSince } = item;
      return unchangedSince === undefined ? [] : [{ item, key, revision, ticket, unchangedSince }];
    });
    if (unchanged.length > 0) {
      await writeStatement(pool, client, (database) => touch(database, target, unchanged));
    }
    const items = current.filter(({ unchangedSince }) => unchangedSince === undefined);
    const swapAll = (some: readonly Item[]): Promise<SwapOutcome[]> => {
      const planned = some.map((item) => item.planned);
      return write(pool, client, (database) => swap(database, target, planned, this.#vectors));
    };
    const outcomes = await writeEach(items, swapAll, SUPERSEDED);
    return new Map([
      ...unchanged.map(({ item }) => [item, UNCHANGED] as const),
      ...items.map((item, index) => [item, outcomes[index] ?? SUPERSEDED] as const),
    ]);
  }

  /** Looks again at what stands, under the tickets that were taken at the start. */
  async #prepareAgain(): Promise<void> {
    const { pool, target } = this.#parts;
    const states = await query<StateRow>(pool, sql.readStates(target.layout), [
      this.#items.map(({ training }) => training.key),
      this.#items.map(({ training }) => training.revision),
      target.scope,
      this.#items.map(({ ticket }) => ticket),
    ]);
    this.#items.forEach((item, index) => {
      item.observe(states[index]);
    });
    await this.embedMissing(pool);
  }

  async #readStandingHashes(database: Queryable, items: readonly Item[]): Promise<Set<string>> {
    const keys = items.filter(({ stands }) => stands).map(({ training }) => training.key);
    if (keys.length === 0) return new Set();
    const { layout } = this.#parts.target;
    const rows = await query<{ key: string; hash: string }>(database, sql.readHashes(layout), [keys]);
    return new Set(rows.map(({ key, hash }) => key + hash));
  }
}

const SUPERSEDED: SwapOutcome = { status: "superseded", removed: 0 };
const UNCHANGED: SwapOutcome = { status: "unchanged", removed: 0 };

function conflict(): DatabaseError {
  return new DatabaseError("Another call changed the training between its preparation and its commit", {
    code: "CONFLICT",
    retryable: true,
  });
}
