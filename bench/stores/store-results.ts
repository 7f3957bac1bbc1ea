import type { Machine } from "../results.js";

/** What a store contains after its process was killed while it replaced a training of 200 chunks. */
export interface CrashFigures {
  kills: number;
  /** All chunks of the version that was stored last, or of the one that was being stored. */
  whole: number;
  /** No chunk at all. */
  gone: number;
  /** Some chunks, or those of several versions, or a version that was replaced long before. */
  mixed: number;
  /** The store could not be opened, or a search failed. */
  broken: number;
  /** Whole by its texts, but a search for one of them does not find it. */
  notFound: number;
  /** The last error. */
  error: string | null;
  /** Until the first search was answered, in milliseconds: the median. */
  reopenMilliseconds: number;
}

/** One store at one size. */
export interface StoreFigures {
  store: string;
  chunks: number;
  loadSeconds: number;
  megabytes: number;
  /** By the share of the chunks that the filter matches; `none` without one. */
  searches: { filter: string; p50: number; p95: number; recallAt10: number }[];
  replaceMilliseconds: number;
  /** A search after these replacements. */
  searchAfterMilliseconds: number;
  deleteMilliseconds: number;
  crash: CrashFigures;
}

/** The content of `stores.json`. */
export interface StoreResults {
  date: string;
  arguments: string[];
  machine: Machine;
  versions: Record<string, string>;
  leftOut: string[];
  figures: StoreFigures[];
}
