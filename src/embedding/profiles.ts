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
  /** Tokens that one text may have, the model's own markers included; `undefined` where nobody has said. */
  maxTokens?: number | undefined;
}

/** What is known of a model that Ollama serves. Where the facts are stated: `docs/embedding.md`. */
export interface OllamaProfile extends EmbeddingProfile {
  /**
   * As Ollama serves the model without further options, which can be less than the model reads: 2048 for `bge-m3` and
   * `snowflake-arctic-embed2` unless `requestOptions.numBatch` and `numCtx` say more.
   */
  maxTokens: number;
  /** Other numbers of dimensions that the model was trained for, by its card (Matryoshka). */
  shorterDimensions: readonly number[];
  /** ISO 639-1 codes of the languages that its card names first of all, or `many`: 70 and more. */
  languages: readonly string[] | "many";
  /** Whether its sources name Portuguese. */
  namesPortuguese: boolean;
  license: string;
  /** The page that most of these facts are from. */
  source: string;
}

/** Qwen's own example of an instruction; no space follows `Query:`. */
const QWEN_QUERY_PREFIX =
  "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:";

/** What the three sizes of Qwen3-Embedding have in common. */
const QWEN = {
  queryPrefix: QWEN_QUERY_PREFIX,
  documentPrefix: "",
  // The model reads 32,768; Ollama gives 4096 to a machine with less than 23 GiB of graphics memory.
  maxTokens: 4096,
  languages: "many",
  namesPortuguese: true,
  license: "Apache-2.0",
  source: "https://github.com/QwenLM/Qwen3-Embedding",
} as const;

/** The profiles that `ollamaEmbeddings` knows by name. */
export const embeddingProfiles = {
  "mxbai-embed-large": {
    model: "mxbai-embed-large",
    dimensions: 1024,
    shorterDimensions: [512],
    queryPrefix: "Represent this sentence for searching relevant passages: ",
    documentPrefix: "",
    maxTokens: 512,
    languages: ["en"],
    namesPortuguese: false,
    license: "Apache-2.0",
    source: "https://mixedbread.ai/docs/embeddings/mxbai-embed-large-v1",
  },
  "bge-m3": {
    model: "bge-m3",
    dimensions: 1024,
    shorterDimensions: [],
    queryPrefix: "",
    documentPrefix: "",
    maxTokens: 2048,
    languages: "many",
    namesPortuguese: false,
    license: "MIT",
    source: "https://github.com/FlagOpen/FlagEmbedding/blob/master/research/BGE_M3/README.md",
  },
  "snowflake-arctic-embed2": {
    model: "snowflake-arctic-embed2",
    dimensions: 1024,
    shorterDimensions: [256],
    queryPrefix: "query: ",
    documentPrefix: "",
    maxTokens: 2048,
    languages: "many",
    namesPortuguese: true,
    license: "Apache-2.0",
    source: "https://huggingface.co/Snowflake/snowflake-arctic-embed-l-v2.0",
  },
  "qwen3-embedding:0.6b": {
    ...QWEN,
    model: "qwen3-embedding:0.6b",
    dimensions: 1024,
    shorterDimensions: [512, 256, 128, 64, 32],
  },
  "qwen3-embedding:4b": {
    ...QWEN,
    model: "qwen3-embedding:4b",
    dimensions: 2560,
    shorterDimensions: [2048, 1024, 512, 256, 128, 64, 32],
  },
  "qwen3-embedding:8b": {
    ...QWEN,
    model: "qwen3-embedding:8b",
    dimensions: 4096,
    shorterDimensions: [2048, 1024, 512, 256, 128, 64, 32],
  },
  embeddinggemma: {
    model: "embeddinggemma",
    dimensions: 768,
    shorterDimensions: [512, 256, 128],
    queryPrefix: "task: search result | query: ",
    documentPrefix: "title: none | text: ",
    maxTokens: 2048,
    languages: "many",
    namesPortuguese: false,
    license: "Gemma Terms of Use",
    source: "https://ai.google.dev/gemma/docs/embeddinggemma/model_card",
  },
  "nomic-embed-text": {
    model: "nomic-embed-text",
    dimensions: 768,
    shorterDimensions: [512, 256, 128, 64],
    queryPrefix: "search_query: ",
    documentPrefix: "search_document: ",
    maxTokens: 2048,
    languages: ["en"],
    namesPortuguese: false,
    license: "Apache-2.0",
    source: "https://huggingface.co/nomic-ai/nomic-embed-text-v1.5",
  },
  "nomic-embed-text-v2-moe": {
    model: "nomic-embed-text-v2-moe",
    dimensions: 768,
    shorterDimensions: [256],
    queryPrefix: "search_query: ",
    documentPrefix: "search_document: ",
    maxTokens: 512,
    languages: "many",
    namesPortuguese: true,
    license: "Apache-2.0",
    source: "https://ollama.com/library/nomic-embed-text-v2-moe",
  },
  "granite-embedding:278m": {
    model: "granite-embedding:278m",
    dimensions: 768,
    shorterDimensions: [],
    queryPrefix: "",
    documentPrefix: "",
    maxTokens: 512,
    languages: ["en", "de", "es", "fr", "ja", "pt", "ar", "cs", "it", "ko", "nl", "zh"],
    namesPortuguese: true,
    license: "Apache-2.0",
    source: "https://github.com/ibm-granite/granite-embedding-models/blob/main/README_r1.md",
  },
  "granite-embedding:30m": {
    model: "granite-embedding:30m",
    dimensions: 384,
    shorterDimensions: [],
    queryPrefix: "",
    documentPrefix: "",
    maxTokens: 512,
    languages: ["en"],
    namesPortuguese: false,
    license: "Apache-2.0",
    source: "https://github.com/ibm-granite/granite-embedding-models/blob/main/README_r1.md",
  },
  "all-minilm": {
    model: "all-minilm",
    dimensions: 384,
    shorterDimensions: [],
    queryPrefix: "",
    documentPrefix: "",
    maxTokens: 256,
    languages: ["en"],
    namesPortuguese: false,
    license: "Apache-2.0",
    source: "https://ollama.com/library/all-minilm",
  },
} as const satisfies Record<string, OllamaProfile>;

/** A name of {@link embeddingProfiles}. */
export type OllamaModel = keyof typeof embeddingProfiles;
