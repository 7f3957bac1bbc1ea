import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { batches } from "../calls/batches.js";
import {
  EmbeddingError,
  InvalidArgumentError,
  TimeLimitPassed,
  TrainingIndexError,
  throwIfAborted,
} from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { EmbeddingProfile } from "./profiles.js";
import { isListLike, readVector } from "./vector.js";
import { waitFor } from "./wait.js";

/**
 * What is asked for at a time, in texts and in characters. It bounds the vectors that are held as JavaScript's numbers,
 * of twice the size, and the requests of an embedder that sends all its texts in one.
 */
const REQUEST_LIMITS = { items: 64, size: 64_000 };

/** How long one request is waited for, in milliseconds. */
interface Patience {
  /** From then on it is told that the embedder is slow. */
  slowMs: number;
  /** From then on nobody waits. An {@link EmbeddingsOfEach} has limits of its own, which its user sets. */
  limitMs: number;
}

/** Someone waits for a search. Half a minute lets a model that is served on demand start. */
const QUERY_PATIENCE: Patience = { slowMs: 2_000, limitMs: 30_000 };
/** 64 texts at four seconds each, on a machine without a graphics card, and some retries of LangChain's. */
const DOCUMENTS_PATIENCE: Patience = { slowMs: 10_000, limitMs: 300_000 };

/** Options of a call to an embedder. */
export interface EmbedOptions {
  signal?: AbortSignal | undefined;
  /** Called before each further attempt, with what the last one failed for. */
  onRetry?: ((failure: EmbeddingError) => void) | undefined;
}

/**
 * An embedder that tells texts that cannot be embedded from the others, can be told to stop, and never takes for ever.
 */
export interface EmbeddingsOfEach extends EmbeddingsInterface {
  embedEach(documents: readonly string[], options?: EmbedOptions): Promise<(number[] | EmbeddingError)[]>;
  embedQuery(document: string, options?: EmbedOptions): Promise<number[]>;
}

/** Options of {@link Embedder.embedDocuments}. */
export interface EmbedDocumentsOptions {
  signal?: AbortSignal | undefined;
  /** Called after each request with the number of texts embedded so far. */
  onBatch?: ((embedded: number) => void) | undefined;
  /** What an error calls a text, by its place. */
  nameOf?: ((index: number) => string) | undefined;
}

/** Instead of a vector: the model does not read a text of this length. */
export const TOO_LONG = "too long" as const;

/**
 * Stands in front of every embedding model: bounded requests and waits, prefixes, and no vector gets through that
 * cannot be stored and compared. LangChain's embedders return fewer vectors than texts, empty ones or NaN
 * without an error of their own (research: sync.md §5, langchain.md §6).
 */
export class Embedder {
  readonly #embeddings: EmbeddingsInterface;
  readonly #profile: EmbeddingProfile;
  readonly #addsPrefixes: boolean;
  readonly #notify: Notify;

  /** @param notify - told of `SLOW_EMBEDDER`, once a request, and of `RETRY` */
  constructor(
    embeddings: EmbeddingsInterface,
    { profile, addsPrefixes }: ResolvedProfile,
    notify: Notify = () => undefined,
  ) {
    this.#embeddings = embeddings;
    this.#profile = profile;
    this.#addsPrefixes = addsPrefixes;
    this.#notify = notify;
  }

  /**
   * One vector for each text, in order, or {@link TOO_LONG}.
   *
   * @throws {@link EmbeddingError} | {@link AbortError}
   */
  async embedDocuments(
    texts: readonly string[],
    options: EmbedDocumentsOptions = {},
  ): Promise<(Float32Array | typeof TOO_LONG)[]> {
    const { signal, onBatch, nameOf = (index) => `texts[${index}]` } = options;
    const prefix = this.#addsPrefixes ? this.#profile.documentPrefix : "";
    const vectors: (Float32Array | typeof TOO_LONG)[] = [];
    for (const batch of batches(texts, (text) => text.length, REQUEST_LIMITS)) {
      throwIfAborted(signal);
      const prefixed = batch.map((text) => prefix + text);
      const outcomes = await this.#call(
        `${batch.length} texts`,
        DOCUMENTS_PATIENCE,
        () => this.#embedEach(prefixed, signal),
        signal,
      );
      const first = vectors.length;
      vectors.push(...this.#readEach(outcomes, batch.length, (place) => nameOf(first + place)));
      onBatch?.(vectors.length);
    }
    return vectors;
  }

  /** The vector of a query. @throws {@link EmbeddingError} | {@link AbortError} */
  async embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    const prefix = this.#addsPrefixes ? this.#profile.queryPrefix : "";
    const embeddings = this.#embeddings;
    const vector = await this.#call(
      "a question",
      QUERY_PATIENCE,
      () =>
        embedsEach(embeddings)
          ? embeddings.embedQuery(prefix + text, { signal, onRetry: this.#onRetry })
          : embeddings.embedQuery(prefix + text),
      signal,
    );
    return this.#readable(() => this.#check(vector, new Float32Array(this.#profile.dimensions)));
  }

