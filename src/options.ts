import { isListLike, narrowVector } from "./embedding/vector.js";
import type { EmbeddingProfile } from "./embedding/profiles.js";
import {
  checkFunction,
  checkInteger,
  checkNames,
  checkOptions,
  isObject,
  isPromise,
  namesOfProperties,
} from "./checks.js";
import { checkClient } from "./store/database-checks.js";
import { InvalidArgumentError } from "./errors.js";
import type { Notice } from "./notices.js";
import type { Splitter } from "./splitter.js";
import type { DatabasePool, Queryable } from "./store/database.js";
import { MAX_EF_SEARCH } from "./store/scan.js";
import { isBlank, storableText } from "./text.js";
import type { TrainingHeader } from "./training-input.js";
import type { EqualityFilter, IndexingProgress, Revision, RunProgress, TrainingSelection } from "./types.js";

/** More chunks than candidates cannot come back. */
export const MAX_K = MAX_EF_SEARCH;
/** pgvector's own default; about .75-.8 of the true neighbours at 0.5 M chunks of real text (research: perf.md §1.8). */
export const DEFAULT_EF_SEARCH = 40;
/** A pool has ten clients by default, and Postgres takes a hundred. */
const MAX_CONCURRENCY = 32;
/** What a timer of Node takes: 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
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

/** Options of `upsertTraining`. */
export interface UpsertOptions {
  /** Ends the call early with `AbortError`; nothing is stored then. */
  signal?: AbortSignal | undefined;
  /**
   * A client in a transaction of the host's: all that is read and written goes through it and stands or falls
   * with the transaction. To keep the transaction short, use `prepareTraining` and commit with the client.
   */
  client?: Queryable | undefined;
  /**
   * Bounds the whole call, embedding included, in milliseconds: then it ends with the code `TIMEOUT`, on the server too, and
   * nothing is stored. Default: no bound of the whole, but 30 s for a client of the pool and 60 s for a statement, its
   * wait for locks included.
   */
  timeoutMs?: number | undefined;
  /** Called after each request to the embedder. */
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
}

/** Options of `upsertTrainings`. */
export interface UpsertManyOptions {
  /**
   * Batches under way at a time, 1 to 32: while some are embedded, others are stored. Each holds a client of the pool
   * while it is stored; where the pool has fewer, they wait. Default 4.
   */
  concurrency?: number | undefined;
  /** Ends the call early with `AbortError`; what was yielded is stored. */
  signal?: AbortSignal | undefined;
  /** Bounds each batch from its begin until it is stored, in milliseconds; see `timeoutMs` of {@link UpsertOptions}. */
  timeoutMs?: number | undefined;
  /** Called after each training, in their order. */
  onProgress?: ((progress: RunProgress) => void) | undefined;
  /**
   * What becomes of the run when a training cannot be indexed: its options are wrong, its text cannot be embedded, Postgres
   * rejects it, or others keep changing it.
   *
   * - `throw`: the run ends with the error.
   * - `continue`: it fails alone and its stored version stays; the run goes on, yields a `failed` result in its place, and
   *   its summary counts it. The signal, a source that throws, and what would make every training fail (an outage of the
   *   embedder or the database, a schema that does not fit) end the run all the same.
   *
   * Default `throw`.
   */
  onFailure?: "throw" | "continue" | undefined;
}

/** @throws {@link InvalidArgumentError} */
export function checkUpsertMany(options: UpsertManyOptions, known: readonly string[], owner: string): void {
  checkNames(options, known, owner);
  const { onProgress, ...others } = options;
  checkCall(others, known, owner);
  checkFunction("onProgress", onProgress);
  if (options.onFailure !== undefined && !["throw", "continue"].includes(options.onFailure)) {
    throw new InvalidArgumentError("onFailure", 'must be "throw" or "continue"');
  }
  if (options.concurrency !== undefined) checkInteger("concurrency", options.concurrency, 1, MAX_CONCURRENCY);
}

/** Options of `deleteTraining`. */
export interface DeleteOptions {
  /** Only versions with a revision up to this one go. Without it, all that started before this call. */
  revision?: Revision | undefined;
  /** A client in a transaction of the host's. */
  client?: Queryable | undefined;
  /** Ends the call early with `AbortError`; nothing is deleted then. */
  signal?: AbortSignal | undefined;
  /** Bounds the whole call, in milliseconds: then it ends with the code `TIMEOUT`, and nothing is deleted. */
  timeoutMs?: number | undefined;
}

