import { isPromise } from "../calls/checks.js";
import { AbortError, InvalidArgumentError, orAbort, TrainingIndexError } from "../errors.js";
import { HttpError } from "./request.js";
import { refuse, report, withoutBody } from "./response.js";

/**
 * Checks that a handler is made for an index.
 *
 * @param method - one that the handler calls
 * @throws {@link InvalidArgumentError}
 */
export function requireIndex<Index extends object>(index: Index, method: keyof Index): void {
  if (typeof (index as Partial<Index> | undefined)?.[method] === "function") return;
  throw new InvalidArgumentError(
    "index",
    isPromise(index) ? "is a promise: await TrainingIndex.initialize(...)" : "must be a TrainingIndex",
  );
}

/** How the requests of a handler are answered. */
export interface Answering {
  timeoutMs: number;
  onError: ((error: unknown, request: Request) => void) | undefined;
  /** What a request asks for, for the messages: `search`. */
  noun: string;
}

/** An exhausted pool, or a model that is being loaded, recovers within a few seconds. */
const RETRY_AFTER_SECONDS = 5;

/**
 * Answers a request within its time limit; the signal of `answer` fires when that is over or the client disconnects. Never
 * rejects: an {@link HttpError} is shown to the client; of any other error the client sees the status alone, and the host
 * gets it in `onError`.
 */
export async function answerRequest(
  request: Request,
  { timeoutMs, onError, noun }: Answering,
  answer: (signal: AbortSignal) => Promise<Response>,
): Promise<Response> {
  const limit = limitTime(request.signal, timeoutMs);
  try {
    return withoutBody(request, await orAbort(() => answer(limit.signal), limit.signal));
  } catch (error) {
    const refusal = error instanceof HttpError ? error : toFailure(error, noun);
    if (error !== refusal && !request.signal.aborted) report(onError, error, request);
    return withoutBody(request, refuse(refusal));
  } finally {
    limit.clear();
  }
}

/** The response to an error that is not about the request. */
function toFailure(error: unknown, noun: string): HttpError {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (AbortError.is(error) || code === "TIMEOUT") return new HttpError(504, `The ${noun} took too long`);
  if (TrainingIndexError.is(error) && error.retryable) {
    const headers = { "Retry-After": RETRY_AFTER_SECONDS.toString() };
    return new HttpError(503, `The ${noun} is not possible at the moment`, headers);
  }
  return new HttpError(500, `The ${noun} failed`);
}

/**
 * A signal that fires when the client disconnects or the time is over. Not `AbortSignal.any`: Node 20 references its timeout
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
