/** The figures of a run: the content of `results.json`, from which tables, thresholds and chart are made. */

/** One contender's results for one kind of search. */
export interface SearchFigure {
  data: string;
  chunks: number;
  contender: string;
  k: number;
  /** The share of the chunks that the filter matches. */
  filter: string;
  /** How many chunks the filter matches. */
  matchingChunks: number;
  p50Milliseconds: number;
  p95Milliseconds: number;
  /** Rows of the search that returned the fewest. */
  fewestRows: number;
  /** Share of the true ten nearest among ten found, whatever `k`; `null` if the filter matches nothing. */
  recallAt10: number | null;
  /** How many searches were timed. */
  answers: number;
}

/** The disk space that the loaded chunks take. */
export interface SizeFigure {
  data: string;
  chunks: number;
  contender: string;
  vectorIndexMegabytes: number;
  /** The table with its TOAST data, without indexes. */
  tableMegabytes: number;
}

/** Searches per second with concurrent callers, for `k` 5 without a filter. */
export interface ThroughputFigure {
  chunks: number;
  contender: string;
  callers: number;
  searchesPerSecond: number;
}

/** The state of the vector index during writes. */
export type WriteSituation = "no vector index" | "first load with vector index" | "live vector index";

/** One contender's writes in one situation. */
export interface WriteFigure {
  situation: WriteSituation;
  contender: string;
  /** Rows in the table before. */
  rowsBefore: number;
  /** Rows per round. */
  rows: number;
  rounds: number;
  /** The median of the rounds. */
  rowsPerSecond: number;
}

/** A change to a training of 200 chunks. */
export type Change = "one paragraph edited" | "repeated unchanged" | "deleted";

/** How long a new process takes to import a module: medians. */
export interface ImportFigure {
  /** The built main entry of this library. */
  entryMilliseconds: number;
  /** `@langchain/core/retrievers`, which the main entry needs. */
  baselineMilliseconds: number;
}

/** One contender's figures for one change: medians of the rounds. */
export interface EditFigure {
  change: Change;
  contender: string;
  milliseconds: number;
  /** Embedded texts; `milliseconds` includes their embedding. */
  embeddedTexts: number;
  roundTrips: number;
  /** The larger of the numbers of chunk rows written and deleted. */
  rowsTouched: number;
}

/** Searches while someone or no one listens to the channels of the library. */
export interface TelemetryFigure {
  situation: string;
  p50Milliseconds: number;
  p95Milliseconds: number;
  /** How many searches were timed. */
  answers: number;
}

/** The cost of telemetry. */
export interface TelemetryFigures {
  chunks: number;
  situations: TelemetryFigure[];
  /** How long one search takes to find out that no one listens. */
  checksMicroseconds: number;
}

/** Memory of the measuring process, its data included, at the end of a stage. */
export interface MemoryFigure {
  stage: string;
  residentMegabytes: number;
}

/** Text streamed through `upsertTrainings` in a process of its own. */
export interface StreamFigure {
  megabytes: number;
  chunks: number;
  seconds: number;
  /** Before the first text: Node, the library and the TypeScript loader. */
  residentMegabytesAtStart: number;
  peakResidentMegabytes: number;
}

/** A required figure, and whether this run reaches it. */
export interface Threshold {
  demand: string;
  required: string;
  /** `not measured` if the run left it out. */
  measured: string;
  met: boolean | null;
}

/** The machine of a run. */
export interface Machine {
  processor: string;
  cores: number;
  memoryGibibytes: number;
  platform: string;
}

/** All results of a run. */
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
  imports: ImportFigure | null;
  telemetry: TelemetryFigures | null;
  thresholds: Threshold[];
}
