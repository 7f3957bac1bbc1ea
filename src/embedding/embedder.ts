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
import { embeddingChannel, traced, type EmbeddingTrace } from "../calls/tracing.js";
import { httpStatusOf, isFinalStatus } from "./http-status.js";
import type { EmbeddingProfile } from "./profiles.js";
import { isListLike, readVector } from "./vector.js";
import { waitFor } from "./wait.js";

/**
 * Texts and characters per call of the embedder. The limit bounds the vectors that are held as JavaScript numbers, which
 * take twice the memory of 32-bit floats, and the requests of embedders that send all their texts in one.
 */
const CALL_LIMITS = { items: 64, size: 64_000 };

/** How long to wait for one call of the embedder, in milliseconds. */
interface EmbedderTimeouts {
  /** After this time the host is notified that the embedder is slow. */
  slowMs: number;
  /** After this time the call fails. Not applied to {@link PerTextEmbeddings}, whose own limits the user sets. */
  limitMs: number;
}

/** A user waits for a search. Half a minute is enough for a server that loads models on demand. */
const QUERY_TIMEOUTS: EmbedderTimeouts = { slowMs: 2_000, limitMs: 30_000 };
/** Enough for 64 texts at four seconds each, on a machine without a graphics card, and several retries by LangChain. */
const DOCUMENTS_TIMEOUTS: EmbedderTimeouts = { slowMs: 10_000, limitMs: 300_000 };

/** Options of a call to an embedder. */
export interface EmbedOptions {
  signal?: AbortSignal | undefined;
  /** Called before each retry, with the error of the last attempt. */
  onRetry?: ((failure: EmbeddingError) => void) | undefined;
}

/** An embedder that reports failures per text, can be aborted, and has time limits of its own. */
export interface PerTextEmbeddings extends EmbeddingsInterface {
  embedEach(documents: readonly string[], options?: EmbedOptions): Promise<(number[] | EmbeddingError)[]>;
  embedQuery(document: string, options?: EmbedOptions): Promise<number[]>;
}

/** Options of {@link Embedder.embedDocuments}. */
export interface EmbedDocumentsOptions {
  signal?: AbortSignal | undefined;
  /** Called after each request with the number of texts embedded so far. */
  onBatch?: ((embedded: number) => void) | undefined;
  /** Names the text at an index, for errors. Default: `texts[index]`. */
  nameOf?: ((index: number) => string) | undefined;
}

/** Returned in place of a vector: the text is longer than the model accepts. */
export const TOO_LONG = "too long" as const;

/**
 * Wraps the host's embedding model: bounds requests and waits, adds prefixes, and rejects vectors that cannot be stored
 * or compared. Some LangChain embedders return fewer vectors than texts, empty vectors or NaN without throwing.
 */
export class Embedder {
  readonly #embeddings: EmbeddingsInterface;
  readonly #profile: EmbeddingProfile;
  readonly #addsPrefixes: boolean;
  readonly #notify: Notify;

  /** @param notify - called with `SLOW_EMBEDDER`, at most once per call of the embedder, and with `RETRY` */
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

  /** The name of the model. */
  get model(): string {
    return this.#profile.model;
  }

