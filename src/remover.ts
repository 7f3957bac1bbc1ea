import { throwIfAborted } from "./errors.js";
import { query, type DatabasePool, type HostNumber, type Queryable } from "./store/database.js";
import type { Conditions } from "./store/filter.js";
import { remove, type Removal, type RemovalOutcome } from "./store/removal.js";
import type { WriteTarget } from "./store/write-target.js";
import * as sql from "./store/write-sql.js";
import type { StartOrder } from "./start-order.js";
import { write, writeEach, writeStatement } from "./store/write-transaction.js";

/** What to remove, and how. */
export interface RemoveOptions {
  revision?: string | null | undefined;
  conditions?: Conditions | undefined;
  client?: Queryable | undefined;
  signal?: AbortSignal | undefined;
}

const ABSENT: RemovalOutcome = { status: "absent", removed: 0 };

/** Deletes trainings; the ticket, taken first, says when the call started. */
export class Remover {
  readonly #pool: DatabasePool;
  readonly #target: WriteTarget;
  readonly #startOrder: StartOrder;

  constructor(pool: DatabasePool, target: WriteTarget, startOrder: StartOrder) {
    this.#pool = pool;
    this.#target = target;
    this.#startOrder = startOrder;
  }

  /** @param keys - ids as Postgres takes them, each at most once */
  async remove(keys: readonly string[], options: RemoveOptions = {}): Promise<RemovalOutcome[]> {
    const { client, conditions = [], revision = null } = options;
    throwIfAborted(options.signal);
    if (keys.length === 0) return [];
    const ticket = await this.#takeTicket(keys, client);
    throwIfAborted(options.signal);
    return this.#removeWith(keys, { ticket, revision, conditions }, client);
  }

  /** Deletes the trainings whose metadata meets the conditions. */
  async removeMatching(
    conditions: Conditions,
    options: RemoveOptions = {},
  ): Promise<{ key: string; outcome: RemovalOutcome }[]> {
    const { client } = options;
    throwIfAborted(options.signal);
    const ticket = await this.#takeTicket(undefined, client);
    const { layout, scope } = this.#target;
    const found = await query<{ key: string }>(client ?? this.#pool, sql.findTrainings(layout), [
      [...scope, ...conditions],
      null,
    ]);
    const keys = found.map(({ key }) => key);
    throwIfAborted(options.signal);
    const outcomes = await this.#removeWith(keys, { ticket, revision: null, conditions }, client);
    return keys.map((key, index) => ({ key, outcome: outcomes[index] ?? ABSENT }));
  }

  /** Deletes trainings' tombstones that are older than this. @returns how many */
  async prune(olderThanMs: number, client: Queryable | undefined): Promise<number> {
    const pruned = await writeStatement(this.#pool, client, (database) =>
      query<{ pruned: HostNumber }>(database, sql.pruneTombstones(this.#target.layout), [
        olderThanMs,
        this.#target.scope,
      ]),
    );
    return Number(pruned[0]?.pruned ?? 0);
  }

  async #takeTicket(keys: readonly string[] | undefined, client: Queryable | undefined): Promise<string> {
    const take = (): Promise<{ ticket: string }[]> =>
      query(client ?? this.#pool, sql.takeTicket(this.#target.layout));
    const [row] = await this.#startOrder.take(keys, take, client === undefined);
    return row?.ticket ?? "0";
  }

  #removeWith(
    keys: readonly string[],
    removal: Omit<Removal, "keys">,
    client: Queryable | undefined,
  ): Promise<RemovalOutcome[]> {
    const removeAll = (some: readonly string[]): Promise<RemovalOutcome[]> =>
      write(this.#pool, client, (database) => remove(database, this.#target, { keys: some, ...removal }));
    return writeEach(keys, removeAll, ABSENT);
  }
}
