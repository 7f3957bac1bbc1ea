import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../errors.js";

const MINUTE_MS = 60_000;

/** Spreads texts over time. Workers share it. */
export class RateLimit {
  readonly #perMinute: number;
  /** When the next text may be embedded. */
  #free = 0;

  constructor(perMinute: number | undefined) {
    this.#perMinute = perMinute ?? Infinity;
  }

  /** The most texts that one request may have, so that requests are spread, too. */
  get batch(): number {
    return Math.max(1, Math.floor(this.#perMinute / 6));
  }

  /** Waits until that many texts may be embedded. */
  async take(texts: number, signal: AbortSignal | undefined): Promise<void> {
    const now = performance.now();
    const start = Math.max(now, this.#free);
    this.#free = start + (texts * MINUTE_MS) / this.#perMinute;
    if (start > now) await sleep(start - now, undefined, signal ? { signal } : {}).catch(() => undefined);
    throwIfAborted(signal);
  }
}
