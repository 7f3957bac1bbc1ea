import type { IdType } from "../index.js";

/** Ids that follow each other in the order of the primary key. */
export interface IdRange {
  /** The lowest id that the range can have, if it has to be asked for; `undefined` if `begin` is before all of them. */
  first: string | undefined;
  /** The id behind which the range goes on; `undefined` for the beginning of the table. */
  begin: string | undefined;
  /** Whether an id that follows `begin` is still in the range. */
  has: (id: string) => boolean;
  /** Whether an id is before the range, or not in its order at all. */
  isBefore: (id: string) => boolean;
}

const HIGHEST_BIGINT = 2n ** 63n - 1n;
const LOWEST_BIGINT = -(2n ** 63n);

/**
 * The ranges of ids that begin with these characters, in their order. One for texts and uuids; for numbers one for each number of
 * digits: 12, 120 to 129, 1200 to 1299 and so on.
 *
 * @returns an empty list if no id can begin so
 */
export function idRanges(prefix: string, idType: IdType): IdRange[] {
  if (prefix.trim() === "") {
    return [{ first: undefined, begin: undefined, has: () => true, isBefore: () => false }];
  }
  if (idType === "text") return textRange(prefix);
  return idType === "uuid" ? uuidRange(prefix) : numberRanges(prefix);
}

/** Texts are ordered by their bytes: those that begin with the prefix follow it. */
function textRange(prefix: string): IdRange[] {
  const has = (id: string): boolean => id.startsWith(prefix);
  return [{ first: prefix, begin: prefix, has, isBefore: (id) => !has(id) }];
}

function uuidRange(prefix: string): IdRange[] {
  const digits = prefix.trim().toLowerCase().replaceAll("-", "");
  if (!/^[0-9a-f]{1,32}$/.test(digits)) return [];
  const lowest = digits.padEnd(32, "0").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  const has = (id: string): boolean => id.replaceAll("-", "").startsWith(digits);
  return [{ first: lowest, begin: lowest, has, isBefore: (id) => !has(id) }];
}

function numberRanges(prefix: string): IdRange[] {
  const [, sign, digits = ""] = /^(-?)(\d*)$/.exec(prefix.trim()) ?? [];
  if (sign === undefined || (digits.startsWith("0") && digits !== "0") || (sign === "-" && digits === "0")) return [];
  if (digits === "") return [rangeOf(LOWEST_BIGINT, -1n)];
  if (digits === "0") return [rangeOf(0n, 0n)];
  const ranges: IdRange[] = [];
  const start = BigInt(digits);
  for (let factor = 1n; start * factor <= HIGHEST_BIGINT; factor *= 10n) {
    const [low, high] = [start * factor, (start + 1n) * factor - 1n];
    if (sign === "") ranges.push(rangeOf(low, high));
    else ranges.unshift(rangeOf(-high, -low));
  }
  return ranges;
}

function rangeOf(low: bigint, high: bigint): IdRange {
  const begin = low > LOWEST_BIGINT ? (low - 1n).toString() : undefined;
  return {
    first: undefined,
    begin,
    has: (id) => BigInt(id) <= high,
    isBefore: (id) => BigInt(id) < low,
  };
}
