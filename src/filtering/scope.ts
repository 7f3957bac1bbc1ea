import { InvalidArgumentError } from "../errors.js";
import { canonicalMetadata } from "../text.js";
import type { EqualityFilter } from "../types.js";
import { exactNumber, tooLargeToCompare } from "./filter-reader.js";

/**
 * Conditions on metadata as `jsonb` texts. A row meets a condition if its metadata contains it (`@>`), and must meet
 * all of them. The texts are always bound, never part of the SQL.
 */
export type Scope = readonly string[];

/**
 * Compiles the filter of an index.
 *
 * @param option - the name of the filter in errors
 * @throws {@link InvalidArgumentError} for an empty filter or a value that is not a scalar: a filter that is not
 * understood must never mean "all rows"
 */
export function compileScope(filter: EqualityFilter | undefined, option = "filter"): Scope {
  if (filter === undefined) return [];
  if (typeof filter !== "object" || (filter as unknown) === null || Array.isArray(filter)) {
    throw new InvalidArgumentError(option, "must be an object of metadata keys and values");
  }
  const entries = Object.entries(filter);
  if (entries.length === 0) {
    throw new InvalidArgumentError(option, "must not be empty: leave it out to mean everything");
  }
  for (const [key, value] of entries) {
    if (typeof value === "bigint") throw tooLargeToCompare(`${option}.${key}`);
    const isScalar = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
    if (!isScalar) {
      throw new InvalidArgumentError(
        `${option}.${key}`,
        "must be a string, a finite number or a boolean: only equality is supported here",
      );
    }
    if (typeof value === "number") exactNumber(value, `${option}.${key}`);
  }
  // From the checked entries, because the object itself may have a `toJSON`.
  return [canonicalMetadata(Object.fromEntries(entries), option)];
}
