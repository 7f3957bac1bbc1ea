import { InvalidArgumentError } from "../errors.js";

/** NAMEDATALEN - 1 of a standard build. Postgres truncates longer names silently, so they are rejected. */
const MAX_IDENTIFIER_BYTES = 63;

/**
 * Quotes a name for SQL text. Every name in a statement has to go through this function.
 *
 * @param option - the option that holds the name, for the error
 * @throws {@link InvalidArgumentError} for a name that is empty, exceeds 63 bytes, or contains NUL or a lone surrogate
 */
export function quoteIdentifier(name: string, option: string): string {
  if (typeof name !== "string" || name === "") {
    throw new InvalidArgumentError(option, "must be a non-empty string");
  }
  if (name.includes("\0") || !name.isWellFormed()) {
    throw new InvalidArgumentError(option, "must not hold NUL or a lone surrogate");
  }
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new InvalidArgumentError(option, `must not be longer than ${MAX_IDENTIFIER_BYTES} bytes`);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Quotes a checked name as a string literal. With a backslash it becomes an E'' string, whose meaning does not depend on
 * `standard_conforming_strings`.
 */
export function quoteLiteral(name: string): string {
  return `${name.includes("\\") ? "E" : ""}'${name.replace(/[\\']/g, "$&$&")}'`;
}

/** A text in dollar quotes, for the body of a function. The text may be anything, a hostile name in it included. */
export function dollarQuoted(text: string): string {
  let tag = "$body$";
  for (let number = 1; text.includes(tag); number++) tag = `$body${number}$`;
  return `${tag}${text}${tag}`;
}
