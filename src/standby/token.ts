import { checkInteger, checkNames, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";

/** Which writes a read has to see. */
export interface Consistency {
  /**
   * The token of a write, or several: the read sees those writes, and all that ended before them. From results of writes, or from
   * `index.token()`.
   */
  after: string | readonly string[];
  /**
   * How long the read waits for the standby, in milliseconds, 0 to 60,000; then the primary answers. Default 1,000.
   */
  timeoutMs?: number | undefined;
}

/** A place in the write-ahead log of a database cluster. */
export interface LogPosition {
  /** The identifier of the cluster; its standbys have the same. */
  system: string;
  /** Raised by each promotion of a standby. */
  timeline: number;
  /** Bytes since the log began. */
  lsn: bigint;
}

/** The positions that a read waits for. */
export interface CheckedConsistency {
  after: readonly LogPosition[];
  timeoutMs: number;
}

const CONSISTENCY = namesOfProperties<Consistency>({ after: true, timeoutMs: true });
const DEFAULT_WAIT_MS = 1_000;
const MAX_WAIT_MS = 60_000;
/** More than the writes of any page of a host. */
const MAX_TOKENS = 1_000;

/** A token may come back from a browser: letters, digits, `-` and `_` need no escaping in an address, a header or a cookie. */
const TOKEN = /^lti1_([0-9a-z]{1,13})_([0-9a-z]{1,7})_([0-9a-z]{1,13})$/;
const RADIX = 36;
const MAX_64_BITS = 2n ** 64n - 1n;
const MAX_32_BITS = 2n ** 32n - 1n;

/** The token of a position. */
export function encodeToken({ system, timeline, lsn }: LogPosition): string {
  const numbers = [BigInt(system), BigInt(timeline), lsn];
  return ["lti1", ...numbers.map((number) => number.toString(RADIX))].join("_");
}

/** @throws {@link InvalidArgumentError} for a text that {@link encodeToken} cannot have made */
export function decodeToken(token: unknown, option: string): LogPosition {
  const [, system, timeline, lsn] = typeof token === "string" ? (TOKEN.exec(token)?.map(decodeNumber) ?? []) : [];
  if (system === undefined || timeline === undefined || lsn === undefined) throw malformed(option);
  if (system > MAX_64_BITS || timeline > MAX_32_BITS || timeline === 0n || lsn > MAX_64_BITS) throw malformed(option);
  return { system: system.toString(), timeline: Number(timeline), lsn };
}

function decodeNumber(digits: string): bigint {
  let number = 0n;
  for (const digit of digits) number = number * BigInt(RADIX) + BigInt(Number.parseInt(digit, RADIX) || 0);
  return number;
}

function malformed(option: string): InvalidArgumentError {
  return new InvalidArgumentError(
    option,
    "is not a token of this library: pass the token of a write's result, or of index.token(), unchanged",
  );
}

/** @throws {@link InvalidArgumentError} */
export function checkConsistency(
  { consistency, client }: { consistency?: Consistency | undefined; client?: unknown },
  owner: string,
): CheckedConsistency | undefined {
  if (consistency === undefined) return undefined;
  checkNames(consistency, CONSISTENCY, owner, "consistency");
  if (client !== undefined) {
    throw new InvalidArgumentError(
      "consistency",
      "cannot be combined with client: a read on your client never goes to the standby",
    );
  }
  const { after, timeoutMs = DEFAULT_WAIT_MS } = consistency;
  const tokens: readonly unknown[] = Array.isArray(after) ? after : [after];
  if (tokens.length === 0 || tokens.length > MAX_TOKENS) {
    throw new InvalidArgumentError("consistency.after", `must be a token, or a list of 1 to ${MAX_TOKENS} tokens`);
  }
  return {
    after: tokens.map((token, place) =>
      decodeToken(token, Array.isArray(after) ? `consistency.after[${place}]` : "consistency.after"),
    ),
    timeoutMs: checkInteger("consistency.timeoutMs", timeoutMs, 0, MAX_WAIT_MS),
  };
}

/** The later of two tokens of one cluster. One that is `undefined` counts as the earliest. */
export function laterToken(left: string | undefined, right: string | undefined): string | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  const [first, second] = [decodeToken(left, "token"), decodeToken(right, "token")];
  const isLater = second.timeline - first.timeline || (second.lsn >= first.lsn ? 1 : -1);
  return isLater > 0 ? right : left;
}
