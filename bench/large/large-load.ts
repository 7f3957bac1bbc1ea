import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import type { LargeLoadFigure, LargeSizes } from "./large-results.js";
import type { LargeData } from "./large-data.js";
import type { LargeOptions } from "./large-options.js";
import type { VectorIndexType } from "langchain-training-index/migrations";

const MILLISECONDS_BETWEEN_REPORTS = 10_000;

/** What a load needs. */
export interface LargeLoad {
  index: TrainingIndex;
  data: LargeData;
  options: LargeOptions;
  progress: (message: string) => void;
  /** Chunks that an earlier run has stored, and the seconds that it took. */
  earlier: { chunks: number; seconds: number };
  /** Called every few seconds with what is stored so far, so that an interrupted run can continue. */
  onStored: (chunks: number, seconds: number) => Promise<void>;
}

/** Loads what is not stored yet, without the vector index, and builds it. */
export async function loadLarge(load: LargeLoad): Promise<LargeLoadFigure> {
  const { index, data, options, progress, earlier, onStored } = load;
  const { chunks, chunksPerTraining, maintenanceWorkMem, parallelWorkers } = options;
  const started = performance.now();
  const secondsSoFar = (): number => earlier.seconds + (performance.now() - started) / 1000;
  let stored = earlier.chunks;
  let reported = started;
  let loadSeconds = 0;
  const due = (): boolean => {
    if (performance.now() - reported < MILLISECONDS_BETWEEN_REPORTS) return false;
    reported = performance.now();
    return true;
  };
  const run = index.bulkLoad(data.trainings(earlier.chunks, chunks - earlier.chunks, chunksPerTraining), {
    rebuild: true,
    maintenanceWorkMem,
    parallelWorkers,
    onIndexProgress: ({ phase, tuplesDone }) => {
      if (loadSeconds === 0) {
        loadSeconds = secondsSoFar();
        progress(`loaded in ${loadSeconds.toFixed(0)} s, building the vector index`);
      }
      if (due()) progress(`${phase}: ${tuplesDone} chunks`);
    },
  });
  for await (const { status, chunks: added } of run) {
    if (status !== "indexed" && status !== "unchanged") throw new Error(`A new training was ${status}`);
    stored += added;
    if (!due()) continue;
    const rate = (stored - earlier.chunks) / ((performance.now() - started) / 1000);
    progress(`loaded ${stored} chunks, ${rate.toFixed(0)} a second`);
    await onStored(stored, secondsSoFar());
  }
  const seconds = secondsSoFar();
  return {
    loadSeconds,
    rowsPerSecond: chunks / loadSeconds,
    buildSeconds: seconds - loadSeconds,
    buildRowsPerSecond: chunks / (seconds - loadSeconds),
    minutes: seconds / 60,
    wasInterrupted: earlier.chunks > 0,
  };
}

/** Disk space of a schema. */
export async function sizesOf(pool: pg.Pool, schema: string, type: VectorIndexType): Promise<LargeSizes> {
  const vectorIndex = `${schema}.chunk_1_embedding${type === "vector" ? "" : `_${type}`}`;
  const { rows } = await pool.query<Record<keyof LargeSizes, string>>(
    `SELECT pg_table_size($2::regclass)::text AS table, pg_table_size($3::regclass)::text AS "vectorIndex",
      (pg_indexes_size($2::regclass) - pg_table_size($3::regclass))::text AS "otherIndexes",
      (SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::regnamespace)::text AS schema`,
    [schema, `${schema}.chunk_1`, vectorIndex],
  );
  const found = rows[0];
  return {
    table: Number(found?.table),
    vectorIndex: Number(found?.vectorIndex),
    otherIndexes: Number(found?.otherIndexes),
    schema: Number(found?.schema),
  };
}
