/**
 * What the library did instead of what was asked, as a constant that code can branch on. The call itself succeeded, or
 * goes on.
 *
 * | code | meaning |
 * |---|---|
 * | `EXACT_SEARCH` | a search compared all chunks: the vector index is missing, damaged, or gave up under a filter |
 * | `TEXT_ONLY` | a hybrid search was answered by words alone: the question could not be embedded |
 * | `UNNAMED_STATEMENT` | a pooler does not keep prepared statements: they are planned anew each time |
 * | `RETRY` | work is repeated after a failure that can pass |
 * | `SLOW_EMBEDDER` | the embedder has not answered for a while |
 * | `REPAIRED` | something in the schema was found wrong and was put right |
 */
export type NoticeCode =
  "EXACT_SEARCH" | "TEXT_ONLY" | "UNNAMED_STATEMENT" | "RETRY" | "SLOW_EMBEDDER" | "REPAIRED";

/** One fallback that the library took. */
export interface Notice {
  code: NoticeCode;
  /** What happened, and what to do about it. Never holds a training's text, a vector or a connection string. */
  message: string;
  /** The error that made it necessary, where there was one. */
  cause?: unknown;
}

/** Tells the host of a fallback. Never throws. */
export type Notify = (notice: Notice) => void;

/** A callback of the host's as a {@link Notify}: an error in it is no reason for a call to fail. */
export function notifier(onNotice: ((notice: Notice) => void) | undefined): Notify {
  return (notice) => {
    try {
      onNotice?.(notice);
    } catch {
      // A log that fails must not fail the search that it tells of.
    }
  };
}
