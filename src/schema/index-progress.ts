import { setTimeout as sleep } from "node:timers/promises";
import { boundedPool } from "../postgres/bounded-database.js";
import { query, type DatabasePool, type Queryable } from "../postgres/database.js";
import { buildAsJson, readBuildOfNodes } from "./citus.js";
import { chunkTable, namesOf, type Layout } from "./layout.js";

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

/**
 * $1 schema, $2 table.
 *
 * @see https://www.postgresql.org/docs/current/progress-reporting.html#CREATE-INDEX-PROGRESS-REPORTING
 */
const READ_PROGRESS = `SELECT ${buildAsJson(`b.relid = (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2)`)}::text AS build`;

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

async function readProgress(database: Queryable, layout: Layout): Promise<IndexProgress | undefined> {
  if (layout.citus) return readBuildOfNodes(database, namesOf(layout));
  const values = [layout.schema, chunkTable(layout.profileId)];
  const [row] = await query<{ build: string | null }>(database, "read-build-progress", READ_PROGRESS, values);
  return row?.build == null ? undefined : (JSON.parse(row.build) as IndexProgress);
}
