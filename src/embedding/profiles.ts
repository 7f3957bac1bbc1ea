/**
 * The settings that determine a model's vectors. All but `maxTokens` are recorded in the database: an index cannot be
 * opened with other settings than those of its stored vectors.
 */
export interface EmbeddingProfile {
  /** The model's name, without a `:latest` tag. */
  model: string;
  /** Components of a vector. */
  dimensions: number;
  /** Prepended to each query. */
  queryPrefix: string;
  /** Prepended to each chunk. */
  documentPrefix: string;
  /** Highest number of tokens in one text, the model's own markers included; `undefined` if unknown. */
  maxTokens?: number | undefined;
}

/** The profile of a model that Ollama serves. `docs/models.md` names the sources of its facts. */
export interface OllamaProfile extends EmbeddingProfile {
  /**
   * The limit of Ollama without further options, which can be lower than the model's: 2048 for `bge-m3` and
   * `snowflake-arctic-embed2`, unless `requestOptions.numBatch` and `numCtx` raise it.
   */
  maxTokens: number;
  /** Smaller numbers of dimensions that the model was trained for, according to its model card (Matryoshka). */
  shorterDimensions: readonly number[];
  /** ISO 639-1 codes of the main languages on its model card, or `many` for 70 or more. */
  languages: readonly string[] | "many";
  /** Whether the model's sources mention Portuguese. */
  namesPortuguese: boolean;
  license: string;
  /** The page with most of these facts. */
  source: string;
}

/** The example instruction of Qwen's documentation. There is no space after `Query:`. */
const QWEN_QUERY_PREFIX =
  "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:";

/** The fields that the three sizes of Qwen3-Embedding share. */
const QWEN = {
  queryPrefix: QWEN_QUERY_PREFIX,
  documentPrefix: "",
  // The model's own limit is 32,768; Ollama limits it to 4096 on a machine with less than 23 GiB of graphics memory.
  maxTokens: 4096,
  languages: "many",
  namesPortuguese: true,
  license: "Apache-2.0",
  source: "https://github.com/QwenLM/Qwen3-Embedding",
} as const;

/** The built-in profiles of `ollamaEmbeddings`, by model name. */
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
