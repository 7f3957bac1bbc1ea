import { checkFunction, checkInteger, checkIterable, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError, orAbort } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import type { DatabasePool } from "../postgres/database.js";
import {
  analyzeAfterLoad,
  buildAfterLoad,
  dropBeforeLoad,
  type BuildSettings,
} from "../schema/index-build.js";
import { reportingProgress, type IndexProgress } from "../schema/index-progress.js";
import { boundedPool } from "../postgres/bounded-database.js";
import type { Layout } from "../schema/layout.js";
import { withTimeLimit } from "../calls/time-limit.js";

/** Options of a first load. */
export interface BulkLoadOptions {
  /** Lets an index that holds chunks already be loaded into: its vector index is dropped, and built anew at the end. */
  rebuild?: boolean | undefined;
  /**
   * Memory for building the vector index, as Postgres writes it: `512MB`, `8GB`. The build is several times faster when
   * the whole graph fits in: about 5 KB a chunk of 1024 dimensions, half of it for `halfvec`, a fifth for `bit`.
   * Default: the server's `maintenance_work_mem`.
   */
  maintenanceWorkMem?: string | undefined;
  /**
   * Processes that help the one that builds, 0 to 64. They share `maintenanceWorkMem` in `/dev/shm`; where that has no
   * room, the build is done without them. Default: the server's `max_parallel_maintenance_workers`, but 0 on a pgvector
   * older than 0.8.2, whose parallel builds can overwrite memory (CVE-2026-3172).
   */
  parallelWorkers?: number | undefined;
  /** Called four times a second while the vector index is built; in a pool of one client only at its begin. */
  onIndexProgress?: ((progress: IndexProgress) => void) | undefined;
  /** Ends the load early with `AbortError`, also while the vector index is built. */
  signal?: AbortSignal | undefined;
}

/** Names of the options of a first load, without those that it shares with `upsertTrainings`. */
export const BULK_LOAD_OPTIONS = namesOfProperties<BulkLoadOptions>({
  rebuild: true,
  maintenanceWorkMem: true,
  parallelWorkers: true,
  onIndexProgress: true,
  signal: true,
});

/** What a load works with. */
export interface BulkLoadParts<Item, Result> {
  pool: DatabasePool;
  layout: Layout;
  /** Stores the trainings. */
  upsert: (trainings: Iterable<Item> | AsyncIterable<Item>) => AsyncGenerator<Result, void, undefined>;
  /** Called when the vector index has gone, and when it is there again. */
  onIndexChanged?: (() => void) | undefined;
}

/** `max_parallel_maintenance_workers` goes further; no machine does. */
const MAX_WORKERS = 64;
const MEMORY = /^([1-9]\d{0,9})(kB|MB|GB)$/;
const KILOBYTES: Readonly<Record<string, number>> = { kB: 1, MB: 1024, GB: 1024 ** 2 };
/** What `maintenance_work_mem` takes in every version. */
const MEMORY_RANGE_KILOBYTES = [1024, 2 ** 31 - 1] as const;

/**
 * Stores trainings without a vector index, and builds that when all are stored: several times faster than to add each
 * chunk to it. Meanwhile searches are exact, and slower.
 *
 * When it does not come to its end (the caller stops, the source throws, the process is killed), the trainings that were
 * yielded are stored, and the vector index is missing. The same call goes on from there: what is stored is `unchanged`.
 * `migrate` builds the index too.
 *
 * @returns the results, as those of `upsertTrainings`
 * @throws {@link InvalidArgumentError} for an option that is not usable; for an index that holds chunks, without `rebuild`
 * @throws {@link SchemaError} when the role does not own the tables; nothing has changed then
 * @throws {@link DatabaseError} with the code CONFLICT when another session builds the index
 * @throws {@link AbortError} when the signal fires
 */
export async function* bulkLoad<Item, Result>(
  { pool, layout, upsert, onIndexChanged }: BulkLoadParts<Item, Result>,
  trainings: Iterable<Item> | AsyncIterable<Item>,
  options: BulkLoadOptions = {},
): AsyncGenerator<Result, void, undefined> {
  const settings = checkBulkLoad(options);
  checkIterable("trainings", trainings);
  const { rebuild = false, onIndexProgress, signal } = options;
  const within = (ending: AbortSignal | undefined): DatabasePool =>
    boundedPool(pool, { signal: ending, statementMs: Infinity });
  await orAbort(() => dropBeforeLoad(within(signal), layout, rebuild), signal);
  onIndexChanged?.();
  yield* upsert(trainings);
  const report =
    onIndexProgress &&
    ((progress: IndexProgress): void => {
      runHostCode("onIndexProgress", () => {
        onIndexProgress(progress);
      });
    });
  await reportingProgress(pool, layout, report, async (failed) => {
    await withTimeLimit(
      { signal },
      (end) => orAbort(() => buildAfterLoad(within(end), layout, settings), end),
      failed,
    );
  });
  onIndexChanged?.();
  await orAbort(() => analyzeAfterLoad(within(signal), layout), signal);
}

/** @throws {@link InvalidArgumentError} */
export function checkBulkLoad(options: BulkLoadOptions): BuildSettings {
  const { rebuild, maintenanceWorkMem, parallelWorkers, onIndexProgress } = options;
  if (rebuild !== undefined && typeof rebuild !== "boolean") {
    throw new InvalidArgumentError("rebuild", "must be true or false");
  }
  checkFunction("onIndexProgress", onIndexProgress);
  return {
    maintenanceWorkMem: maintenanceWorkMem === undefined ? undefined : checkMemory(maintenanceWorkMem),
    parallelWorkers:
      parallelWorkers === undefined
        ? undefined
        : checkInteger("parallelWorkers", parallelWorkers, 0, MAX_WORKERS),
  };
}

function checkMemory(given: unknown): string {
  const [memory = "", count, unit = ""] = typeof given === "string" ? (MEMORY.exec(given) ?? []) : [];
  const kilobytes = Number(count) * (KILOBYTES[unit] ?? 0);
  const [lowest, highest] = MEMORY_RANGE_KILOBYTES;
  if (kilobytes >= lowest && kilobytes <= highest) return memory;
  throw new InvalidArgumentError(
    "maintenanceWorkMem",
    'must be a number with kB, MB or GB, as "512MB", from 1MB to 2047GB',
  );
}
