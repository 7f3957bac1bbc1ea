/** Embeddings from Ollama, with the prompts and windows of known models. @module langchain-training-index/ollama */
import { Embeddings } from "@langchain/core/embeddings";
import pLimit, { type LimitFunction } from "p-limit";
import type { OllamaEmbeddingsParams } from "@langchain/ollama";
import { batches } from "../calls/batches.js";
import { EmbeddingError, InvalidArgumentError } from "../errors.js";
import { checkFunction, checkInteger, checkOptions, namesOfProperties } from "../calls/checks.js";
import { bisect, type TextOutcome } from "./bisection.js";
import type { EmbedOptions, PerTextEmbeddings } from "./embedder.js";
import { serverAddress } from "./ollama-address.js";
import { OllamaRequester, type SendOptions } from "./ollama-request.js";
import { embeddingProfiles, type EmbeddingProfile, type OllamaModel } from "./profiles.js";

export { embeddingProfiles };
export type { EmbeddingProfile, OllamaModel, OllamaProfile } from "./profiles.js";

const DEFAULT_MODEL = "mxbai-embed-large";
const DEFAULT_BASE_URL = "http://localhost:11434";
const LATEST_TAG = ":latest";

/** Options of {@link ollamaEmbeddings}: those of LangChain's `OllamaEmbeddings`, the profile, and limits of requests. */
export interface OllamaEmbeddingsOptions extends Omit<
  OllamaEmbeddingsParams,
  "model" | "baseUrl" | "dimensions" | "maxConcurrency" | "maxRetries" | "onFailedAttempt"
> {
  /** Ollama's name for the model. Default `mxbai-embed-large`. */
  model?: string | undefined;
  /** Address of the Ollama server. Default `http://localhost:11434`; environment variables are not read. */
  baseUrl?: string | undefined;
  /** Components of a vector. Default: the profile's. If given, Ollama is asked to shorten its vectors to this many. */
  dimensions?: number | undefined;
  /** Prepended to each query. Default: the prefix in the model's profile, or nothing without a profile. */
  queryPrefix?: string | undefined;
  /** Prepended to each chunk. Default: the prefix in the model's profile, or nothing without a profile. */
  documentPrefix?: string | undefined;
  /** Highest number of tokens in one text; longer chunks are split. Default: that of the model's profile. */
  maxTokens?: number | undefined;
  /** Concurrent requests for documents, in all calls together. Default 2: while Ollama serves one, the next one waits. */
  maxConcurrency?: number | undefined;
  /** Texts per request. Default 32. */
  maxTextsPerRequest?: number | undefined;
  /** Characters per request, prefixes included; a longer text is sent by itself. Default 32,000. */
  maxCharactersPerRequest?: number | undefined;
  /** Time limit of a request to a loaded model, in milliseconds. Default 60,000. */
  requestTimeoutMs?: number | undefined;
  /** Time limit of a request that may have to load the model first, in milliseconds. Default 240,000. */
  loadTimeoutMs?: number | undefined;
  /** Time limit of a query with its retries, in milliseconds. Default 5,000. Loading can take longer: see `keepAlive`. */
  queryTimeoutMs?: number | undefined;
  /**
   * How long transient failures are retried, in milliseconds: broken connections, timeouts, 408, 429, 5xx, a crashed
   * runner. Default 120,000; for a query at most `queryTimeoutMs`. Other failures are not retried.
   */
  retryBudgetMs?: number | undefined;
  /**
   * How long to retry while the server refuses connections or its name is unknown, in milliseconds. Default 2,000, so that
   * an Ollama that is not running is reported soon; raise it for long loads.
   */
  unreachableBudgetMs?: number | undefined;
}

const OLLAMA_OPTIONS = namesOfProperties<OllamaEmbeddingsOptions>({
  model: true,
  baseUrl: true,
  dimensions: true,
  queryPrefix: true,
  documentPrefix: true,
  maxTokens: true,
  maxConcurrency: true,
  maxTextsPerRequest: true,
  maxCharactersPerRequest: true,
  requestTimeoutMs: true,
  loadTimeoutMs: true,
  queryTimeoutMs: true,
  unreachableBudgetMs: true,
  retryBudgetMs: true,
  keepAlive: true,
  truncate: true,
  headers: true,
  requestOptions: true,
  fetch: true,
});

/** Limits of requests to Ollama. */
interface RequestLimits {
  items: number;
  size: number;
  concurrency: number;
  retryBudgetMs: number;
  queryTimeoutMs: number;
}

