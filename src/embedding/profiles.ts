/**
 * What decides the vector space that a model's vectors live in. It is recorded in the database: an index
 * opened with another one refuses to mix them.
 */
export interface EmbeddingProfile {
  /** The model's name, without a `:latest` tag. */
  model: string;
  /** Components of a vector. */
  dimensions: number;
  /** Put before each query. */
  queryPrefix: string;
  /** Put before each chunk. */
  documentPrefix: string;
}

/** What is known of a model that Ollama serves. */
export interface OllamaProfile extends EmbeddingProfile {
  /** Tokens that one text may have, the model's own markers included. */
  maxTokens: number;
  /** ISO 639-1 codes of the languages it was made for. */
  languages: readonly string[];
  license: string;
  /** Where these facts are stated. */
  source: string;
}

/** The profiles that `ollamaEmbeddings` knows by name. */
export const embeddingProfiles = {
  "mxbai-embed-large": {
    model: "mxbai-embed-large",
    dimensions: 1024,
    queryPrefix: "Represent this sentence for searching relevant passages: ",
    documentPrefix: "",
    maxTokens: 512,
    languages: ["en"],
    license: "Apache-2.0",
    source: "https://ollama.com/library/mxbai-embed-large",
  },
} as const satisfies Record<string, OllamaProfile>;

/** A name of {@link embeddingProfiles}. */
export type OllamaModel = keyof typeof embeddingProfiles;
