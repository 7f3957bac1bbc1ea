import { checkCall } from "../calls/call-options.js";
import { checkFunction, checkInteger, checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import type { Queryable } from "../calls/host-database.js";
import { InvalidArgumentError } from "../errors.js";
import type { IndexingProgress, Revision, RunProgress, TrainingSelection } from "../types.js";

/** A pool has ten clients by default, and Postgres takes a hundred. */
const MAX_CONCURRENCY = 32;

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
