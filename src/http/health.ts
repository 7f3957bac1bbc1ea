import { checkFunction, checkInteger, checkList, checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError, orAbort } from "../errors.js";
import { statusWarningCodes, type IndexStatus, type StatusWarningCode } from "../inspecting/index-status.js";
import type { StatusOptions } from "../inspecting/status.js";
import { limitTime, requireIndex } from "./answering.js";
import { requireAuthorization } from "./authorization.js";
import { checkMethod, HttpError } from "./request.js";
import { NOT_CACHED, refuse, report, respond, withoutBody } from "./response.js";

/** The part of a `TrainingIndex` that {@link healthHandler} needs. */
export interface ObservableIndex {
  status(options?: StatusOptions): Promise<IndexStatus>;
}

/** Options of {@link healthHandler}. All are optional. */
export interface HealthHandlerOptions {
  /** Warnings with which the index counts as unavailable, such as `VECTOR_INDEX_MISSING`. Default: none. */
  failOn?: readonly StatusWarningCode[] | undefined;
  /**
   * Whether responses have the warnings with their messages, which name the schema and its tables. Default `false`: only
   * `status`.
   */
  details?: boolean | undefined;
  /** How long the index may take to answer, in milliseconds. Default 5,000. */
  timeoutMs?: number | undefined;
  /**
   * How long a result is reused, in milliseconds, so that the number of requests does not decide the load on the database. 0
   * reuses only the one that is being made. Default 1,000.
   */
  maxAgeMs?: number | undefined;
  /** Decides whether a request is served; otherwise it is answered with 401. Default: all requests are served. */
  authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  /** Called with the error behind a 503, which the response does not reveal: log it here. Errors that it throws are ignored. */
  onError?: ((error: unknown, request: Request) => void) | undefined;
}

const HEALTH_OPTIONS = namesOfProperties<HealthHandlerOptions>({
  failOn: true,
  details: true,
  timeoutMs: true,
  maxAgeMs: true,
  authorize: true,
  onError: true,
});

/** Shorter than the probes of most orchestrators wait, and longer than a busy database takes. */
const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_MAX_AGE_MS = 1000;
/** The longest timer that Node can set. */
const MAX_MS = 2 ** 31 - 1;

/** The options with their defaults. */
interface HealthSettings extends Pick<HealthHandlerOptions, "authorize" | "onError"> {
  failOn: readonly string[];
  details: boolean;
  timeoutMs: number;
  maxAgeMs: number;
}

/** What the index said last. */
type Health = { warnings: IndexStatus["warnings"] } | { error: unknown };

/**
 * Makes a handler for health checks: `GET` or `HEAD` requests, which have no body. It answers 200 with `{ status: "ok" }`, or
 * `{ status: "degraded" }` if `status` of the index has warnings, and 503 with `{ status: "unavailable" }` if the index cannot be
 * searched: the database does not answer in time, or the schema is missing, damaged or of another model. No answer says more,
 * unless `details` is set. It does not ask the embedding model. The handler never rejects.
 *
 * @example
 * ```ts
 * import { healthHandler } from "langchain-training-index/http";
 *
 * const health = healthHandler(index, { failOn: ["VECTOR_INDEX_MISSING"] });
 * const response = await health(new Request("http://localhost/health"));
 * ```
 *
 * @throws `InvalidArgumentError` for an unusable option, or an index that is not a `TrainingIndex`
 */
export function healthHandler(
  index: ObservableIndex,
  options: HealthHandlerOptions = {},
): (request: Request) => Promise<Response> {
  requireIndex(index, "status");
  const settings = checkHealthOptions(options);
  const check = reused(() => healthOf(index, settings.timeoutMs), settings.maxAgeMs);
  return async (request) => {
    const limit = limitTime(request.signal, settings.timeoutMs);
    try {
      return withoutBody(request, await orAbort(() => answer(request, settings, check), limit.signal));
    } catch (error) {
      if (error instanceof HttpError) return withoutBody(request, refuse(error));
      if (!request.signal.aborted) report(settings.onError, error, request);
      return withoutBody(request, unavailable());
    } finally {
      limit.clear();
    }
  };
}

async function answer(request: Request, settings: HealthSettings, check: () => Promise<Health>): Promise<Response> {
  checkMethod(request, "GET", "HEAD");
  await requireAuthorization(request, settings.authorize);
  const health = await check();
  if ("error" in health) throw health.error;
  const { warnings } = health;
  const { failOn, details } = settings;
  const isUnavailable = warnings.some(({ code }) => failOn.includes(code));
  const status = isUnavailable ? "unavailable" : warnings.length > 0 ? "degraded" : "ok";
  return respond(isUnavailable ? 503 : 200, { status, ...(details ? { warnings } : {}) }, NOT_CACHED);
}

function unavailable(): Response {
  return respond(503, { status: "unavailable" }, NOT_CACHED);
}

/** @throws {@link InvalidArgumentError} */
function checkHealthOptions(options: HealthHandlerOptions): HealthSettings {
  checkOptions(options, HEALTH_OPTIONS, "healthHandler");
  const { failOn = [], details = false, authorize, onError } = options;
  checkList("failOn", failOn);
  if (!failOn.every((code) => statusWarningCodes.includes(code))) {
    throw new InvalidArgumentError("failOn", `must be a list of ${statusWarningCodes.join(", ")}`);
  }
  // A string is truthy whatever it says: "false" would reveal the details.
  if (typeof details !== "boolean") throw new InvalidArgumentError("details", "must be true or false");
  return {
    failOn: [...failOn],
    details,
    timeoutMs: checkInteger("timeoutMs", options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1, MAX_MS),
    maxAgeMs: checkInteger("maxAgeMs", options.maxAgeMs ?? DEFAULT_MAX_AGE_MS, 0, MAX_MS),
    authorize: checkFunction("authorize", authorize),
    onError: checkFunction("onError", onError),
  };
}

/** Never rejects. Counts nothing: that takes longer the more is stored. */
async function healthOf(index: ObservableIndex, timeoutMs: number): Promise<Health> {
  try {
    const { warnings } = await index.status({ counts: false, timeoutMs });
    return { warnings };
  } catch (error) {
    return { error };
  }
}

/** The result of the last check, if it began less than `maxAgeMs` ago or still runs; otherwise that of a new one. */
function reused(check: () => Promise<Health>, maxAgeMs: number): () => Promise<Health> {
  let last: { at: number; health: Promise<Health>; isRunning: boolean } | undefined;
  return () => {
    if (last && (last.isRunning || performance.now() - last.at < maxAgeMs)) return last.health;
    const latest = { at: performance.now(), health: check(), isRunning: true };
    last = latest;
    return latest.health.finally(() => {
      latest.isRunning = false;
    });
  };
}
