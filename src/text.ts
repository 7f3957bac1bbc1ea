import { types } from "node:util";
import { InvalidArgumentError } from "./errors.js";
import type { Metadata } from "./types.js";

const NUL = /\0/g;
const NON_BLANK = /\S/;
const REPLACEMENT_CHARACTER = "\uFFFD";

/**
 * A text that Postgres can store: NUL and lone surrogates become U+FFFD. Texts extracted from PDFs often contain NUL. Each
 * UTF-16 unit is replaced by one unit, so offsets in the caller's text stay valid.
 */
export function storableText(text: string): string {
  return text.replace(NUL, REPLACEMENT_CHARACTER).toWellFormed();
}

/** Whether a text is empty or only white space (JavaScript's `\s`). */
export function isBlank(text: string): boolean {
  return !NON_BLANK.test(text);
}

/** The index of the first character at or after `from` that is not blank; the length of the text if there is none. */
export function skipBlank(text: string, from: number): number {
  let index = from;
  while (index < text.length && isBlank(text.charAt(index))) index++;
  return index;
}

/** The metadata key under which a retriever puts the source and score of a document. Rejected in metadata to store. */
export const PLACE_KEY = "trainingIndex";

/** The error text for integers that metadata and filters do not accept. */
export const INEXACT_INTEGER =
  "must be a number up to 2^53 - 1: write larger integers, and bigints, as strings in metadata and filters";

/** Whether a number is exact: JavaScript may have rounded an integer beyond 2^53 - 1 to a neighbour. */
export function isExactNumber(value: number): boolean {
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

/**
 * Like {@link canonicalMetadata}, for metadata to store.
 *
 * @throws {@link InvalidArgumentError} also for the reserved key {@link PLACE_KEY}
 */
export function storableMetadata(metadata: unknown, option: string): string {
  if (isPlainObject(metadata) && Object.hasOwn(metadata, PLACE_KEY)) {
    throw new InvalidArgumentError(
      `${option}.${PLACE_KEY}`,
      "is a reserved key, under which retrievers put the source of a document: remove the key, or rename it",
    );
  }
  return canonicalMetadata(metadata, option);
}

/**
 * JSON for a `jsonb` parameter. Equal objects give the same text, whatever the order of their keys, so that it can be
 * compared and hashed. Strings become {@link storableText}.
 *
 * @throws {@link InvalidArgumentError} for a value that is not a plain object, or that JSON cannot represent exactly
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
  // An object with its own `toJSON` can give JSON that is not an object.
  if (typeof json !== "string" || !json.startsWith("{"))
    throw new InvalidArgumentError(option, "must be a plain object");
  return json;
}

/** Like {@link canonicalMetadata}, for stored metadata. Metadata that was edited by hand may be any JSON: it equals no other. */
export function canonicalStoredMetadata(metadata: unknown): string {
  return isPlainObject(metadata) ? canonicalMetadata(metadata, "metadata") : JSON.stringify(metadata);
}

function canonicalValue(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (isInexact(value) || (value === null && isInexact((this as Metadata)[key]))) {
    throw new TypeError("JSON cannot represent the value exactly");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (!isPlainObject(value)) throw new TypeError("JSON cannot represent the object");
  if (Object.keys(value).every(isCanonicalKey)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, entry]) => [storableText(key), entry] as const)
      .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)),
  );
}

/** Whether JSON or a double would change a value: large integers, bigints, NaN, infinities, invalid dates. */
function isInexact(value: unknown): boolean {
  if (typeof value === "number") return !isExactNumber(value);
  return typeof value === "bigint" || (types.isDate(value) && Number.isNaN(value.getTime()));
}

/** Finds a value that cannot be stored exactly. @throws {@link InvalidArgumentError} with its path */
function refuseInexactValue(value: unknown, path: string, parents: ReadonlySet<unknown>): void {
  if (isInexact(value)) {
    const problem = types.isDate(value)
      ? "must be a valid Date"
      : typeof value === "bigint" || Number.isFinite(value)
        ? INEXACT_INTEGER
        : "must be a finite number";
    throw new InvalidArgumentError(path, problem);
  }
  if (typeof value !== "object" || value === null || parents.has(value)) return;
  const withSelf = new Set(parents).add(value);
  for (const [key, entry] of Object.entries(value)) {
    refuseInexactValue(entry, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, withSelf);
  }
}

/** Whether a key can be stored unchanged, and sorts after the key before it. */
function isCanonicalKey(key: string, index: number, keys: readonly string[]): boolean {
  return (index === 0 || (keys[index - 1] ?? "") < key) && storableText(key) === key;
}

/** Whether JSON represents all of an object. A Map or a RegExp, for example, would become `{}`. */
function isPlainObject(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** Whether an index lies between the two surrogates of a character. The text must be well-formed. */
export function isInsidePair(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return index > 0 && unit >= 0xdc00 && unit <= 0xdfff;
}
