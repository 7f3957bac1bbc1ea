import type { Document } from "@langchain/core/documents";
import type { EqualityFilter } from "./filter-types.js";

export type {
  EqualityFilter,
  Filter,
  FilterOperators,
  FilterValue,
  LogicalFilter,
  MetadataFilter,
} from "./filter-types.js";

/** The column type that holds training ids; chosen in `migrate`. */
export type IdType = "text" | "bigint" | "integer" | "uuid";

/**
 * The host's id of a training. `text` and `uuid` columns take strings; `bigint` and `integer` columns
 * take numbers, bigints, and their digits in a string, as `pg` returns them. What searches return is a string or a number
 * accordingly, and a `bigint` only where a number could not hold it exactly. Uuids are returned in small letters.
 */
export type TrainingId = string | number | bigint;

/** Any JSON object. Strings in it may hold anything; NUL and lone surrogates are stored as U+FFFD. */
export type Metadata = Record<string, unknown>;

/**
 * Orders the versions of one training, whatever order their calls arrive in: an `updated_at`, a counter,
 * a log position. Of one training all revisions must be of one kind. A `Date` counts in milliseconds.
 */
export type Revision = number | bigint | Date;

/** A document in the JSON form of Python's LangChain. */
export interface PythonDocument {
  page_content: string;
  metadata?: Metadata | undefined;
  id?: string | null | undefined;
}

/** A document as LangChain.js, Python's LangChain, or `Document.model_dump_json()` has it. */
export type TrainingDocument =
  | Document
  | { pageContent: string; metadata?: Metadata | undefined; id?: string | undefined }
  | PythonDocument
  | string;

interface TrainingBase {
  /** The host's id. The same id again replaces the training. */
  id: TrainingId;
  /** On every chunk, where filters see it. Default `{}`. */
  metadata?: Metadata | undefined;
  /** See {@link Revision}. Without one, the call that started later wins. */
  revision?: Revision | undefined;
}

/** A training given as one text, split by the index's splitter. Blank content means no chunks. */
export interface TextTraining extends TrainingBase {
  content: string;
  documents?: undefined;
  split?: undefined;
}

/**
 * A training given as documents. Its content is their texts, joined by a blank line: offsets count there.
 * A document's own metadata wins over the training's.
 */
export interface DocumentsTraining extends TrainingBase {
  content?: undefined;
  documents: readonly TrainingDocument[];
  /** `false` keeps each document as one chunk, under the document's own id where it has one. Default `true`. */
  split?: boolean | undefined;
}

/** What `upsertTraining` takes. */
export type Training = TextTraining | DocumentsTraining;

/** Work done so far on one call, in chunks. */
export interface IndexingProgress {
  embedded: number;
  reused: number;
  total: number;
}

/**
 * - `indexed`: this version stands now.
 * - `unchanged`: the stored version is the same in all that decides the chunks; nothing was embedded or written to them.
 * - `superseded`: nothing was changed; `reason` says why.
 */
export type UpsertStatus = "indexed" | "unchanged" | "superseded";

/**
 * - `newer`: a newer version is stored.
 * - `deleted`: a newer delete is stored.
 * - `hostRowMissing`: the host's row, which the training's id refers to, does not exist or is not committed yet. In the
 *   second case the same call can succeed later.
 */
export type SupersededReason = "newer" | "deleted" | "hostRowMissing";

/** The outcome of an upsert. */
export interface UpsertResult {
  /** As it was given. */
  id: TrainingId;
  status: UpsertStatus;
  /** Chunks of the given version. */
  chunks: number;
  /** Texts sent to the embedder. */
  embedded: number;
  /** Chunks that needed no embedding: kept from the stored version, or repeated within the training. */
  reused: number;
  /** Chunk rows of the earlier version that are gone. */
  removed: number;
  /** Only of a `superseded` one: why. */
  reason?: SupersededReason | undefined;
}

/** A training that could not be indexed, of a run with `onFailure: "continue"`. Its stored version stays. */
export interface FailedUpsert {
  /** As it was given; `undefined` when it was none. */
  id: TrainingId | undefined;
  status: "failed";
  /** What {@link UpsertResult} would have been thrown for. */
  error: unknown;
}

/** What a run over many trainings did, when all are done. */
export interface RunSummary {
  /** Trainings, as of {@link UpsertStatus}. */
  indexed: number;
  unchanged: number;
  superseded: number;
  /** Trainings that could not be indexed, of a run with `onFailure: "continue"`; `first` names up to 100 of them. */
  failed: { count: number; first: { id: TrainingId | undefined; error: unknown }[] };
}