/** Options of a commit. */
export interface CommitOptions {
  /** Ends the commit early with `AbortError`; nothing is stored then. The signal of `prepareTraining` does so, too. */
  signal?: AbortSignal | undefined;
  /** Bounds the commit, in milliseconds. That of `prepareTraining` bounds the preparation only. */
  timeoutMs?: number | undefined;
}

/** Options of `prune`. */
export interface PruneOptions extends Omit<DeleteOptions, "revision"> {
  /**
   * Age of the deletes to forget, in milliseconds; more than an upsert can take from its start to its end, retries of a
   * prepared one included.
   */
  olderThanMs: number;
}

/** What the options of any call can have. */
interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  client?: Queryable | undefined;
  onProgress?: UpsertOptions["onProgress"];
}

/**
 * What each call begins with, whichever of these options it has.
 *
 * @param known - the names of its options
 * @param owner - the name of the call, for errors
 * @throws {@link InvalidArgumentError} for options that are no object, for a name that is not known, and for an option
 * that is not usable
 */
export function checkCall(options: CallOptions, known: readonly string[], owner: string): void {
  checkOptions(options, known, owner);
  checkClient(options.client);
  checkSignal(options.signal);
  if (options.timeoutMs !== undefined) checkInteger("timeoutMs", options.timeoutMs, 1, MAX_TIMEOUT_MS);
  checkFunction("onProgress", options.onProgress);
}

function checkSignal(signal: AbortSignal | null | undefined): void {
  if (signal === undefined) return;
  const listens =
    typeof signal?.addEventListener === "function" && typeof signal.removeEventListener === "function";
  if (!listens || typeof signal.aborted !== "boolean") {
    throw new InvalidArgumentError("signal", "must be an AbortSignal");
  }
}

const SELECTION = namesOfProperties<TrainingSelection>({ ids: true, filter: true });

/**
 * @param owner - the call that takes it, for errors
 * @throws {@link InvalidArgumentError} unless exactly one of both is given; what is in them is not looked at
 */
export function checkSelection<Selection extends { ids?: unknown; filter?: unknown }>(
  selection: Selection | null | undefined,
  owner: string,
  option = "selection",
): Selection {
  if (!isObject(selection) || Array.isArray(selection)) {
    throw new InvalidArgumentError(
      option,
      `must be an object: ${owner}({ ids: [...] }) or ${owner}({ filter })`,
    );
  }
  checkNames(selection, SELECTION, owner);
  if ((selection.ids === undefined) === (selection.filter === undefined)) {
    throw new InvalidArgumentError(option, `must have either ids or a filter: ${owner}({ ids: [...] })`);
  }
  return selection;
}

/** @throws {@link InvalidArgumentError} for a query that is neither text nor a usable vector */
export function checkQuery(query: string | ArrayLike<number>, dimensions: number): string | Float32Array {
  if (typeof query === "string") {
    if (isBlank(query)) throw new InvalidArgumentError("query", "must not be empty or blank");
    return storableText(query);
  }
  if (!isObject(query)) throw notAQuery();
  if ("query" in query || isPromise(query)) throw notAQuery();
  return checkGivenVector(query, dimensions, "query");
}

function notAQuery(): InvalidArgumentError {
  return new InvalidArgumentError(
    "query",
    "must be a text, or a vector as a list of numbers, before the options: similar(query, { k })",
  );
}

/** @throws {@link InvalidArgumentError} saying what is wrong with the vector */
export function checkGivenVector(
  vector: ArrayLike<number> | undefined,
  dimensions: number,
  option: string,
): Float32Array {
  const checked = isListLike(vector) ? narrowVector(vector, dimensions) : "no list of numbers";
  if (typeof checked === "string")
    throw new InvalidArgumentError(option, `must be a usable vector, but has ${checked}`);
  return checked;
}

/** @throws {@link InvalidArgumentError} */
export function checkSplitter(splitter: Splitter | undefined): Splitter | undefined {
  if (splitter !== undefined && typeof (splitter as Partial<Splitter>).splitText !== "function") {
    throw new InvalidArgumentError("splitter", "must be a text splitter of LangChain");
  }
  return splitter;
}
