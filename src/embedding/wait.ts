import { AbortError, throwIfAborted } from "../errors.js";

/** How long work is waited for. */
export interface WaitLimits {
  signal?: AbortSignal | undefined;
  /** From then on `onSlow` has been called, once. In milliseconds. */
  slowMs: number;
  onSlow: () => void;
  /** From then on nobody waits any more. In milliseconds; none for work that ends by itself. */
  limitMs: number | undefined;
  /** What is thrown then. */
  onLimit: () => Error;
}

/**
 * Settles as the work does, or rejects as soon as the signal fires or the time is over. Work that has been started may go
 * on: an embedder has no way to be told. Nobody learns how it ends then.
 */
export async function waitFor<T>(work: () => Promise<T>, limits: WaitLimits): Promise<T> {
  const { signal, slowMs, onSlow, limitMs, onLimit } = limits;
  throwIfAborted(signal);
  let stop: (error: Error) => void = () => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = reject;
  });
  stopped.catch(() => undefined); // work that fires the signal and throws leaves nobody to listen
  const onAbort = (): void => {
    stop(new AbortError(signal?.reason));
  };
  const timers = [setTimeout(onSlow, slowMs)];
  if (limitMs !== undefined) {
    timers.push(
      setTimeout(() => {
        stop(onLimit());
      }, limitMs),
    );
  }
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work(), stopped]);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
