import { awaitHostCode } from "../calls/host-code.js";
import { checkFunction, checkInteger, checkNames, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { HttpError } from "./request.js";

/** How often a handler serves requests. Counted in this process alone. */
export interface RequestRate {
  /** How many requests are served in `perMs` on average, and how many at the same moment after a pause. */
  requests: number;
  /** The time in milliseconds, up to a day: 60,000 for a rate per minute. */
  perMs: number;
  /**
   * Whose requests are counted together, such as the tenant, or the token that `authorize` has checked. Called after
   * `authorize`; a request for which it throws is answered with 500. Default: all requests are counted together.
   */
  keyOf?: ((request: Request) => string | Promise<string>) | undefined;
}

/** The bounds of a handler, checked. */
export interface Bounds {
  /** `Infinity` for no limit. */
  maxConcurrent: number;
  rate: RequestRate | undefined;
}

const RATE = namesOfProperties<RequestRate>({ requests: true, perMs: true, keyOf: true });
const MAX_REQUESTS = 1_000_000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** A request ends within milliseconds to a few seconds. */
const RETRY_AFTER_SECONDS = 1;
/** So many keys are kept before the first look for those that have expired. */
const KEPT_KEYS = 1000;

/** @throws {@link InvalidArgumentError} */
export function checkBounds(
  { maxConcurrent, rate }: { maxConcurrent?: number | undefined; rate?: RequestRate | undefined },
  owner: string,
): Bounds {
  if (rate !== undefined) {
    checkNames(rate, RATE, owner, "rate");
    checkInteger("rate.requests", rate.requests, 1, MAX_REQUESTS);
    checkInteger("rate.perMs", rate.perMs, 1, DAY_MS);
    checkFunction("rate.keyOf", rate.keyOf);
  }
  return {
    maxConcurrent:
      maxConcurrent === undefined ? Infinity : checkInteger("maxConcurrent", maxConcurrent, 1, Number.MAX_SAFE_INTEGER),
    rate: rate && { ...rate },
  };
}

/** Bounds how many requests are served in a time, and how many run at the same time. */
export class RequestBounds {
  readonly #bounds: Bounds;
  #running = 0;
  /** For each key, when all of its requests so far would have been served at an even pace. */
  readonly #pacedUntil = new Map<string, number>();
  #keysBeforeSweep = KEPT_KEYS;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** Counts a request. @throws {@link HttpError} 429 if its key has had its share */
  async count(request: Request): Promise<void> {
    const { rate } = this.#bounds;
    if (!rate) return;
    const { requests, perMs, keyOf } = rate;
    const key: unknown = keyOf ? await awaitHostCode("rate.keyOf", async () => keyOf(request)) : "";
    if (typeof key !== "string") throw new InvalidArgumentError("rate.keyOf", "must return a string");
    // The generic cell rate algorithm: a single number for each key.
    const now = performance.now();
    const since = Math.max(now, this.#pacedUntil.get(key) ?? 0);
    const next = since + perMs / requests;
    const waitMs = next - now - perMs;
    // Half a microsecond, because sums of fractions are not exact.
    if (waitMs > 0.0005) throw tooMany(Math.ceil(waitMs / 1000));
    this.#pacedUntil.set(key, next);
    this.#sweep(now);
  }

  /** Runs the work if fewer than `maxConcurrent` are running. @throws {@link HttpError} 429 otherwise */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#bounds.maxConcurrent) throw tooMany(RETRY_AFTER_SECONDS);
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }

  /** Forgets keys without recent requests, whenever their number has doubled: memory is bounded by the keys in use. */
  #sweep(now: number): void {
    if (this.#pacedUntil.size < this.#keysBeforeSweep) return;
    for (const [key, until] of this.#pacedUntil) if (until <= now) this.#pacedUntil.delete(key);
    this.#keysBeforeSweep = Math.max(KEPT_KEYS, 2 * this.#pacedUntil.size);
  }
}

function tooMany(retryAfterSeconds: number): HttpError {
  return new HttpError(429, "Too many requests at the moment", { "Retry-After": retryAfterSeconds.toString() });
}
