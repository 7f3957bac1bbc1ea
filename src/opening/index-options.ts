import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkNames, isPromise, namesOfProperties } from "../calls/checks.js";
import type { DatabasePool } from "../calls/host-database.js";
import type { Notice } from "../calls/notices.js";
import type { Splitter } from "../chunking/splitter.js";
import type { TrainingHeader } from "../chunking/training-input.js";
import type { EmbeddingProfile, OllamaProfile } from "../embedding/profiles.js";
import { InvalidArgumentError } from "../errors.js";
import type { GivenModel } from "../models/models.js";
import type { VectorIndexMethod } from "../schema/vector-index-method.js";
import type { EqualityFilter } from "../types.js";
import type { Synonyms } from "../words/synonyms.js";

/** What the host says about the model behind an embedder. */
export type GivenProfile = Partial<EmbeddingProfile> & { model: string };

/** Options of `TrainingIndex.initialize`. */
export interface TrainingIndexOptions {
  /** The host's pool; one client is enough. The index never ends the pool and keeps no client between calls. */
  pool: DatabasePool;
  /**
   * Leads to a hot standby of the same database, which then answers searches, and `get`, `list`, `count` and `chunks`; everything else goes to
   * `pool`, and so does every call with a `client`. What the standby cannot answer, the primary answers, with the notice `PRIMARY_READ`. A
   * read sees what the standby has replayed: pass the `token` of a write as `consistency` to see that write. Default: none.
   */
  readPool?: DatabasePool | undefined;
  /**
   * With `readPool` only: how far the standby may be behind, in milliseconds, 100 or more, or `Infinity`. Beyond that the primary answers,
   * noticed at most 5 s later. Default 10,000.
   */
  maxLagMs?: number | undefined;
  /**
   * Whether results of writes have a {@link WriteToken}, which takes one more round trip after the write. Default: `true` with a `readPool`,
   * else `false`. Set it in a process that only writes, if another one has the `readPool`.
   */
  tokens?: boolean | undefined;
  /** The schema that `migrate` created. Default `training_index`. */
  schema?: string | undefined;
  /**
   * Restricts the index to trainings whose metadata has these values, in every read, write and delete. A training
   * stored through the index must have them. Default: all trainings.
   */
  filter?: EqualityFilter | undefined;
  /**
   * The vector index of another extension, as it was given to `migrate`: its settings of searches, and what `bulkLoad` builds. Not needed for
   * those of pgvector.
   */
  vectorIndex?: VectorIndexMethod | undefined;
  hnsw?:
    { /** The `efSearch` of searches that do not set it. Default 40. */ efSearch?: number | undefined } | undefined;
  /**
   * Splits the texts of trainings. Default: `RecursiveCharacterTextSplitter` with chunks of 1000 characters and an
   * overlap of 150, smaller for a model that reads fewer than 500 tokens. A chunk that is too long for the model is cut
   * again, whatever the splitter. It gets texts with all line breaks as line feeds. What it throws is the `cause` of an
   * `InvalidArgumentError`.
   */
  splitter?: Splitter | undefined;
  /**
   * Returns a text that is embedded above each chunk, for example the training's tag and grupo, so that a chunk is also
   * found by the subject of its training. It is neither stored nor part of the results. If it changes, the training's
   * chunks are embedded again. Must return a string, not a promise; what it throws is the `cause` of an
   * `InvalidArgumentError`. Default: none.
   */
  header?: TrainingHeader | undefined;
  /**
   * The model behind the embedder. Needed if the embedder has neither a `profile` nor a model name. The index puts
   * prefixes given here before the texts. For an index with several models a list with an entry for each of them.
   */
  profile?: GivenProfile | readonly (GivenProfile | undefined)[] | undefined;
  /**
   * What words of a question are read as in modes `text` and `hybrid`: each key, a single word, is replaced by its value. A value that
   * names the word again keeps it: `{ vc: "você", celular: "celular telefone" }`. Case and accents do not matter; texts are stored as
   * they are. Default: {@link portugueseSynonyms} if the language of text search is Portuguese, else none.
   */
  synonyms?: Synonyms | undefined;
  /** Called for each fallback that the index takes, for a log or a metric. What it throws is ignored. */
  onNotice?: ((notice: Notice) => void) | undefined;
}

