import { canonicalMetadata } from "../text.js";
import type { EqualityFilter, Filter, Metadata } from "../types.js";
import { allOf, type Condition } from "./condition.js";
import { compileFilter } from "./filter.js";
import { pathOf } from "./metadata-conditions.js";
import { compileScope, type Scope } from "./scope.js";

/** The filter of an index, compiled: what its reads see and what its writes affect. */
export interface IndexFilter {
  /** Of all reads; `undefined` without a filter. */
  condition: Condition | undefined;
  /** What everything that is written must have. If the index only reads, the part of the filter that is plain equality. */
  scope: Scope;
  /** Why the index only reads; `undefined` for an index that also writes. */
  readsOnly: string | undefined;
}

/**
 * Compiles the filter that an index is opened with.
 *
 * @throws {@link InvalidArgumentError}
 */
export function openingFilter(filter: EqualityFilter | undefined): IndexFilter {
  return writableFilter(compileScope(filter));
}

/**
 * ANDs a further filter with that of an index. The result writes only if both are plain equality: everything that is
 * written must match the filter, and so must the tombstone of an id that has no row, which is made from its values.
 *
 * @throws {@link InvalidArgumentError}
 */
export function narrowedFilter(own: IndexFilter, filter: Filter): IndexFilter {
  const condition = compileFilter(filter);
  const both = own.condition ? allOf([own.condition, condition]) : condition;
  if (own.readsOnly !== undefined) return { ...own, condition: both };
  if (!isEquality(filter)) {
    const readsOnly =
      "it was narrowed by more than the equality of keys without dots, which does not say what to store";
    return { ...own, condition: both, readsOnly };
  }
  const scope = merged(own.scope, compileScope(filter));
  if (scope) return writableFilter(scope);
  return { ...own, condition: both, readsOnly: "it was narrowed by a value that contradicts its filter" };
}

function writableFilter(scope: Scope): IndexFilter {
  const conditions = scope.map((json): Condition => ({ text: "metadata @> $1::jsonb", values: [json] }));
  return { condition: conditions.length === 0 ? undefined : allOf(conditions), scope, readsOnly: undefined };
}

/** Whether a filter has the same meaning in the filter language and as the filter that an index is opened with. */
function isEquality(filter: Filter): filter is EqualityFilter {
  return Object.entries(filter).every(
    ([key, value]) => ["string", "number", "boolean"].includes(typeof value) && pathOf(key).length === 1,
  );
}

/** One condition with the entries of both; `undefined` if they differ in a value. */
function merged(first: Scope, second: Scope): Scope | undefined {
  const all = new Map<string, unknown>();
  for (const [key, value] of [...first, ...second].flatMap((json) => Object.entries(JSON.parse(json) as Metadata))) {
    if (all.has(key) && all.get(key) !== value) return undefined;
    all.set(key, value);
  }
  return [canonicalMetadata(Object.fromEntries(all), "filter")];
}
