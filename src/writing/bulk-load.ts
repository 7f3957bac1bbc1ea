import { checkFunction, checkInteger, checkIterable, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError, orAbort } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import type { DatabasePool } from "../postgres/database.js";
import { analyzeAfterLoad, buildAfterLoad, dropBeforeLoad, type BuildSettings } from "../schema/index-build.js";
import { reportingProgress, type IndexProgress } from "../schema/index-progress.js";
import { boundedPool } from "../postgres/bounded-database.js";
import type { VectorIndexMethod } from "../schema/vector-index-method.js";
import type { Layout } from "../schema/layout.js";
import { withTimeLimit } from "../calls/time-limit.js";

/** Options of `bulkLoad`, besides those of `upsertTrainings`. */
export interface BulkLoadOptions {
  /**
   * Allows a load into an index that already holds chunks: its vector index is dropped, and rebuilt at the end. Default
   * `false`.
   */
  rebuild?: boolean | undefined;
  /**
   * Memory for building the vector index, in Postgres' notation: `512MB`, `8GB`. The build is several times faster if
   * the whole graph fits into it: about 5 KB per chunk of 1024 dimensions, half of that for `halfvec`, a fifth for
   * `bit`. Default: the server's `maintenance_work_mem`.
   */
  maintenanceWorkMem?: string | undefined;
  /**
   * Parallel workers of the build, 0 to 64. They share `maintenanceWorkMem` in `/dev/shm`; if that is too small, the
   * build runs without them. Default: the server's `max_parallel_maintenance_workers`, but 0 on pgvector before 0.8.2,
   * whose parallel builds can overwrite memory (CVE-2026-3172).
   */
  parallelWorkers?: number | undefined;
  /** Called four times a second while the vector index is built; on a pool of one client only at the start. */
  onIndexProgress?: ((progress: IndexProgress) => void) | undefined;
  /** Ends the load early with `AbortError`, also during the build of the vector index. */
  signal?: AbortSignal | undefined;
}

/** Names of the options in {@link BulkLoadOptions}. */
export const BULK_LOAD_OPTIONS = namesOfProperties<BulkLoadOptions>({
  rebuild: true,
  maintenanceWorkMem: true,
  parallelWorkers: true,
  onIndexProgress: true,
  signal: true,
});

/** Dependencies of {@link bulkLoad}. */
export interface BulkLoadParts<Item, Result> {
  pool: DatabasePool;
  layout: Layout;
  /** The vector index of another extension. */
  method?: VectorIndexMethod | undefined;
  /** Stores the trainings. */
  upsert: (trainings: Iterable<Item> | AsyncIterable<Item>) => AsyncGenerator<Result, void, undefined>;
  /** Called after the vector index is dropped, and after it is rebuilt. */
  onIndexChanged?: (() => void) | undefined;
}

/** Postgres allows up to 1024, but no machine needs them. */
const MAX_WORKERS = 64;
const MEMORY = /^([1-9]\d{0,9})(kB|MB|GB)$/;
const KILOBYTES: Readonly<Record<string, number>> = { kB: 1, MB: 1024, GB: 1024 ** 2 };
/** Range of `maintenance_work_mem` that every supported version of Postgres accepts. */
const MEMORY_RANGE_KILOBYTES = [1024, 2 ** 31 - 1] as const;

/**
 * Stores trainings without a vector index and builds the index at the end, which is several times faster than adding
 * each chunk to it. Until then searches are exact and slower.
 *
 * If the load does not finish (the caller stops, the source throws, the process is killed), the trainings that were
 * yielded are stored and the vector index is missing. A repeat continues from there: stored trainings are `unchanged`.
 * `migrate` also builds the missing index.
 *
 * @returns the same results as `upsertTrainings`
 * @throws {@link InvalidArgumentError} for an invalid option, or without `rebuild` if the index already holds chunks
 * @throws {@link SchemaError} if the role does not own the tables; nothing has changed then
 * @throws {@link DatabaseError} `CONFLICT` if another session is building the index
 * @throws {@link AbortError} if the signal fires
 */
export async function* bulkLoad<Item, Result>(
  { pool, layout, method, upsert, onIndexChanged }: BulkLoadParts<Item, Result>,
  trainings: Iterable<Item> | AsyncIterable<Item>,
  options: BulkLoadOptions = {},
): AsyncGenerator<Result, void, undefined> {
  const settings = { ...checkBulkLoad(options), method };
  checkIterable("trainings", trainings);
  const { rebuild = false, onIndexProgress, signal } = options;
  const poolWithin = (ending: AbortSignal | undefined): DatabasePool =>
    boundedPool(pool, { signal: ending, statementMs: Infinity });
  await dropBeforeLoad(poolWithin(signal), layout, rebuild);
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
      (end) => orAbort(() => buildAfterLoad(poolWithin(end), layout, settings), end),
      failed,
    );
  });
  onIndexChanged?.();
  await orAbort(() => analyzeAfterLoad(poolWithin(signal), layout), signal);
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
      parallelWorkers === undefined ? undefined : checkInteger("parallelWorkers", parallelWorkers, 0, MAX_WORKERS),
  };
}

function checkMemory(given: unknown): string {
  const [memory = "", count, unit = ""] = typeof given === "string" ? (MEMORY.exec(given) ?? []) : [];
  const kilobytes = Number(count) * (KILOBYTES[unit] ?? 0);
  const [lowest, highest] = MEMORY_RANGE_KILOBYTES;
  if (kilobytes >= lowest && kilobytes <= highest) return memory;
  throw new InvalidArgumentError(
    "maintenanceWorkMem",
    'must be a whole number with the unit kB, MB or GB, such as "512MB", from 1MB to 2047GB',
  );
}
