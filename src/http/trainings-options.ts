import { checkFunction, checkInteger, checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { Filter } from "../types.js";
import { MAX_TIMEOUT_MS } from "./handler-options.js";
import { checkBounds, type Bounds, type RequestRate } from "./request-bounds.js";

/** What the option `options` of {@link trainingsHandler} returns: how one request is narrowed. */
export interface RequestTrainings {
  /**
   * The trainings that the request may see and change. Equality, such as `{ empresa: "acme" }`, is also what its trainings are
   * stored with. With any other filter the request may only read.
   */
  filter?: Filter | undefined;
}

/** Options of {@link trainingsHandler}. Only `authorize` is required. */
export interface TrainingsHandlerOptions {
  /**
   * Decides, before the body is read, whether a request is served; otherwise it is answered with 401. `bearerToken` makes
   * one. It may look at `request.method`, so that some callers only read.
   */
  authorize: (request: Request) => boolean | Promise<boolean>;
  /**
   * The trainings of one request, such as those of its tenant: called after `authorize` and before the body is read. If the
   * function throws, or returns no object or a filter that is `undefined`, the request is answered with 500. Default: all
   * trainings of the index.
   */
  options?: ((request: Request) => RequestTrainings | Promise<RequestTrainings>) | undefined;
  /** Where the handler is: the path of the list. An id follows it after a slash. Default `/trainings`. */
  path?: string | undefined;
  /** The largest `limit` of a list, up to 500, and the one of requests without one. Default 100. */
  maxLimit?: number | undefined;
  /**
   * Called with the error behind a response of 500, 503 or 504, which the response does not reveal: log it here. Errors that
   * it throws are ignored.
   */
  onError?: ((error: unknown, request: Request) => void) | undefined;
  /** The largest request body, in bytes. Default 1,048,576. */
  maxBodyBytes?: number | undefined;
  /** How many requests may run at the same time, in this handler; further ones are answered with 429. Default: no limit. */
  maxConcurrent?: number | undefined;
  /** How many requests are served in a time; further ones are answered with 429. Default: no limit. */
  rate?: RequestRate | undefined;
  /**
   * How long a request may take from its headers to its end, in milliseconds; after it nothing is stored. A `PUT` embeds what is
   * new in the training. Default 120,000.
   */
  timeoutMs?: number | undefined;
}

const TRAININGS_OPTIONS = namesOfProperties<TrainingsHandlerOptions>({
  authorize: true,
  options: true,
  path: true,
  maxLimit: true,
  onError: true,
  maxBodyBytes: true,
  maxConcurrent: true,
  rate: true,
  timeoutMs: true,
});

/** The options of a handler, checked, with every default filled in. */
export interface TrainingsSettings extends Pick<TrainingsHandlerOptions, "authorize" | "options"> {
  onError: TrainingsHandlerOptions["onError"];
  /** Without a slash at its end. */
  path: string;
  maxLimit: number;
  bounds: Bounds;
  maxBodyBytes: number;
  timeoutMs: number;
}

const DEFAULT_PATH = "/trainings";
/** A path as `URL` writes it: what has to be percent-encoded is. */
const PATH = /^(?:\/[\w.~!$&'()*+,;=:@%-]+)*$/;
const DEFAULT_MAX_LIMIT = 100;
const HIGHEST_MAX_LIMIT = 500;
const DEFAULT_MAX_BODY_BYTES = 1_048_576;
const DEFAULT_TIMEOUT_MS = 120_000;

/** @throws {@link InvalidArgumentError} for an option with which requests would be served wrongly, or never */
export function checkTrainingsOptions(options: TrainingsHandlerOptions): TrainingsSettings {
  checkOptions(options, TRAININGS_OPTIONS, "trainingsHandler");
  const { path = DEFAULT_PATH, maxLimit, maxBodyBytes, timeoutMs } = options;
  // Nobody may change trainings because an option was forgotten, or a variable of the environment is missing.
  if (typeof (options as Partial<TrainingsHandlerOptions>).authorize !== "function") {
    throw new InvalidArgumentError("authorize", 'is required: a function of the request, such as bearerToken("...")');
  }
  if (typeof path !== "string" || !PATH.test(path)) {
    throw new InvalidArgumentError("path", 'must be a path without a slash at its end, such as "/trainings"');
  }
  return {
    authorize: options.authorize,
    options: checkFunction("options", options.options),
    onError: checkFunction("onError", options.onError),
    path,
    maxLimit: checkInteger("maxLimit", maxLimit ?? DEFAULT_MAX_LIMIT, 1, HIGHEST_MAX_LIMIT),
    bounds: checkBounds(options, "trainingsHandler"),
    maxBodyBytes: checkInteger("maxBodyBytes", maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, 1, Number.MAX_SAFE_INTEGER),
    timeoutMs: checkInteger("timeoutMs", timeoutMs ?? DEFAULT_TIMEOUT_MS, 1, MAX_TIMEOUT_MS),
  };
}
