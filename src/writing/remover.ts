import type { TransactionClient } from "../calls/orm-transactions.js";
import { checkCall } from "../calls/call-options.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { encodeRevision } from "../chunking/training-input.js";
import { compileFilter } from "../filtering/filter.js";
import { decodeTrainingId, encodeTrainingId, encodeTrainingIds } from "../schema/training-id.js";
import type { DeleteResult, TrainingId, TrainingSelection } from "../types.js";
import {
  checkSelection,
  DELETE_MANY_OPTIONS,
  DELETE_OPTIONS,
  type DeleteOptions,
  type PruneOptions,
} from "./write-options.js";
import { throwIfAborted } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { WriteOperation } from "../calls/tracing.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import { profileRetired, query, type Queryable } from "../postgres/database.js";
import type { Condition } from "../filtering/condition.js";
import type { IndexFilter } from "../filtering/index-filter.js";
import { databaseOf, hostClient } from "../postgres/host-client.js";
import {
  prune as pruneTombstones,
  remove,
  tryRemove,
  type RemovalOutcome,
  type RemovedTraining,
} from "../storing/removal.js";
import { queryWithKeptPlan, type SwapConnection } from "../storing/swap.js";
import { takeInOrder, type TakenTicket } from "../storing/ticket-sequence.js";
import type { Layout } from "../schema/layout.js";
import type { WriteTarget } from "../storing/write-target.js";
import * as sql from "../storing/write-sql.js";
import { pruneWords } from "../words/stored-words.js";
import { requireWritable } from "./scope.js";
import type { TicketOrder } from "./ticket-order.js";
import { write, writeEach, writeStatement } from "../storing/write-transaction.js";
import { withToken, withTokens, type WriteTokens } from "../standby/write-tokens.js";
import { countRemovals, traceWrite, type WriteStart } from "./write-trace.js";

/** Options of the methods of {@link Remover}. */
export interface RemoveOptions {
  revision?: string | null | undefined;
  /** The ticket of a call that deletes in several parts, without a revision. Default: one that is taken now. */
  ticket?: string | undefined;
  client?: TransactionClient | undefined;
  signal?: AbortSignal | undefined;
}

/** Dependencies of a {@link Remover}. */
export interface RemoverParts {
  pool: BoundedPool;
  target: WriteTarget;
  ticketOrder: TicketOrder;
  connection: SwapConnection;
  tokens: WriteTokens;
}

/** A training that was found by a filter, and what became of it. */
interface Removed {
  key: string;
  outcome: RemovalResult;
}

/** An outcome with the token of the write, if results have one. */
export interface RemovalResult extends RemovalOutcome {
  token?: string | undefined;
}

const ABSENT: RemovalOutcome = { status: "absent", removed: 0 };

/** Deletes trainings. The ticket is taken first, because it records when the call started. */
export class Remover {
  readonly #pool: BoundedPool;
  readonly #target: WriteTarget;
  readonly #ticketOrder: TicketOrder;
  readonly #connection: SwapConnection;
  readonly #notify: Notify;
  readonly #tokens: WriteTokens;

  constructor({ pool, target, ticketOrder, connection, tokens }: RemoverParts) {
    this.#pool = pool;
    this.#target = target;
    this.#ticketOrder = ticketOrder;
    this.#connection = connection;
    this.#notify = connection.notify;
    this.#tokens = tokens;
  }