  /**
   * Embeds texts. Returns a vector or {@link TOO_LONG} for each text, in order.
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
    for (const batch of batches(texts, (text) => text.length, CALL_LIMITS)) {
      throwIfAborted(signal);
      const prefixed = batch.map((text) => prefix + text);
      const outcomes = await this.#call(
        "documents",
        batch,
        DOCUMENTS_TIMEOUTS,
        () => this.#embedEach(prefixed, signal),
        signal,
      );
      const first = vectors.length;
      vectors.push(...this.#readEach(outcomes, batch.length, (place) => nameOf(first + place)));
      onBatch?.(vectors.length);
    }
    return vectors;
  }

  /** Embeds a query. @throws {@link EmbeddingError} | {@link AbortError} */
  async embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    const prefix = this.#addsPrefixes ? this.#profile.queryPrefix : "";
    const embeddings = this.#embeddings;
    const vector = await this.#call(
      "query",
      [text],
      QUERY_TIMEOUTS,
      () =>
        embedsEach(embeddings)
          ? embeddings.embedQuery(prefix + text, { signal, onRetry: this.#onRetry })
          : embeddings.embedQuery(prefix + text),
      signal,
    );
    return this.#readSafely(() => this.#check(vector, new Float32Array(this.#profile.dimensions)));
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
    return this.#readSafely(() => {
      const count = isListLike(outcomes) ? outcomes.length : 0;
      if (!isListLike(outcomes) || count !== expected) {
        throw invalid(`returned ${count} vectors for ${expected} texts`);
      }
      // One allocation for all vectors: thousands of small ones keep the garbage collector busy.
      const { dimensions } = this.#profile;
      const memory = new Float32Array(expected * dimensions);
      return Array.from({ length: expected }, (_, place) => {
        const outcome = outcomes[place];
        if (EmbeddingError.is(outcome)) return tooLongOrThrow(outcome, nameOf(place));
        const target = memory.subarray(place * dimensions, (place + 1) * dimensions);
        return this.#check(outcome, target, () => nameOf(place));
      });
    });
  }

  /** @throws {@link EmbeddingError} if reading the embedder's answer throws, for example in a getter or a proxy */
  #readSafely<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (TrainingIndexError.is(error)) throw error;
      throw invalid(`of model ${this.#profile.model} returned a value that cannot be read`, error);
    }
  }

  #check(returned: unknown, target: Float32Array, name?: () => string): Float32Array {
    const { model, dimensions } = this.#profile;
    const vector = readVector(returned, dimensions, target);
    if (typeof vector !== "string") return vector;
    throw invalid(`of model ${model} returned ${vector}${name ? ` (${name()})` : ""}`);
  }

  /** Calls the embedder, and publishes the call. */
  #call<T>(
    purpose: EmbeddingTrace["purpose"],
    texts: readonly string[],
    timeouts: EmbedderTimeouts,
    call: () => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { model, dimensions } = this.#profile;
    return traced(
      embeddingChannel,
      (): EmbeddingTrace => ({
        ...{ purpose, model, dimensions, embedder: this.#embeddings.constructor.name, texts: texts.length },
        characters: texts.reduce((sum, { length }) => sum + length, 0),
      }),
      () => this.#waitFor(purpose === "query" ? "a question" : `${texts.length} texts`, timeouts, call, signal),
    );
  }

  async #waitFor<T>(
    what: string,
    { slowMs, limitMs }: EmbedderTimeouts,
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
          this.#notify({ code: "SLOW_EMBEDDER", message: `${late(slowMs)}; still waiting` });
        },
        limitMs: embedsEach(this.#embeddings) ? undefined : limitMs,
        onLimit: () => new EmbeddingError("TIMEOUT", `${late(limitMs)}; gave up waiting`, true),
      });
    } catch (error) {
      const reason: unknown = signal?.reason;
      if (reason instanceof TimeLimitPassed) {
        throw new EmbeddingError(
          "TIMEOUT",
          `The call took longer than its timeoutMs, ${reason.timeoutMs} ms, while waiting for the embedder of model ` +
            `${this.#profile.model}: check whether it is overloaded, or allow more time with timeoutMs`,
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
    this.#notify({ code: "RETRY", message: `${failure.message}. Retrying`, cause: failure });
  };
}

function tooLongOrThrow(failure: EmbeddingError, name: string): typeof TOO_LONG {
  if (failure.code === "TEXT_TOO_LONG") return TOO_LONG;
  throw new EmbeddingError(failure.code, `${failure.message}: ${name}`, failure.retryable, failure);
}

function invalid(what: string, cause?: unknown): EmbeddingError {
  return new EmbeddingError("EMBEDDING_INVALID", `The embedder ${what}`, false, cause);
}

function embedsEach(embeddings: EmbeddingsInterface): embeddings is PerTextEmbeddings {
  return "embedEach" in embeddings;
}

/** An embedder's profile, and whether {@link Embedder} has to add its prefixes. */
export interface ResolvedProfile {
  profile: EmbeddingProfile;
  /** `false` if the embedder adds them itself, as `ollamaEmbeddings` does. */
  addsPrefixes: boolean;
}

/**
 * Finds an embedder's profile: the one given by the host, otherwise the `profile` of this library's embedders, otherwise
 * one made from LangChain's `model` or `modelName`.
 *
 * @param dimensions - those that the database stores, if the profile has none
 * @throws {@link InvalidArgumentError} if the model's name is not known
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
      'has no model name, which is recorded with the vectors: pass profile: { model: "..." }',
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
