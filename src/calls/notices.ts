/**
 * The fallback that the library took, as a constant that code can branch on. The call itself has succeeded or is still
 * running.
 *
 * | code | meaning |
 * |---|---|
 * | `EXACT_SEARCH` | a search compared all chunks: the vector index is missing or damaged, or its scan ended before it found enough |
 * | `TEXT_ONLY` | a hybrid search used words alone: the question could not be embedded |
 * | `NOT_RERANKED` | hits are in the order of the search: the reranker failed |
 * | `UNNAMED_STATEMENT` | a pooler does not keep prepared statements: Postgres plans every statement again |
 * | `RETRY` | work is retried after a transient failure |
 * | `SLOW_EMBEDDER` | the embedder has not answered for a while; the call still waits |
 * | `REPAIRED` | the library found and fixed a fault in the schema |
 */
export type NoticeCode =
  "EXACT_SEARCH" | "TEXT_ONLY" | "NOT_RERANKED" | "UNNAMED_STATEMENT" | "RETRY" | "SLOW_EMBEDDER" | "REPAIRED";

/** One fallback that the library took. */
export interface Notice {
  code: NoticeCode;
  /** What happened, and what to do about it. Never holds a training's text, a vector or a connection string. */
  message: string;
  /** The error that caused the fallback, if there was one. */
  cause?: unknown;
}

/** Reports a fallback to the host. Never throws. */
export type Notify = (notice: Notice) => void;

/** Wraps the host's callback: an error that it throws does not fail the call. */
export function notifier(onNotice: ((notice: Notice) => void) | undefined): Notify {
  return (notice) => {
    try {
      onNotice?.(notice);
    } catch {
      // A failing log must not fail the search that it reports.
    }
  };
}
