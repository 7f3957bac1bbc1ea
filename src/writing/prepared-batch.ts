import type { TransactionClient } from "../calls/orm-transactions.js";
import type { BatchItem } from "./batch-item.js";
import { DatabaseError, SchemaError, throwIfAborted } from "../errors.js";
import type { Notice } from "../calls/notices.js";
import { StalePreparation, type PlannedTraining } from "../storing/chunk-difference.js";
import type { Limits } from "../postgres/bounded-database.js";
import { profileRetired, query, type Queryable } from "../postgres/database.js";
import { hostClient } from "../postgres/host-client.js";
import { supersededBy, swap, trySingleStatementSwap, touch, type SwapOutcome } from "../storing/swap.js";
import type { FollowOptions, SchemaState } from "../schema/known-schema.js";
import type { StoredState } from "../storing/stored-versions.js";
import { claimLocked, claimSchema, MissingClaim } from "../storing/profile-claim.js";
import { write, writeEach, writeStatement } from "../storing/write-transaction.js";
import { OtherProfile } from "../storing/write-target.js";
import * as sql from "../storing/write-sql.js";
import type { UpsertResult } from "../types.js";
import { offerWithin } from "../words/offered-words.js";
import { currentModel, type BatchModel, type BatchParts, type BatchPlan, type PrepareOptions } from "./batch-parts.js";
import { BatchVectors } from "./batch-vectors.js";
import type { WriteStart } from "./write-trace.js";

/** Attempts of a commit while other calls change the same trainings or claim the schema. */
const MAX_ATTEMPTS = 5;

const OTHER_CLAIM: Notice = {
  code: "RETRY",
  message:
    "An index with another model has claimed the empty schema, so the write is repeated together with its own claim",
};

const SWITCHED: Notice = {
  code: "RETRY",
  message: "The index was switched to another embedding model during a write, so it is prepared again for the new one",
};

/** States of schemas without a recorded model that this process has claimed since it read them. */
const claimedStates = new WeakSet<SchemaState>();

const UNCHANGED: SwapOutcome = { status: "unchanged", removed: 0 };

/** New versions of several trainings; each of their texts has a vector here or in a stored chunk. */
export class PreparedBatch {
  readonly #parts: BatchParts;
  readonly #items: readonly BatchItem[];
  readonly #replan: BatchPlan["replan"];
  readonly #vectors: BatchVectors;
  /** The model of the vectors. */
  #model: BatchModel;

  constructor(parts: BatchParts, items: readonly BatchItem[], options: PrepareOptions, { planned, replan }: BatchPlan) {
    this.#parts = parts;
    this.#items = items;
    this.#model = planned;
    this.#replan = replan;
    this.#vectors = new BatchVectors(parts, items, options);
  }

