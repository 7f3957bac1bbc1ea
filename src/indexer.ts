import { BatchItem, type StoredState } from "./batch-item.js";
import { planChunks } from "./chunk-plan.js";
import { orAbort, throwIfAborted } from "./errors.js";
import { PreparedBatch, type BatchParts, type PrepareOptions } from "./prepared-batch.js";
import type { StartOrder } from "./start-order.js";
import { query, type Queryable } from "./store/database.js";
import { databaseOf } from "./store/host-client.js";
import * as sql from "./store/write-sql.js";
import type { NormalizedTraining } from "./training-input.js";

/** What an {@link Indexer} works with. */
export interface IndexerParts extends BatchParts {
  startOrder: StartOrder;
}

/** Makes prepared batches: takes tickets, splits, and has embedded what is new. */
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
    const { chunker } = this.#parts;
    const database = databaseOf(this.#parts.pool, options);
    const states = await this.#takeTickets(trainings, database, options.client === undefined);
    const items: BatchItem[] = [];
    for (const [index, training] of trainings.entries()) {
      const plan = await orAbort(() => planChunks(training, chunker), options.signal);
      items.push(new BatchItem(training, plan, chunker.description, states[index]));
    }
    const batch = new PreparedBatch(this.#parts, items, options);
    await batch.embedMissing(database, options.signal);
    return batch;
  }

  #takeTickets(
    trainings: readonly NormalizedTraining[],
    database: Queryable,
    mayWait: boolean,
  ): Promise<StoredState[]> {
    const { target, startOrder } = this.#parts;
    const keys = trainings.map(({ key }) => key);
    const revisions = trainings.map(({ revision }) => revision);
    const text = sql.takeTickets(target.layout);
    const take = (): Promise<StoredState[]> => query(database, text, [keys, revisions, target.scope]);
    return startOrder.take(keys, take, mayWait);
  }
}
