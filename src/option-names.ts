/** The names of the options of a {@link TrainingIndex}'s methods. What is not listed here is refused. */
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkNames, isPromise, namesOfProperties } from "./checks.js";
import type { OllamaProfile } from "./embedding/profiles.js";
import { InvalidArgumentError } from "./errors.js";
import type {
  CommitOptions,
  DeleteOptions,
  PruneOptions,
  TrainingIndexOptions,
  UpsertManyOptions,
  UpsertOptions,
} from "./options.js";

/** Names of the options of an `upsertTraining`. */
export const UPSERT_OPTIONS = namesOfProperties<UpsertOptions>({
  signal: true,
  timeoutMs: true,
  client: true,
  onProgress: true,
});
/** Names of the options of an `upsertTrainings`. */
export const UPSERT_MANY_OPTIONS = namesOfProperties<UpsertManyOptions>({
  concurrency: true,
  signal: true,
  timeoutMs: true,
  onProgress: true,
  onFailure: true,
});

/** Names of the options of a `prepareTraining`. */
export const PREPARE_OPTIONS = namesOfProperties<Omit<UpsertOptions, "client">>({
  signal: true,
  timeoutMs: true,
  onProgress: true,
});
/** Names of the options of a `commit`. */
export const COMMIT_OPTIONS = namesOfProperties<CommitOptions>({ signal: true, timeoutMs: true });
/** Names of the options of a `prune`. */
export const PRUNE_OPTIONS = namesOfProperties<PruneOptions>({
  olderThanMs: true,
  client: true,
  signal: true,
  timeoutMs: true,
});
/** Names of the options of a `deleteTrainings`. */
export const DELETE_MANY_OPTIONS = namesOfProperties<Omit<DeleteOptions, "revision">>({
  client: true,
  signal: true,
  timeoutMs: true,
});
/** Names of the options of a `deleteTraining`. */
export const DELETE_OPTIONS = namesOfProperties<DeleteOptions>({
  revision: true,
  client: true,
  signal: true,
  timeoutMs: true,
});

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
export function notByNew(): InvalidArgumentError {
  return new InvalidArgumentError(
    "TrainingIndex",
    "is not made by new: use await TrainingIndex.initialize(embeddings, { pool })",
  );
}
