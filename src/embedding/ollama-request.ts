import { OllamaEmbeddings, type OllamaEmbeddingsParams } from "@langchain/ollama";
import { EmbeddingError, throwIfAborted } from "../errors.js";
import { httpStatusOf, isFinalStatus } from "./embedder.js";
import { TextFailure } from "./bisection.js";
import { retry } from "./retry.js";

/** How long one request may take. */
export interface RequestTimeouts {
  /** To a model that is loaded. */
  requestTimeoutMs: number;
  /** To one that may have to be loaded first. */
  loadTimeoutMs: number;
}

/** Where and what to ask. */
export type OllamaTarget = OllamaEmbeddingsParams & { model: string };

/** Ollama unloads a model after five minutes without a request; a little earlier, and it may be gone on arrival. */
const LOADED_FOR_MS = 4 * 60_000;

/** Sends texts to one model on one server of Ollama. */
export class OllamaRequester {
  readonly #target: OllamaTarget;
  readonly #timeouts: RequestTimeouts;
  #lastAnswer = -Infinity;

  constructor(target: OllamaTarget, timeouts: RequestTimeouts) {
    this.#target = target;
    this.#timeouts = timeouts;
  }

  /**
   * Sends texts in one request, and again while that can help.
   *
   * @param deadline - as `performance.now()` counts: no further attempt starts later
   * @returns what the server says are their vectors
   * @throws {@link TextFailure} | {@link EmbeddingError} | {@link AbortError}
   */
  send(texts: string[], deadline: number, signal: AbortSignal | undefined): Promise<number[][]> {
    const canHeal = (error: unknown, attempts: number): boolean => {
      if (!isRetryable(error)) return false;
      // Several texts are tried with fewer in time: one of them can be at fault, or the machine is too slow for all.
      return !(error instanceof TextFailure && texts.length > 1 && attempts >= error.attempts);
    };
    return retry(() => this.#sendOnce(texts, signal), { deadline, canHeal, signal });
  }

  async #sendOnce(texts: string[], signal: AbortSignal | undefined): Promise<number[][]> {
    throwIfAborted(signal);
    const isLoaded = performance.now() - this.#lastAnswer < LOADED_FOR_MS;
    const timeoutMs = isLoaded ? this.#timeouts.requestTimeoutMs : this.#timeouts.loadTimeoutMs;
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const { fetch: given = fetch } = this.#target;
    // LangChain's class knows neither time-outs nor signals: both come in through its `fetch`.
    const ollama = new OllamaEmbeddings({
      ...this.#target,
      maxRetries: 0,
      fetch: async (input, init) => {
        const address = input instanceof Request ? input.url : input;
        const response = await given(...withoutCredentials(address, { ...init, signal: either }));
        if (response.ok) return response;
        // Ollama's client writes to the console about a body that it cannot read, as that of a proxy.
        throw new HttpFailure(response.status, errorIn(await response.text()));
      },
    });
    try {
      const vectors = await ollama.embedDocuments(texts);
      this.#lastAnswer = performance.now();
      return vectors;
    } catch (error) {
      throwIfAborted(signal);
      const failure = translateFailure(error, this.#target.model, timeout.aborted ? timeoutMs : undefined);
      // A server or a runner that died comes back without the model.
      if (!timeout.aborted && isRetryable(failure)) this.#lastAnswer = -Infinity;
      throw failure;
    }
  }
}

function isRetryable(error: unknown): boolean {
  const failure = error instanceof TextFailure ? error.failure : error;
  return EmbeddingError.is(failure) && failure.retryable;
}

/** An answer of a status that says that there are no vectors. */
class HttpFailure extends Error {
  readonly status: number;

  constructor(status: number, said: string) {
    super(said);
    this.status = status;
  }
}

/** What an answer's body says went wrong: Ollama's `{"error": "..."}`, else whatever it is. */
function errorIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error : body;
  } catch {
    return body;
  }
}

/** `fetch` refuses addresses with a name and a password in them: they go into a header. */
function withoutCredentials(address: string | URL, init: RequestInit): [string, RequestInit] {
  const url = new URL(address);
  if (url.username === "" && url.password === "") return [url.href, init];
  const headers = new Headers(init.headers);
  const pair = [url.username, url.password].map(decodeURIComponent).join(":");
  if (!headers.has("authorization")) {
    headers.set("authorization", `Basic ${Buffer.from(pair).toString("base64")}`);
  }
  url.username = "";
  url.password = "";
  return [url.href, { ...init, headers }];
}

/** The model has not been pulled; a proxy's 404 is another. */
const NO_MODEL = /^model .*not found/;
/**
 * What Ollama calls a text that is longer than the model's window, from 0.3 to 0.33 (`server/routes.go`), and what
 * llama-server does. There is no code to tell it by.
 */
const TOO_LONG = /context length|too large to process/i;
/** The vectors of one text are not numbers: some models on some graphics cards (ollama#13599). */
const NOT_FINITE = /\bNaN\b|\bInf\b/;
/** Answered with 400 although the runner has died, or has not come up yet: the next request can find it well. */
const RUNNER_DOWN =
  /EOF|connection (refused|reset)|no longer running|unexpected server status|no slots available|error reading/i;

/** @param timedOutAfterMs - when it was the time-out that ended the request */
function translateFailure(
  error: unknown,
  model: string,
  timedOutAfterMs: number | undefined,
): TextFailure | EmbeddingError {
  const name = JSON.stringify(model);
  if (timedOutAfterMs !== undefined) {
    const message = `Ollama did not answer for model ${name} within ${timedOutAfterMs} ms`;
    return new TextFailure(new EmbeddingError("EMBEDDING_FAILED", message, true, error));
  }
  const status = httpStatusOf(error);
  const said = error instanceof Error ? error.message : "";
  if (status === undefined) {
    const canHeal = !(error instanceof Error && error.name === "AbortError"); // by a signal of the caller's `fetch`
    return new EmbeddingError(
      "EMBEDDING_FAILED",
      `Ollama could not be reached for model ${name}`,
      canHeal,
      error,
    );
  }
  if (status === 404 && NO_MODEL.test(said)) {
    const message = `Ollama has no model ${name}: run "ollama pull ${model}" where it runs`;
    return new EmbeddingError("MODEL_MISSING", message, false, error);
  }
  if (TOO_LONG.test(said)) {
    const message = `A text is longer than model ${name} reads`;
    return new TextFailure(new EmbeddingError("TEXT_TOO_LONG", message, false, error));
  }
  if (NOT_FINITE.test(said)) {
    const message = `Model ${name} made NaN or infinity of a text`;
    return new TextFailure(new EmbeddingError("EMBEDDING_INVALID", message, false, error));
  }
  const message = `Ollama failed for model ${name} (HTTP ${status})`;
  // A text can be what made it die, but once is no proof.
  if (status === 500 || RUNNER_DOWN.test(said)) {
    return new TextFailure(new EmbeddingError("EMBEDDING_FAILED", message, true, error), 2);
  }
  return new EmbeddingError("EMBEDDING_FAILED", message, !isFinalStatus(status), error);
}