  /** @param keys - distinct ids in the form sent to Postgres */
  async remove(keys: readonly string[], options: RemoveOptions = {}): Promise<RemovalResult[]> {
    const outcomes = await traceWrite(this.#start("delete", keys), () => this.#remove(keys, options), countRemovals);
    return withTokens(outcomes, await this.#tokens.afterWrite(options.client, options.signal));
  }

  async #remove(keys: readonly string[], options: RemoveOptions): Promise<RemovalOutcome[]> {
    const { revision = null } = options;
    throwIfAborted(options.signal);
    if (keys.length === 0) return [];
    const trainings = keys.map((key) => ({ key, revision }));
    const removeWith = (ticket: string): Promise<RemovalOutcome[]> => this.#removeWith(trainings, { ticket }, options);
    if (options.ticket !== undefined) return removeWith(options.ticket);
    const start = async (): Promise<{ ticket: string; outcomes?: RemovalOutcome[] }> => {
      const { ticket } = await this.#takeTicket<TakenTicket>(
        (database, layout) =>
          queryWithKeptPlan(this.#connection, database, "take-tickets", sql.takeTicket(layout), [keys]),
        options,
      );
      // A delete without a revision ends the revision history. Later calls take their tickets only after it has done so.
      return revision === null ? { ticket, outcomes: await removeWith(ticket) } : { ticket };
    };
    const { ticket, outcomes } = await this.#ticketOrder.take(keys, start, options.client === undefined);
    return outcomes ?? removeWith(ticket);
  }

  /** Deletes trainings of different revisions, under the ticket of a call that includes this one. */
  async removeEach(
    trainings: readonly RemovedTraining[],
    ticket: string,
    signal: AbortSignal | undefined,
  ): Promise<RemovalOutcome[]> {
    throwIfAborted(signal);
    return this.#removeWith(trainings, { ticket }, { signal });
  }

  /** Deletes the trainings whose metadata meets the condition and the scope. */
  async removeMatching(condition: Condition, options: RemoveOptions = {}): Promise<Removed[]> {
    const remove = (): Promise<Removed[]> => this.#removeMatching(condition, options);
    const count = (removed: Removed[]): ReturnType<typeof countRemovals> =>
      countRemovals(removed.map(({ outcome }) => outcome));
    const removed = await traceWrite(this.#start("delete"), remove, count);
    const token = await this.#tokens.afterWrite(options.client, options.signal);
    return removed.map(({ key, outcome }) => ({ key, outcome: withToken(outcome, token) }));
  }

  async #removeMatching(condition: Condition, options: RemoveOptions): Promise<Removed[]> {
    throwIfAborted(options.signal);
    const values = [this.#target.scope, ...condition.values];
    const take = (): Promise<TakenTicket & { keys: string | null }> =>
      this.#takeTicket(
        (database, layout) => query(database, "take-tickets", sql.takeTicketOfMatching(layout, condition), values),
        options,
      );
    const taken = await this.#ticketOrder.take(undefined, take, options.client === undefined);
    const keys = JSON.parse(taken.keys ?? "[]") as string[];
    if (keys.length === 0) return [];
    const { ticket } = taken;
    const trainings = keys.map((key) => ({ key, revision: null }));
    const outcomes = await this.#removeWith(trainings, { ticket, condition }, options);
    return keys.map((key, index) => ({ key, outcome: outcomes[index] ?? ABSENT }));
  }

  /**
   * Deletes tombstones older than this and, without a host's client, words that no chunk has any more.
   *
   * @returns the number of tombstones
   */
  prune(options: PruneOptions): Promise<number> {
    const prune = (): Promise<number> => withTimeLimit(options, (signal) => this.#prune({ ...options, signal }));
    return traceWrite(this.#start("prune"), prune, (pruned) => ({ pruned }));
  }

  #start(operation: WriteOperation, keys: readonly string[] = []): WriteStart {
    return { operation, schema: this.#target.layout.schema, ids: () => keys };
  }

  async #prune({ olderThanMs, client, signal }: PruneOptions): Promise<number> {
    const limits = { signal };
    const boundedClient = client && hostClient(client, limits);
    const prune = async (database: Queryable): Promise<number> => {
      const pruned = await pruneTombstones(database, this.#target, olderThanMs);
      if (pruned === null) throw profileRetired();
      return pruned;
    };
    const pruneIn = (): ReturnType<typeof prune> =>
      writeStatement(this.#pool.within(limits), boundedClient, this.#notify, prune);
    const pruned = await this.#follow(pruneIn, { client, signal });
    if (!client) await this.#follow(() => this.#pruneWords(signal), limits);
    return pruned;
  }

  async #pruneWords(signal: AbortSignal | undefined): Promise<void> {
    const pool = this.#pool.within({ signal });
    await pruneWords(
      (text, values) =>
        writeStatement(pool, undefined, this.#notify, (database) => query(database, "prune-words", text, values)),
      this.#target.layout,
    );
  }

  async #takeTicket<Taken extends TakenTicket>(
    statement: (database: Queryable, layout: Layout) => Promise<Taken[]>,
    options: RemoveOptions,
  ): Promise<Taken> {
    const database = databaseOf(this.#pool, options);
    const take = (): Promise<Taken[]> => statement(database, this.#target.layout);
    const takeChecked = (): Promise<Taken[]> => takeInOrder(database, this.#target.layout, this.#notify, take);
    const [taken] = await this.#follow(takeChecked, options);
    if (!taken) throw new Error("a statement that takes a ticket returns a row");
    return taken;
  }

  #removeWith(
    trainings: readonly RemovedTraining[],
    { ticket, condition }: { ticket: string; condition?: Condition },
    { client, signal }: RemoveOptions,
  ): Promise<RemovalOutcome[]> {
    const limits = { signal };
    const pool = this.#pool.within(limits);
    const boundedClient = client && hostClient(client, limits);
    const removeAll = async (some: readonly RemovedTraining[]): Promise<RemovalOutcome[]> => {
      const removal = { trainings: some, ticket, condition };
      const outcomes = boundedClient
        ? new Map<string, RemovalOutcome>()
        : await tryRemove(this.#connection, pool, this.#target, removal);
      const left = some.filter(({ key }) => !outcomes.has(key));
      if (left.length > 0) {
        const removed = await write(pool, boundedClient, this.#notify, (database) =>
          remove(database, this.#target, { ...removal, trainings: left }),
        );
        for (const [index, { key }] of left.entries()) outcomes.set(key, removed[index] ?? ABSENT);
      }
      return some.map(({ key }) => outcomes.get(key) ?? ABSENT);
    };
    return this.#follow(() => writeEach(trainings, removeAll, { gone: ABSENT, notify: this.#notify }), {
      client,
      signal,
    });
  }

  /** Repeats `work` if the schema has changed since it was last read. */
  #follow<T>(work: () => Promise<T>, { client, signal }: Pick<RemoveOptions, "client" | "signal">): Promise<T> {
    return this.#connection.knownSchema.follow(work, { client, signal, writes: true });
  }
}

/** Dependencies of deletes. */
interface DeletionParts {
  layout: Layout;
  /** Of the index. */
  filter: IndexFilter;
  remover: Remover;
}

/** Deletes a training by its id. */
export async function deleteOne(
  { layout, filter, remover }: DeletionParts,
  id: TrainingId,
  options: DeleteOptions,
): Promise<DeleteResult> {
  requireWritable(filter);
  checkCall(options, DELETE_OPTIONS, "deleteTraining");
  const key = encodeTrainingId(id, layout.idType, "id");
  const revision = encodeRevision(options.revision, "revision");
  const [outcome] = await withTimeLimit(options, (signal) => remover.remove([key], { ...options, signal, revision }));
  return { id, ...(outcome ?? { status: "absent", removed: 0 }) };
}

/**
 * Deletes trainings by their ids, or those that a filter matches.
 *
 * @returns one result for each given id, or for each training that was found
 * @throws {@link InvalidArgumentError} before anything is deleted
 */
export async function deleteMany(
  { layout, filter: own, remover }: DeletionParts,
  selection: TrainingSelection,
  options: Omit<DeleteOptions, "revision">,
): Promise<DeleteResult[]> {
  requireWritable(own);
  const { ids, filter } = checkSelection(selection, "deleteTrainings");
  checkCall(options, DELETE_MANY_OPTIONS, "deleteTrainings");
  if (ids === undefined) {
    const condition = compileFilter(filter);
    const found = await withTimeLimit(options, (signal) => remover.removeMatching(condition, { ...options, signal }));
    return found.map(({ key, outcome }) => ({ id: decodeTrainingId(key, layout.idType), ...outcome }));
  }
  const keys = encodeTrainingIds(ids, layout.idType);
  const distinct = [...new Set(keys)];
  const outcomes = await withTimeLimit(options, (signal) => remover.remove(distinct, { ...options, signal }));
  const byKey = new Map(distinct.map((key, index) => [key, outcomes[index]]));
  const absent = { status: "absent", removed: 0 } as const;
  return ids.map((id, index) => ({ id, ...(byKey.get(keys[index] ?? "") ?? absent) }));
}
