import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { batches } from "../batches.js";
import {
  EmbeddingError,
  InvalidArgumentError,
  TrainingIndexError,
  orAbort,
  throwIfAborted,
} from "../errors.js";
import type { EmbeddingProfile } from "./profiles.js";

/**
 * What is asked for at a time, in texts and in characters. It bounds the vectors that are held as JavaScript's numbers,
 * of twice the size, and the requests of an embedder that sends all its texts in one.
 */
const REQUEST_LIMITS = { items: 64, size: 64_000 };

/** Options of a call to an embedder. */
export interface EmbedOptions {
  signal?: AbortSignal | undefined;
}

/** An embedder that tells texts that cannot be embedded from the others, and can be told to stop. */
export interface EmbeddingsOfEach extends EmbeddingsInterface {
  embedEach(documents: readonly string[], options?: EmbedOptions): Promise<(number[] | EmbeddingError)[]>;
  embedQuery(document: string, options?: EmbedOptions): Promise<number[]>;
}

/** Options of {@link Embedder.embedDocuments}. */
export interface EmbedDocumentsOptions extends EmbedOptions {
  /** Called after each request with the number of texts embedded so far. */
  onBatch?: ((embedded: number) => void) | undefined;
  /** What an error calls a text, by its place. */
  nameOf?: ((index: number) => string) | undefined;
}

/** Instead of a vector: the model does not read a text of this length. */
export const TOO_LONG = "too long" as const;

/**
 * Stands in front of every embedding model: bounded requests, prefixes, and no vector gets through that
 * cannot be stored and compared. LangChain's embedders return fewer vectors than texts, empty ones or NaN
 * without an error of their own (research: sync.md §5, langchain.md §6).
 */
export class Embedder {
  readonly #embeddings: EmbeddingsInterface;
  readonly #profile: EmbeddingProfile;
  readonly #addsPrefixes: boolean;

  constructor(embeddings: EmbeddingsInterface, { profile, addsPrefixes }: ResolvedProfile) {
    this.#embeddings = embeddings;
    this.#profile = profile;
    this.#addsPrefixes = addsPrefixes;
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
      const outcomes = await this.#call(() => this.#embedEach(prefixed, signal), signal);
      if (!Array.isArray(outcomes) || outcomes.length !== batch.length) {
        const count = Array.isArray(outcomes) ? outcomes.length : 0;
        throw invalid(`returned ${count} vectors for ${batch.length} texts`);
      }
      // One piece of memory for all of them: thousands of small ones keep the garbage collector busy.
      const { dimensions } = this.#profile;
      const memory = new Float32Array(batch.length * dimensions);
      for (const [place, outcome] of outcomes.entries()) {
        const room = memory.subarray(place * dimensions, (place + 1) * dimensions);
        vectors.push(this.#check(outcome, room, () => nameOf(vectors.length)));
      }
      onBatch?.(vectors.length);
    }
    return vectors;
  }

  /** The vector of a query. @throws {@link EmbeddingError} | {@link AbortError} */
  async embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    const prefix = this.#addsPrefixes ? this.#profile.queryPrefix : "";
    const embeddings = this.#embeddings;
    const vector = await this.#call(
      () =>
        embedsEach(embeddings)
          ? embeddings.embedQuery(prefix + text, { signal })
          : embeddings.embedQuery(prefix + text),
      signal,
    );
    return checkVector(vector, this.#profile, new Float32Array(this.#profile.dimensions));
  }

  #embedEach(texts: string[], signal: AbortSignal | undefined): Promise<(number[] | EmbeddingError)[]> {
    const embeddings = this.#embeddings;
    return embedsEach(embeddings)
      ? embeddings.embedEach(texts, { signal })
      : embeddings.embedDocuments(texts);
  }

  #check(
    outcome: number[] | EmbeddingError,
    room: Float32Array,
    name: () => string,
  ): Float32Array | typeof TOO_LONG {
    if (!EmbeddingError.is(outcome)) return checkVector(outcome, this.#profile, room, name);
    if (outcome.code === "TEXT_TOO_LONG") return TOO_LONG;
    throw new EmbeddingError(outcome.code, `${outcome.message}: ${name()}`, outcome.retryable, outcome);
  }

  async #call<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await orAbort(call, signal);
    } catch (error) {
      if (TrainingIndexError.is(error)) throw error;
      throw new EmbeddingError(
        "EMBEDDING_FAILED",
        `The embedder of model ${this.#profile.model} failed`,
        !isFinalStatus(httpStatusOf(error) ?? 0),
        error,
      );
    }
  }
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
  // `status_code` is what Ollama's client calls it; LangChain's own retry looks at `status` only.
  const { status, status_code } = (error ?? {}) as { status?: unknown; status_code?: unknown };
  const code = typeof status_code === "number" ? status_code : status;
  return typeof code === "number" ? code : undefined;
}

/**
 * Narrows a vector to the 32 bits that pgvector stores.
 *
 * @param narrowed - where to, of `dimensions` components
 * @returns the vector, or what is wrong with it: another number of dimensions, NaN, infinity, or no direction;
 * also when these only come about at 32 bits, in which pgvector sums up the squares
 */
export function narrowVector(
  vector: ArrayLike<unknown>,
  dimensions: number,
  narrowed: Float32Array = new Float32Array(dimensions),
): Float32Array | string {
  if (vector.length !== dimensions) return `${vector.length} dimensions; this index stores ${dimensions}`;
  let squares = 0;
  for (let index = 0; index < dimensions; index++) {
    const component = vector[index];
    if (typeof component !== "number") return "a component that is no number";
    const stored = Math.fround(component);
    narrowed[index] = stored;
    squares = Math.fround(squares + Math.fround(stored * stored));
  }
  if (!Number.isFinite(squares)) return "NaN, infinity or components too large to compare";
  return squares === 0 ? "zeros or components too small to compare: no direction" : narrowed;
}

function checkVector(
  vector: readonly number[],
  { model, dimensions }: EmbeddingProfile,
  room: Float32Array,
  name?: () => string,
): Float32Array {
  const checked = narrowVector(Array.isArray(vector) ? vector : [], dimensions, room);
  if (typeof checked === "string") {
    throw invalid(`of model ${model} returned ${checked}${name ? ` (${name()})` : ""}`);
  }
  return checked;
}

function invalid(what: string): EmbeddingError {
  return new EmbeddingError("EMBEDDING_INVALID", `The embedder ${what}`, false);
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
