import { InvalidArgumentError } from "./errors.js";

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

/**
 * JSON for a `jsonb` parameter: storable, and the same text for the same object whatever the order of its
 * keys, so that it can be compared and hashed.
 *
 * @throws {@link InvalidArgumentError} for what is no plain object, and for what JSON cannot say
 */
export function canonicalMetadata(metadata: unknown, option: string): string {
  if (!isPlainObject(metadata)) throw new InvalidArgumentError(option, "must be a plain object");
  let json: unknown;
  try {
    json = JSON.stringify(metadata, canonicalValue);
  } catch (error) {
    throw new InvalidArgumentError(option, "cannot be written as JSON (a cycle, a bigint, a Map?)", error);
  }
  // An object with a toJSON of its own passes for one until here.
  if (typeof json !== "string" || !json.startsWith("{"))
    throw new InvalidArgumentError(option, "must be a plain object");
  return json;
}

function canonicalValue(_key: string, value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (!isPlainObject(value)) throw new TypeError("JSON has no such thing");
  if (Object.keys(value).every(isCanonicalKey)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, entry]) => [storableText(key), entry] as const)
      .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)),
  );
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