/** The longest delay of a Node timer, in milliseconds; also the upper bound of all other numeric options. */
const MAX_NUMBER = 2 ** 31 - 1;
/** A query is not retried with less time left: that a short attempt was cut off would hide the failure before it. */
const LEAST_RETRY_MS = 250;
/** A request with this many texts shows reliably whether a server keeps their order. */
const TEXTS_TO_TRUST_ORDER = 8;
/** Two vectors of the same text in one response differ only by rounding. */
const SAME_VECTOR_TOLERANCE = 1e-3;

/**
 * LangChain embeddings by Ollama, with the prefixes that the model was trained with, in bounded requests with timeouts.
 * Failures are reported per text. Made by {@link ollamaEmbeddings}.
 */
export class ProfiledOllamaEmbeddings extends Embeddings implements PerTextEmbeddings {
  readonly profile: EmbeddingProfile;
  readonly #requester: OllamaRequester;
  readonly #limits: RequestLimits;
  /** Shared by all calls for documents. Queries do not wait for a slot. */
  readonly #slots: LimitFunction;
  /** Whether this server has been seen to return vectors in the order of the texts. */
  #keepsOrder = false;

  constructor(requester: OllamaRequester, profile: EmbeddingProfile, limits: RequestLimits) {
    super({});
    this.#requester = requester;
    this.profile = profile;
    this.#limits = limits;
    this.#slots = pLimit(limits.concurrency);
  }

  /**
   * Embeds texts with the model's document prefix: one vector for each, in order.
   *
   * @throws `EmbeddingError` for the first text that failed, with its index in the message
   */
  async embedDocuments(documents: string[], options: EmbedOptions = {}): Promise<number[][]> {
    const outcomes = await this.embedEach(documents, options);
    return outcomes.map((outcome, index) => {
      if (!EmbeddingError.is(outcome)) return outcome;
      const { code, message, retryable } = outcome;
      throw new EmbeddingError(code, `${message}: texts[${index}]`, retryable, outcome);
    });
  }

  /**
   * Like {@link embedDocuments}, but returns an error in place of the vector of a text that cannot be embedded.
   *
   * @throws `EmbeddingError` | `AbortError` for failures that affect all texts
   */
  async embedEach(documents: readonly string[], { signal, onRetry }: EmbedOptions = {}): Promise<TextOutcome[]> {
    const { concurrency, retryBudgetMs, ...batchLimits } = this.#limits;
    const texts = documents.map((text, index) => ({ index, text: this.profile.documentPrefix + text }));
    const requests = batches(texts, ({ text }) => text.length, batchLimits);
    const outcomes: TextOutcome[] = [];
    const failed = new AbortController();
    const stopSignal = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    const worker = async (): Promise<void> => {
      for (const request of requests) {
        const requestTexts = request.map(({ text }) => text);
        const received = await this.#slots(() => {
          const deadline = performance.now() + retryBudgetMs;
          const options = { deadline, signal: stopSignal, onRetry };
          return bisect(requestTexts, (part) => this.#send(part, options), deadline, onRetry);
        });
        for (const [place, { index }] of request.entries()) outcomes[index] = received[place] ?? [];
      }
    };
    try {
      await Promise.all(Array.from({ length: concurrency }, worker));
    } catch (error) {
      failed.abort(); // the results of the other requests would be discarded
      throw error;
    }
    return outcomes;
  }

  /** Embeds a text with the model's query prefix. @throws `EmbeddingError` | `AbortError` */
  async embedQuery(document: string, { signal, onRetry }: EmbedOptions = {}): Promise<number[]> {
    const { retryBudgetMs, queryTimeoutMs } = this.#limits;
    const start = performance.now();
    const endOfQuery = start + queryTimeoutMs;
    const deadline = Math.min(start + retryBudgetMs, endOfQuery - LEAST_RETRY_MS);
    const options = { deadline, endOfQuery, signal, onRetry };
    const send = (texts: string[]): Promise<number[][]> => this.#send(texts, options);
    const [outcome = []] = await bisect([this.profile.queryPrefix + document], send, endOfQuery);
    if (EmbeddingError.is(outcome)) throw outcome;
    return outcome;
  }

  /**
   * Some versions of Ollama returned vectors in another order than the texts (ollama#6187), without any sign of it in the
   * response. So the second text is sent again at the end, until the server has been seen to keep the order. (If the first
   * text were repeated, the reverse order would look right.)
   */
  async #send(texts: string[], options: SendOptions): Promise<number[][]> {
    const [, second] = texts;
    const sentinel = this.#keepsOrder || second === undefined ? [] : [second];
    const vectors = await this.#requester.send([...texts, ...sentinel], options);
    const expected = texts.length + sentinel.length;
    if (!Array.isArray(vectors) || vectors.length !== expected) {
      const count = Array.isArray(vectors) ? vectors.length : 0;
      throw this.#invalid(`returned ${count} vectors for ${expected} texts`);
    }
    if (sentinel.length > 0) {
      if (!areSame(vectors[1], vectors[texts.length])) {
        throw this.#invalid("returned vectors in another order than the texts (ollama#6187): upgrade Ollama");
      }
      if (texts.length >= TEXTS_TO_TRUST_ORDER) this.#keepsOrder = true;
    }
    return vectors.slice(0, texts.length);
  }

  #invalid(what: string): EmbeddingError {
    return new EmbeddingError("EMBEDDING_INVALID", `Ollama's model ${this.profile.model} ${what}`, false);
  }
}

