/**
 * Similarity search over HTTP, for anything that uses the Web's `Request` and `Response`: Hono, Next.js, Bun, Deno,
 * and Express through an adapter. `docs/openapi.yaml` describes it.
 *
 * @module langchain-training-index/http
 */
import { AbortError, EmbeddingError, InvalidArgumentError, orAbort, TrainingIndexError } from "../errors.js";
import { isPromise } from "../calls/checks.js";
import { checkHandlerOptions, type HandlerSettings, type SimilarityHandlerOptions } from "./handler-options.js";
import { requireAuthorization } from "./authorization.js";
import { checkMethod, HttpError, parseBody, readBody, type RequestedSearch } from "./request.js";
import { settingsFor } from "./request-search.js";
import { SearchSlots } from "./search-slots.js";
import { limitTime } from "./request-time.js";
import { refuse, report, respond } from "./response.js";
import { allOf } from "../searching/narrowed-search.js";
import type { AnySearchOptions } from "../searching/search-options.js";
import type { FoundHit } from "../searching/hits.js";
import type { Hit, SearchMode, SearchStrategy, TrainingHit } from "../hit-types.js";

export { bearerToken } from "./authorization.js";
export { healthHandler, type HealthHandlerOptions, type ObservableIndex } from "./health.js";
export type { SimilarityHandlerOptions } from "./handler-options.js";
export type { RequestSearch } from "./request-search.js";
export type { HitField } from "./result.js";

/** The part of a `TrainingIndex` that the handler needs. */
export interface HttpIndex {
  similar(query: string, options?: AnySearchOptions): Promise<FoundHit<SearchMode, SearchStrategy, object>[]>;
}

/** An exhausted pool, or a model that is being loaded, recovers within a few seconds. */
const RETRY_AFTER_SECONDS = 5;
/** The search options that are the request's own; all others are the host's. */
const CALLERS_OPTION = /^(?:query|k|strategy)(?!\w)/;

/**
 * Makes a handler for `POST` requests with a JSON body `{ query, k?, strategy?, mode?, filter? }`. It responds with
 * `{ results: [...] }`, best first, or with `{ error }`, which says no more than what is wrong with the request:
 *
 * | status | when |
 * |---|---|
 * | 400 | the body, or a value in it, is invalid |
 * | 401 | `authorize` refused the request |
 * | 405, 413, 415 | not POST; body too large; not uncompressed JSON in UTF-8 |
 * | 429 | `maxConcurrent` searches are running; `Retry-After` says when to try again |
 * | 503 | the embedder or the database is down; `Retry-After` says when to try again |
 * | 504 | the request took longer than `timeoutMs`, or the caller disconnected |
 * | 500 | anything else |
 *
 * `onError` gets the error behind a 500, 503 or 504. Routing and CORS are up to the host. The handler never rejects.
 *
 * @example
 * ```ts
 * import { similarityHandler } from "langchain-training-index/http";
 *
 * const handler = similarityHandler(index, {
 *   fields: { id: "trainingId", score: "score", text: "content" },
 *   search: { minScore: 0.5 },
 *   onError: (error) => {
 *     console.error(error);
 *   },
 * });
 * const response = await handler(
 *   new Request("http://localhost/similarity", {
 *     method: "POST",
 *     headers: { "Content-Type": "application/json" },
 *     body: JSON.stringify({ query: "Qual é o prazo de entrega?", k: 3 }),
 *   }),
 * );
 * ```
 *
 * @throws `InvalidArgumentError` for an unusable option, or an index that is not a `TrainingIndex`
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
  const slots = new SearchSlots(settings.maxConcurrent);
  return async (request) => {
    const limit = limitTime(request.signal, settings.timeoutMs);
    try {
      const results = await orAbort(() => answer({ index, slots, settings }, request, limit.signal), limit.signal);
      return respond(200, { results });
    } catch (error) {
      const refusal = error instanceof HttpError ? error : toFailure(error);
      if (error !== refusal && !request.signal.aborted) report(settings.onError, error, request);
      return refuse(refusal);
    } finally {
      limit.clear();
    }
  };
}

async function answer(
  { index, slots, settings }: { index: HttpIndex; slots: SearchSlots; settings: HandlerSettings },
  request: Request,
  signal: AbortSignal,
): Promise<unknown[]> {
  checkMethod(request, "POST");
  await requireAuthorization(request, settings.authorize);
  const { search, maxBodyBytes, toResult, ...limits } = await settingsFor(request, settings);
  const requested = parseBody(await readBody(request, maxBodyBytes, signal), limits);
  const hits = await slots.run(() => find(index, requested, { ...search, signal }));
  return toResult ? hits.map((hit) => toResult(hit)) : hits;
}

/** Searches. Only an error about the request's own values is shown to the caller, as a 400. */
async function find(
  index: HttpIndex,
  { query, search }: RequestedSearch,
  options: AnySearchOptions,
): Promise<(Hit | TrainingHit)[]> {
  try {
    const filter = allOf(options.filter, search.filter);
    const hits = await index.similar(query, { ...options, ...search, filter });
    return hits as FoundHit<SearchMode, SearchStrategy>[]; // stored metadata is any JSON object, whatever type the host gives it
  } catch (error) {
    if (InvalidArgumentError.is(error) && CALLERS_OPTION.test(error.option)) {
      throw new HttpError(400, error.message);
    }
    // Each filter alone is valid; ANDed they are too large. The error itself could reveal the host's filter.
    if (InvalidArgumentError.is(error) && search.filter && /^filter(?!\w)/.test(error.option)) {
      throw new HttpError(400, "filter is too long, or nested too deep");
    }
    if (EmbeddingError.is(error) && error.code === "TEXT_TOO_LONG") {
      throw new HttpError(400, "query is longer than the model reads");
    }
    throw error;
  }
}

/** What the caller is told of an error that is not about the request. */
function toFailure(error: unknown): HttpError {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (AbortError.is(error) || code === "TIMEOUT") return new HttpError(504, "The search took too long");
  if (TrainingIndexError.is(error) && error.retryable) {
    const headers = { "Retry-After": RETRY_AFTER_SECONDS.toString() };
    return new HttpError(503, "The search is not available at the moment", headers);
  }
  return new HttpError(500, "The search failed");
}
