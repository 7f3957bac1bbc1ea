import { setTimeout as sleep } from "node:timers/promises";

/** How long work is tried again, and what for. */
export interface RetryOptions {
  /** As `performance.now()` counts: after this failure no attempt starts later. */
  deadline: (error: unknown) => number;
  /** Whether another attempt can succeed after so many. */
  canHeal: (error: unknown, attempts: number) => boolean;
  /** Called before each further attempt, and before the wait for it. */
  onRetry?: ((error: unknown) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Waits grow from the first to the last; each is cut to something between its half and its whole. */
const FIRST_WAIT_MS = 250;
const LAST_WAIT_MS = 10_000;

/** Does the work again while that can help and there is time; then throws what the last attempt threw. */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { deadline, canHeal, onRetry, signal } = options;
  for (let attempts = 1; ; attempts++) {
    try {
      return await work();
    } catch (error) {
      if (!canHeal(error, attempts)) throw error;
      // Jobs that failed together must not come back together.
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LAST_WAIT_MS) * (0.5 + Math.random() / 2);
      if (performance.now() + waitMs > deadline(error)) throw error;
      onRetry?.(error);
      // Work that is started after the signal throws by itself.
      await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => undefined);
    }
  }
}
