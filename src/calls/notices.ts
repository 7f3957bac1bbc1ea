import { channel } from "node:diagnostics_channel";
import { describeFailure, NOTICE_CHANNEL_NAME, type FailureTrace } from "./tracing.js";

/**
 * The fallback that the library took, as a constant that code can branch on. The call itself has succeeded or is still
 * running.
 *
 * | code | meaning |
 * |---|---|
 * | `EXACT_SEARCH` | a search compared all chunks: the vector index is missing or damaged, or found too few |
 * | `TEXT_ONLY` | a hybrid search used words alone: the question could not be embedded |
 * | `NOT_RERANKED` | hits are in the order of the search: the reranker failed |
 * | `UNNAMED_STATEMENT` | a pooler does not keep prepared statements, or there are too many: Postgres plans statements again |
 * | `RETRY` | work is done again after a failure that can pass, or in smaller parts |
 * | `SLOW_EMBEDDER` | the embedder has not answered for a while; the call still waits |
 * | `SLOW_POOL` | no client of the pool was free for a while; the call still waits |
 * | `TEXT_TOO_LONG` | chunks that are longer than the model reads were split again |
 * | `SERIAL_BUILD` | a vector index is built without parallel workers, which takes longer |
 * | `TIMEOUTS_KEPT` | a long statement runs under the time limits of its role: they cannot be lifted behind a pooler |
 * | `LATE_CLAIM` | the model of an empty index is recorded in the host's transaction, for which all other writers wait |
 * | `NO_PROGRESS` | the progress of an index build cannot be read, so `onIndexProgress` is not called |
 * | `PRIMARY_READ` | the primary answered a read, because the standby could not, or not in time |
 * | `LAG_UNKNOWN` | the primary could not be asked how far the standby is behind; reads of the standby go on |
 * | `NO_TOKEN` | a write is stored, but its token could not be read: the result has none |
 * | `POSTPONED` | a step that could not be done now is left to a later call |
 * | `REPAIRED` | the library found and fixed a fault in the schema |
 */
export type NoticeCode =
  | "EXACT_SEARCH"
  | "TEXT_ONLY"
  | "NOT_RERANKED"
  | "UNNAMED_STATEMENT"
  | "RETRY"
  | "SLOW_EMBEDDER"
  | "SLOW_POOL"
  | "TEXT_TOO_LONG"
  | "SERIAL_BUILD"
  | "TIMEOUTS_KEPT"
  | "LATE_CLAIM"
  | "NO_PROGRESS"
  | "PRIMARY_READ"
  | "LAG_UNKNOWN"
  | "NO_TOKEN"
  | "POSTPONED"
  | "REPAIRED";

/** One fallback that the library took. */
export interface Notice {
  code: NoticeCode;
  /** What happened, and what to do about it. Never holds a training's text, a vector or a connection string. */
  message: string;
  /** The error that caused the fallback, if there was one. */
  cause?: unknown;
}

/** What is published about a notice, on the channel `langchain-training-index:notice`. */
export interface NoticeTrace {
  code: NoticeCode;
  message: string;
  /** What is known of the cause, without the texts that it may hold. */
  cause?: FailureTrace | undefined;
}

/** Reports a fallback to the host. Never throws. */
export type Notify = (notice: Notice) => void;

const noticeChannel = channel(NOTICE_CHANNEL_NAME);

/** Reports a fallback to the subscribers of the channel. */
export const publishNotice: Notify = ({ code, message, cause }) => {
  if (!noticeChannel.hasSubscribers) return;
  const trace: NoticeTrace = { code, message, ...(cause === undefined ? {} : { cause: describeFailure(cause) }) };
  noticeChannel.publish(trace);
};

/**
 * Reports to the subscribers of the channel and to the host's callback. An error that the callback throws does not fail the
 * call.
 */
export function notifier(onNotice: ((notice: Notice) => void) | undefined): Notify {
  return (notice) => {
    publishNotice(notice);
    try {
      onNotice?.(notice);
    } catch {
      // A failing log must not fail the search that it reports.
    }
  };
}
