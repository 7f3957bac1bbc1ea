/**
 * Similarity search and trainings over HTTP, for anything that uses the Web's `Request` and `Response`: Hono, Next.js, Bun,
 * Deno, and Express and Fastify through an adapter. `docs/openapi.yaml` describes it.
 *
 * @module langchain-training-index/http
 */
import { EmbeddingError, InvalidArgumentError } from "../errors.js";
import { answerRequest, requireIndex } from "./answering.js";
import { checkHandlerOptions, type HandlerSettings, type SimilarityHandlerOptions } from "./handler-options.js";
import { requireAuthorization } from "./authorization.js";
import { checkMethod, HttpError, readBody } from "./request.js";
import { RequestBounds } from "./request-bounds.js";
import { settingsFor } from "./request-search.js";
import { respond } from "./response.js";
import { parseBody, type RequestedSearch } from "./search-body.js";
import { allOf } from "../searching/narrowed-search.js";
import type { AnySearchOptions } from "../searching/search-options.js";
import type { FoundHit } from "../searching/hits.js";
import type { Hit, SearchMode, SearchStrategy, TrainingHit } from "../hit-types.js";

export { bearerToken } from "./authorization.js";
export { healthHandler, type HealthHandlerOptions, type ObservableIndex } from "./health.js";
export type { SimilarityHandlerOptions } from "./handler-options.js";
export type { RequestRate } from "./request-bounds.js";
export type { RequestSearch } from "./request-search.js";
export type { HitField } from "./result.js";
export { trainingsHandler, type HttpTrainings } from "./trainings-handler.js";
export type { RequestTrainings, TrainingsHandlerOptions } from "./trainings-options.js";

/** The part of a `TrainingIndex` that the handler needs. */
export interface HttpIndex {
  similar(query: string, options?: AnySearchOptions): Promise<FoundHit<SearchMode, SearchStrategy, object>[]>;
}

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
 * | 429 | `maxConcurrent` searches are running, or `rate` is exceeded; `Retry-After` says when to try again |
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
  requireIndex(index, "similar");
  const settings = checkHandlerOptions(options);
  const bounds = new RequestBounds(settings.bounds);
  return (request) =>
    answerRequest(request, { ...settings, noun: "search" }, async (signal) =>
      respond(200, { results: await answer({ index, bounds, settings }, request, signal) }),
    );
}

async function answer(
  { index, bounds, settings }: { index: HttpIndex; bounds: RequestBounds; settings: HandlerSettings },
  request: Request,
  signal: AbortSignal,
): Promise<unknown[]> {
  checkMethod(request, "POST");
  await requireAuthorization(request, settings.authorize);
  await bounds.count(request);
  const { search, maxBodyBytes, toResult, ...limits } = await settingsFor(request, settings);
  const requested = parseBody(await readBody(request, maxBodyBytes, signal), limits);
  const hits = await bounds.run(() => find(index, requested, { ...search, signal }));
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
