import { throwIfAborted } from "./errors.js";
import type { BoundedPool } from "./store/bounded-database.js";
import { query, type HostNumber, type Queryable } from "./store/database.js";
import type { Conditions } from "./store/filter.js";
import { databaseOf, hostClient } from "./store/host-client.js";
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
  readonly #pool: BoundedPool;
  readonly #target: WriteTarget;
  readonly #startOrder: StartOrder;

  constructor(pool: BoundedPool, target: WriteTarget, startOrder: StartOrder) {
    this.#pool = pool;
    this.#target = target;
    this.#startOrder = startOrder;
  }

  /** @param keys - ids as Postgres takes them, each at most once */
  async remove(keys: readonly string[], options: RemoveOptions = {}): Promise<RemovalOutcome[]> {
    const { conditions = [], revision = null } = options;
    throwIfAborted(options.signal);
    if (keys.length === 0) return [];
    const ticket = await this.#takeTicket(keys, options);
    return this.#removeWith(keys, { ticket, revision, conditions }, options);
  }

  /** Deletes the trainings whose metadata meets the conditions. */
  async removeMatching(
    conditions: Conditions,
    options: RemoveOptions = {},
  ): Promise<{ key: string; outcome: RemovalOutcome }[]> {
    throwIfAborted(options.signal);
    const ticket = await this.#takeTicket(undefined, options);
    const { layout, scope } = this.#target;
    const found = await query<{ key: string }>(databaseOf(this.#pool, options), sql.findTrainings(layout), [
      [...scope, ...conditions],
      null,
    ]);
    const keys = found.map(({ key }) => key);
    const outcomes = await this.#removeWith(keys, { ticket, revision: null, conditions }, options);
    return keys.map((key, index) => ({ key, outcome: outcomes[index] ?? ABSENT }));
  }

  /** Deletes trainings' tombstones that are older than this. @returns how many */
  async prune(olderThanMs: number, { client, signal }: RemoveOptions): Promise<number> {
    const limits = { signal };
    const inHosts = client && hostClient(client, limits);
    const pruned = await writeStatement(this.#pool.within(limits), inHosts, (database) =>
      query<{ pruned: HostNumber }>(database, sql.pruneTombstones(this.#target.layout), [
        olderThanMs,
        this.#target.scope,
      ]),
    );
    return Number(pruned[0]?.pruned ?? 0);
  }

  async #takeTicket(keys: readonly string[] | undefined, options: RemoveOptions): Promise<string> {
    const take = (): Promise<{ ticket: string }[]> =>
      query(databaseOf(this.#pool, options), sql.takeTicket(this.#target.layout));
    const [row] = await this.#startOrder.take(keys, take, options.client === undefined);
    return row?.ticket ?? "0";
  }

  #removeWith(
    keys: readonly string[],
    removal: Omit<Removal, "keys">,
    { client, signal }: RemoveOptions,
  ): Promise<RemovalOutcome[]> {
    const limits = { signal };
    const pool = this.#pool.within(limits);
    const inHosts = client && hostClient(client, limits);
    const removeAll = (some: readonly string[]): Promise<RemovalOutcome[]> =>
      write(pool, inHosts, (database) => remove(database, this.#target, { keys: some, ...removal }));
    return writeEach(keys, removeAll, ABSENT);
  }
}
