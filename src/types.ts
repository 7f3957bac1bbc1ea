import type { Document } from "@langchain/core/documents";
import type { Filter } from "./filter-types.js";

export type {
  EqualityFilter,
  Filter,
  FilterOperators,
  FilterValue,
  LogicalFilter,
  MetadataFilter,
} from "./filter-types.js";

/** The column type of training ids, set by the option `idType` of `migrate`. */
export type IdType = "text" | "bigint" | "integer" | "uuid";

/**
 * The host's id of a training. `text` and `uuid` columns take strings; `bigint` and `integer` columns take numbers,
 * bigints, and their digits as strings, as `pg` returns them. Results contain a string or a number accordingly, or a
 * `bigint` if a number could not hold it exactly. Uuids are returned in lower case.
 */
export type TrainingId = string | number | bigint;

/** Any JSON object. Strings may contain any characters; NUL and lone surrogates are stored as U+FFFD. */
export type Metadata = Record<string, unknown>;

/**
 * Orders the versions of a training, in whatever order their calls arrive: an `updated_at`, a counter, a log position. Use
 * the same kind for all versions of a training. A `Date` is compared in milliseconds.
 */
export type Revision = number | bigint | Date;

/** A document in the JSON form of LangChain for Python. */
export interface PythonDocument {
  page_content: string;
  metadata?: Metadata | undefined;
  id?: string | null | undefined;
}

/** A document of LangChain.js or LangChain for Python, or a string that `Document.model_dump_json()` returned in Python. */
export type TrainingDocument =
  | Document
  | { pageContent: string; metadata?: Metadata | undefined; id?: string | undefined }
  | PythonDocument
  | string;

interface TrainingBase {
  /** The host's id. A training with the same id is replaced. */
  id: TrainingId;
  /** Stored with every chunk, so that filters can match it. Default `{}`. */
  metadata?: Metadata | undefined;
  /** See {@link Revision}. Without one, the call that started later wins. */
  revision?: Revision | undefined;
}

/** A training with one text, which the index's splitter splits. Blank content has no chunks. */
export interface TextTraining extends TrainingBase {
  content: string;
  documents?: undefined;
  split?: undefined;
}

/**
 * A training with several documents. Its content is their texts, joined by blank lines: offsets refer to that content.
 * A document's metadata overrides the training's, key by key.
 */
export interface DocumentsTraining extends TrainingBase {
  content?: undefined;
  documents: readonly TrainingDocument[];
  /** `false` stores each document as one chunk, with the document's id as `chunkId` if it has one. Default `true`. */
  split?: boolean | undefined;
}

/** A training to store, see `upsertTraining`. */
export type Training = TextTraining | DocumentsTraining;

/** The progress of a call, in chunks. */
export interface IndexingProgress {
  embedded: number;
  reused: number;
  total: number;
}

/**
 * - `indexed`: this version is stored now.
 * - `unchanged`: the stored version already has the same chunks; nothing was embedded, and no chunk was written.
 * - `superseded`: nothing was changed; `reason` says why.
 */
export type UpsertStatus = "indexed" | "unchanged" | "superseded";

/**
 * - `newer`: a newer version is stored.
 * - `deleted`: a newer delete is stored.
 * - `hostRowMissing`: the host's row that the training's id references does not exist, or is not committed yet. In the
 *   second case a retry can succeed.
 */
export type SupersededReason = "newer" | "deleted" | "hostRowMissing";

/** The outcome of an upsert. */
export interface UpsertResult {
  /** The id as given. */
  id: TrainingId;
  status: UpsertStatus;
  /** Number of chunks of the given version. */
  chunks: number;
  /** Number of texts sent to the embedder. */
  embedded: number;
  /** Number of chunks that needed no embedding: kept from the stored version, or repeated within the training. */
  reused: number;
  /** Number of deleted chunk rows of the previous version. */
  removed: number;
  /** Only with status `superseded`: why. */
  reason?: SupersededReason | undefined;
}

/** A training that a run with `onFailure: "continue"` could not index. Its stored version is unchanged. */
export interface FailedUpsert {
  /** The id as given; `undefined` if the training has none. */
  id: TrainingId | undefined;
  status: "failed";
  /** The error that `onFailure: "throw"` would have thrown. */
  error: unknown;
}

/** The outcome of a run over many trainings. */
export interface RunSummary {
  /** Number of trainings with this {@link UpsertStatus}; likewise the next two. */
  indexed: number;
  unchanged: number;
  superseded: number;
  /** The trainings that a run with `onFailure: "continue"` could not index; `first` lists up to 100 of them. */
  failed: { count: number; first: { id: TrainingId | undefined; error: unknown }[] };
}

/** The progress of a run over many trainings: `trainings` and `failed` count trainings, the other fields count chunks. */
export interface RunProgress extends IndexingProgress {
  /** Finished trainings, including failed ones. */
  trainings: number;
  /** Trainings that could not be indexed. */
  failed: number;
}

/**
 * - `deleted`: the training and its chunks were deleted.
 * - `absent`: there was no such training. An upsert that started before this call is superseded all the same.
 * - `superseded`: a newer version is stored; nothing was changed.
 */
export type DeleteStatus = "deleted" | "absent" | "superseded";

/** The outcome of a delete. */
export interface DeleteResult {
  /** The id as given; for deletes by filter, as stored. */
  id: TrainingId;
  status: DeleteStatus;
  /** Number of deleted chunk rows. */
  removed: number;
}

