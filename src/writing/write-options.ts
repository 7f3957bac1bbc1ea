import { checkCall } from "../calls/call-options.js";
import { checkFunction, checkInteger, checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import type { TransactionClient } from "../calls/orm-transactions.js";
import { InvalidArgumentError } from "../errors.js";
import type { IndexingProgress, Revision, RunProgress, TrainingSelection } from "../types.js";

/** For comparison: `pg.Pool` has 10 clients by default, and Postgres 100 connections. */
const MAX_CONCURRENCY = 32;
/** 1000 years. At about 7000 years the cut-off would be before the earliest timestamp of Postgres. */
const MAX_AGE_MS = 1000 * 365 * 24 * 60 * 60 * 1000;

/** Options of `upsertTraining`. */
export interface UpsertOptions {
  /** Ends the call early with `AbortError`; nothing is stored then. */
  signal?: AbortSignal | undefined;
  /**
   * A client in a transaction of the host's, or an ORM's transaction: the call reads and writes through it, and commits
   * or rolls back with the transaction. Embedding happens while the transaction is open; to keep it short, use `prepareTraining` and commit
   * with the client.
   */
  client?: TransactionClient | undefined;
  /**
   * Time limit of the whole call in milliseconds, embedding included. After it the call ends with the code `TIMEOUT`,
   * its statement is cancelled, and nothing is stored. Default: no limit for the call, but 30 s to get a client from
   * the pool and 60 s for a statement, including its wait for locks.
   */
  timeoutMs?: number | undefined;
  /** Called after each request to the embedder. */
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
}

/** Options of `prepareTraining`: its `commit` takes the client. */
export type PrepareOptions = Omit<UpsertOptions, "client">;

/** Options of `upsertTrainings`. */
export interface UpsertManyOptions {
  /**
   * Batches in progress at a time, 1 to 32: while some are embedded, others are stored. Each uses a client of the pool
   * while it is stored, and waits if none is free. Default 4.
   */
  concurrency?: number | undefined;
  /** Ends the call early with `AbortError`; what was yielded is stored. */
  signal?: AbortSignal | undefined;
  /**
   * Time limit of each batch in milliseconds, from its start until it is stored; see `timeoutMs` of
   * {@link UpsertOptions}.
   */
  timeoutMs?: number | undefined;
  /** Called after each training, in order. */
  onProgress?: ((progress: RunProgress) => void) | undefined;
  /**
   * What the run does if a training cannot be indexed: the training is invalid, its text cannot be embedded, Postgres
   * rejects it, or other calls keep changing it.
   *
   * - `throw`: the run ends with the error.
   * - `continue`: the training fails alone and keeps its stored version. The run yields a `failed` result in its place,
   *   and the summary counts it. The run still ends if the signal fires, if the source throws, or with an error that
   *   would make every training fail (an outage of the embedder or the database, an unsuitable schema).
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
  /**
   * Orders the delete like an upsert with this revision: a version with a higher revision stays, and upserts with a
   * lower one are superseded later. Without it, the delete beats every call that started before it.
   */
  revision?: Revision | undefined;
  /** A client in a transaction of the host's, or an ORM's transaction: the delete commits or rolls back with it. */
  client?: TransactionClient | undefined;
  /** Ends the call early with `AbortError`; nothing is deleted then. */
  signal?: AbortSignal | undefined;
  /**
   * Time limit of the whole call in milliseconds; after it the call ends with the code `TIMEOUT`, and nothing is
   * deleted.
   */
  timeoutMs?: number | undefined;
}

/** Options of `commit` of a prepared training. */
export interface CommitOptions {
  /** Ends the commit early with `AbortError`; nothing is stored then. The signal of `prepareTraining` does the same. */
  signal?: AbortSignal | undefined;
  /** Time limit of the commit in milliseconds. The `timeoutMs` of `prepareTraining` limits only the preparation. */
  timeoutMs?: number | undefined;
}

/** Options of `prune`. */
export interface PruneOptions extends Omit<DeleteOptions, "revision"> {
  /**
   * Age in milliseconds from which tombstones are removed. Choose more than the longest time that an upsert can take
   * from its start to its commit, retries of a prepared one included: an older upsert could bring the training back.
   */
  olderThanMs: number;
}

/** Names of the options of `token`. */
/** Names of the options of `upsertTraining`. */
export const UPSERT_OPTIONS = namesOfProperties<UpsertOptions>({
  signal: true,
  timeoutMs: true,
  client: true,
  onProgress: true,
});
/** Names of the options of `upsertTrainings`. */
export const UPSERT_MANY_OPTIONS = namesOfProperties<UpsertManyOptions>({
  concurrency: true,
  signal: true,
  timeoutMs: true,
  onProgress: true,
  onFailure: true,
});

/** Names of the options of `prepareTraining`. */
export const PREPARE_OPTIONS = namesOfProperties<PrepareOptions>({
  signal: true,
  timeoutMs: true,
  onProgress: true,
});
/** Names of the options of `commit`. */
export const COMMIT_OPTIONS = namesOfProperties<CommitOptions>({ signal: true, timeoutMs: true });
/** Names of the options of `prune`. */
const PRUNE_OPTIONS = namesOfProperties<PruneOptions>({
  olderThanMs: true,
  client: true,
  signal: true,
  timeoutMs: true,
});
/** Names of the options of `deleteTrainings`. */
export const DELETE_MANY_OPTIONS = namesOfProperties<Omit<DeleteOptions, "revision">>({
  client: true,
  signal: true,
  timeoutMs: true,
});
/** Names of the options of `deleteTraining`. */
export const DELETE_OPTIONS = namesOfProperties<DeleteOptions>({
  revision: true,
  client: true,
  signal: true,
  timeoutMs: true,
});

const SELECTION = namesOfProperties<TrainingSelection>({ ids: true, filter: true });

/**
 * Checks that exactly one of `ids` and `filter` is given, but not their contents.
 *
 * @param owner - the method that takes the selection, for errors
 * @throws {@link InvalidArgumentError}
 */
export function checkSelection<Selection extends { ids?: unknown; filter?: unknown }>(
  selection: Selection | null | undefined,
  owner: string,
  option = "selection",
): Selection {
  if (!isObject(selection) || Array.isArray(selection)) {
    throw new InvalidArgumentError(option, `must be an object: ${owner}({ ids: [...] }) or ${owner}({ filter })`);
  }
  checkNames(selection, SELECTION, owner);
  if ((selection.ids === undefined) === (selection.filter === undefined)) {
    throw new InvalidArgumentError(
      option,
      `must have either ids or a filter: ${owner}({ ids: [...] }) or ${owner}({ filter })`,
    );
  }
  return selection;
}

/** Checks the options of `prune`. @throws {@link InvalidArgumentError} */
export function checkPrune(options: PruneOptions): void {
  checkCall(options, PRUNE_OPTIONS, "prune");
  const { olderThanMs } = options;
  if (!(Number.isFinite(olderThanMs) && olderThanMs > 0 && olderThanMs <= MAX_AGE_MS)) {
    throw new InvalidArgumentError("olderThanMs", "must be milliseconds, above 0 and at most 1000 years");
  }
}
