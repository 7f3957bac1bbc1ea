import { types } from "node:util";
import { InvalidArgumentError } from "../errors.js";
import { INEXACT_INTEGER, isExactNumber, storableText } from "../text.js";

/** A value that metadata can be compared with. */
export type Scalar = string | number | boolean;

/** Values in one filter. More than a person writes, and few enough for a statement. */
const MAX_VALUES = 1000;
/** Objects in one filter: filters and objects of operators. */
const MAX_OBJECTS = 1000;
/** Levels of filters nested in filters. */
export const MAX_DEPTH = 32;

/**
 * Reads and checks one filter, each part once. A part that it does not understand is refused, so that it never means
 * "all rows". Its errors are {@link InvalidArgumentError}s that name the part by its path.
 */
export class FilterReader {
  #values = 0;
  #objects = 0;

  /** The own entries of an object that has at least one. */
  entries(value: unknown, path: string, depth: number): [string, unknown][] {
    if (!isPlainObject(value)) {
      throw new InvalidArgumentError(path, "must be an object of metadata keys and values");
    }
    this.#countObject(path, depth);
    const entries = Object.entries(value);
    // Some libraries use symbols as operators. `Object.entries` would drop them silently.
    if (Object.getOwnPropertySymbols(value).length > 0) {
      throw new InvalidArgumentError(path, "must not have symbols as keys");
    }
    if (entries.length === 0) {
      throw new InvalidArgumentError(path, "must not be empty: leave it out to mean everything");
    }
    return entries;
  }

  /** A list with at least one item. Holes become `undefined`, and are refused as items. */
  list(value: unknown, path: string): unknown[] {
    if (!Array.isArray(value)) throw new InvalidArgumentError(path, "must be a list");
    if (value.length === 0) throw new InvalidArgumentError(path, "must not be empty");
    if (value.length > MAX_VALUES) throw tooManyValues(path);
    return Array.from(value as unknown[]);
  }

  scalars(value: unknown, path: string): Scalar[] {
    return this.list(value, path).map((item, index) => this.scalar(item, `${path}[${index}]`));
  }

  scalar(value: unknown, path: string): Scalar {
    this.#countValue(path);
    if (typeof value === "string") return storableText(value);
    if (typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return exactNumber(value, path);
    if (typeof value === "bigint") throw tooLargeToCompare(path);
    if (types.isDate(value)) return isoText(value, path);
    throw new InvalidArgumentError(path, "must be a string, a finite number, a boolean or a valid Date");
  }

  boolean(value: unknown, path: string): boolean {
    this.#countValue(path);
    if (typeof value !== "boolean") throw new InvalidArgumentError(path, "must be true or false");
    return value;
  }

  /** A pattern that Postgres accepts for LIKE. */
  pattern(value: unknown, path: string): string {
    this.#countValue(path);
    if (typeof value !== "string") throw new InvalidArgumentError(path, "must be a string");
    const [backslashes = ""] = /\\*$/.exec(value) ?? [];
    if (backslashes.length % 2 === 1) {
      throw new InvalidArgumentError(path, "must not end with a single backslash: write two of them for one");
    }
    return storableText(value);
  }

  /** Two scalars of one type. */
  range(value: unknown, path: string): [Scalar, Scalar] {
    const [low, high, ...others] = this.scalars(value, path);
    if (low === undefined || high === undefined || others.length > 0 || typeof low !== typeof high) {
      throw new InvalidArgumentError(path, "must be a list of two values of the same type: the lowest and the highest");
    }
    return [low, high];
  }

  #countObject(path: string, depth: number): void {
    if (depth > MAX_DEPTH) {
      throw new InvalidArgumentError(path, `must not be nested more than ${MAX_DEPTH} levels deep`);
    }
    this.#objects += 1;
    if (this.#objects > MAX_OBJECTS) {
      throw new InvalidArgumentError(path, `exceeds the limit: a filter has at most ${MAX_OBJECTS} objects`);
    }
  }

  #countValue(path: string): void {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw tooManyValues(path);
  }
}

/** Whether a value is an object that can hold operators, or another filter. */
export function isPlainObject(value: unknown): value is object {
  return (
    Object.prototype.toString.call(value) === "[object Object]" &&
    typeof (value as { toJSON?: unknown }).toJSON !== "function"
  );
}

/**
 * Refuses numbers that stored metadata cannot hold exactly.
 *
 * @throws {@link InvalidArgumentError}
 */
export function exactNumber(value: number, path: string): number {
  if (!isExactNumber(value)) throw tooLargeToCompare(path);
  return value;
}

/**
 * The error for an integer that would be rounded, so that the filter could match another one. Bigints are always
 * refused.
 */
export function tooLargeToCompare(path: string): InvalidArgumentError {
  return new InvalidArgumentError(path, INEXACT_INTEGER);
}

/** Uses the methods of `Date.prototype`, because the object may override them. */
function isoText(value: Date, path: string): string {
  if (Number.isNaN(Date.prototype.getTime.call(value))) {
    throw new InvalidArgumentError(path, "must be a valid Date");
  }
  return Date.prototype.toISOString.call(value);
}

function tooManyValues(path: string): InvalidArgumentError {
  return new InvalidArgumentError(path, `exceeds the limit: a filter has at most ${MAX_VALUES} values`);
}
