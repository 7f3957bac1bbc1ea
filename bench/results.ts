/** All that a run measures: what `results.json` holds, and tables, thresholds and chart are made of. */

/** One contender's answers to one kind of question. */
export interface SearchFigure {
  data: string;
  chunks: number;
  contender: string;
  k: number;
  /** Which part of the chunks the filter keeps. */
  filter: string;
  /** How many chunks the filter keeps. */
  matchingChunks: number;
  p50Milliseconds: number;
  p95Milliseconds: number;
  /** Of the answer that had the fewest. */
  fewestRows: number;
  /** Share of the true ten nearest among ten found, the same for each `k`; `null` where nothing is to be found. */
  recallAt10: number | null;
  /** How many answers were timed. */
  answers: number;
}

/** What the loaded chunks take on the server's disk. */
export interface SizeFigure {
  data: string;
  chunks: number;
  contender: string;
  vectorIndexMegabytes: number;
  /** The rows with what lies out of line, without any index. */
  tableMegabytes: number;
}

/** Searches that a contender answers for many callers at once; `k` is 5, without a filter. */
export interface ThroughputFigure {
  chunks: number;
  contender: string;
  callers: number;
  searchesPerSecond: number;
}

/** What a contender wrote into. */
export type WriteSituation = "no vector index" | "first load with vector index" | "live vector index";

/** One contender's writes in one situation. */
export interface WriteFigure {
  situation: WriteSituation;
  contender: string;
  /** Rows that were there before. */
  rowsBefore: number;
  /** Rows of one round. */
  rows: number;
  rounds: number;
  /** The median of the rounds. */
  rowsPerSecond: number;
}

/** What happens to a training of 200 chunks. */
export type Change = "one paragraph edited" | "the same again" | "deleted";

/** One contender's way to follow a change; medians of the rounds. */
export interface EditFigure {
  change: Change;
  contender: string;
  milliseconds: number;
  /** Texts that were embedded; part of the time. */
  embeddedTexts: number;
  roundTrips: number;
  /** Chunk rows written or deleted, whichever are more. */
  rowsTouched: number;
}

/** Memory of the process that measures, with its own data, at the end of a stage. */
export interface MemoryFigure {
  stage: string;
  residentMegabytes: number;
}

/** Text streamed through `upsertTrainings` in a process of its own. */
export interface StreamFigure {
  megabytes: number;
  chunks: number;
  seconds: number;
  /** Before the first text: Node, the library and the loader of TypeScript. */
  residentMegabytesAtStart: number;
  peakResidentMegabytes: number;
}

/** A demand, and whether this run meets it. */
export interface Threshold {
  demand: string;
  required: string;
  /** `not measured` where the run left it out. */
  measured: string;
  met: boolean | null;
}

/** Where a run was made. */
export interface Machine {
  processor: string;
  cores: number;
  memoryGibibytes: number;
  platform: string;
}

/** The whole of a run. */
export interface Results {
  date: string;
  arguments: string[];
  machine: Machine;
  versions: Record<string, string>;
  server: string;
  serverSettings: Record<string, string>;
  poolSize: number;
  /** What was not measured, and why. */
  leftOut: string[];
  sizes: SizeFigure[];
  searches: SearchFigure[];
  throughput: ThroughputFigure[];
  writes: WriteFigure[];
  edits: EditFigure[];
  memory: MemoryFigure[];
  stream: StreamFigure | null;
  thresholds: Threshold[];
}
