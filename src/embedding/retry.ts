import { setTimeout as sleep } from "node:timers/promises";

/** When work is retried, and for how long. */
export interface RetryOptions {
  /** On the clock of `performance.now()`: the latest start of another attempt after this error. */
  deadline: (error: unknown) => number;
  /** Whether another attempt can succeed, after this error of the attempt with this number (from 1). */
  canRetry: (error: unknown, attempts: number) => boolean;
  /** Called before the wait for each retry. */
  onRetry?: ((error: unknown) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Waits double from the first to the longest. Each is shortened at random, to no less than half. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** Retries work while a retry can help and the deadline allows it. @throws the error of the last attempt */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { deadline, canRetry, onRetry, signal } = options;
  for (let attempts = 1; ; attempts++) {
    try {
      return await work();
    } catch (error) {
      if (!canRetry(error, attempts)) throw error;
      // Random waits: calls that failed together must not retry together.
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
      if (performance.now() + waitMs > deadline(error)) throw error;
      onRetry?.(error);
      // If the signal fires, the next attempt throws.
      await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => undefined);
    }
  }
}