/** Compares vectors. Does not check them: the caller of `embedEach` rejects malformed ones. */
function areSame(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.every(
    (component, index) => !(Math.abs(Number(component) - Number(right[index])) > SAME_VECTOR_TOLERANCE),
  );
}

/** @throws `InvalidArgumentError` */
function checkTexts(options: object): void {
  for (const [option, value] of Object.entries(options)) {
    if (value !== undefined && typeof value !== "string") {
      throw new InvalidArgumentError(option, "must be a string");
    }
  }
}

/**
 * Makes an embedder for a model on an Ollama server, with the prefixes and dimensions of the model's profile. Unlike
 * LangChain's `OllamaEmbeddings` it splits requests, sends query prefixes, has timeouts, and retries transient failures only.
 *
 * @example
 * ```ts
 * const embeddings = ollamaEmbeddings({ model: "bge-m3", keepAlive: "24h" });
 * ```
 * @throws `InvalidArgumentError` for a model without a profile if `dimensions` is missing, an invalid limit or
 * `baseUrl`, or an unknown option
 */
export function ollamaEmbeddings(options: OllamaEmbeddingsOptions = {}): ProfiledOllamaEmbeddings {
  checkOptions(options, OLLAMA_OPTIONS, "ollamaEmbeddings");
  const {
    model: tag = DEFAULT_MODEL,
    baseUrl = DEFAULT_BASE_URL,
    dimensions,
    queryPrefix,
    documentPrefix,
    maxTokens,
    maxConcurrency = 2,
    maxTextsPerRequest = 32,
    maxCharactersPerRequest = 32_000,
    requestTimeoutMs = 60_000,
    loadTimeoutMs = 240_000,
    queryTimeoutMs = 5_000,
    retryBudgetMs = 120_000,
    unreachableBudgetMs = 2_000,
    ...rest
  } = options;
  checkTexts({ model: tag, queryPrefix, documentPrefix });
  checkFunction("fetch", rest.fetch);
  const model = tag.endsWith(LATEST_TAG) ? tag.slice(0, -LATEST_TAG.length) : tag;
  const known: EmbeddingProfile | undefined = Object.hasOwn(embeddingProfiles, model)
    ? embeddingProfiles[model as OllamaModel]
    : undefined;
  const profileDimensions = dimensions ?? known?.dimensions;
  if (profileDimensions === undefined) {
    throw new InvalidArgumentError(
      "model",
      `${JSON.stringify(model)} has no built-in profile: pass dimensions, and the prefixes that its model card names`,
    );
  }
  const times = { requestTimeoutMs, loadTimeoutMs };
  const limits = { maxConcurrency, maxTextsPerRequest, maxCharactersPerRequest, queryTimeoutMs, ...times };
  for (const [option, value] of Object.entries(limits)) checkInteger(option, value, 1, MAX_NUMBER);
  checkInteger("retryBudgetMs", retryBudgetMs, 0, MAX_NUMBER);
  checkInteger("unreachableBudgetMs", unreachableBudgetMs, 0, MAX_NUMBER);
  for (const [option, value] of Object.entries({ dimensions, maxTokens })) {
    if (value !== undefined) checkInteger(option, value, 1, MAX_NUMBER);
  }
  const address = serverAddress(baseUrl);
  const target = { ...rest, model: tag, baseUrl };
  return new ProfiledOllamaEmbeddings(
    new OllamaRequester(dimensions === undefined ? target : { ...target, dimensions }, address, {
      ...times,
      unreachableBudgetMs,
    }),
    {
      model,
      dimensions: profileDimensions,
      queryPrefix: queryPrefix ?? known?.queryPrefix ?? "",
      documentPrefix: documentPrefix ?? known?.documentPrefix ?? "",
      maxTokens: maxTokens ?? known?.maxTokens,
    },
    {
      items: maxTextsPerRequest,
      size: maxCharactersPerRequest,
      concurrency: maxConcurrency,
      retryBudgetMs,
      queryTimeoutMs,
    },
  );
}
