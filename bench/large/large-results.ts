import type { VectorIndexType } from "langchain-training-index/migrations";
import type { Machine } from "../results.js";

/** Times of a kind of call, in milliseconds. */
export interface Times {
  p50: number;
  p95: number;
  p99: number;
  calls: number;
}

/** Searches of one kind. */
export interface LargeSearchFigure {
  mode: "vector" | "text" | "hybrid";
  efSearch: number;
  filter: string;
  clients: number;
  times: Times;
  perSecond: number;
  /** Of the ten nearest, those that were found; equally near ones count. `null` if it was not compared. */
  recallAt10: number | null;
}

/** How the chunks were loaded and the vector index was built. */
export interface LargeLoadFigure {
  loadSeconds: number;
  rowsPerSecond: number;
  buildSeconds: number;
  buildRowsPerSecond: number;
  minutes: number;
  /** Whether it was interrupted; its seconds are then the sum of the parts. */
  wasInterrupted: boolean;
}

/** Disk space in bytes. */
export interface LargeSizes {
  table: number;
  vectorIndex: number;
  otherIndexes: number;
  schema: number;
}

/** Changes while the vector index is in use. */
export interface LargeWriteFigure {
  change: string;
  /** Chunks that are written or deleted by each. */
  chunks: number;
  times: Times;
}

/** What happens while VACUUM runs. */
export interface VacuumFigure {
  seconds: number;
  deadRows: number;
  searches: Times;
  writes: Times;
}

/** Searches after a restart of the server. */
export interface ColdFigure {
  /** How the caches were emptied. */
  how: string;
  firstMilliseconds: number;
  /** Of the first hundred. */
  firstHundred: Times;
}

/** What `recall()` reports. */
export interface ReportedRecall {
  rows: { efSearch: number; recall: number; p50Ms: number }[];
  suggestion: string;
  exactP50Ms: number | null;
}

/** The figures of one type of vector index. Parts that have not run yet are missing. */
export interface LargeIndexFigures {
  type: VectorIndexType;
  load?: LargeLoadFigure;
  sizes?: LargeSizes;
  searches?: LargeSearchFigure[];
  words?: LargeSearchFigure[];
  recall?: ReportedRecall;
  cold?: ColdFigure;
  writes?: LargeWriteFigure[];
  vacuum?: VacuumFigure;
  /** The job, how many references, megabytes at the start and at most, seconds. */
  verify?: [job: string, count: number, ...figures: number[]][];
  /** `efSearch`, what `recall()` reports, and what a comparison of all vectors in this process finds. */
  agreement?: { efSearch: number; recall: number; direct: number }[];
}

/** The results of a run of large indexes: `large-<chunks>.json`. */
export interface LargeResults {
  date: string;
  arguments: string[];
  machine: Machine;
  versions: Record<string, string>;
  server: string;
  serverSettings: Record<string, string>;
  chunks: number;
  clusters: number;
  chunksPerTraining: number;
  dimensions: number;
  hnsw: { m: number; efConstruction: number };
  maintenanceWorkMem: string;
  parallelWorkers: number;
  textSearch: boolean;
  leftOut: string[];
  indexes: LargeIndexFigures[];
}