  /** What is known of its commit before that begins. */
  get commitStart(): WriteStart {
    const { schema } = this.#parts.target.layout;
    return { operation: "commit", schema, ids: () => this.#items.map(({ training }) => training.id) };
  }

  /** Embeds each text that has a vector neither in this batch nor in the training's stored chunks. */
  async prepare(database: Queryable, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#vectors.embedMissing(database, this.#model, signal, this.#items);
    } catch (error) {
      if (!(error instanceof OtherProfile)) throw error;
      await this.#followSwitch(signal);
    }
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
    const { connection } = this.#parts;
    const boundedClient = client && hostClient(client, { signal });
    let isClaiming = false;
    if (!client) await this.#claimUnclaimed(signal);
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(signal);
      try {
        await this.#follow(() => this.#swap(boundedClient, outcomes, { signal }, isClaiming), { client, signal });
        const indexed = this.#items.filter((item) => outcomes.get(item)?.status === "indexed");
        connection.knownSchema.grow(indexed.reduce((sum, { chunks }) => sum + chunks.length, 0));
        return this.#items.map((item) => item.result(outcomes.get(item) ?? supersededBy("newer")));
      } catch (error) {
        if (await this.#isSwitched(error, boundedClient, signal)) {
          if (client || attempt === MAX_ATTEMPTS) throw profileRetired(error);
          connection.notify(SWITCHED);
          await this.#followSwitch(signal, outcomes);
          continue;
        }
        if (error instanceof MissingClaim && attempt < MAX_ATTEMPTS) {
          const { target } = this.#model;
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
   * Claims a schema that no model has claimed yet, so that its first batches are not sent twice. Another model, or another schema than is
   * known, is what the write finds out and handles.
   */
  async #claimUnclaimed(signal: AbortSignal | undefined): Promise<void> {
    const { pool, connection } = this.#parts;
    const { latest } = connection.knownSchema;
    if (latest.recorded !== undefined || claimedStates.has(latest)) return;
    if (this.#items.every(({ superseded }) => superseded)) return;
    try {
      await claimSchema(pool.within({ signal }), undefined, this.#model.target, connection.notify);
      claimedStates.add(latest);
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
    }
  }

  /** Whether a write failed because another profile than that of this batch is active now. */
  async #isSwitched(error: unknown, client: Queryable | undefined, signal: AbortSignal | undefined): Promise<boolean> {
    if (error instanceof OtherProfile) return true;
    if (!(error instanceof MissingClaim)) return false;
    const { models, connection } = this.#parts;
    const state = await connection.knownSchema.look(client, signal);
    const isOther = state.layout.profileId !== this.#model.profileId || models.of(state) !== this.#model.model;
    if (isOther && client) connection.knownSchema.forget(); // others have not looked yet
    return isOther;
  }

  /** Plans and embeds again for the model that is in use now, under the tickets that were taken at the start; once more if that one is replaced. */
  async #followSwitch(signal: AbortSignal | undefined, outcomes?: ReadonlyMap<BatchItem, SwapOutcome>): Promise<void> {
    const replan = this.#replan;
    if (!replan) throw profileRetired();
    for (let attempt = 1; ; attempt++) {
      try {
        this.#model = currentModel(this.#parts);
        for (const item of this.#items) if (!outcomes?.has(item)) await replan(item, this.#model.model);
        this.#vectors.restart();
        await this.#readAndEmbed(signal, outcomes);
        return;
      } catch (error) {
        if (!(error instanceof OtherProfile)) throw error;
        if (attempt === MAX_ATTEMPTS) throw profileRetired(error);
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
    const { target } = this.#model;
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
      await swapRemaining((planned) => trySingleStatementSwap(connection, target, planned, this.#vectors.byHash));
    await swapRemaining((planned) =>
      write(pool, client, connection.notify, async (database) => {
        if (!client && isClaiming) await claimLocked(database, target);
        if (client) await offerWithin(database, target.layout, added);
        return swap(database, target, planned, this.#vectors.byHash, { isOwnTransaction: !client });
      }),
    );
  }

  /**
   * Reads the stored versions again and embeds what is missing now, under the tickets that were taken at the start.
   *
   * @param outcomes - outcomes of the trainings that are done
   */
  async prepareAgain(signal: AbortSignal | undefined, outcomes?: ReadonlyMap<BatchItem, SwapOutcome>): Promise<void> {
    try {
      await this.#readAndEmbed(signal, outcomes);
    } catch (error) {
      if (!(error instanceof OtherProfile)) throw error;
      await this.#followSwitch(signal, outcomes);
    }
  }

  async #readAndEmbed(
    signal: AbortSignal | undefined,
    outcomes: ReadonlyMap<BatchItem, SwapOutcome> = new Map(),
  ): Promise<void> {
    const items = this.#items.filter((item) => !outcomes.has(item));
    const { target } = this.#model;
    const pool = this.#parts.pool.within({ signal });
    const values = [
      items.map(({ training }) => training.key),
      items.map(({ training }) => training.revision),
      target.scope,
      items.map(({ ticket }) => ticket),
    ];
    const states = await this.#follow(
      () => query<StoredState>(pool, "read-versions", sql.readStates(target.layout), values),
      { signal },
    );
    for (const [index, item] of items.entries()) item.observe(states[index]);
    await this.#vectors.embedMissing(pool, this.#model, signal, items);
  }

  /** Repeats `work` if the schema has changed since it was last read; finished items keep their outcomes. */
  #follow<T>(work: () => Promise<T>, { client, signal }: Pick<FollowOptions, "client" | "signal">): Promise<T> {
    return this.#parts.connection.knownSchema.follow(work, { client, signal, writes: true });
  }
}

function conflict(): DatabaseError {
  return new DatabaseError("Another call changed the training between its preparation and its commit", {
    code: "CONFLICT",
    retryable: true,
  });
}
