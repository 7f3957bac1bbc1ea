import { types } from "node:util";
import { InvalidArgumentError } from "../errors.js";
import { INEXACT_INTEGER, isExactNumber, storableText } from "../text.js";

/** What metadata is compared with. */
export type Scalar = string | number | boolean;

/** More than a person writes, and few enough for a statement. */
const MAX_VALUES = 1000;
/** How many objects and operators a filter has at most. */
const MAX_OBJECTS = 1000;
/** How deep filters are nested in filters. */
export const MAX_DEPTH = 32;

/**
 * Reads the parts of one filter, each of them once, and refuses what is not understood: that must never mean 'all
 * rows'. Its errors are {@link InvalidArgumentError}s that name the part by its path.
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
    // The operators of some other libraries are symbols; they would be left out without a word.
    if (Object.getOwnPropertySymbols(value).length > 0) {
      throw new InvalidArgumentError(path, "must not have symbols as keys");
    }
    if (entries.length === 0) {
      throw new InvalidArgumentError(path, "must not be empty: leave it out to mean everything");
    }
    return entries;
  }

  /** A list that has at least one item, holes included. */
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

  /** A pattern that Postgres takes for LIKE. */
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
      throw new InvalidArgumentError(path, "must be a list of the lowest and the highest value, of one type");
    }
    return [low, high];
  }

  #countObject(path: string, depth: number): void {
    if (depth > MAX_DEPTH) {
      throw new InvalidArgumentError(path, `must not be nested more than ${MAX_DEPTH} deep`);
    }
    this.#objects += 1;
    if (this.#objects > MAX_OBJECTS) {
      throw new InvalidArgumentError(path, `is one too many: a filter has ${MAX_OBJECTS} objects at most`);
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
 * A number as metadata holds it; those that are stored exactly are the only ones.
 *
 * @throws {@link InvalidArgumentError}
 */
export function exactNumber(value: number, path: string): number {
  if (!isExactNumber(value)) throw tooLargeToCompare(path);
  return value;
}

/** An integer that a filter would find, and delete, by its neighbour; bigints are refused whatever their size. */
export function tooLargeToCompare(path: string): InvalidArgumentError {
  return new InvalidArgumentError(path, INEXACT_INTEGER);
}

/** Of the date itself, whatever methods it was given. */
function isoText(value: Date, path: string): string {
  if (Number.isNaN(Date.prototype.getTime.call(value))) {
    throw new InvalidArgumentError(path, "must be a valid Date");
  }
  return Date.prototype.toISOString.call(value);
}

function tooManyValues(path: string): InvalidArgumentError {
  return new InvalidArgumentError(path, `is too much: a filter has ${MAX_VALUES} values at most`);
}