const INDEX_OPTIONS = namesOfProperties<TrainingIndexOptions>({
  pool: true,
  readPool: true,
  maxLagMs: true,
  tokens: true,
  schema: true,
  filter: true,
  vectorIndex: true,
  hnsw: true,
  splitter: true,
  header: true,
  profile: true,
  synonyms: true,
  onNotice: true,
});
const INDEX_HNSW = namesOfProperties<NonNullable<TrainingIndexOptions["hnsw"]>>({ efSearch: true });
/** Includes the properties of `embeddingProfiles`, so that one of them can be given as it is. */
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
 * Checks the names of the options, and that the embedder and the options are not mixed up.
 *
 * @throws {@link InvalidArgumentError}
 */
export function checkIndexOptions(embeddings: unknown, options: unknown): void {
  if (Array.isArray(embeddings) && embeddings.length === 0) {
    throw new InvalidArgumentError(
      "embeddings",
      "must have at least one model: initialize([oldModel, newModel], { pool })",
    );
  }
  for (const given of Array.isArray(embeddings) ? (embeddings as unknown[]) : [embeddings]) checkEmbeddings(given);
  if (isPool(options)) {
    throw new InvalidArgumentError("options", "must be an object with the pool: initialize(embeddings, { pool })");
  }
  checkNames(options, INDEX_OPTIONS, "TrainingIndex.initialize");
  const { hnsw, profile } = (options ?? {}) as Partial<TrainingIndexOptions>;
  checkNames(hnsw, INDEX_HNSW, "TrainingIndex.initialize", "hnsw");
  const several = Array.isArray(embeddings);
  if (several ? profile !== undefined && !Array.isArray(profile) : Array.isArray(profile)) {
    throw new InvalidArgumentError(
      "profile",
      several ? "must be a list with an entry for each model" : "can be a list only with a list of models",
    );
  }
  for (const given of Array.isArray(profile) ? profile : [profile]) {
    checkNames(given, PROFILE, "TrainingIndex.initialize", "profile");
  }
}

/** @throws {@link InvalidArgumentError} */
function checkEmbeddings(embeddings: unknown): void {
  if (!isEmbeddings(embeddings)) {
    const problem = isPromise(embeddings)
      ? "is a promise: await it first"
      : "must be LangChain Embeddings, given before the options: initialize(embeddings, { pool })";
    throw new InvalidArgumentError("embeddings", problem);
  }
}

/** Each embedder with what the host says about its model. */
export function givenModels(
  embeddings: EmbeddingsInterface | readonly EmbeddingsInterface[],
  profile: TrainingIndexOptions["profile"],
): GivenModel[] {
  const profiles = isList(profile) ? profile : [profile];
  return (isList(embeddings) ? embeddings : [embeddings]).map((given, place) => ({
    embeddings: given,
    profile: profiles[place],
  }));
}

function isList<T>(given: T | readonly T[]): given is readonly T[] {
  return Array.isArray(given);
}

function isPool(value: unknown): boolean {
  const { connect, query } = (value ?? {}) as { connect?: unknown; query?: unknown };
  return typeof connect === "function" && typeof query === "function";
}

function isEmbeddings(value: unknown): value is EmbeddingsInterface {
  const { embedDocuments, embedQuery } = (value ?? {}) as Partial<EmbeddingsInterface>;
  return typeof embedDocuments === "function" && typeof embedQuery === "function";
}

/** The error of `new TrainingIndex()`, which TypeScript refuses but JavaScript allows. */
export function constructorRefused(): InvalidArgumentError {
  return new InvalidArgumentError(
    "TrainingIndex",
    "cannot be created with new: use await TrainingIndex.initialize(embeddings, { pool })",
  );
}

/** @throws {@link InvalidArgumentError} */
export function checkSplitter(splitter: Splitter | undefined): Splitter | undefined {
  if (splitter !== undefined && typeof (splitter as Partial<Splitter>).splitText !== "function") {
    throw new InvalidArgumentError(
      "splitter",
      "must be a LangChain text splitter, an object with the method splitText",
    );
  }
  return splitter;
}
