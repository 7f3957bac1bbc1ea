import { AbortError, endedBy, onAbort, throwIfAborted, TimeLimitPassed } from "../errors.js";

/** The options that end a call early. */
export interface CallLimits {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** The time limit of each signal that {@link withTimeLimit} makes, in milliseconds. */
const timeLimits = new WeakMap<AbortSignal, number>();

/** The `timeoutMs` of the call that a signal belongs to; `undefined` if the caller set none. */
export function timeLimitOf(signal: AbortSignal | undefined): number | undefined {
  return signal && timeLimits.get(signal);
}

/**
 * Runs `work` with a signal that fires when one of the given signals does, or after `timeoutMs`. Leaves no listeners on
 * the given signals, unlike `AbortSignal.any`.
 *
 * @throws {@link AbortError} | {@link DatabaseError} `TIMEOUT`, if the signal has fired and the work has ended because of it
 */
export async function withTimeLimit<T>(
  { signal, timeoutMs }: CallLimits,
  work: (signal: AbortSignal | undefined) => Promise<T>,
  ...others: (AbortSignal | undefined)[]
): Promise<T> {
  const signals = [signal, ...others].filter((given) => given !== undefined);
  for (const given of signals) throwIfAborted(given);
  if (timeoutMs === undefined && signals.length < 2) return work(signals[0]);
  const controller = new AbortController();
  const removers = signals.map((given) =>
    onAbort(given, () => {
      controller.abort(given.reason);
    }),
  );
  let timer: NodeJS.Timeout | undefined;
  if (timeoutMs !== undefined) {
    timeLimits.set(controller.signal, timeoutMs);
    timer = setTimeout(() => {
      controller.abort(new TimeLimitPassed(timeoutMs));
    }, timeoutMs);
  } else {
    const inherited = signals.map(timeLimitOf).find((limit) => limit !== undefined);
    if (inherited !== undefined) timeLimits.set(controller.signal, inherited);
  }
  try {
    return await work(controller.signal);
  } catch (error) {
    // An embedder that receives the signal throws AbortError for a passed time limit, too.
    if (error instanceof AbortError && error.cause instanceof TimeLimitPassed) throw endedBy(controller.signal);
    throw error;
  } finally {
    clearTimeout(timer);
    for (const removeListener of removers) removeListener();
  }
}
