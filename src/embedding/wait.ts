import { AbortError, throwIfAborted } from "../errors.js";

/** How long to wait for work. */
export interface WaitLimits {
  signal?: AbortSignal | undefined;
  /** `onSlow` is called once after this time, in milliseconds. */
  slowMs: number;
  onSlow: () => void;
  /** The wait ends after this time, in milliseconds. `undefined` for work that has its own limit. */
  limitMs: number | undefined;
  /** Makes the error of a wait that exceeded `limitMs`. */
  onLimit: () => Error;
}

/**
 * Settles with the work, or rejects as soon as the signal fires or the time limit has passed. The work may continue, since
 * an embedder cannot be interrupted; its result is then ignored.
 */
export async function waitFor<T>(work: () => Promise<T>, limits: WaitLimits): Promise<T> {
  const { signal, slowMs, onSlow, limitMs, onLimit } = limits;
  throwIfAborted(signal);
  let stop: (error: Error) => void = () => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = reject;
  });
  stopped.catch(() => undefined); // unhandled otherwise, if the work fires the signal and then throws synchronously
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
