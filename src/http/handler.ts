/**
 * A similarity search over HTTP, for whatever speaks the Web's `Request` and `Response`: Hono, Next.js, Bun, Deno,
 * and Express through an adapter. `docs/openapi.yaml` describes it.
 *
 * @module
 */
import { AbortError, DatabaseError, EmbeddingError, InvalidArgumentError, orAbort } from "../errors.js";
import { isPromise } from "../calls/checks.js";
import {
  checkHandlerOptions,
  type HandlerSettings,
  type SimilarityHandlerOptions,
} from "./handler-options.js";
import { checkMethod, HttpError, parseBody, readBody, type RequestedSearch } from "./request.js";
import { allOf } from "../searching/narrowed-search.js";
import type { AnySearchOptions } from "../searching/search-options.js";
import type { Hit, TrainingHit } from "../types.js";

export { bearerToken } from "./authorization.js";
export type { SimilarityHandlerOptions } from "./handler-options.js";
export type { HitField } from "./result.js";

/** What the handler searches: a `TrainingIndex`. */
export interface HttpIndex {
  similar(query: string, options?: AnySearchOptions): Promise<(Hit | TrainingHit)[]>;
}

/** A pool that is out of clients, or a model that is being loaded, takes some seconds. */
const RETRY_AFTER_SECONDS = 5;
/** The options of a search that are the caller's own words; all others are the host's. */
const CALLERS_OPTION = /^(?:query|k|strategy)(?!\w)/;

/**
 * Makes a handler for `POST` with a JSON body `{ query, k?, strategy?, mode?, filter? }`. It answers `{ results: [...] }`,
 * best first, or `{ error }`, which never holds more than what is wrong with the request:
 * 400 for a body that is not as it should be, 401, 405, 413, 415, 503 when the embedder or the database is down,
 * 504 when the time is over or the caller has gone, 500 for anything else. `onError` is told what is behind the last three.
 *
 * The path is the host's business, and so is CORS. The handler never rejects.
 *
 * @throws {@link InvalidArgumentError} for an option that is not usable
 */
export function similarityHandler(
  index: HttpIndex,
  options: SimilarityHandlerOptions = {},
): (request: Request) => Promise<Response> {
  if (typeof (index as HttpIndex | undefined)?.similar !== "function") {
    throw new InvalidArgumentError(
      "index",
      isPromise(index) ? "is a promise: await TrainingIndex.initialize(...)" : "must be a TrainingIndex",
    );
  }
  const settings = checkHandlerOptions(options);
  return async (request) => {
    const limit = limitTime(request.signal, settings.timeoutMs);
    try {
      const results = await orAbort(() => answer(index, request, settings, limit.signal), limit.signal);
      return respond(200, { results });
    } catch (error) {
      const refusal = error instanceof HttpError ? error : toFailure(error);
      if (error !== refusal && !request.signal.aborted) report(settings, error, request);
      return respond(refusal.status, { error: refusal.message }, refusal.headers);
    } finally {
      limit.clear();
    }
  };
}

async function answer(
  index: HttpIndex,
  request: Request,
  settings: HandlerSettings,
  signal: AbortSignal,
): Promise<unknown[]> {
  checkMethod(request);
  if (settings.authorize && !(await settings.authorize(request))) {
    throw new HttpError(401, "Authorization is needed", { "WWW-Authenticate": "Bearer" });
  }
  const requested = parseBody(await readBody(request, settings.maxBodyBytes, signal), settings);
  const hits = await find(index, requested, { ...settings.search, signal });
  const { toResult } = settings;
  return toResult ? hits.map((hit) => toResult(hit)) : hits;
}

/** What is wrong with the caller's own words is the caller's to know, and nothing else is. */
async function find(
  index: HttpIndex,
  { query, search }: RequestedSearch,
  options: AnySearchOptions,
): Promise<(Hit | TrainingHit)[]> {
  try {
    return await index.similar(query, {
      ...options,
      ...search,
      filter: allOf(options.filter, search.filter),
    });
  } catch (error) {
    if (InvalidArgumentError.is(error) && CALLERS_OPTION.test(error.option)) {
      throw new HttpError(400, error.message);
    }
    // Each of both filters has been checked: together they are too much. The error can name what the host filters by.
    if (InvalidArgumentError.is(error) && search.filter && /^filter(?!\w)/.test(error.option)) {
      throw new HttpError(400, "filter is too long, or nested too deep");
    }
    if (EmbeddingError.is(error) && error.code === "TEXT_TOO_LONG") {
      throw new HttpError(400, "query is longer than the model reads");
    }
    throw error;
  }
}

/**
 * A signal that fires when the caller goes away or the time is over. `AbortSignal.any` would hold its time-out only
 * weakly on Node 20, where a garbage collection loses it (nodejs/node#57736).
 */
function limitTime(caller: AbortSignal, timeoutMs: number): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort(caller.reason);
  };
  const timer = setTimeout(() => {
    controller.abort(new Error("the time is over"));
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

/** What callers learn of an error that is none of theirs. */
function toFailure(error: unknown): HttpError {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (AbortError.is(error) || code === "TIMEOUT") return new HttpError(504, "The search took too long");
  if ((EmbeddingError.is(error) || DatabaseError.is(error)) && error.retryable) {
    const headers = { "Retry-After": RETRY_AFTER_SECONDS.toString() };
    return new HttpError(503, "The search is not available at the moment", headers);
  }
  return new HttpError(500, "The search failed");
}

function report({ onError }: HandlerSettings, error: unknown, request: Request): void {
  try {
    onError?.(error, request);
  } catch {
    // A log that fails is no reason to leave the caller without an answer.
  }
}

/** Ids that numbers cannot hold are written as text. */
function respond(status: number, body: object, headers: Record<string, string> = {}): Response {
  const json = JSON.stringify(body, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
  return new Response(json, { status, headers: { "Content-Type": "application/json", ...headers } });
}
