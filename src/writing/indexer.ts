import { BatchItem } from "./batch-item.js";
import { readStates, type StoredState } from "../storing/stored-versions.js";
import { planChunks } from "../chunking/chunk-plan.js";
import { orAbort, throwIfAborted } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { Model } from "../models/models.js";
import type { WriteOperation } from "../calls/tracing.js";
import { PreparedBatch } from "./prepared-batch.js";
import { currentModel, type BatchModel, type BatchParts, type PrepareOptions } from "./batch-parts.js";
import { isFaultOfTraining } from "./fault-of-training.js";
import type { TicketOrder } from "./ticket-order.js";
import { profileRetired, type Queryable } from "../postgres/database.js";
import { databaseOf } from "../postgres/host-client.js";
import { queryWithKeptPlan, type SwapOutcome } from "../storing/swap.js";
import { takeInOrder, type TakenTicket } from "../storing/ticket-sequence.js";
import * as sql from "../storing/write-sql.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { FailedUpsert, UpsertResult } from "../types.js";
import { withToken, withTokens } from "../standby/write-tokens.js";
import { countUpserts, traceWrite, type WriteStart } from "./write-trace.js";

/** Dependencies of an {@link Indexer}. */
export interface IndexerParts extends BatchParts {
  ticketOrder: TicketOrder;
  notify: Notify;
}

/** Prepares batches: takes tickets, splits the texts, and embeds the new chunks. */
export class Indexer {
  readonly #parts: IndexerParts;

  constructor(parts: IndexerParts) {
    this.#parts = parts;
  }

