import { checkFunction, checkInteger, checkNames, checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { RequestLimits } from "./request.js";
import { checkFields, pickFields, type HitField } from "./result.js";
import { MAX_K } from "../searching/search-options.js";
import {
  checkSearch,
  DEFAULT_K,
  SEARCH_OPTIONS,
  type AnySearchOptions,
} from "../searching/search-options.js";
import type { Hit, SearchMode, SearchStrategy, TrainingHit } from "../types.js";

/** Options of `similarityHandler`. */
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
  /** The largest `k` that a caller may ask for, up to 1000. Default: the `k` of `search`, else 50. */
  maxK?: number | undefined;
  /** Whether callers may send a `filter` of their own, which is ANDed with that of `search`. Default `false`. */
  allowFilter?: boolean | undefined;
  /**
   * The modes that callers may ask for chunks in; the first is what they get when they do not. Default: the `mode` of
   * `search`, else `["vector"]`.
   */
  modes?: readonly SearchMode[] | undefined;
  /**
   * The strategies that callers may ask for; the first is what they get when they do not. Default: the `strategy` of
   * `search`, else `["chunks", "trainings"]`. Trainings are found by their vectors, which takes the embedder also where no mode does.
   */
  strategies?: readonly SearchStrategy[] | undefined;
  /**
   * What each search has, for example a `minScore` or a `filter`: no request widens it. It must go with all of `modes` and
   * `strategies`. A `k` here is what callers get who name none; a `mode` or a `strategy` goes in the place of those lists.
   */
  search?: Omit<AnySearchOptions, "signal" | "client"> | undefined;
  /**
   * Says whether a request is served, before its body is read; else it is answered 401. `bearerToken` makes one.
   * Default: all are served.
   */
  authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  /**
   * Is told of the error behind an answer of 500, 503 or 504, of which callers learn nothing: for a log. What it throws
   * is left alone.
   */
  onError?: ((error: unknown, request: Request) => void) | undefined;
  /** The largest body, in bytes. Default 65,536. */
  maxBodyBytes?: number | undefined;
  /** How long a request may take, from its headers to the hits. Default 30,000. */
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
  authorize: true,
  onError: true,
  maxBodyBytes: true,
  timeoutMs: true,
});
/** What belongs to one request is not the host's to set for all. */
const HANDLER_SEARCH = SEARCH_OPTIONS.filter((name) => !["signal", "client"].includes(name));

/** The options of a handler, checked, with every default filled in. */
export interface HandlerSettings extends RequestLimits {
  /** Without what callers may choose. */
  search: Omit<AnySearchOptions, "k" | "mode" | "strategy">;
  toResult: SimilarityHandlerOptions["toResult"];
  authorize: SimilarityHandlerOptions["authorize"];
  onError: SimilarityHandlerOptions["onError"];
  maxBodyBytes: number;
  timeoutMs: number;
}

const DEFAULT_MAX_K = 50;
const DEFAULT_MODES: readonly SearchMode[] = ["vector"];
const DEFAULT_MAX_BODY_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 30_000;
/** What a timer of Node goes up to. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const MODES: readonly SearchMode[] = ["vector", "text", "hybrid"];
const LISTS = { mode: "modes", strategy: "strategies" } as const;
const STRATEGIES: readonly SearchStrategy[] = ["chunks", "trainings"];

/** @throws {@link InvalidArgumentError} for an option with which a request would be served wrongly, or never */
export function checkHandlerOptions(options: SimilarityHandlerOptions): HandlerSettings {
  checkOptions(options, HANDLER_OPTIONS, "similarityHandler");
  const { search: given = {}, allowFilter = false } = options;
  checkNames(given, HANDLER_SEARCH, "similarityHandler", "search");
  const { k, mode, strategy, ...search } = given;
  const modes = choicesOf("mode", MODES, options.modes, mode) ?? DEFAULT_MODES;
  const strategies = choicesOf("strategy", STRATEGIES, options.strategies, strategy) ?? STRATEGIES;
  const maxK = checkInteger("maxK", options.maxK ?? k ?? DEFAULT_MAX_K, 1, MAX_K);
  // A text, which is true whatever it says, would open the filters.
  if (typeof allowFilter !== "boolean")
    throw new InvalidArgumentError("allowFilter", "must be true or false");
  checkFunction("authorize", options.authorize);
  checkFunction("onError", options.onError);
  const settings: HandlerSettings = {
    modes: [...modes],
    strategies: [...strategies],
    search: { ...search },
    allowFilter,
    authorize: options.authorize,
    onError: options.onError,
    toResult: checkResult(options),
    maxK,
    defaultK: checkInteger("search.k", k ?? Math.min(DEFAULT_K, maxK), 1, maxK),
    maxBodyBytes: checkInteger(
      "maxBodyBytes",
      options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    timeoutMs: checkInteger("timeoutMs", options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1, MAX_TIMEOUT_MS),
  };
  for (const search of allowedSearches(settings)) checkSearch(search, { scope: [], efSearch: MAX_K });
  return settings;
}

/** One search for each mode and strategy that a caller can choose. */
function allowedSearches({ modes, strategies, search, maxK: k }: HandlerSettings): AnySearchOptions[] {
  return strategies.flatMap((strategy) =>
    (strategy === "trainings" ? DEFAULT_MODES : modes).map((mode) => ({ ...search, mode, strategy, k })),
  );
}

function checkResult({ fields, toResult }: SimilarityHandlerOptions): SimilarityHandlerOptions["toResult"] {
  checkFunction("toResult", toResult);
  if (fields === undefined) return toResult;
  if (toResult) throw new InvalidArgumentError("fields", "is in the place of toResult");
  const checked = checkFields(fields);
  return (hit) => pickFields(hit, checked);
}

/** What callers may choose from: what the host lists, else the one that each search has. */
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
    throw new InvalidArgumentError(`search.${name}`, `is said by ${list} already: leave one of both out`);
  }
  checkChoices(`search.${name}`, [single], known);
  return [single];
}

function checkChoices<T extends string>(option: string, given: readonly T[], known: readonly T[]): void {
  if (!Array.isArray(given) || given.length === 0 || !given.every((choice) => known.includes(choice as T))) {
    const all = known.join(", ");
    throw new InvalidArgumentError(
      option,
      `must be ${option.startsWith("search.") ? "one of" : "a list of"} ${all}`,
    );
  }
}
