import type { Notify } from "../calls/notices.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import { query } from "../postgres/database.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { takeInOrder, type TakenTicket } from "../storing/ticket-sequence.js";
import { takeTicketForAll } from "../storing/write-sql.js";
import type { WriteTarget } from "../storing/write-target.js";

/**
 * Makes the calls of one index take their tickets in the order in which they were made. Two calls made one right after
 * the other use two connections and would race; the first could then count as the later one. Calls for different
 * trainings do not wait for each other.
 */
export class TicketOrder {
  /** The last pending take of each training. */
  readonly #taking = new Map<string, Promise<unknown>>();
  /** The last pending take for all trainings. */
  #takingForAll: Promise<unknown> = Promise.resolve();

  /**
   * @param keys - the trainings that the ticket is for; `undefined` for all
   * @param take - takes the ticket
   * @param mayWait - `false` for a call with a host's client: earlier calls may be waiting for that very client
   */
  take<T>(keys: readonly string[] | undefined, take: () => Promise<T>, mayWait = true): Promise<T> {
    const earlier = keys ? keys.flatMap((key) => this.#taking.get(key) ?? []) : [...this.#taking.values()];
    const mine = mayWait ? Promise.allSettled([this.#takingForAll, ...earlier]).then(take) : take();
    const settled = mine.then(noop, noop);
    if (keys === undefined) {
      this.#takingForAll = Promise.all([this.#takingForAll, settled]);
      return mine;
    }
    for (const key of keys) {
      this.#taking.set(key, settled);
      void settled.then(() => {
        if (this.#taking.get(key) === settled) this.#taking.delete(key);
      });
    }
    return mine;
  }
}

function noop(): void {
  // The failure of an earlier call does not affect the next one.
}

/** Dependencies of {@link takeRunTicket}. */
export interface RunTicketParts {
  pool: BoundedPool;
  target: WriteTarget;
  knownSchema: Pick<KnownSchema, "follow">;
  ticketOrder: TicketOrder;
  notify: Notify;
}

/** Takes one ticket for a call that writes many trainings in parts: calls that start later win. */
export async function takeRunTicket(parts: RunTicketParts, signal: AbortSignal | undefined): Promise<string> {
  const { pool, target, knownSchema, ticketOrder, notify } = parts;
  const database = pool.within({ signal });
  const take = (): Promise<TakenTicket[]> => query(database, "take-tickets", takeTicketForAll(target.layout));
  const takeChecked = (): Promise<TakenTicket[]> => takeInOrder(database, target.layout, notify, take);
  const [taken] = await ticketOrder.take(undefined, () => knownSchema.follow(takeChecked, { writes: true, signal }));
  if (!taken) throw new Error("a statement that takes a ticket returns a row");
  return taken.ticket;
}
