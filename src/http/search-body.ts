import { InvalidArgumentError } from "../errors.js";
import { searchCondition } from "../filtering/filter.js";
import type { SearchMode, SearchStrategy } from "../hit-types.js";
import type { AnySearchOptions } from "../searching/search-options.js";
import type { Filter } from "../types.js";
import { HttpError, objectWithKeys } from "./request.js";

/** What requests may ask for. */
export interface RequestLimits {
  maxK: number;
  /** The `k` of a request that has none. */
  defaultK: number;
  allowFilter: boolean;
  /** The first is the default. */
  modes: readonly SearchMode[];
  /** The first is the default. */
  strategies: readonly SearchStrategy[];
}

/** The search that a body asks for. */
export interface RequestedSearch {
  query: string;
  search: Pick<AnySearchOptions, "k" | "filter" | "mode" | "strategy">;
}

const BODY_KEYS = ["query", "k", "strategy", "mode", "filter"];

/** Checks a body against the limits. @throws {@link HttpError} 400, which names what is wrong */
export function parseBody(
  body: unknown,
  { maxK, defaultK, allowFilter, modes, strategies }: RequestLimits,
): RequestedSearch {
  const { query, k = defaultK, filter, ...choices } = objectWithKeys(body, BODY_KEYS);
  if (typeof query !== "string") throw new HttpError(400, "query must be a string");
  if (!(Number.isInteger(k) && (k as number) >= 1 && (k as number) <= maxK)) {
    throw new HttpError(400, `k must be an integer from 1 to ${maxK}`);
  }
  if (filter !== undefined && !allowFilter) throw new HttpError(400, "filter is not allowed here");
  const strategy = oneOf("strategy", choices["strategy"], strategies) ?? strategies[0];
  const mode = oneOf("mode", choices["mode"], modes) ?? modes[0];
  return { query, search: { k: k as number, filter: checkFilter(filter), mode, strategy } };
}

/** Checked before it is ANDed with the host's, which no error may reveal. @throws {@link HttpError} 400 */
function checkFilter(filter: unknown): Filter | undefined {
  try {
    searchCondition(undefined, filter as Filter | undefined);
    return filter as Filter | undefined;
  } catch (error) {
    if (InvalidArgumentError.is(error)) throw new HttpError(400, error.message);
    throw error;
  }
}

function oneOf<T extends string>(key: string, value: unknown, known: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = known.find((choice) => choice === value);
  if (found === undefined) throw new HttpError(400, `${key} must be one of ${known.join(", ")}`);
  return found;
}
