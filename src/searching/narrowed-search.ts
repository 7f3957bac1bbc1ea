import { checkNames } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import {
  DEFAULT_FETCH_K,
  DEFAULT_K,
  DEFAULT_RERANK_FACTOR,
  SEARCH_OPTIONS,
  type SimilarOptions,
} from "./search-options.js";
import { checkSearch } from "./checked-search.js";
import type { Filter } from "../types.js";

/** Search options of a retriever: those of `similar`, except the ones that belong to a single call. */
export type RetrieverSearch = Omit<SimilarOptions, "signal" | "client" | "strategy" | "model">;

/** Search options of one call of a retriever. The reranker is the host's code, and consistency can cost the primary reads: no call brings one. */
export type RetrieverCallSearch = Omit<RetrieverSearch, "rerank" | "consistency">;

/** The option names of {@link RetrieverSearch}. */
export const RETRIEVER_SEARCH = SEARCH_OPTIONS.filter(
  (name) => !["signal", "client", "strategy", "model"].includes(name),
);

const CALL_SEARCH = RETRIEVER_SEARCH.filter((name) => !["rerank", "consistency"].includes(name));

/**
 * Merges the options of one call into those of the retriever. A call's options can come from a client, so they can only
 * narrow: filters are ANDed, the stricter threshold applies, and a bound is capped at the retriever's, or at the default of
 * `similar` if the retriever sets none. How hits are ranked (`mode`, `weights`, `typos`, `mmr`) is up to the call.
 *
 * @param own - the retriever's options
 * @param asked - the call's options
 * @param efSearch - the index's default `efSearch`
 * @param path - where `asked` is in the arguments, for errors
 * @throws {@link InvalidArgumentError} for options that `similar` refuses, and for mode `text` if the retriever has a
 * `maxDistance`, which that mode cannot apply
 */
export function narrowSearch(
  own: RetrieverSearch,
  asked: RetrieverCallSearch,
  efSearch: number,
  path: string,
): RetrieverSearch {
  checkNames(asked, CALL_SEARCH, "a call of a retriever", path);
  checkSearch(asked, { efSearch }); // before Math.min, which turns numeric strings into numbers
  if (asked.mode === "text" && own.maxDistance !== undefined) {
    throw new InvalidArgumentError(
      `${path}.mode`,
      'cannot be "text": the retriever has a maxDistance, which that mode cannot apply',
    );
  }
  return definedOf({
    ...own,
    ...definedOf({ mode: asked.mode, typos: asked.typos }),
    weights: asked.weights ? { ...own.weights, ...definedOf(asked.weights) } : own.weights,
    onTextOnly: callBoth(own.onTextOnly, asked.onTextOnly),
    filter: allOf(own.filter, asked.filter),
    minScore: highest(own.minScore, asked.minScore),
    maxDistance: lowest(own.maxDistance, asked.maxDistance),
    perTraining: lowest(own.perTraining, asked.perTraining),
    timeoutMs: lowest(own.timeoutMs, asked.timeoutMs),
    k: bounded(own.k, asked.k, DEFAULT_K),
    efSearch: bounded(own.efSearch, asked.efSearch, efSearch),
    rerankFactor: bounded(own.rerankFactor, asked.rerankFactor, DEFAULT_RERANK_FACTOR),
    neighbors: own.neighbors && {
      before: lowest(own.neighbors.before ?? 0, asked.neighbors?.before),
      after: lowest(own.neighbors.after ?? 0, asked.neighbors?.after),
    },
    mmr: asked.mmr
      ? {
          ...own.mmr,
          ...definedOf({ lambda: asked.mmr.lambda }),
          fetchK: lowest(own.mmr?.fetchK ?? DEFAULT_FETCH_K, asked.mmr.fetchK),
        }
      : own.mmr,
  });
}

/** The call's bound, capped at the retriever's. */
function bounded(own: number | undefined, asked: number | undefined, fallback: number): number | undefined {
  return asked === undefined ? own : Math.min(own ?? fallback, asked);
}

function lowest(...numbers: (number | undefined)[]): number | undefined {
  const given = numbers.filter((number) => number !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

function highest(...numbers: (number | undefined)[]): number | undefined {
  const given = numbers.filter((number) => number !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
}

/** ANDs two filters, either of which may be missing. */
export function allOf(first: Filter | undefined, second: Filter | undefined): Filter | undefined {
  return first && second ? { $and: [first, second] } : (first ?? second);
}

type OnTextOnly = RetrieverSearch["onTextOnly"];

function callBoth(first: OnTextOnly, second: OnTextOnly): OnTextOnly {
  if (!first || !second) return first ?? second;
  return (error) => {
    first(error);
    second(error);
  };
}

/** Drops undefined fields, which would override set ones when the object is spread. */
export function definedOf<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
