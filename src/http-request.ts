import { InvalidArgumentError } from "./errors.js";
import type { AnySearchOptions } from "./search-options.js";
import type { SearchMode, SearchStrategy } from "./types.js";

/** A request that cannot be served, with the status to say so. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** What callers may ask for. */
export interface RequestLimits {
  maxK: number;
  allowFilter: boolean;
  /** The first is the default. */
  modes: readonly SearchMode[];
  maxBodyBytes: number;
}

/** A search as a body asks for it. */
export interface RequestedSearch {
  query: string;
  search: Pick<AnySearchOptions, "k" | "filter" | "mode" | "strategy">;
}

/** That of `similar`. */
const DEFAULT_K = 5;
const STRATEGIES: readonly SearchStrategy[] = ["chunks", "trainings"];
const BODY_KEYS = ["query", "k", "strategy", "mode", "filter"];

/** Whether a request is one that has a body to read. @throws {@link HttpError} 405 */
export function checkMethod({ method }: Request): void {
  if (method !== "POST") throw new HttpError(405, "Use POST", { Allow: "POST" });
}

/** The body's JSON. @throws {@link HttpError} 400, 413, 415 */
export async function readBody(request: Request, maxBytes: number): Promise<unknown> {
  const [type] = (request.headers.get("content-type") ?? "").split(";");
  if (type?.trim().toLowerCase() !== "application/json") {
    throw new HttpError(415, "The body must be application/json");
  }
  const tooLarge = new HttpError(413, `The body must not be larger than ${maxBytes} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw tooLarge;
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8")) as unknown;
  } catch {
    throw new HttpError(400, "The body is not JSON");
  }
}

/** @throws {@link HttpError} 400, naming what is wrong */
export function parseBody(
  body: unknown,
  { maxK, allowFilter, modes }: Omit<RequestLimits, "maxBodyBytes">,
): RequestedSearch {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new HttpError(400, "The body must be an object");
  }
  if (Object.keys(body).some((key) => !BODY_KEYS.includes(key))) {
    throw new HttpError(400, `The body has a key other than ${BODY_KEYS.join(", ")}`);
  }
  const { query, k = Math.min(DEFAULT_K, maxK), filter, ...choices } = body as Record<string, unknown>;
  if (typeof query !== "string") throw new HttpError(400, "query must be a string");
  if (!(Number.isInteger(k) && (k as number) >= 1 && (k as number) <= maxK)) {
    throw new HttpError(400, `k must be an integer from 1 to ${maxK}`);
  }
  if (filter !== undefined && !allowFilter) throw new HttpError(400, "filter is not allowed here");
  const strategy = oneOf("strategy", choices["strategy"], STRATEGIES);
  // Trainings are found by their vectors, whatever mode the host has for chunks.
  const mode = oneOf("mode", choices["mode"], modes) ?? (strategy === "trainings" ? "vector" : modes[0]);
  return { query, search: { k: k as number, filter: filter as object | undefined, mode, strategy } };
}

function oneOf<T extends string>(key: string, value: unknown, known: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = known.find((choice) => choice === value);
  if (found === undefined) throw new HttpError(400, `${key} must be one of ${known.join(", ")}`);
  return found;
}

/** Of what a handler is made with, so that no request can be served wrongly. @throws {@link InvalidArgumentError} */
export function checkModes(modes: readonly SearchMode[]): void {
  const known: readonly unknown[] = ["vector", "text", "hybrid"];
  if (!Array.isArray(modes) || modes.length === 0 || !modes.every((mode) => known.includes(mode))) {
    throw new InvalidArgumentError("modes", `must be a list of ${known.join(", ")}`);
  }
}
