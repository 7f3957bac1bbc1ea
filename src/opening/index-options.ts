import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkNames, isPromise, namesOfProperties } from "../calls/checks.js";
import type { DatabasePool } from "../calls/host-database.js";
import type { Notice } from "../calls/notices.js";
import type { Splitter } from "../chunking/splitter.js";
import type { TrainingHeader } from "../chunking/training-input.js";
import type { EmbeddingProfile, OllamaProfile } from "../embedding/profiles.js";
import { InvalidArgumentError } from "../errors.js";
import type { EqualityFilter } from "../types.js";

/** Options of `TrainingIndex.initialize`. */
export interface TrainingIndexOptions {
  /** The host's pool; one client is enough. It is never ended here, and no client is kept. */
  pool: DatabasePool;
  /** The schema that `migrate` made. Default `training_index`. */
  schema?: string | undefined;
  /**
   * Narrows the index to the trainings whose metadata has these values, for every read, delete and replacement.
   * A training that is stored through the index must have them.
   */
  filter?: EqualityFilter | undefined;
  hnsw?:
    | { /** Default of the option `efSearch` of a search. Default 40. */ efSearch?: number | undefined }
    | undefined;
  /**
   * Default: `RecursiveCharacterTextSplitter` with chunks of 1000 characters that overlap by 150, fewer for a model that
   * reads less than 500 tokens. A chunk that is longer than the model reads is cut again, whatever the splitter. It gets texts
   * with line feeds, whatever their line endings are. What it throws is the `cause` of an `InvalidArgumentError`.
   */
  splitter?: Splitter | undefined;
  /**
   * Says what is embedded above the text of each chunk, for example its tag and grupo, so that a chunk is found by what
   * its training is about. It is not stored and not shown. When it changes, the training's chunks are embedded anew. Must
   * return a string at once; what it throws is the `cause` of an `InvalidArgumentError`.
   */
  header?: TrainingHeader | undefined;
  /**
   * Who the embedder is, for one that does not say so itself. Prefixes given here are put before the texts by
   * the index.
   */
  profile?: (Partial<EmbeddingProfile> & { model: string }) | undefined;
  /** Called with each fallback that the index takes, for a log or a metric. What it throws is ignored. */
  onNotice?: ((notice: Notice) => void) | undefined;
}

const INDEX_OPTIONS = namesOfProperties<TrainingIndexOptions>({
  pool: true,
  schema: true,
  filter: true,
  hnsw: true,
  splitter: true,
  header: true,
  profile: true,
  onNotice: true,
});
const INDEX_HNSW = namesOfProperties<NonNullable<TrainingIndexOptions["hnsw"]>>({ efSearch: true });
/** Those of `embeddingProfiles` too, so that one of them can be given as it is. */
const PROFILE = namesOfProperties<OllamaProfile>({
  model: true,
  dimensions: true,
  queryPrefix: true,
  documentPrefix: true,
  maxTokens: true,
  shorterDimensions: true,
  languages: true,
  namesPortuguese: true,
  license: true,
  source: true,
});

/**
 * The names of an index's options, and who its embedder and its pool are.
 *
 * @throws {@link InvalidArgumentError}
 */
export function checkIndexOptions(embeddings: unknown, options: unknown): void {
  if (!isEmbeddings(embeddings)) {
    const problem = isPromise(embeddings)
      ? "is a promise: await it first"
      : "must be LangChain Embeddings, before the options: initialize(embeddings, { pool })";
    throw new InvalidArgumentError("embeddings", problem);
  }
  if (isPool(options)) {
    throw new InvalidArgumentError(
      "options",
      "must be an object with the pool: initialize(embeddings, { pool })",
    );
  }
  checkNames(options, INDEX_OPTIONS, "TrainingIndex.initialize");
  const { hnsw, profile } = (options ?? {}) as Partial<TrainingIndexOptions>;
  checkNames(hnsw, INDEX_HNSW, "TrainingIndex.initialize", "hnsw");
  checkNames(profile, PROFILE, "TrainingIndex.initialize", "profile");
}

function isPool(value: unknown): boolean {
  const { connect, query } = (value ?? {}) as { connect?: unknown; query?: unknown };
  return typeof connect === "function" && typeof query === "function";
}

function isEmbeddings(value: unknown): value is EmbeddingsInterface {
  const { embedDocuments, embedQuery } = (value ?? {}) as Partial<EmbeddingsInterface>;
  return typeof embedDocuments === "function" && typeof embedQuery === "function";
}

/** For `new TrainingIndex()`, which TypeScript refuses and JavaScript does not. */
export function constructorRefused(): InvalidArgumentError {
  return new InvalidArgumentError(
    "TrainingIndex",
    "is not made by new: use await TrainingIndex.initialize(embeddings, { pool })",
  );
}

/** @throws {@link InvalidArgumentError} */
export function checkSplitter(splitter: Splitter | undefined): Splitter | undefined {
  if (splitter !== undefined && typeof (splitter as Partial<Splitter>).splitText !== "function") {
    throw new InvalidArgumentError("splitter", "must be a text splitter of LangChain");
  }
  return splitter;
}