/** The trainings to delete: either by their ids, or by a filter on their metadata. */
export type TrainingSelection =
  { ids: readonly TrainingId[]; filter?: undefined } | { ids?: undefined; filter: Filter };

/** A chunk that a search found; with the option `neighbors`, the passage around it. */
export interface ChunkPassage {
  trainingId: TrainingId;
  chunkId: string;
  /** Position of the chunk in its training, from 0. */
  position: number;
  /** Start of the passage in the training's content, in UTF-16 units. */
  start: number;
  /**
   * End of the passage, exclusive: `content.slice(start, end)` of the training's content is the passage's text, except that
   * line breaks replace the white space between two chunks of a passage.
   */
  end: number;
  /** The text of the chunk; with the option `neighbors`, of the chunk and its neighbors. */
  content: string;
  metadata: Metadata;
  /**
   * Only with the option `neighbors`: how many chunks before and after this one are part of the passage. The passage stops
   * at a chunk that the filter excludes.
   */
  neighbors?: { before: number; after: number } | undefined;
  /** Only with the option `neighbors`: the chunk alone. */
  chunk?: { content: string; start: number; end: number } | undefined;
}

/** The scores of a search by vector. */
export interface VectorScores {
  /** The order of the hits, and what `minScore` applies to: the similarity. */
  score: number;
  /** The cosine similarity, `1 - distance`: 1 for the same direction, 0 for unrelated; higher is better. */
  similarity: number;
  /** pgvector's cosine distance, 0 to 2; lower is better. */
  distance: number;
}

/** The scores of a search by words. */
export interface TextScores {
  /** The order of the hits, and what `minScore` applies to: the coverage. */
  score: number;
  /**
   * How well the chunk covers the question's words, 0 to 1; higher is better: its BM25 as a share of the highest that any text
   * could reach for this question. Words of the question that no chunk has count too, so scores of questions can be compared.
   */
  coverage: number;
}

/** The scores of a hybrid search. */
export interface HybridScores {
  /**
   * The order of the hits, and what `minScore` applies to: the sum of similarity and coverage by their weights. If the question
   * could not be embedded (`onTextOnly`), it has the coverage's part only.
   */
  score: number;
  /** As in {@link VectorScores}; `undefined` if the question could not be embedded. */
  similarity: number | undefined;
  /** As in {@link VectorScores}; `undefined` if the question could not be embedded. */
  distance: number | undefined;
  /** As in {@link TextScores}; 0 for a chunk with none of the question's words. */
  coverage: number;
}

/** The scores of a hit, by mode. `score` is absolute: the same chunk has the same score whatever else is found. */
export type Scores<Mode extends SearchMode = SearchMode> = {
  vector: VectorScores;
  text: TextScores;
  hybrid: HybridScores;
}[Mode];

/** What hits of every mode can have besides their passage and the scores of their mode. */
export interface Reranked {
  /** Only with the option `rerank`: the reranker's own score, if it gives one. */
  rerankScore?: number | undefined;
}

/** A chunk that a search by vector found. */
export interface ChunkHit extends Reranked, ChunkPassage, VectorScores {}

/** A part of a text, in UTF-16 units. */
export interface TextRange {
  start: number;
  /** Exclusive. */
  end: number;
}

/** What hits found by words can have besides. */
export interface Highlighted {
  /** Only with the option `matches`: where the question's words are in `content`, in reading order. */
  matches?: TextRange[] | undefined;
}

/** A chunk that a search by words found. */
export interface TextHit extends Reranked, Highlighted, ChunkPassage, TextScores {}

/** A chunk that a hybrid search found by its vector, its words, or both. */
export interface HybridHit extends Reranked, Highlighted, ChunkPassage, HybridScores {}

/**
 * The source and scores of a retriever's document: the fields of a hit other than `content` and `metadata`. Stored under
 * the key `trainingIndex` of the document's metadata.
 */
export type RetrievedPlace = Omit<ChunkPassage, "content" | "metadata"> &
  Reranked &
  Highlighted &
  Pick<HybridScores, "score"> &
  Partial<Omit<HybridScores, "score">>;

/**
 * - `vector`: by meaning: the chunks whose vectors are nearest to the question's.
 * - `text`: by words, ignoring inflection and accents; embeds nothing.
 * - `hybrid`: by both: every candidate of either search gets a score of both.
 */
export type SearchMode = "vector" | "text" | "hybrid";

/** A hit of `similar` with strategy `chunks`, by mode. */
export type Hit<Mode extends SearchMode = SearchMode> = {
  vector: ChunkHit;
  text: TextHit;
  hybrid: HybridHit;
}[Mode];

/** A training that a search with strategy `trainings` found, by mode. Its scores are those of its best chunk. */
export type TrainingHit<Mode extends SearchMode = SearchMode> = Scores<Mode> & {
  trainingId: TrainingId;
  /** The training's own metadata. If the search's filter excludes it, only the entries that the best chunk shares. */
  metadata: Metadata;
  /** The training's best chunks, best first: at most `perTraining`, default 3. */
  chunks: Hit<Mode>[];
};

/**
 * - `chunks`: the best chunks, possibly several of one training.
 * - `trainings`: each training once, ranked by its best chunk.
 */
export type SearchStrategy = "chunks" | "trainings";
