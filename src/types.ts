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

interface TrainingBase<OwnMetadata extends object = Metadata> {
  /** The host's id. A training with the same id is replaced. */
  id: TrainingId;
  /** Stored with every chunk, so that filters can match it. Default `{}`. */
  metadata?: OwnMetadata | undefined;
  /** See {@link Revision}. Without one, the call that started later wins. */
  revision?: Revision | undefined;
}

/** A training with one text, which the index's splitter splits. Blank content has no chunks. */
export interface TextTraining<OwnMetadata extends object = Metadata> extends TrainingBase<OwnMetadata> {
  content: string;
  documents?: undefined;
  split?: undefined;
}

/**
 * A training with several documents. Its content is their texts, joined by blank lines: offsets refer to that content.
 * A document's metadata overrides the training's, key by key.
 */
export interface DocumentsTraining<OwnMetadata extends object = Metadata> extends TrainingBase<OwnMetadata> {
  content?: undefined;
  documents: readonly TrainingDocument[];
  /** `false` stores each document as one chunk, with the document's id as `chunkId` if it has one. Default `true`. */
  split?: boolean | undefined;
}

/** A training to store, see `upsertTraining`. */
export type Training<OwnMetadata extends object = Metadata> =
  TextTraining<OwnMetadata> | DocumentsTraining<OwnMetadata>;

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
  /** See {@link WriteToken}. */
  token?: WriteToken | undefined;
}

/**
 * By which a read waits until a standby has a write: `similar(question, { consistency: { after: token } })`. An opaque text of letters, digits
 * and underscores, at most 45 characters, the same in every process. Results have one if the index was opened with a `readPool`, or with
 * `tokens: true`; not those of writes in the transaction of your client, which may still be rolled back.
 */
export type WriteToken = string;

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
  /** Of all trainings of the run, see {@link WriteToken}. */
  token?: WriteToken | undefined;
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
  /** See {@link WriteToken}. */
  token?: WriteToken | undefined;
}

/** The trainings to delete: either by their ids, or by a filter on their metadata. */
export type TrainingSelection =
  { ids: readonly TrainingId[]; filter?: undefined } | { ids?: undefined; filter: Filter };