  #embedEach(texts: string[], signal: AbortSignal | undefined): Promise<unknown> {
    const embeddings = this.#embeddings;
    return embedsEach(embeddings)
      ? embeddings.embedEach(texts, { signal, onRetry: this.#onRetry })
      : embeddings.embedDocuments(texts);
  }

  #readEach(
    outcomes: unknown,
    expected: number,
    nameOf: (place: number) => string,
  ): (Float32Array | typeof TOO_LONG)[] {
    return this.#readable(() => {
      const count = isListLike(outcomes) ? outcomes.length : 0;
      if (!isListLike(outcomes) || count !== expected) {
        throw invalid(`returned ${count} vectors for ${expected} texts`);
      }
      // One piece of memory for all of them: thousands of small ones keep the garbage collector busy.
      const { dimensions } = this.#profile;
      const memory = new Float32Array(expected * dimensions);
      return Array.from({ length: expected }, (_, place) => {
        const outcome = outcomes[place];
        if (EmbeddingError.is(outcome)) return tooLongOrThrow(outcome, nameOf(place));
        const room = memory.subarray(place * dimensions, (place + 1) * dimensions);
        return this.#check(outcome, room, () => nameOf(place));
      });
    });
  }

  /** @throws {@link EmbeddingError} for what cannot be looked at: a property of it throws */
  #readable<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (TrainingIndexError.is(error)) throw error;
      throw invalid(`of model ${this.#profile.model} returned what cannot be read`, error);
    }
  }

  #check(given: unknown, room: Float32Array, name?: () => string): Float32Array {
    const { model, dimensions } = this.#profile;
    const vector = readVector(given, dimensions, room);
    if (typeof vector !== "string") return vector;
    throw invalid(`of model ${model} returned ${vector}${name ? ` (${name()})` : ""}`);
  }

  async #call<T>(
    what: string,
    { slowMs, limitMs }: Patience,
    call: () => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { model } = this.#profile;
    const late = (ms: number): string =>
      `The embedder of model ${model} has not answered for ${ms / 1000} s (it was asked to embed ${what})`;
    try {
      return await waitFor(call, {
        signal,
        slowMs,
        onSlow: () => {
          this.#notify({ code: "SLOW_EMBEDDER", message: `${late(slowMs)}: it is waited for` });
        },
        limitMs: embedsEach(this.#embeddings) ? undefined : limitMs,
        onLimit: () =>
          new EmbeddingError("TIMEOUT", `${late(limitMs)}: it is not waited for any longer`, true),
      });
    } catch (error) {
      const reason: unknown = signal?.reason;
      if (reason instanceof TimeLimitPassed) {
        throw new EmbeddingError(
          "TIMEOUT",
          `The call took longer than its timeoutMs, ${reason.timeoutMs} ms, while waiting for the embedder of model ` +
            `${this.#profile.model}: see whether it is overloaded, or allow more`,
          true,
        );
      }
      if (TrainingIndexError.is(error)) throw error;
      throw new EmbeddingError(
        "EMBEDDING_FAILED",
        `The embedder of model ${model} failed`,
        !isFinalStatus(httpStatusOf(error) ?? 0),
        error,
      );
    }
  }

  readonly #onRetry = (failure: EmbeddingError): void => {
    this.#notify({ code: "RETRY", message: `${failure.message}. It is tried again`, cause: failure });
  };
}

function tooLongOrThrow(failure: EmbeddingError, name: string): typeof TOO_LONG {
  if (failure.code === "TEXT_TOO_LONG") return TOO_LONG;
  throw new EmbeddingError(failure.code, `${failure.message}: ${name}`, failure.retryable, failure);
}

function invalid(what: string, cause?: unknown): EmbeddingError {
  return new EmbeddingError("EMBEDDING_INVALID", `The embedder ${what}`, false, cause);
}

function embedsEach(embeddings: EmbeddingsInterface): embeddings is EmbeddingsOfEach {
  return "embedEach" in embeddings;
}

/** Request time-out and too many requests: the two client errors that heal by themselves. */
const TRANSIENT_CLIENT_ERRORS = [408, 429];

/** Whether the same request will meet an HTTP answer of this status again. */
export function isFinalStatus(status: number): boolean {
  return status >= 400 && status < 500 && !TRANSIENT_CLIENT_ERRORS.includes(status);
}

/** The status of the HTTP answer that an embedder's error stands for; `undefined` for any other error. */
export function httpStatusOf(error: unknown): number | undefined {
  try {
    // `status_code` is what Ollama's client calls it; LangChain's own retry looks at `status` only.
    const { status, status_code } = (error ?? {}) as { status?: unknown; status_code?: unknown };
    const code = typeof status_code === "number" ? status_code : status;
    return typeof code === "number" ? code : undefined;
  } catch {
    return undefined; // an error whose properties throw
  }
}

/** Who the embedder is, and who puts the prefixes before the texts. */
export interface ResolvedProfile {
  profile: EmbeddingProfile;
  /** `false` when the embedder does it itself, as `ollamaEmbeddings` does. */
  addsPrefixes: boolean;
}

/**
 * Finds out which model an embedder speaks for: the profile given by hand, else the `profile` of this
 * library's embedders, else LangChain's `model` or `modelName`.
 *
 * @param dimensions - what the database stores, for an embedder that does not say
 * @throws {@link InvalidArgumentError} when it cannot be known
 */
export function resolveProfile(
  embeddings: EmbeddingsInterface,
  given: Partial<EmbeddingProfile> | undefined,
  dimensions: number,
): ResolvedProfile {
  const own = embeddings as { profile?: EmbeddingProfile; model?: unknown; modelName?: unknown };
  if (!given && own.profile) return { profile: own.profile, addsPrefixes: false };
  const model = given?.model ?? own.model ?? own.modelName;
  if (typeof model !== "string" || model === "") {
    throw new InvalidArgumentError(
      "embeddings",
      'does not name its model, which is recorded with the vectors: pass profile: { model: "..." }',
    );
  }
  return {
    profile: {
      model,
      dimensions: given?.dimensions ?? dimensions,
      queryPrefix: given?.queryPrefix ?? "",
      documentPrefix: given?.documentPrefix ?? "",
      maxTokens: given?.maxTokens,
    },
    addsPrefixes: true,
  };
}
