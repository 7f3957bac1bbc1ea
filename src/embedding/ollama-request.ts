import { OllamaEmbeddings, type OllamaEmbeddingsParams } from "@langchain/ollama";
import { EmbeddingError, throwIfAborted } from "../errors.js";
import { TextFailure } from "./bisection.js";
import { errorIn, HttpFailure, translateFailure, unreachableCode } from "./ollama-failure.js";
import { retry } from "./retry.js";

/** How long one request may take. */
export interface RequestTimeouts {
  /** To a model that is loaded. */
  requestTimeoutMs: number;
  /** To one that may have to be loaded first. */
  loadTimeoutMs: number;
  /** How long a server that nobody can reach is tried again. */
  unreachableBudgetMs: number;
}

/** Where and what to ask. */
export type OllamaTarget = OllamaEmbeddingsParams & { model: string };

/** Options of {@link OllamaRequester.send}. */
export interface SendOptions {
  /** As `performance.now()` counts: no further attempt starts later. */
  deadline: number;
  /** The same: no attempt of a query goes on longer. */
  endOfQuery?: number | undefined;
  signal: AbortSignal | undefined;
  onRetry?: ((failure: EmbeddingError) => void) | undefined;
}

/** Ollama unloads a model after five minutes without a request; a little earlier, and it may be gone on arrival. */
const LOADED_FOR_MS = 4 * 60_000;

/** Sends texts to one model on one server of Ollama. */
export class OllamaRequester {
  readonly #target: OllamaTarget;
  readonly #address: string;
  readonly #timeouts: RequestTimeouts;
  #lastAnswer = -Infinity;
  /** Of all calls together: a call that comes while the server is away waits no longer than those before it. */
  #unreachableSince: number | undefined;

  /** @param address - what errors call the server: without name and password */
  constructor(target: OllamaTarget, address: string, timeouts: RequestTimeouts) {
    this.#target = target;
    this.#address = address;
    this.#timeouts = timeouts;
  }

  /**
   * Sends texts in one request, and again while that can help.
   *
   * @returns what the server says are their vectors
   * @throws {@link TextFailure} | {@link EmbeddingError} | {@link AbortError}
   */
  send(texts: string[], options: SendOptions): Promise<number[][]> {
    const { deadline, signal, onRetry } = options;
    return retry(() => this.#sendOnce(texts, options), {
      deadline: () =>
        Math.min(deadline, (this.#unreachableSince ?? Infinity) + this.#timeouts.unreachableBudgetMs),
      canHeal: (error, attempts) => {
        if (!failureOf(error)?.retryable) return false;
        // Several texts are tried with fewer in time: one of them can be at fault, or the machine is too slow for all.
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
    const { fetch: given = fetch } = this.#target;
    // LangChain's class knows neither time-outs nor signals: both come in through its `fetch`.
    const ollama = new OllamaEmbeddings({
      ...this.#target,
      maxRetries: 0,
      fetch: async (input, init) => {
        const address = input instanceof Request ? input.url : input;
        const response = await given(...withoutCredentials(address, { ...init, signal: limit.signal }));
        if (response.ok) return response;
        // Ollama's client writes to the console about a body that it cannot read, as that of a proxy.
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
      // A server or a runner that died comes back without the model.
      if (!limit.hasPassed() && failureOf(failure)?.retryable) this.#lastAnswer = -Infinity;
      if (unreachableCode(error) === undefined) this.#unreachableSince = undefined;
      else this.#unreachableSince ??= performance.now();
      throw failure;
    } finally {
      limit.clear();
    }
  }

  /** How long an attempt that starts now may take, in milliseconds. */
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
  /** Fires when the time is over, or with the caller's. */
  signal: AbortSignal;
  timeoutMs: number;
  hasPassed: () => boolean;
  clear: () => void;
}

/** `AbortSignal.any` would hold its time-out only weakly on Node 20, where a garbage collection loses it (nodejs/node#57736). */
function limitTime(timeoutMs: number, caller: AbortSignal | undefined): TimeLimit {
  const controller = new AbortController();
  let passed = false;
  const abort = (): void => {
    controller.abort(caller?.reason);
  };
  const timer = setTimeout(() => {
    passed = true;
    controller.abort(new Error("the time is over"));
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
    return part; // a percent sign that stands for itself
  }
}

/** `fetch` refuses addresses with a name and a password in them: they go into a header. */
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
