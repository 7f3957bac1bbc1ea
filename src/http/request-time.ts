/**
 * A signal that fires when the caller disconnects or the time is over. Not `AbortSignal.any`: Node 20 references its timeout
 * only weakly, so that garbage collection can lose it (nodejs/node#57736).
 */
export function limitTime(caller: AbortSignal, timeoutMs: number): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort(caller.reason);
  };
  const timer = setTimeout(() => {
    controller.abort(new Error(`the request took longer than ${timeoutMs} ms`));
  }, timeoutMs);
  caller.addEventListener("abort", abort, { once: true });
  if (caller.aborted) abort();
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer);
      caller.removeEventListener("abort", abort);
    },
  };
}
