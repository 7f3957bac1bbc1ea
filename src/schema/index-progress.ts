import { setTimeout as sleep } from "node:timers/promises";
import { boundedPool } from "../postgres/bounded-database.js";
import { query, type DatabasePool, type HostNumber, type Queryable } from "../postgres/database.js";
import { chunkTable, type Layout } from "./layout.js";

/** The progress of an index build, as Postgres reports it. A count that does not apply to the phase is 0. */
export interface IndexProgress {
  /** Postgres' name of the phase: `initializing`, `building index: loading tuples` and so on. */
  phase: string;
  blocksDone: number;
  blocksTotal: number;
  tuplesDone: number;
  tuplesTotal: number;
}

const INTERVAL_MS = 250;

/** @see https://www.postgresql.org/docs/current/progress-reporting.html#CREATE-INDEX-PROGRESS-REPORTING */
const READ_PROGRESS = `
SELECT p.phase, p.blocks_done::text AS blocks_done, p.blocks_total::text AS blocks_total,
  p.tuples_done::text AS tuples_done, p.tuples_total::text AS tuples_total
FROM pg_catalog.pg_stat_progress_create_index p
JOIN pg_catalog.pg_class c ON c.oid = p.relid AND c.relname = $2
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
WHERE p.datname = pg_catalog.current_database()`;

/**
 * Does work that builds an index on the chunk table, and reports its progress four times a second. With a pool of one
 * client only the start is reported, since the work holds that client.
 *
 * @param work - gets a signal that fires if `onProgress` throws; the call then throws that error
 */
export async function reportingProgress<T>(
  database: DatabasePool,
  layout: Layout,
  onProgress: ((progress: IndexProgress) => void) | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (!onProgress) return work(undefined);
  onProgress({ phase: "initializing", blocksDone: 0, blocksTotal: 0, tuplesDone: 0, tuplesTotal: 0 });
  const finished = new AbortController();
  const failed = new AbortController();
  const { host, notify } = boundedPool(database);
  // Without notices: a pool of one client is not slow, its client builds the index.
  const reader = boundedPool(host, { signal: finished.signal }, () => undefined);
  let isNotified = false;
  const notifyOnce = (cause: unknown): undefined => {
    if (isNotified || isAborted(finished.signal)) return;
    isNotified = true;
    notify({
      code: "NO_PROGRESS",
      message: "The progress of the index build cannot be read, so it is not reported. The build goes on",
      cause,
    });
  };
  const report = async (): Promise<void> => {
    for (;;) {
      await sleep(INTERVAL_MS, undefined, { signal: finished.signal }).catch(() => undefined);
      if (finished.signal.aborted) return;
      // An error here must not fail the build.
      const progress = await readProgress(reader, layout).catch(notifyOnce);
      if (isAborted(finished.signal)) return;
      if (progress) onProgress(progress);
    }
  };
  // Not awaited: with a pool of one client it waits for the work to end, so the work must not wait for it.
  report().catch((error: unknown) => {
    failed.abort(error);
  });
  try {
    return await work(failed.signal);
  } catch (error) {
    throw failed.signal.aborted ? failed.signal.reason : error;
  } finally {
    finished.abort();
  }
}

/** A function, since TypeScript assumes that `signal.aborted` stays the same across an `await`. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

async function readProgress(database: Queryable, { schema, profileId }: Layout): Promise<IndexProgress | undefined> {
  const [row] = await query<{
    phase: string;
    blocks_done: HostNumber;
    blocks_total: HostNumber;
    tuples_done: HostNumber;
    tuples_total: HostNumber;
  }>(database, "read-build-progress", READ_PROGRESS, [schema, chunkTable(profileId)]);
  return (
    row && {
      phase: row.phase,
      blocksDone: Number(row.blocks_done),
      blocksTotal: Number(row.blocks_total),
      tuplesDone: Number(row.tuples_done),
      tuplesTotal: Number(row.tuples_total),
    }
  );
}
