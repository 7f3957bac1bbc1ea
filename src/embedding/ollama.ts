import { Embeddings } from "@langchain/core/embeddings";
import { OllamaEmbeddings, type OllamaEmbeddingsParams } from "@langchain/ollama";
import { InvalidArgumentError } from "../errors.js";
import { isFinalFailure } from "./embedder.js";
import { embeddingProfiles, type EmbeddingProfile, type OllamaModel } from "./profiles.js";

export { embeddingProfiles };
export type { EmbeddingProfile, OllamaModel, OllamaProfile } from "./profiles.js";

const DEFAULT_MODEL = "mxbai-embed-large";
const DEFAULT_BASE_URL = "http://localhost:11434";
const LATEST_TAG = ":latest";

/** Options of {@link ollamaEmbeddings}: those of LangChain's `OllamaEmbeddings`, and what a profile says. */
export interface OllamaEmbeddingsOptions extends Omit<
  OllamaEmbeddingsParams,
  "model" | "baseUrl" | "dimensions" | "onFailedAttempt"
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
}

/** LangChain's `OllamaEmbeddings` with the prompts that the model was trained with. */
export class ProfiledOllamaEmbeddings extends Embeddings {
  readonly profile: EmbeddingProfile;
  readonly #ollama: OllamaEmbeddings;

  constructor(ollama: OllamaEmbeddings, profile: EmbeddingProfile) {
    super({});
    this.#ollama = ollama;
    this.profile = profile;
  }

  /** One vector for each text, in order, of texts with the model's document prefix. */
  embedDocuments(documents: string[]): Promise<number[][]> {
    return this.#ollama.embedDocuments(documents.map((text) => this.profile.documentPrefix + text));
  }

  /** The vector of the text with the model's query prefix. */
  embedQuery(document: string): Promise<number[]> {
    return this.#ollama.embedQuery(this.profile.queryPrefix + document);
  }
}

/**
 * An embedder on a server of Ollama, with the prefixes and dimensions of the model's profile. LangChain's own
 * class sends no query prompt and retries errors that cannot heal.
 *
 * @throws {@link InvalidArgumentError} for a model without a profile when `dimensions` is not given
 */
export function ollamaEmbeddings(options: OllamaEmbeddingsOptions = {}): ProfiledOllamaEmbeddings {
  const {
    model: tag = DEFAULT_MODEL,
    baseUrl = DEFAULT_BASE_URL,
    dimensions,
    queryPrefix,
    documentPrefix,
    ...rest
  } = options;
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
  const fields = { ...rest, model: tag, baseUrl, onFailedAttempt: stopWhenFinal };
  return new ProfiledOllamaEmbeddings(
    new OllamaEmbeddings(dimensions === undefined ? fields : { ...fields, dimensions }),
    {
      model,
      dimensions: profileDimensions,
      queryPrefix: queryPrefix ?? known?.queryPrefix ?? "",
      documentPrefix: documentPrefix ?? known?.documentPrefix ?? "",
    },
  );
}

/** An error that the same request will meet again ends the retries: LangChain would send it seven times. */
function stopWhenFinal(error: unknown): void {
  if (isFinalFailure(error) || (error as { name?: unknown } | undefined)?.name === "AbortError")
    throw error as Error;
}
