/**
 * A similarity search over HTTP, for whatever speaks the Web's `Request` and `Response`: Hono, Next.js, Bun, Deno,
 * and Express through an adapter. `docs/openapi.yaml` describes it.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { checkFunction, checkInteger, checkOptions } from "./checks.js";
import { AbortError, DatabaseError, EmbeddingError, InvalidArgumentError, orAbort } from "./errors.js";
import { checkMethod, checkModes, HttpError, parseBody, readBody } from "./http-request.js";
import { MAX_K } from "./options.js";
import { checkFields, pickFields, type HitField } from "./http-result.js";
import type { AnySearchOptions } from "./search-options.js";
import type { Hit, SearchMode, TrainingHit } from "./types.js";

export type { HitField } from "./http-result.js";

/** What the handler searches: a `TrainingIndex`. */
export interface HttpIndex {
  similar(query: string, options?: AnySearchOptions): Promise<(Hit | TrainingHit)[]>;
}

/** Options of {@link similarityHandler}. */
export interface SimilarityHandlerOptions {
  /**
   * What one hit becomes in the answer: names of the host's choice, and what they stand for. Of a training `content`,
   * `chunkId`, `position`, `start` and `end` are those of its best chunk. Default: the whole hit, under its own names.
   *
   * @example { treinamento_id: "trainingId", score: "score", chunk_text: "content" }
   */
  fields?: Readonly<Record<string, HitField>> | undefined;
  /** What one hit becomes in the answer, where names are not enough. In the place of `fields`. */
  toResult?: ((hit: Hit | TrainingHit) => Record<string, unknown>) | undefined;
  /** The largest `k` that a caller may ask for, up to 1000. Default 50. */
  maxK?: number | undefined;
  /** Whether callers may send a `filter` of their own. Default `false`. */
  allowFilter?: boolean | undefined;
  /** The modes that callers may ask for; the first is what they get when they do not. Default `["vector"]`. */
  modes?: readonly SearchMode[] | undefined;
  /** What else each search has, for example a `minScore`. */
  search?: Omit<AnySearchOptions, "k" | "filter" | "mode" | "strategy" | "signal" | "client"> | undefined;
  /**
   * Says whether a request is served, before its body is read; else it is answered 401. {@link bearerToken} makes one.
   * Default: all are served.
   */
  authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  /** The largest body, in bytes. Default 65,536. */
  maxBodyBytes?: number | undefined;
  /** How long a request may take, from its headers to the hits. Default 30,000. */
  timeoutMs?: number | undefined;
}

const DEFAULTS = {
  maxK: 50,
  allowFilter: false,
  modes: ["vector"],
  maxBodyBytes: 65_536,
  timeoutMs: 30_000,
} as const;

/** A pool that is out of clients, or a model that is being loaded, takes some seconds. */
const RETRY_AFTER_SECONDS = 5;
/** What a timer of Node goes up to. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Makes a handler for `POST` with a JSON body `{ query, k?, strategy?, mode?, filter? }`. It answers `{ results: [...] }`,
 * best first, or `{ error }`, which never holds more than what is wrong with the request:
 * 400 for a body that is not as it should be, 401, 405, 413, 415, 503 when the embedder or the database is down,
 * 504 when the time is over or the caller has gone, 500 for anything else.
 *
 * The path is the host's business.
 *
 * @throws {@link InvalidArgumentError} for an option that is not usable
 */
export function similarityHandler(
  index: HttpIndex,
  options: SimilarityHandlerOptions = {},
): (request: Request) => Promise<Response> {
  const settings = checkSettings(index, options);
  return async (request) => {
    const limit = limitTime(request.signal, settings.timeoutMs);
    try {
      const results = await orAbort(() => answer(index, request, settings, limit.signal), limit.signal);
      return respond(200, { results });
    } catch (error) {
      return toResponse(error);
    } finally {
      limit.clear();
    }
  };
}

/**
 * An `authorize` that asks for `Authorization: Bearer TOKEN`, and takes as long for a wrong token as for the right one.
 *
 * @throws {@link InvalidArgumentError} for an empty token
 */
export function bearerToken(token: string): (request: Request) => boolean {
  if (typeof token !== "string" || token === "") throw new InvalidArgumentError("token", "must not be empty");
  const expected = hashOf(token);
  return ({ headers }) => {
    const [, given = ""] = /^Bearer +(.*)$/i.exec(headers.get("authorization") ?? "") ?? [];
    return timingSafeEqual(hashOf(given), expected);
  };
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

type Settings = ReturnType<typeof checkSettings>;

function checkSettings(index: HttpIndex, options: SimilarityHandlerOptions) {
  if (typeof (index as HttpIndex | undefined)?.similar !== "function") {
    throw new InvalidArgumentError("index", "must be a TrainingIndex");
  }
  checkOptions(options);
  const { fields, toResult, search = {}, authorize } = options;
  const modes = options.modes ?? DEFAULTS.modes;
  checkModes(modes);
  checkFunction("toResult", toResult);
  checkFunction("authorize", authorize);
  checkOptions(search);
  if (fields !== undefined) checkFields(fields);
  if (fields !== undefined && toResult)
    throw new InvalidArgumentError("fields", "is in the place of toResult");
  return {
    modes,
    search,
    authorize,
    toResult: fields ? (hit: Hit | TrainingHit) => pickFields(hit, fields) : toResult,
    maxK: checkInteger("maxK", options.maxK ?? DEFAULTS.maxK, 1, MAX_K),
    allowFilter: options.allowFilter ?? DEFAULTS.allowFilter,
    maxBodyBytes: checkInteger(
      "maxBodyBytes",
      options.maxBodyBytes ?? DEFAULTS.maxBodyBytes,
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    timeoutMs: checkInteger("timeoutMs", options.timeoutMs ?? DEFAULTS.timeoutMs, 1, MAX_TIMEOUT_MS),
  };
}

async function answer(
  index: HttpIndex,
  request: Request,
  settings: Settings,
  signal: AbortSignal,
): Promise<unknown[]> {
  checkMethod(request);
  if (settings.authorize && !(await settings.authorize(request))) {
    throw new HttpError(401, "Authorization is needed", { "WWW-Authenticate": "Bearer" });
  }
  const { query, search } = parseBody(await readBody(request, settings.maxBodyBytes), settings);
  const hits = await index.similar(query, { ...settings.search, ...search, signal });
  const { toResult } = settings;
  return toResult ? hits.map((hit) => toResult(hit)) : hits;
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

function toResponse(error: unknown): Response {
  if (error instanceof HttpError) return respond(error.status, { error: error.message }, error.headers);
  if (error instanceof InvalidArgumentError) return respond(400, { error: error.message });
  if (error instanceof AbortError) return respond(504, { error: "The search took too long" });
  if ((error instanceof EmbeddingError || error instanceof DatabaseError) && error.retryable) {
    const headers = { "Retry-After": RETRY_AFTER_SECONDS.toString() };
    return respond(503, { error: "The search is not available at the moment" }, headers);
  }
  return respond(500, { error: "The search failed" });
}

/** Ids that numbers cannot hold are written as text. */
function respond(status: number, body: object, headers: Record<string, string> = {}): Response {
  const json = JSON.stringify(body, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
  return new Response(json, { status, headers: { "Content-Type": "application/json", ...headers } });
}
