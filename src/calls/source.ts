import { endedBy, onAbort, throwIfAborted } from "../errors.js";
import { isPromise } from "./checks.js";

/**
 * The items of a source. The signal also ends the wait for an item. The source is closed when the run ends early.
 *
 * Makes little garbage for each item: a source can have millions.
 *
 * @throws the error of the source, unchanged
 */
export async function* readSource<Item>(
  source: Iterable<Item> | AsyncIterable<Item>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Awaited<Item>, void, undefined> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let giveUp: (error: Error) => void = noop;
  const removeListener =
    signal &&
    onAbort(signal, () => {
      giveUp(endedBy(signal));
    });
  const orGiveUp = <T>(reading: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      giveUp = reject;
      reading.then(resolve, reject);
    });
  let isEnded = false;
  try {
    for (;;) {
      throwIfAborted(signal);
      let next: IteratorResult<Item>;
      try {
        const reading = iterator.next();
        if (!isPromise(reading)) next = reading as IteratorResult<Item>;
        else next = await (signal ? orGiveUp(reading as Promise<IteratorResult<Item>>) : reading);
      } catch (error) {
        isEnded = !signal?.aborted; // a source that failed has closed itself
        throw error;
      }
      if (next.done === true) {
        isEnded = true;
        return;
      }
      yield next.value as Awaited<Item>; // awaits it
    }
  } finally {
    removeListener?.();
    const closed = isEnded ? undefined : iterator.return?.();
    // A pending read of the source may never settle: do not wait for it.
    if (signal?.aborted) Promise.resolve(closed).catch(noop);
    else await closed;
  }
}

function noop(): void {
  // The caller hears of the signal instead.
}
