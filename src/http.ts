/**
 * A similarity search over HTTP, for whatever speaks the Web's `Request` and `Response`: Hono, Next.js, Bun, Deno,
 * and Express through an adapter.
 *
 * @module
 */
import { AbortError, DatabaseError, EmbeddingError, InvalidArgumentError, orAbort } from "./errors.js";
import type { SimilarOptions } from "./search-options.js";
import type { ChunkHit, Filter } from "./types.js";

/** What the handler searches: a `TrainingIndex`. */
export interface HttpIndex {
  similar(query: string, options?: SimilarOptions): Promise<ChunkHit[]>;
}

/** Options of {@link similarityHandler}. */
export interface SimilarityHandlerOptions {
  /** What one hit becomes in the answer. Default: the whole hit, ids beyond the safe integers as text. */
  toResult?: ((hit: ChunkHit) => Record<string, unknown>) | undefined;
  /** The largest `k` that a caller may ask for. Default 50. */
  maxK?: number | undefined;
  /** Whether callers may send a `filter` of their own. Default `false`. */
  allowFilter?: boolean | undefined;
  /** The largest body, in bytes. Default 65,536. */
  maxBodyBytes?: number | undefined;
  /** How long a request may take, from its headers to the hits. Default 30,000. */
  timeoutMs?: number | undefined;
}

/** That of `similar`. */
const DEFAULT_K = 5;
const DEFAULTS = { maxK: 50, allowFilter: false, maxBodyBytes: 65_536, timeoutMs: 30_000 };
const BODY_KEYS = new Set(["query", "k", "filter"]);

/**
 * Makes a handler for `POST` with a JSON body `{ query, k?, filter? }`. It answers `{ results: [...] }`, best first,
 * or `{ error }`, which never holds more than what is wrong with the request:
 * 400 for a body that is not as it should be, 405, 413, 415, 503 when the embedder or the database is down,
 * 504 when the time is over or the caller has gone, 500 for anything else.
 *
 * The path, and who may call, are the host's business.
 */
export function similarityHandler(
  index: HttpIndex,
  options: SimilarityHandlerOptions = {},
): (request: Request) => Promise<Response> {
  const settings = {
    maxK: options.maxK ?? DEFAULTS.maxK,
    allowFilter: options.allowFilter ?? DEFAULTS.allowFilter,
    maxBodyBytes: options.maxBodyBytes ?? DEFAULTS.maxBodyBytes,
    timeoutMs: options.timeoutMs ?? DEFAULTS.timeoutMs,
    toResult: options.toResult ?? defaultResult,
  };
  return async (request) => {
    const limit = limitTime(request.signal, settings.timeoutMs);
    try {
      const body = await orAbort(() => readBody(request, settings.maxBodyBytes), limit.signal);
      const { query, k, filter } = parseBody(body, settings);
      const hits = await index.similar(query, { k, filter, signal: limit.signal });
      return Response.json({ results: hits.map((hit) => settings.toResult(hit)) });
    } catch (error) {
      return toResponse(error);
    } finally {
      limit.clear();
    }
  };
}

/** A request that cannot be served, with the status to say so. */
class HttpError extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
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

async function readBody(request: Request, maxBytes: number): Promise<unknown> {
  if (request.method !== "POST") throw new HttpError(405, "Use POST", { Allow: "POST" });
  const [type] = (request.headers.get("content-type") ?? "").split(";");
  if (type?.trim().toLowerCase() !== "application/json") {
    throw new HttpError(415, "The body must be application/json");
  }
  const tooLarge = new HttpError(413, `The body must not be larger than ${maxBytes} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw tooLarge;
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8")) as unknown;
  } catch {
    throw new HttpError(400, "The body is not JSON");
  }
}

function parseBody(
  body: unknown,
  { maxK, allowFilter }: { maxK: number; allowFilter: boolean },
): { query: string; k: number; filter: Filter | undefined } {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new HttpError(400, "The body must be an object");
  }
  const { query, k, filter } = body as Record<string, unknown>;
  const unknownKey = Object.keys(body).find((key) => !BODY_KEYS.has(key));
  if (unknownKey !== undefined) throw new HttpError(400, "The body has a key other than query, k and filter");
  if (typeof query !== "string") throw new HttpError(400, "query must be a string");
  if (k !== undefined && !(Number.isInteger(k) && (k as number) >= 1 && (k as number) <= maxK)) {
    throw new HttpError(400, `k must be an integer from 1 to ${maxK}`);
  }
  if (filter !== undefined && !allowFilter) throw new HttpError(400, "filter is not allowed here");
  return {
    query,
    k: (k as number | undefined) ?? Math.min(DEFAULT_K, maxK),
    filter: filter as Filter | undefined,
  };
}

function defaultResult({ trainingId, ...hit }: ChunkHit): Record<string, unknown> {
  return { trainingId: typeof trainingId === "bigint" ? trainingId.toString() : trainingId, ...hit };
}

function toResponse(error: unknown): Response {
  if (error instanceof HttpError) return failure(error.status, error.message, error.headers);
  if (error instanceof InvalidArgumentError) return failure(400, error.message);
  if (error instanceof AbortError) return failure(504, "The search took too long");
  if ((error instanceof EmbeddingError || error instanceof DatabaseError) && error.retryable) {
    return failure(503, "The search is not available at the moment");
  }
  return failure(500, "The search failed");
}

function failure(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}
