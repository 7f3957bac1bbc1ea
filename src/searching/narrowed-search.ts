import { checkNames } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import {
  checkSearch,
  DEFAULT_FETCH_K,
  DEFAULT_K,
  DEFAULT_RERANK_FACTOR,
  SEARCH_OPTIONS,
  type SimilarOptions,
} from "./search-options.js";
import type { Filter, SearchMode } from "../types.js";

/** What a retriever searches with: all options of a search for chunks but those that are of one call. */
export type RetrieverSearch = Omit<SimilarOptions<SearchMode>, "signal" | "client" | "strategy">;

/** Names of the options of a {@link RetrieverSearch}. */
export const RETRIEVER_SEARCH = SEARCH_OPTIONS.filter(
  (name) => !["signal", "client", "strategy"].includes(name),
);

/**
 * The options of one call of a retriever. They can come from a client, so they only narrow: filters are ANDed, thresholds
 * get stricter, and a bound that is above the retriever's becomes the retriever's, which is that of `similar` where it
 * named none. What says how hits are ranked (`mode`, `weights`, `mmr`) is the call's, where it names it.
 *
 * @param made - what the retriever was made with
 * @param asked - what the call asks for
 * @param efSearch - what a search has that names no `efSearch`
 * @param path - where `asked` is in the arguments, for errors
 * @throws {@link InvalidArgumentError} for what `similar` would refuse, and for a mode in which the retriever's threshold
 * could not hold
 */
export function narrowSearch(
  made: RetrieverSearch,
  asked: RetrieverSearch,
  efSearch: number,
  path: string,
): RetrieverSearch {
  checkNames(asked, RETRIEVER_SEARCH, "a call of a retriever", path);
  checkSearch(asked, { scope: [], efSearch }); // of a text, Math.min would make a number
  if (asked.mode === "text" && (made.minScore ?? made.maxDistance) !== undefined) {
    const threshold = made.minScore === undefined ? "maxDistance" : "minScore";
    throw new InvalidArgumentError(`${path}.mode`, `cannot be text: this retriever has a ${threshold}`);
  }
  return definedOf({
    ...made,
    ...definedOf({ mode: asked.mode }),
    weights: asked.weights ? { ...made.weights, ...definedOf(asked.weights) } : made.weights,
    onTextOnly: both(made.onTextOnly, asked.onTextOnly),
    filter: allOf(made.filter, asked.filter),
    minScore: highest(made.minScore, asked.minScore),
    maxDistance: lowest(made.maxDistance, asked.maxDistance),
    perTraining: lowest(made.perTraining, asked.perTraining),
    timeoutMs: lowest(made.timeoutMs, asked.timeoutMs),
    k: bounded(made.k, asked.k, DEFAULT_K),
    efSearch: bounded(made.efSearch, asked.efSearch, efSearch),
    rerankFactor: bounded(made.rerankFactor, asked.rerankFactor, DEFAULT_RERANK_FACTOR),
    neighbors: made.neighbors && {
      before: lowest(made.neighbors.before ?? 0, asked.neighbors?.before),
      after: lowest(made.neighbors.after ?? 0, asked.neighbors?.after),
    },
    mmr: asked.mmr
      ? {
          ...made.mmr,
          ...definedOf({ lambda: asked.mmr.lambda }),
          fetchK: lowest(made.mmr?.fetchK ?? DEFAULT_FETCH_K, asked.mmr.fetchK),
        }
      : made.mmr,
  });
}

/** A bound that a call names, at most the retriever's. */
function bounded(made: number | undefined, asked: number | undefined, standard: number): number | undefined {
  return asked === undefined ? made : Math.min(made ?? standard, asked);
}

function lowest(...numbers: (number | undefined)[]): number | undefined {
  const given = numbers.filter((number) => number !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

function highest(...numbers: (number | undefined)[]): number | undefined {
  const given = numbers.filter((number) => number !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
}

/** A filter that both of two have to let through. */
export function allOf(first: Filter | undefined, second: Filter | undefined): Filter | undefined {
  return first && second ? { $and: [first, second] } : (first ?? second);
}

type OnTextOnly = RetrieverSearch["onTextOnly"];

function both(first: OnTextOnly, second: OnTextOnly): OnTextOnly {
  if (!first || !second) return first ?? second;
  return (error) => {
    first(error);
    second(error);
  };
}

/** Without the keys that say nothing: they would hide what stands in their place. */
export function definedOf<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
