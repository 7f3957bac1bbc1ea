import { HttpError } from "./request.js";

/** A slot is free when a search ends, which takes milliseconds to a few seconds. */
const RETRY_AFTER_SECONDS = 1;

/** Bounds how many searches run at the same time. */
export class SearchSlots {
  readonly #most: number;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Runs the search if a slot is free. @throws {@link HttpError} 429 if none is */
  async run<T>(search: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.#most) {
      throw new HttpError(429, "Too many searches at the moment", { "Retry-After": RETRY_AFTER_SECONDS.toString() });
    }
    this.#taken += 1;
    try {
      return await search();
    } finally {
      this.#taken -= 1;
    }
  }
}
