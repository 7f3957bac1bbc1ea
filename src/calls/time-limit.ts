import { AbortError, endedBy, onAbort, throwIfAborted, TimeLimitPassed } from "../errors.js";

/** What bounds a call. */
export interface CallLimits {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** The time limits of the signals that {@link withTimeLimit} makes. */
const timeLimits = new WeakMap<AbortSignal, number>();

/** The time that the call of a signal may take as a whole, in milliseconds; `undefined` where the caller did not say. */
export function timeLimitOf(signal: AbortSignal | undefined): number | undefined {
  return signal && timeLimits.get(signal);
}

/**
 * Does work with a signal that fires when any of the given ones does, and when the time is over. Nothing is left on the
 * given signals afterwards, unlike with `AbortSignal.any`.
 *
 * @throws {@link AbortError} | {@link DatabaseError} `TIMEOUT`, once the signal has fired and the work has ended for it
 */
export async function withTimeLimit<T>(
  { signal, timeoutMs }: CallLimits,
  work: (signal: AbortSignal | undefined) => Promise<T>,
  ...others: (AbortSignal | undefined)[]
): Promise<T> {
  const given = [signal, ...others].filter((some) => some !== undefined);
  for (const some of given) throwIfAborted(some);
  if (timeoutMs === undefined && given.length < 2) return work(given[0]);
  const controller = new AbortController();
  const forget = given.map((some) =>
    onAbort(some, () => {
      controller.abort(some.reason);
    }),
  );
  let timer: NodeJS.Timeout | undefined;
  if (timeoutMs !== undefined) {
    timeLimits.set(controller.signal, timeoutMs);
    timer = setTimeout(() => {
      controller.abort(new TimeLimitPassed(timeoutMs));
    }, timeoutMs);
  } else {
    const inherited = given.map(timeLimitOf).find((limit) => limit !== undefined);
    if (inherited !== undefined) timeLimits.set(controller.signal, inherited);
  }
  try {
    return await work(controller.signal);
  } catch (error) {
    // An embedder that is told by the signal does not tell a limit from a caller who went away.
    if (error instanceof AbortError && error.cause instanceof TimeLimitPassed)
      throw endedBy(controller.signal);
    throw error;
  } finally {
    clearTimeout(timer);
    for (const take of forget) take();
  }
}
