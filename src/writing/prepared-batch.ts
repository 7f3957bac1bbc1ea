import type { TransactionClient } from "../calls/orm-transactions.js";
import type { BatchItem } from "./batch-item.js";
import { embeddedText } from "../chunking/chunk-plan.js";
import { TOO_LONG } from "../embedding/embedder.js";
import { nameOf, splitTooLong, tooLongNotice, type MissingText } from "./missing-text.js";
import { planEdit } from "../chunking/edit-plan.js";
import { DatabaseError, orAbort, throwIfAborted } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import type { Notice } from "../calls/notices.js";
import { StalePreparation, type PlannedTraining } from "../storing/chunk-difference.js";
import type { PlannedChunk } from "../chunking/chunk-plan.js";
import type { Limits } from "../postgres/bounded-database.js";
import { query, type Queryable } from "../postgres/database.js";
import { hostClient } from "../postgres/host-client.js";
import { supersededBy, swap, trySingleStatementSwap, touch, type SwapOutcome } from "../storing/swap.js";
import { readStoredChunks, readStoredTexts, type StoredState } from "../storing/stored-versions.js";
import { claimLocked, claimSchema, MissingClaim } from "../storing/profile-claim.js";
import { write, writeEach, writeStatement } from "../storing/write-transaction.js";
import * as sql from "../storing/write-sql.js";
import type { UpsertResult } from "../types.js";
import { offerWithin } from "../words/offered-words.js";
import type { BatchParts, PrepareOptions } from "./batch-parts.js";
import type { WriteStart } from "./write-trace.js";

/** Attempts of a commit while other calls change the same trainings or claim the schema. */
const MAX_ATTEMPTS = 5;
/** Edits that re-embed at most this many chunks skip {@link planEdit}. */
const SMALL_EDIT = 1;

const OTHER_CLAIM: Notice = {
  code: "RETRY",
  message:
    "An index with another model has claimed the empty schema, so the write is repeated together with its own claim",
};

const UNCHANGED: SwapOutcome = { status: "unchanged", removed: 0 };

/** New versions of several trainings; each of their texts has a vector here or in a stored chunk. */
export class PreparedBatch {
  readonly #parts: BatchParts;
  readonly #items: readonly BatchItem[];
  /** By content hash. */
  readonly #vectors = new Map<string, Float32Array>();
  readonly #options: PrepareOptions;

  constructor(parts: BatchParts, items: readonly BatchItem[], options: PrepareOptions) {
    this.#parts = parts;
    this.#items = items;
    this.#options = options;
    for (const { hash, vector } of items.flatMap(({ chunks }) => chunks)) {
      if (vector) this.#vectors.set(hash, vector);
    }
  }