  /**
   * Stores trainings together.
   *
   * @param trainings - with distinct ids
   * @returns one result for each, in order
   */
  upsert(trainings: readonly NormalizedTraining[], options: PrepareOptions = {}): Promise<UpsertResult[]> {
    const upsert = async (): Promise<UpsertResult[]> => {
      const batch = await this.#prepare(trainings, options);
      const results = await batch.commit(options.client, options.signal);
      return withTokens(results, await this.#parts.tokens.afterWrite(options.client, options.signal));
    };
    return traceWrite(this.#start("upsert", trainings), upsert, countUpserts);
  }

  /**
   * Does everything that needs no lock.
   *
   * @param trainings - with distinct ids
   */
  prepare(trainings: readonly NormalizedTraining[], options: PrepareOptions = {}): Promise<PreparedBatch> {
    return traceWrite(
      this.#start("prepare", trainings),
      () => this.#prepare(trainings, options),
      () => ({}), // its commit counts what was embedded
    );
  }

  /** The tickets are taken first, because they record when the call started. */
  async #prepare(trainings: readonly NormalizedTraining[], options: PrepareOptions): Promise<PreparedBatch> {
    throwIfAborted(options.signal);
    const database = databaseOf(this.#parts.pool, options);
    const { ticket, damaged, maker } = options;
    const states =
      ticket === undefined
        ? await this.#takeTickets(trainings, database, options.client === undefined, options.signal)
        : await readStates(this.#parts, database, trainings, ticket, options.signal);
    const planned = currentModel(this.#parts);
    if (maker && maker !== planned.model) throw profileRetired();
    const items: BatchItem[] = [];
    for (const [index, training] of trainings.entries()) {
      const item = await orAbort(() => this.#plan(training, states[index], planned), options.signal);
      const damagedChunks = damaged?.get(training.key);
      if (damagedChunks) item.distrust(damagedChunks);
      items.push(item);
    }
    const batch = new PreparedBatch(this.#parts, items, options, { planned, replan });
    await batch.prepare(database, options.signal);
    return batch;
  }

  /**
   * Prepares and stores trainings together; those that cannot be indexed fail alone. After a failure each half of the
   * trainings is retried separately, under the tickets taken at the start, until the ones at fault are found.
   *
   * @param trainings - with distinct ids
   * @returns the result or failure of each, in order
   * @throws an error that would make every training fail, such as an outage
   */
  upsertEach(
    trainings: readonly NormalizedTraining[],
    signal: AbortSignal | undefined,
  ): Promise<(UpsertResult | FailedUpsert)[]> {
    const upsert = (): Promise<(UpsertResult | FailedUpsert)[]> => this.#upsertEach(trainings, signal);
    return traceWrite(this.#start("upsert", trainings), upsert, countUpserts);
  }

  async #upsertEach(
    trainings: readonly NormalizedTraining[],
    signal: AbortSignal | undefined,
  ): Promise<(UpsertResult | FailedUpsert)[]> {
    throwIfAborted(signal);
    const database = this.#parts.pool.within({ signal });
    const states = await this.#takeTickets(trainings, database, true, signal);
    const failures = new Map<NormalizedTraining, FailedUpsert>();
    const fail = async (training: NormalizedTraining, error: unknown): Promise<void> => {
      if (!(await isFaultOfTraining(error, currentModel(this.#parts).model.embedder, signal))) throw error;
      failures.set(training, { id: training.id, status: "failed", error });
    };
    const planned = currentModel(this.#parts);
    const items: BatchItem[] = [];
    for (const [index, training] of trainings.entries()) {
      try {
        items.push(await orAbort(() => this.#plan(training, states[index], planned), signal));
      } catch (error) {
        await fail(training, error);
      }
    }
    const outcomes = new Map<BatchItem, SwapOutcome>();
    const store = async (pending: readonly BatchItem[], isFirst: boolean): Promise<void> => {
      if (pending.length === 0) return;
      const batch = new PreparedBatch(this.#parts, pending, { signal }, { planned, replan });
      try {
        if (isFirst) await batch.prepare(database, signal);
        else await batch.prepareAgain(signal);
        await batch.commit(undefined, signal, outcomes);
      } catch (error) {
        const [item, ...others] = pending.filter((candidate) => !outcomes.has(candidate));
        if (!item) throw error;
        if (others.length === 0) {
          await fail(item.training, error);
          return;
        }
        if (!(await isFaultOfTraining(error, currentModel(this.#parts).model.embedder, signal))) throw error;
        this.#parts.notify({
          code: "RETRY",
          message: "A batch of trainings failed, so each half is stored by itself, to find the training at fault",
          cause: error,
        });
        const left = [item, ...others];
        const middle = Math.ceil(left.length / 2);
        await store(left.slice(0, middle), false);
        await store(left.slice(middle), false);
      }
    };
    await store(items, true);
    const results = new Map(
      items.map((item) => {
        const outcome = outcomes.get(item);
        return [item.training, outcome && item.result(outcome)];
      }),
    );
    const token = await this.#parts.tokens.afterWrite(undefined, signal);
    return trainings.map((training) => {
      const result = withToken(results.get(training), token) ?? failures.get(training);
      if (!result) throw new Error("each training has a result or a failure");
      return result;
    });
  }

  #start(operation: WriteOperation, trainings: readonly NormalizedTraining[]): WriteStart {
    const { schema } = this.#parts.target.layout;
    return { operation, schema, ids: () => trainings.map(({ id }) => id) };
  }

  async #plan(
    training: NormalizedTraining,
    state: StoredState | undefined,
    { model: { chunker } }: BatchModel,
  ): Promise<BatchItem> {
    return new BatchItem(training, await planChunks(training, chunker), await chunker.describe(), state);
  }

  #takeTickets(
    trainings: readonly NormalizedTraining[],
    database: Queryable,
    mayWait: boolean,
    signal: AbortSignal | undefined,
  ): Promise<(StoredState & TakenTicket)[]> {
    const { target, ticketOrder, notify, connection } = this.#parts;
    const keys = trainings.map(({ key }) => key);
    const revisions = trainings.map(({ revision }) => revision);
    const take = (): Promise<(StoredState & TakenTicket)[]> =>
      queryWithKeptPlan(connection, database, "take-tickets", sql.takeTickets(target.layout), [
        keys,
        revisions,
        target.scope,
      ]);
    const takeInKnownSchema = (): Promise<(StoredState & TakenTicket)[]> =>
      connection.knownSchema.follow(() => takeInOrder(database, target.layout, notify, take), {
        client: mayWait ? undefined : database,
        writes: true,
        signal,
      });
    return ticketOrder.take(keys, takeInKnownSchema, mayWait);
  }
}

/** Plans an item for another model. */
async function replan(item: BatchItem, { chunker }: Model): Promise<void> {
  // A vector that the caller gave is of the model before.
  if (item.training.sources.some(({ vector }) => vector !== undefined)) throw profileRetired();
  item.replan(await planChunks(item.training, chunker), await chunker.describe());
}
