import { orAbort, throwIfAborted } from "../errors.js";

/** Work in progress, and how many calls wait for it. */
interface Running<T> {
  result: Promise<T>;
  waiting: number;
  end: AbortController;
}

/**
 * Work that is done once for all calls that need its result at the same time. It ends early when none of them waits for it
 * any longer, so that no call leaves anything running behind it.
 */
export class SharedWork<T> {
  readonly #work: (signal: AbortSignal) => Promise<T>;
  #running: Running<T> | undefined;

  /** @param work - gets a signal that fires when no call waits any longer, and has to end soon after */
  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#work = work;
  }

  /**
   * Waits for the work in progress, or starts it.
   *
   * @param signal - ends this call's wait. The work continues for other calls; the last of them to leave waits until it has ended
   * @param activity - what the call does, for the error if its time is up
   * @throws the error of the work | {@link AbortError} | {@link DatabaseError} `TIMEOUT`
   */
  async result(signal?: AbortSignal, activity?: string): Promise<T> {
    throwIfAborted(signal);
    const running = (this.#running ??= this.#start());
    running.waiting += 1;
    try {
      return await orAbort(() => running.result, signal, activity);
    } finally {
      running.waiting -= 1;
      if (running.waiting === 0) await this.#end(running);
    }
  }

  #start(): Running<T> {
    const end = new AbortController();
    const running: Running<T> = { result: this.#work(end.signal), waiting: 0, end };
    const finish = (): void => {
      this.#forget(running);
    };
    running.result.then(finish, finish);
    return running;
  }

  async #end(running: Running<T>): Promise<void> {
    this.#forget(running);
    running.end.abort();
    await running.result.then(noop, noop);
  }

  /** The next call starts the work again. */
  #forget(running: Running<T>): void {
    if (this.#running === running) this.#running = undefined;
  }
}

function noop(): void {
  // The calls that waited have the result or the error.
}
