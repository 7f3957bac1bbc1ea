import { checkCall } from "../calls/call-options.js";
import { checkInteger, namesOfProperties } from "../calls/checks.js";
import type { TransactionClient } from "../calls/orm-transactions.js";
import type { ReadCall } from "../searching/current-statements.js";
import { checkConsistency, type Consistency } from "../standby/token.js";
import type { Filter, TrainingId } from "../types.js";

/** Options of `get` and `chunks`. */
export interface StoredReadOptions extends ReadOptions {
  /**
   * With a `readPool`: waits until the standby has the writes of these tokens, a bounded time, else the primary answers. Not together
   * with `client`. Default: the standby answers with what it has.
   */
  consistency?: Consistency | undefined;
}

/** Options of reads. */
export interface ReadOptions {
  /** Your own client, or your ORM's transaction, to read with. Inside a transaction the call sees what the transaction has written. */
  client?: TransactionClient | undefined;
  /** Ends the call early with `AbortError`, and cancels the statement on the server. */
  signal?: AbortSignal | undefined;
  /**
   * Time limit of the whole call in milliseconds. After it the call ends with the code `TIMEOUT`, and the statement is
   * cancelled. Default: none for the whole call, but 30 s to get a client from the pool and 60 s for a statement.
   */
  timeoutMs?: number | undefined;
}

/** Options of `count`. */
export interface CountOptions extends StoredReadOptions {
  /** Counts only what matches it. ANDed with the index's own filter. */
  filter?: Filter | undefined;
}

/** Options of `list`. `timeoutMs` limits the read of each page, not the whole iteration. */
export interface ListOptions extends CountOptions {
  /** Begins after this id, for example the last one of an earlier list. The training itself need not exist any more. */
  after?: TrainingId | undefined;
  /** How many trainings to list at most, 1 or more. Default: all. */
  limit?: number | undefined;
}

const READ_OPTIONS = namesOfProperties<StoredReadOptions>({
  client: true,
  consistency: true,
  signal: true,
  timeoutMs: true,
});
const COUNT_OPTIONS = namesOfProperties<CountOptions>({
  client: true,
  consistency: true,
  signal: true,
  timeoutMs: true,
  filter: true,
});
const LIST_OPTIONS = namesOfProperties<ListOptions>({
  client: true,
  consistency: true,
  signal: true,
  timeoutMs: true,
  filter: true,
  after: true,
  limit: true,
});

/** @throws {@link InvalidArgumentError} */
export function checkRead(options: StoredReadOptions, owner: string): ReadCall {
  checkCall(options, READ_OPTIONS, owner);
  return callOf(options, owner);
}

/** Checks the names and the call's limits, but not the filter. @throws {@link InvalidArgumentError} */
export function checkCount(options: CountOptions): ReadCall {
  checkCall(options, COUNT_OPTIONS, "count");
  return callOf(options, "count");
}

/** Checks all but the filter and the id. @throws {@link InvalidArgumentError} */
export function checkList(options: ListOptions): ReadCall {
  checkCall(options, LIST_OPTIONS, "list");
  if (options.limit !== undefined) checkInteger("limit", options.limit, 1, Number.MAX_SAFE_INTEGER);
  return callOf(options, "list");
}

function callOf(options: StoredReadOptions, owner: string): ReadCall {
  return { client: options.client, consistency: checkConsistency(options, owner) };
}