  /** What is known of its commit before that begins. */
  get commitStart(): WriteStart {
    const { schema } = this.#parts.target.layout;
    return { operation: "commit", schema, ids: () => this.#items.map(({ training }) => training.id) };
  }

  /**
   * Embeds each text that has a vector neither in this batch nor in the training's stored chunks.
   *
   * @param pending - the trainings that are not done yet
   */
  async embedMissing(database: Queryable, signal: AbortSignal | undefined, pending = this.#items): Promise<void> {
    const items = pending.filter((item) => !item.superseded && !item.unchanged);
    await this.#readStored(database, items);
    const isNew = (item: BatchItem, { hash }: PlannedChunk): boolean =>
      !this.#vectors.has(hash) && !item.hasStored(hash);
    await this.#keepAroundEdits(database, items, isNew);
    for (;;) {
      const missing = new Map<string, MissingText>();
      for (const item of items) {
        for (const chunk of item.chunks) {
          if (!missing.has(chunk.hash) && isNew(item, chunk)) missing.set(chunk.hash, { item, chunk });
        }
      }
      const tooLong = await this.#embed(items, [...missing.values()], signal);
      if (tooLong.size === 0) return;
      for (const item of items) {
        // If chunks overlap, a part of one can begin before the last part of the previous one.
        item.chunks = item.chunks
          .flatMap((chunk) => (tooLong.has(chunk.hash) ? splitTooLong(item, chunk) : [chunk]))
          .sort((left, right) => left.start - right.start);
      }
      this.#parts.connection.notify(tooLongNotice(tooLong.size));
    }
  }

  /** @returns the hashes of the texts that are too long for the model */
  async #embed(
    items: readonly BatchItem[],
    missing: readonly MissingText[],
    signal: AbortSignal | undefined,
  ): Promise<Set<string>> {
    if (missing.length === 0) return new Set();
    const { onProgress } = this.#options;
    const total = items.reduce((sum, { chunks }) => sum + chunks.length, 0);
    const earlier = items.reduce((sum, { embedded }) => sum + embedded, 0);
    const reused = Math.max(total - earlier - missing.length, 0);
    const vectors = await this.#parts.embedder.embedDocuments(
      missing.map(({ item, chunk }) => embeddedText(item.training, chunk.content)),
      {
        signal,
        onBatch: (embedded) => {
          runHostCode("onProgress", () => onProgress?.({ embedded: earlier + embedded, reused, total }));
        },
        nameOf: (index) => nameOf(missing[index]),
      },
    );
    const tooLong = new Set<string>();
    for (const [index, { item, chunk }] of missing.entries()) {
      const vector = vectors[index];
      if (vector === undefined || vector === TOO_LONG) {
        tooLong.add(chunk.hash);
        continue;
      }
      this.#vectors.set(chunk.hash, vector);
      item.embedded += 1;
    }
    return tooLong;
  }

  /**
   * Replaces the stored versions by the prepared ones: each completely or not at all, or all in the transaction that
   * `client` is in. A repeat finds its own version stored and changes nothing.
   *
   * @param outcomes - outcomes so far; their items are skipped. New outcomes are added, even if a later part fails
   */
  async commit(
    client?: TransactionClient,
    signal?: AbortSignal,
    outcomes = new Map<BatchItem, SwapOutcome>(),
  ): Promise<UpsertResult[]> {
    const { target, connection } = this.#parts;
    const boundedClient = client && hostClient(client, { signal });
    let isClaiming = false;
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(signal);
      try {
        await this.#follow(() => this.#swap(boundedClient, outcomes, { signal }, isClaiming), client);
        const indexed = this.#items.filter((item) => outcomes.get(item)?.status === "indexed");
        connection.knownSchema.grow(indexed.reduce((sum, { chunks }) => sum + chunks.length, 0));
        return this.#items.map((item) => item.result(outcomes.get(item) ?? supersededBy("newer")));
      } catch (error) {
        if (error instanceof MissingClaim && attempt < MAX_ATTEMPTS) {
          await claimSchema(this.#parts.pool.within({ signal }), boundedClient, target, connection.notify);
          isClaiming = attempt > 1; // another model took the claim before the write: now claim and write together
          if (isClaiming) connection.notify(OTHER_CLAIM);
          continue;
        }
        if (!(error instanceof StalePreparation || error instanceof MissingClaim)) throw error;
        // Embedding inside the host's transaction would hold its locks during a network call.
        if (client || attempt === MAX_ATTEMPTS) throw conflict();
        connection.notify({
          code: "RETRY",
          message: "Another call changed a training between its preparation and its commit, so it is prepared again",
        });
        await this.prepareAgain(signal, outcomes);
      }
    }
  }

  /**
   * @param outcomes - outcomes so far; their items are skipped. New outcomes are added
   * @param isClaiming - whether to claim the schema in the same transaction
   */
  async #swap(
    client: Queryable | undefined,
    outcomes: Map<BatchItem, SwapOutcome>,
    limits: Limits,
    isClaiming: boolean,
  ): Promise<void> {
    const { target } = this.#parts;
    const pool = this.#parts.pool.within(limits);
    const connection = {
      ...this.#parts.connection,
      statements: this.#parts.connection.statements.within(limits),
    };
    for (const item of this.#items) {
      if (item.superseded && !outcomes.has(item)) outcomes.set(item, item.superseded);
    }
    const current = this.#items.filter((item) => !outcomes.has(item));
    const same = current.flatMap(({ unchanged }) => unchanged ?? []);
    const touched =
      same.length === 0
        ? new Set<string>()
        : await writeStatement(pool, client, connection.notify, (database) =>
            touch(connection, database, target, same),
          );
    for (const item of current) {
      if (item.unchanged && !touched.has(item.training.key)) item.forceRewrite();
      if (item.unchanged) outcomes.set(item, UNCHANGED);
    }
    const swapRemaining = async (
      swapPlanned: (planned: PlannedTraining[]) => Promise<(SwapOutcome | undefined)[]>,
    ): Promise<void> => {
      const changed = current.filter((item) => !outcomes.has(item));
      const swapAll = (items: readonly BatchItem[]): ReturnType<typeof swapPlanned> =>
        swapPlanned(items.map((item) => item.planned));
      const swapped = await writeEach(changed, swapAll, {
        gone: supersededBy("hostRowMissing"),
        notify: connection.notify,
      });
      for (const [index, item] of changed.entries()) {
        const outcome = swapped[index];
        if (outcome) outcomes.set(item, outcome);
      }
    };
    const added = current.filter((item) => !outcomes.has(item)).flatMap((item) => item.newChunks);
    if (!client) await this.#parts.offeredWords.offer(added, limits.signal);
    if (!client && !isClaiming)
      await swapRemaining((planned) => trySingleStatementSwap(connection, target, planned, this.#vectors));
    await swapRemaining((planned) =>
      write(pool, client, connection.notify, async (database) => {
        if (!client && isClaiming) await claimLocked(database, target);
        if (client) await offerWithin(database, target.layout, added);
        return swap(database, target, planned, this.#vectors);
      }),
    );
  }

  /**
   * Reads the stored versions again and embeds what is missing now, under the tickets that were taken at the start.
   *
   * @param outcomes - outcomes of the trainings that are done
   */
  async prepareAgain(
    signal: AbortSignal | undefined,
    outcomes: ReadonlyMap<BatchItem, SwapOutcome> = new Map(),
  ): Promise<void> {
    const items = this.#items.filter((item) => !outcomes.has(item));
    const { target } = this.#parts;
    const pool = this.#parts.pool.within({ signal });
    const values = [
      items.map(({ training }) => training.key),
      items.map(({ training }) => training.revision),
      target.scope,
      items.map(({ ticket }) => ticket),
    ];
    const states = await this.#follow(() =>
      query<StoredState>(pool, "read-versions", sql.readStates(target.layout), values),
    );
    for (const [index, item] of items.entries()) item.observe(states[index]);
    await this.embedMissing(pool, signal, items);
  }

  /**
   * If an edit would re-embed more than one chunk, keeps the stored chunks around the edited place, provided that
   * re-embeds fewer.
   */
  async #keepAroundEdits(
    database: Queryable,
    items: readonly BatchItem[],
    isNew: (item: BatchItem, chunk: PlannedChunk) => boolean,
  ): Promise<void> {
    const newChunks = (item: BatchItem, chunks: readonly PlannedChunk[]): number =>
      chunks.filter((chunk) => isNew(item, chunk)).length;
    const edited = items.filter(
      (item) => item.hasStoredVersion && item.training.split && newChunks(item, item.chunks) > SMALL_EDIT,
    );
    const { target, chunker } = this.#parts;
    const keys = edited.map(({ training }) => training.key);
    const splitter = await chunker.describe();
    const read = (): ReturnType<typeof readStoredTexts> => readStoredTexts(database, target.layout, keys, splitter);
    const texts = await this.#follow(read, this.#options.client);
    for (const item of edited) {
      const stored = texts.get(item.training.key);
      if (!stored) continue;
      const plan = (): ReturnType<typeof planEdit> => planEdit(item.training, stored, chunker);
      const chunks = await orAbort(plan, this.#options.signal);
      if (chunks && newChunks(item, chunks) < newChunks(item, item.chunks)) item.chunks = chunks;
    }
  }

  async #readStored(database: Queryable, items: readonly BatchItem[]): Promise<void> {
    const { connection, target } = this.#parts;
    const stored = items.filter(({ hasStoredVersion }) => hasStoredVersion);
    const keys = stored.map(({ training }) => training.key);
    const read = (): ReturnType<typeof readStoredChunks> => readStoredChunks(connection, database, target.layout, keys);
    const chunks = await this.#follow(read, this.#options.client);
    for (const item of stored) item.observeChunks(chunks.get(item.training.key) ?? []);
  }

  /** Repeats `work` if the schema has changed since it was last read; finished items keep their outcomes. */
  #follow<T>(work: () => Promise<T>, client?: TransactionClient): Promise<T> {
    return this.#parts.connection.knownSchema.follow(work, { client, writes: true });
  }
}

function conflict(): DatabaseError {
  return new DatabaseError("Another call changed the training between its preparation and its commit", {
    code: "CONFLICT",
    retryable: true,
  });
}
