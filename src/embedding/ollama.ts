import { Embeddings } from "@langchain/core/embeddings";
import type { OllamaEmbeddingsParams } from "@langchain/ollama";
import { batches } from "../calls/batches.js";
import { EmbeddingError, InvalidArgumentError } from "../errors.js";
import { checkFunction, checkInteger, checkOptions, namesOfProperties } from "../calls/checks.js";
import { ConcurrencyLimit } from "./concurrency-limit.js";
import { bisect, type TextOutcome } from "./bisection.js";
import type { EmbedOptions, EmbeddingsOfEach } from "./embedder.js";
import { serverAddress } from "./ollama-address.js";
import { OllamaRequester, type SendOptions } from "./ollama-request.js";
import { embeddingProfiles, type EmbeddingProfile, type OllamaModel } from "./profiles.js";

export { embeddingProfiles };
export type { EmbeddingProfile, OllamaModel, OllamaProfile } from "./profiles.js";

const DEFAULT_MODEL = "mxbai-embed-large";
const DEFAULT_BASE_URL = "http://localhost:11434";
const LATEST_TAG = ":latest";

/** Options of {@link ollamaEmbeddings}: those of LangChain's `OllamaEmbeddings`, and what a profile says. */
export interface OllamaEmbeddingsOptions extends Omit<
  OllamaEmbeddingsParams,
  "model" | "baseUrl" | "dimensions" | "maxConcurrency" | "maxRetries" | "onFailedAttempt"
