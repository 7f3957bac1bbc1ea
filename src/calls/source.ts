import { orAbort } from "../errors.js";

/**
 * The items of a source. The signal also ends the wait for an item. The source is closed when the run ends early.
 *
 * @throws the error of the source, unchanged
 */
export async function* readSource<Item>(
  source: Iterable<Item> | AsyncIterable<Item>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Awaited<Item>, void, undefined> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let isEnded = false;
  try {
    for (;;) {
      const next = await orAbort(async () => iterator.next(), signal).catch((error: unknown) => {
        isEnded = !signal?.aborted; // a source that failed has closed itself
        throw error;
      });
      if (next.done === true) {
        isEnded = true;
        return;
      }
      yield await next.value;
    }
  } finally {
    const closed = isEnded ? undefined : iterator.return?.();
    // A pending read of the source may never settle: do not wait for it.
    if (signal?.aborted) Promise.resolve(closed).catch(noop);
    else await closed;
  }
}

function noop(): void {
  // The caller hears of the signal instead.
}
