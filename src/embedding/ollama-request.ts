import { OllamaEmbeddings, type OllamaEmbeddingsParams } from "@langchain/ollama";
import { EmbeddingError, throwIfAborted } from "../errors.js";
import { TextFailure } from "./bisection.js";
import { errorIn, HttpFailure, translateFailure, unreachableCode } from "./ollama-failure.js";
import { retry } from "./retry.js";

/** Time limits of requests, in milliseconds. */
export interface RequestTimeouts {
  /** For a request to a loaded model. */
  requestTimeoutMs: number;
  /** For a request to a model that may have to be loaded first. */
  loadTimeoutMs: number;
  /** How long to retry while the server cannot be reached. */
  unreachableBudgetMs: number;
}

/** The server, the model, and the options of each request. */
export type OllamaTarget = OllamaEmbeddingsParams & { model: string };

/** Options of {@link OllamaRequester.send}. */
export interface SendOptions {
  /** On the clock of `performance.now()`: no retry starts later. */
  deadline: number;
  /** Only for a query, on the same clock: its last attempt ends by then. */
  endOfQuery?: number | undefined;
  signal: AbortSignal | undefined;
  onRetry?: ((failure: EmbeddingError) => void) | undefined;
}

/** Ollama unloads a model after five minutes without a request. A minute less leaves time for the request to arrive. */
const LOADED_FOR_MS = 4 * 60_000;

/** Sends texts to one model on one Ollama server. */
export class OllamaRequester {
  readonly #target: OllamaTarget;
  readonly #address: string;
  readonly #timeouts: RequestTimeouts;
  #lastAnswer = -Infinity;
  /** Shared by all calls: the retry budget of an unreachable server starts once, not with each call. */
  #unreachableSince: number | undefined;

  /** @param address - the server's address for errors, without user name and password */
  constructor(target: OllamaTarget, address: string, timeouts: RequestTimeouts) {
    this.#target = target;
    this.#address = address;
    this.#timeouts = timeouts;
  }

  /**
   * Sends texts in one request. Transient failures are retried.
   *
   * @returns the vectors as the server sent them, unchecked
   * @throws {@link TextFailure} | {@link EmbeddingError} | {@link AbortError}
   */
  send(texts: string[], options: SendOptions): Promise<number[][]> {
    const { deadline, signal, onRetry } = options;
    return retry(() => this.#sendOnce(texts, options), {
      deadline: () => Math.min(deadline, (this.#unreachableSince ?? Infinity) + this.#timeouts.unreachableBudgetMs),
      canRetry: (error, attempts) => {
        if (!failureOf(error)?.retryable) return false;
        // Not retried as it is: the caller splits it, since one text may be at fault, or the machine too slow for so many.
        return !(error instanceof TextFailure && texts.length > 1 && attempts >= error.attempts);
      },
      onRetry: (error) => {
        const failure = failureOf(error);
        if (failure) onRetry?.(failure);
      },
      signal,
    });
  }

  async #sendOnce(texts: string[], { endOfQuery, signal }: SendOptions): Promise<number[][]> {
    throwIfAborted(signal);
    const limit = limitTime(this.#timeLimit(endOfQuery), signal);
    const { fetch: baseFetch = fetch } = this.#target;
    // LangChain's class supports neither timeouts nor signals, so its `fetch` applies them.
    const ollama = new OllamaEmbeddings({
      ...this.#target,
      maxRetries: 0,
      fetch: async (input, init) => {
        const address = input instanceof Request ? input.url : input;
        const response = await baseFetch(...withoutCredentials(address, { ...init, signal: limit.signal }));
        if (response.ok) return response;
        // Throws here, since Ollama's client logs to the console when it cannot parse a body, such as a proxy's error page.
        throw new HttpFailure(response.status, errorIn(await response.text()));
      },
    });
    try {
      const vectors = await ollama.embedDocuments(texts);
      this.#lastAnswer = performance.now();
      this.#unreachableSince = undefined;
      return vectors;
    } catch (error) {
      throwIfAborted(signal);
      const failure = translateFailure(error, {
        model: this.#target.model,
        address: this.#address,
        timedOutAfterMs: limit.hasPassed() ? limit.timeoutMs : undefined,
        isQuery: endOfQuery !== undefined,
      });
      // A server or runner that crashed restarts without the model loaded.
      if (!limit.hasPassed() && failureOf(failure)?.retryable) this.#lastAnswer = -Infinity;
      if (unreachableCode(error) === undefined) this.#unreachableSince = undefined;
      else this.#unreachableSince ??= performance.now();
      throw failure;
    } finally {
      limit.clear();
    }
  }

  /** The time limit of an attempt that starts now, in milliseconds. */
  #timeLimit(endOfQuery = Infinity): number {
    const isLoaded = performance.now() - this.#lastAnswer < LOADED_FOR_MS;
    const limitMs = isLoaded ? this.#timeouts.requestTimeoutMs : this.#timeouts.loadTimeoutMs;
    return Math.max(1, Math.min(limitMs, Math.round(endOfQuery - performance.now())));
  }
}

function failureOf(error: unknown): EmbeddingError | undefined {
  const failure = error instanceof TextFailure ? error.failure : error;
  return failure instanceof EmbeddingError ? failure : undefined;
}

interface TimeLimit {
  /** Fires when the time limit has passed, or when the caller's signal fires. */
  signal: AbortSignal;
  timeoutMs: number;
  hasPassed: () => boolean;
  clear: () => void;
}

/** Not `AbortSignal.any`: on Node 20 garbage collection can drop its timeout signal (nodejs/node#57736). */
function limitTime(timeoutMs: number, caller: AbortSignal | undefined): TimeLimit {
  const controller = new AbortController();
  let passed = false;
  const abort = (): void => {
    controller.abort(caller?.reason);
  };
  const timer = setTimeout(() => {
    passed = true;
    controller.abort(new Error("the time limit has passed"));
  }, timeoutMs);
  caller?.addEventListener("abort", abort, { once: true });
  return {
    signal: controller.signal,
    timeoutMs,
    hasPassed: () => passed,
    clear: () => {
      clearTimeout(timer);
      caller?.removeEventListener("abort", abort);
    },
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a literal percent sign
  }
}

/** Moves a user name and password from the address to a header: `fetch` rejects addresses that contain them. */
function withoutCredentials(address: string | URL, init: RequestInit): [string, RequestInit] {
  const url = new URL(address);
  if (url.username === "" && url.password === "") return [url.href, init];
  const headers = new Headers(init.headers);
  const pair = [url.username, url.password].map(decoded).join(":");
  if (!headers.has("authorization")) {
    headers.set("authorization", `Basic ${Buffer.from(pair).toString("base64")}`);
  }
  url.username = "";
  url.password = "";
  return [url.href, { ...init, headers }];
}
