import { checkFunction, checkInteger, checkNames, checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { checkBounds, type Bounds, type RequestRate } from "./request-bounds.js";
import type { RequestSearch } from "./request-search.js";
import { checkFields, pickFields, type HitField } from "./result.js";
import type { RequestLimits } from "./search-body.js";
import { MAX_K } from "../searching/search-options.js";
import { DEFAULT_K, SEARCH_OPTIONS, type AnySearchOptions } from "../searching/search-options.js";
import { checkSearch } from "../searching/checked-search.js";
import { searchModes, type Hit, type SearchMode, type SearchStrategy, type TrainingHit } from "../hit-types.js";

/** Options of {@link similarityHandler}. All are optional. */
export interface SimilarityHandlerOptions {
  /**
   * The fields of each result: your name for it, and the field of the hit, as in
   * `{ treinamento_id: "trainingId", chunk_text: "content" }`. With strategy `trainings`, `content`, `chunkId`, `position`,
   * `start` and `end` are those of the best chunk. Default: the whole hit, with its own names.
   */
  fields?: Readonly<Record<string, HitField>> | undefined;
  /** Converts a hit to a result, where renaming is not enough. Cannot be combined with `fields`. */
  toResult?: ((hit: Hit | TrainingHit) => Record<string, unknown>) | undefined;
  /** The largest `k` that a request may ask for, up to 1000. Default: the `k` of `search`, else 50. */
  maxK?: number | undefined;
  /** Whether requests may have a `filter`, which is ANDed with that of `search`. Default `false`. */
  allowFilter?: boolean | undefined;
  /**
   * The modes that requests may ask for; the first is the default. Default: the `mode` of `search`, else `["vector"]`.
   */
  modes?: readonly SearchMode[] | undefined;
  /**
   * The strategies that requests may ask for; the first is the default. Default: the `strategy` of `search`, else
   * `["chunks", "trainings"]`.
   */
  strategies?: readonly SearchStrategy[] | undefined;
  /**
   * Options of every search, for example a `minScore` or a `filter`. No request can widen them. They must be valid with all
   * `modes` and `strategies`. `k` is the default of requests without one (else 5, or `maxK` if that is smaller). `mode` and
   * `strategy` allow only that one, and replace `modes` and `strategies`.
   */
  search?: Omit<AnySearchOptions, "signal" | "client" | "consistency" | "model"> | undefined;
  /**
   * Options of one request, such as the filter of its tenant: called after `authorize` and before the body is read. They narrow
   * `search`: filters are ANDed, the stricter threshold applies, and bounds get smaller. The request can only narrow them further.
   * If the function throws, or returns no object or a filter that is `undefined`, the request is answered with 500.
   */
  options?: ((request: Request) => RequestSearch | Promise<RequestSearch>) | undefined;
  /**
   * Decides, before the body is read, whether a request is served; otherwise it is answered with 401. `bearerToken` makes
   * one. Default: all requests are served.
   */
  authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  /**
   * Called with the error behind a response of 500, 503 or 504, which the response does not reveal: log it here. Errors that
   * it throws are ignored.
   */
  onError?: ((error: unknown, request: Request) => void) | undefined;
  /** The largest request body, in bytes. Default 65,536. */
  maxBodyBytes?: number | undefined;
  /**
   * How many searches may run at the same time, in this handler; further requests are answered with 429. Default: no limit, so
   * that they wait for a client of the pool.
   */
  maxConcurrent?: number | undefined;
  /** How many requests are served in a time; further ones are answered with 429. Default: no limit. */
  rate?: RequestRate | undefined;
  /** How long a request may take from its headers to the hits, in milliseconds. Default 30,000. */
  timeoutMs?: number | undefined;
}

const HANDLER_OPTIONS = namesOfProperties<SimilarityHandlerOptions>({
  fields: true,
  toResult: true,
  maxK: true,
  allowFilter: true,
  modes: true,
  strategies: true,
  search: true,
  options: true,
  authorize: true,
  onError: true,
  maxBodyBytes: true,
  maxConcurrent: true,
  rate: true,
  timeoutMs: true,
});
/** Without the options that belong to a single request. */
const HANDLER_SEARCH = SEARCH_OPTIONS.filter((name) => !["signal", "client", "consistency", "model"].includes(name));

/** The options of a handler, checked, with every default filled in. */
export interface HandlerSettings extends RequestLimits {
  /** Without the options that requests choose. */
  search: Omit<AnySearchOptions, "k" | "mode" | "strategy">;
  toResult: SimilarityHandlerOptions["toResult"];
  options: SimilarityHandlerOptions["options"];
  authorize: SimilarityHandlerOptions["authorize"];
  onError: SimilarityHandlerOptions["onError"];
  bounds: Bounds;
  maxBodyBytes: number;
  timeoutMs: number;
}

const DEFAULT_MAX_K = 50;
const DEFAULT_MODES: readonly SearchMode[] = ["vector"];
const DEFAULT_MAX_BODY_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest timer that Node can set. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const LISTS = { mode: "modes", strategy: "strategies" } as const;
const STRATEGIES: readonly SearchStrategy[] = ["chunks", "trainings"];

/** @throws {@link InvalidArgumentError} for an option with which requests would be served wrongly, or never */
export function checkHandlerOptions(options: SimilarityHandlerOptions): HandlerSettings {
  checkOptions(options, HANDLER_OPTIONS, "similarityHandler");
  const { search: given = {}, allowFilter = false } = options;
  checkNames(given, HANDLER_SEARCH, "similarityHandler", "search");
  const { k, mode, strategy, ...search } = given;
  const modes = choicesOf("mode", searchModes, options.modes, mode) ?? DEFAULT_MODES;
  const strategies = choicesOf("strategy", STRATEGIES, options.strategies, strategy) ?? STRATEGIES;
  const maxK = checkInteger("maxK", options.maxK ?? k ?? DEFAULT_MAX_K, 1, MAX_K);
  // A string is truthy whatever it says: "false" would allow filters.
  if (typeof allowFilter !== "boolean") throw new InvalidArgumentError("allowFilter", "must be true or false");
  checkFunction("options", options.options);
  checkFunction("authorize", options.authorize);
  checkFunction("onError", options.onError);
  const settings: HandlerSettings = {
    modes: [...modes],
    strategies: [...strategies],
    search: { ...search },
    allowFilter,
    options: options.options,
    authorize: options.authorize,
    onError: options.onError,
    toResult: checkResult(options),
    maxK,
    defaultK: checkInteger("search.k", k ?? Math.min(DEFAULT_K, maxK), 1, maxK),
    bounds: checkBounds(options, "similarityHandler"),
    maxBodyBytes: checkInteger(
      "maxBodyBytes",
      options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    timeoutMs: checkInteger("timeoutMs", options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1, MAX_TIMEOUT_MS),
  };
  for (const search of allowedSearches(settings)) checkSearch(search, { efSearch: MAX_K });
  return settings;
}

/** One search for each mode and strategy that a request can choose. */
function allowedSearches({ modes, strategies, search, maxK: k }: HandlerSettings): AnySearchOptions[] {
  return strategies.flatMap((strategy) => modes.map((mode) => ({ ...search, mode, strategy, k })));
}

function checkResult({ fields, toResult }: SimilarityHandlerOptions): SimilarityHandlerOptions["toResult"] {
  checkFunction("toResult", toResult);
  if (fields === undefined) return toResult;
  if (toResult) throw new InvalidArgumentError("fields", "cannot be combined with toResult: pass one of them");
  const checked = checkFields(fields);
  return (hit) => pickFields(hit, checked);
}

/** What requests may choose from: the host's list, or the one value that the host set for every search. */
function choicesOf<Choice extends string>(
  name: keyof typeof LISTS,
  known: readonly Choice[],
  listed: readonly Choice[] | undefined,
  single: Choice | undefined,
): readonly Choice[] | undefined {
  const list = LISTS[name];
  if (single === undefined) {
    if (listed !== undefined) checkChoices(list, listed, known);
    return listed;
  }
  if (listed !== undefined) {
    throw new InvalidArgumentError(`search.${name}`, `cannot be combined with ${list}: pass one of them`);
  }
  checkChoices(`search.${name}`, [single], known);
  return [single];
}

function checkChoices<T extends string>(option: string, given: readonly T[], known: readonly T[]): void {
  if (!Array.isArray(given) || given.length === 0 || !given.every((choice) => known.includes(choice as T))) {
    const all = known.join(", ");
    throw new InvalidArgumentError(option, `must be ${option.startsWith("search.") ? "one of" : "a list of"} ${all}`);
  }
}
