import { InvalidArgumentError } from "../errors.js";

/** NAMEDATALEN - 1 of a standard build: longer names are cut silently by Postgres, so they are refused. */
const MAX_IDENTIFIER_BYTES = 63;

/**
 * Quotes a name for use in SQL text; the only way that names get there.
 *
 * @param option - what the caller calls the name, for the error
 * @throws {@link InvalidArgumentError} for an empty name, one over 63 bytes, NUL, or a lone surrogate
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

/** A name that has been checked as a text in SQL; as an E'' string, which no setting has a say in. */
export function quoteLiteral(name: string): string {
  return `${name.includes("\\") ? "E" : ""}'${name.replace(/[\\']/g, "$&$&")}'`;
}
