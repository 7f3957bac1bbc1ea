import { InvalidArgumentError } from "../errors.js";
import { canonicalMetadata } from "../text.js";
import type { EqualityFilter } from "../types.js";
import { exactNumber, tooLargeToCompare } from "./filter-reader.js";

/**
 * Conditions on metadata as `jsonb` texts; a row meets a condition when its metadata contains it (`@>`), and
 * has to meet them all. Keys and values only ever travel as bound values.
 */
export type Scope = readonly string[];

/**
 * @param option - what the caller calls the filter, for errors
 * @throws {@link InvalidArgumentError} for an empty filter and for any value that is no scalar: a filter that
 * is not understood must never mean 'all rows'
 */
export function compileFilter(filter: EqualityFilter | undefined, option = "filter"): Scope {
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
        "must be a string, a finite number or a boolean: only equality is known",
      );
    }
    if (typeof value === "number") exactNumber(value, `${option}.${key}`);
  }
  // Of the entries that were looked at, not of the object, which may have a toJSON of its own.
  return [canonicalMetadata(Object.fromEntries(entries), option)];
}
