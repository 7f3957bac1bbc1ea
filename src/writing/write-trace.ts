import { traced, upsertChannel, type UpsertTrace, type WriteCounts, type WriteOperation } from "../calls/tracing.js";
import type { RemovalOutcome } from "../storing/removal.js";
import type { FailedUpsert, TrainingId, UpsertResult } from "../types.js";

/** What is known of a write before it begins. */
export interface WriteStart {
  operation: WriteOperation;
  schema: string;
  ids: () => readonly TrainingId[];
}

/**
 * Does a write, and publishes it.
 *
 * @param countsOf - the numbers of a result; those that are left out are 0
 */
export function traceWrite<Result>(
  { operation, schema, ids }: WriteStart,
  write: () => Promise<Result>,
  countsOf: (result: Result) => Partial<WriteCounts>,
): Promise<Result> {
  return traced(
    upsertChannel,
    (): UpsertTrace => ({ operation, schema, ids: ids() }),
    write,
    (trace, result) => {
      trace.counts = { ...NONE, ...countsOf(result) };
    },
  );
}

const NONE: WriteCounts = {
  ...{ indexed: 0, unchanged: 0, superseded: 0, failed: 0, deleted: 0, absent: 0, pruned: 0 },
  ...{ embedded: 0, reused: 0, removed: 0 },
};

/** The numbers of upserts. */
export function countUpserts(results: readonly (UpsertResult | FailedUpsert)[]): WriteCounts {
  const counts = { ...NONE };
  for (const result of results) {
    counts[result.status] += 1;
    if (result.status === "failed") continue;
    counts.embedded += result.embedded;
    counts.reused += result.reused;
    counts.removed += result.removed;
  }
  return counts;
}

/** The numbers of deletes. */
export function countRemovals(outcomes: readonly RemovalOutcome[]): WriteCounts {
  const counts = { ...NONE };
  for (const { status, removed } of outcomes) {
    counts[status] += 1;
    counts.removed += removed;
  }
  return counts;
}