> {
  /** Ollama's name for the model. Default `mxbai-embed-large`. */
  model?: string | undefined;
  /** Where Ollama listens. Default `http://localhost:11434`; the environment is not read. */
  baseUrl?: string | undefined;
  /** Default: those of the model's profile. When given, Ollama is asked to shorten its vectors to them. */
  dimensions?: number | undefined;
  /** Put before each query. Default: that of the model's profile, else nothing. */
  queryPrefix?: string | undefined;
  /** Put before each chunk. Default: that of the model's profile, else nothing. */
  documentPrefix?: string | undefined;
  /** Tokens that one text may have. Default: those of the model's profile. Longer chunks are split. */
  maxTokens?: number | undefined;
  /**
   * Requests for documents under way at a time, of all calls together. Default 2: Ollama embeds one text after the other,
   * so one waits at its door.
   */
  maxConcurrency?: number | undefined;
  /** Texts of one request. Default 32. */
  maxTextsPerRequest?: number | undefined;
  /** Characters of one request, prefixes included; one text alone may have more. Default 32,000. */
  maxCharactersPerRequest?: number | undefined;
  /** For one request to a model that is loaded. Default 60,000. */
  requestTimeoutMs?: number | undefined;
  /** For one request that may find the model not loaded, the first one above all. Default 240,000. */
  loadTimeoutMs?: number | undefined;
  /**
   * For one query, with all its attempts. Default 5,000. A model that has to be loaded can take longer: see `keepAlive`.
   */
  queryTimeoutMs?: number | undefined;
  /**
   * How long a request is tried again that failed for what can heal: connections that break, time-outs, 408, 429, 5xx, a
   * runner that died. Default 120,000, for a query never more than `queryTimeoutMs`. What cannot heal fails at once.
   */
  retryBudgetMs?: number | undefined;
  /**
   * How long a server that refuses connections, or whose name is unknown, is tried again. Default 2,000: an Ollama that is
   * not running is reported soon. A long load can ask for more.
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

/** Limits of the requests that texts are sent in. */
interface RequestLimits {
  items: number;
  size: number;
  concurrency: number;
  retryBudgetMs: number;
  queryTimeoutMs: number;
}

/** The longest that a timer of Node can wait. */
const MAX_TIME = 2 ** 31 - 1;
/** A request of so many texts shows reliably whether a server keeps their order. */
const ENOUGH_TO_TRUST = 8;
/** Vectors of the same text from one request are the same but for rounding. */
const SAME_VECTOR_TOLERANCE = 1e-3;

/**
 * LangChain's `OllamaEmbeddings` with the prompts that the model was trained with, in bounded requests with time-outs.
 * A text that fails is told from those that do not.
 */
export class ProfiledOllamaEmbeddings extends Embeddings implements EmbeddingsOfEach {
  readonly profile: EmbeddingProfile;
  readonly #requester: OllamaRequester;
  readonly #limits: RequestLimits;
  /** Of all calls together. A query waits for none of them. */
  readonly #slots: ConcurrencyLimit;
  #keepsOrder = false;

  constructor(requester: OllamaRequester, profile: EmbeddingProfile, limits: RequestLimits) {
    super({});
    this.#requester = requester;
    this.profile = profile;
    this.#limits = limits;
    this.#slots = new ConcurrencyLimit(limits.concurrency);
  }

  /**
   * One vector for each text, in order, of texts with the model's document prefix.
   *
   * @throws {@link EmbeddingError} of the first text that failed; its place is in the message
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
   * The same, with an error in the place of the vector for each text that cannot be embedded.
   *
   * @throws {@link EmbeddingError} | {@link AbortError} for what concerns all texts
   */
  async embedEach(
    documents: readonly string[],
    { signal, onRetry }: EmbedOptions = {},
  ): Promise<TextOutcome[]> {
    const { concurrency, retryBudgetMs, ...limits } = this.#limits;
    const texts = documents.map((text, index) => ({ index, text: this.profile.documentPrefix + text }));
    const requests = batches(texts, ({ text }) => text.length, limits);
    const outcomes: TextOutcome[] = [];
    const failed = new AbortController();
    const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    const lane = async (): Promise<void> => {
      for (const request of requests) {
        const sent = request.map(({ text }) => text);
        const found = await this.#slots.run(() => {
          const deadline = performance.now() + retryBudgetMs;
          const options = { deadline, signal: either, onRetry };
          return bisect(sent, (some) => this.#send(some, options), deadline);
        });
        for (const [place, { index }] of request.entries()) outcomes[index] = found[place] ?? [];
      }
    };
    try {
      await Promise.all(Array.from({ length: concurrency }, lane));
    } catch (error) {
      failed.abort(); // what the others get would be thrown away
      throw error;
    }
    return outcomes;
  }

  /** The vector of the text with the model's query prefix. @throws {@link EmbeddingError} | {@link AbortError} */
  async embedQuery(document: string, { signal, onRetry }: EmbedOptions = {}): Promise<number[]> {
    const { retryBudgetMs, queryTimeoutMs } = this.#limits;
    const start = performance.now();
    const endOfQuery = start + queryTimeoutMs;
    const options = { deadline: Math.min(start + retryBudgetMs, endOfQuery), endOfQuery, signal, onRetry };
    const send = (texts: string[]): Promise<number[][]> => this.#send(texts, options);
    const [outcome = []] = await bisect([this.profile.queryPrefix + document], send, endOfQuery);
    if (EmbeddingError.is(outcome)) throw outcome;
    return outcome;
  }

  /**
   * Some versions of Ollama answered a request's texts in another order (ollama#6187), which nothing in the answer shows.
   * So the second text comes again at the end, until a server has been seen to keep the order. (With the first one, the
   * reverse order would look right.)
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
      if (texts.length >= ENOUGH_TO_TRUST) this.#keepsOrder = true;
    }
    return vectors.slice(0, texts.length);
  }

  #invalid(what: string): EmbeddingError {
    return new EmbeddingError("EMBEDDING_INVALID", `Ollama's model ${this.profile.model} ${what}`, false);
  }
}

/** What is no vector at all is for others to find out. */
function areSame(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.every(
    (component, index) => !(Math.abs(Number(component) - Number(right[index])) > SAME_VECTOR_TOLERANCE),
  );
}

/** @throws {@link InvalidArgumentError} */
function checkTexts(options: object): void {
  for (const [option, value] of Object.entries(options)) {
    if (value !== undefined && typeof value !== "string") {
      throw new InvalidArgumentError(option, "must be a string");
    }
  }
}

/**
 * An embedder on a server of Ollama, with the prefixes and dimensions of the model's profile. LangChain's own class sends
 * all texts in one request and no query prompt, has no time-out, and retries what cannot heal.
 *
 * @throws {@link InvalidArgumentError} for a model without a profile when `dimensions` is not given, for limits that are
 * no positive numbers, and for a `baseUrl` that is no address
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
      `${JSON.stringify(model)} has no profile here: pass its dimensions, and the prefixes that its card names`,
    );
  }
  const times = { requestTimeoutMs, loadTimeoutMs };
  const limits = { maxConcurrency, maxTextsPerRequest, maxCharactersPerRequest, queryTimeoutMs, ...times };
  for (const [option, value] of Object.entries(limits)) checkInteger(option, value, 1, MAX_TIME);
  checkInteger("retryBudgetMs", retryBudgetMs, 0, MAX_TIME);
  checkInteger("unreachableBudgetMs", unreachableBudgetMs, 0, MAX_TIME);
  for (const [option, value] of Object.entries({ dimensions, maxTokens })) {
    if (value !== undefined) checkInteger(option, value, 1, MAX_TIME);
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
