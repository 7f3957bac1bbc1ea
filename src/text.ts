import { types } from "node:util";
import { InvalidArgumentError } from "./errors.js";
import type { Metadata } from "./types.js";

const NUL = /\0/g;
const NON_BLANK = /\S/;
const REPLACEMENT_CHARACTER = "\uFFFD";

/**
 * The text that Postgres can hold: NUL and lone surrogates become U+FFFD. One unit for one unit, so offsets
 * in the caller's text stay right, and nothing around them is lost (extracted PDFs are full of NULs).
 */
export function storableText(text: string): string {
  return text.replace(NUL, REPLACEMENT_CHARACTER).toWellFormed();
}

/** Whether a text has nothing but white space, as JavaScript counts it. */
export function isBlank(text: string): boolean {
  return !NON_BLANK.test(text);
}

/** The first place from `from` on that is not blank. */
export function skipBlank(text: string, from: number): number {
  let index = from;
  while (index < text.length && isBlank(text.charAt(index))) index++;
  return index;
}

/** The key of a document's metadata under which a retriever says where it comes from. Refused in metadata that is written. */
export const PLACE_KEY = "trainingIndex";

/** What errors say of an integer that metadata and filters do not take. */
export const INEXACT_INTEGER =
  "must be a number up to 2^53 - 1: write larger integers, and bigints, as strings in metadata and filters";

/** Whether a number is stored as it was meant: an integer beyond 2^53 may already be the neighbour of what was written. */
export function isExactNumber(value: number): boolean {
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

/**
 * The metadata of a training or of one of its documents, as {@link canonicalMetadata} has it.
 *
 * @throws {@link InvalidArgumentError} also for the key that a retriever's documents have for their place
 */
export function storableMetadata(metadata: unknown, option: string): string {
  if (isPlainObject(metadata) && Object.hasOwn(metadata, PLACE_KEY)) {
    throw new InvalidArgumentError(
      `${option}.${PLACE_KEY}`,
      "is where a retriever's documents say where they come from: take the key out, or give it another name",
    );
  }
  return canonicalMetadata(metadata, option);
}

/**
 * JSON for a `jsonb` parameter: storable, and the same text for the same object whatever the order of its
 * keys, so that it can be compared and hashed.
 *
 * @throws {@link InvalidArgumentError} for what is no plain object, and for what JSON cannot say
 */
export function canonicalMetadata(metadata: unknown, option: string): string {
  let json: unknown;
  try {
    if (!isPlainObject(metadata)) throw new InvalidArgumentError(option, "must be a plain object");
    json = JSON.stringify(metadata, canonicalValue);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error;
    refuseInexactValue(metadata, option, new Set());
    throw new InvalidArgumentError(option, "cannot be written as JSON (a cycle, a Map?)", error);
  }
  // An object with a toJSON of its own passes for one until here.
  if (typeof json !== "string" || !json.startsWith("{"))
    throw new InvalidArgumentError(option, "must be a plain object");
  return json;
}

function canonicalValue(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (isInexact(value) || (value === null && isInexact((this as Metadata)[key]))) {
    throw new TypeError("JSON cannot say it exactly");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (!isPlainObject(value)) throw new TypeError("JSON has no such thing");
  if (Object.keys(value).every(isCanonicalKey)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, entry]) => [storableText(key), entry] as const)
      .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)),
  );
}

/** What JSON or a double would change: large integers, bigints, NaN, infinities, and dates that are none (`null` in JSON). */
function isInexact(value: unknown): boolean {
  if (typeof value === "number") return !isExactNumber(value);
  return typeof value === "bigint" || (types.isDate(value) && Number.isNaN(value.getTime()));
}

/** Finds the value that cannot be stored as it is. @throws {@link InvalidArgumentError} with its path */
function refuseInexactValue(value: unknown, path: string, above: ReadonlySet<unknown>): void {
  if (isInexact(value)) {
    const problem = types.isDate(value)
      ? "must be a valid Date"
      : typeof value === "bigint" || Number.isFinite(value)
        ? INEXACT_INTEGER
        : "must be a finite number";
    throw new InvalidArgumentError(path, problem);
  }
  if (typeof value !== "object" || value === null || above.has(value)) return;
  const inside = new Set(above).add(value);
  for (const [key, entry] of Object.entries(value)) {
    refuseInexactValue(entry, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, inside);
  }
}

/** Whether a key can be stored, and comes after the one before it. */
function isCanonicalKey(key: string, index: number, keys: readonly string[]): boolean {
  return (index === 0 || (keys[index - 1] ?? "") < key) && storableText(key) === key;
}

/** Whether JSON says all of an object: of a Map or a RegExp it would make an empty one. */
function isPlainObject(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** Whether an index lies between the two units of one character. Of well-formed text: a low surrogate has its high one. */
export function isInsidePair(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return index > 0 && unit >= 0xdc00 && unit <= 0xdfff;
}
