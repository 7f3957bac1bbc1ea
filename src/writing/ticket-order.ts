/**
 * Lets the calls of one index take their tickets in the order in which they were made. Without it two calls that
 * are made one right after the other race to the database on two connections, and the first could count as the later.
 * Calls for different trainings do not wait for each other.
 */
export class TicketOrder {
  /** For each training the last ticket that is being taken. */
  readonly #taking = new Map<string, Promise<unknown>>();
  /** The last ticket that is being taken for all trainings. */
  #takingForAll: Promise<unknown> = Promise.resolve();

  /**
   * @param keys - the trainings that the ticket is for; `undefined` for all of them
   * @param take - asks for the ticket
   * @param mayWait - `false` for a call on a client of the host's: the calls before it may be waiting for just that
   * client
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
  // Whether an earlier call got its ticket is its own business.
}