/** Work done so far by a run over many trainings, in chunks but for `trainings` and `failed`. */
export interface RunProgress extends IndexingProgress {
  /** Trainings that are done, those that failed included. */
  trainings: number;
  /** Of them, those that could not be indexed. */
  failed: number;
}

/**
 * - `deleted`: the training and its chunks are gone.
 * - `absent`: there was none. An upsert that started before this call will still be superseded.
 * - `superseded`: a newer version stands; nothing was changed.
 */
export type DeleteStatus = "deleted" | "absent" | "superseded";

/** The outcome of a delete. */
export interface DeleteResult {
  /** As it was given; as stored for deletes by filter. */
  id: TrainingId;
  status: DeleteStatus;
  /** Chunk rows that are gone. */
  removed: number;
}

/** Which trainings to delete: one of both. */
export type TrainingSelection =
  { ids: readonly TrainingId[]; filter?: undefined } | { ids?: undefined; filter: EqualityFilter };

/** A chunk that was found; with the option `neighbors` the passage around it. */
export interface ChunkPassage {
  trainingId: TrainingId;
  chunkId: string;
  /** Place of the chunk in its training, from 0. */
  position: number;
  /** Where the passage begins in the training's content, in UTF-16 units. */
  start: number;
  /**
   * Where it ends, exclusive: `content.slice(start, end)` of the training's content is the passage's text. Between two
   * chunks of a passage line breaks stand for what is blank there.
   */
  end: number;
  /** The text of the chunk, or of the chunk and its neighbors. */
  content: string;
  metadata: Metadata;
  /**
   * Only with the option `neighbors`: how many chunks before and after this one are part of the passage. It ends before a
   * chunk that the filter excludes.
   */
  neighbors?: { before: number; after: number } | undefined;
  /** Only with the option `neighbors`: the chunk alone. */
  chunk?: { content: string; start: number; end: number } | undefined;
}

/** A chunk that answers a query by its vector. */
export interface ChunkHit extends ChunkPassage {
  /** `1 - distance`: 1 for the same direction, 0 for unrelated, higher is better. */
  score: number;
  /** pgvector's cosine distance, 0 to 2, lower is better. */
  distance: number;
}

/** A chunk that answers a query by its words. */
export interface TextHit extends ChunkPassage {
  /** BM25 over the words that chunk and question have in common: above 0, higher is better, comparable within one search. */
  textScore: number;
}

/** A chunk that answers a query by its vector, its words, or both. */
export interface HybridHit extends ChunkPassage {
  /** As of {@link ChunkHit}; `undefined` where the question could not be embedded. */
  score: number | undefined;
  /** As of {@link ChunkHit}; `undefined` where the question could not be embedded. */
  distance: number | undefined;
  /** As of {@link TextHit}; `undefined` for a chunk that was not among the best by its words. */
  textScore: number | undefined;
  /** What hits are ordered by: `weight / (60 + rank)`, summed up over both searches. */
  fusedScore: number;
}

/**
 * Where a document of a retriever comes from, and how well it answers: what a hit has beside `content` and `metadata`. It
 * is under the key `trainingIndex` of the document's metadata.
 */
export type RetrievedPlace = Omit<ChunkPassage, "content" | "metadata"> &
  Partial<Pick<HybridHit, "score" | "distance" | "textScore" | "fusedScore">>;

/**
 * - `vector`: by meaning, the chunks whose vectors are nearest to the question's.
 * - `text`: by words, whatever their inflection and accents; nothing is embedded.
 * - `hybrid`: both at once, fused by rank.
 */
export type SearchMode = "vector" | "text" | "hybrid";

/** What `similar` returns with strategy `chunks`, by mode. */
export type Hit<Mode extends SearchMode = SearchMode> = {
  vector: ChunkHit;
  text: TextHit;
  hybrid: HybridHit;
}[Mode];

/** A training that answers a query on the whole. */
export interface TrainingHit {
  trainingId: TrainingId;
  /** The training's own; where the search's filter excludes that, as far as its best chunk has the same. */
  metadata: Metadata;
  /** `1 - distance`. */
  score: number;
  /**
   * pgvector's cosine distance between the query and the mean of the training's vectors, of those chunks that the filter
   * lets through, 0 to 2, lower is better.
   */
  distance: number;
  /** Its chunks nearest to the query, at most three unless `perTraining` says otherwise, nearest first. */
  chunks: ChunkHit[];
}

/**
 * - `chunks`: the chunks that answer best, several of one training where they are.
 * - `trainings`: each training once, by the mean of its vectors.
 */
export type SearchStrategy = "chunks" | "trainings";
