import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { VectorIndexType } from "langchain-training-index/migrations";

const TYPES: readonly VectorIndexType[] = ["vector", "halfvec", "bit"];
const PARTS = ["searches", "words", "recall", "cold", "writes", "vacuum", "verify", "agreement"] as const;
/** Those that are measured by default. The others hold all vectors or a million ids in memory. */
const DEFAULT_PARTS = ["searches", "words", "recall", "cold", "writes", "vacuum"];

/** A part of the run of one large index, after it is loaded. */
export type LargePart = (typeof PARTS)[number];

/** The arguments of `npm run bench -- --index ...`. */
export interface LargeOptions {
  types: VectorIndexType[];
  chunks: number;
  clusters: number;
  chunksPerTraining: number;
  /** Timed searches per setting. */
  queries: number;
  /** Of these searches, those that are compared with an exact one. */
  questions: number;
  /** Of `hnsw.ef_search`, ascending. */
  efSearch: number[];
  hnsw: { m: number; efConstruction: number };
  /** Of the build, in the notation of Postgres. */
  maintenanceWorkMem: string;
  parallelWorkers: number;
  /** Whether the schema has text search, without which the part `words` is left out. */
  textSearch: boolean;
  parts: ReadonlySet<LargePart>;
  /** The name of the schema without the type of its index; it is kept between runs. */
  schema: string;
  /** Whether the schemas stay at the end. */
  keep: boolean;
  /** A shell command that restarts the server with empty caches. */
  restart: string | undefined;
  /** The folder of the results. */
  output: string;
}

const USAGE = `npm run bench -- --index halfvec,bit [--chunks 1000000]
  measures one large index of this library instead of comparing it with others
  --index halfvec,bit        types of the vector index, each in a schema of its own
  --chunks 1000000
  --clusters 5000            of the vectors; default: one per 200 chunks
  --chunks-per-training 20
  --queries 1000             timed searches per setting
  --questions 100            of these, compared with an exact search
  --ef-search 40,100,200,400
  --m 16 --ef-construction 64
  --memory 3GB               maintenance_work_mem of the build; default: enough for the graph of a halfvec index
  --workers 1                parallel workers of the build
  --no-text-search           loads faster, without the parts of searches by words
  --parts ${PARTS.join(",")}
                             default: ${DEFAULT_PARTS.join(",")}
  --schema bench_large       the schemas are bench_large_halfvec and so on. A run that finds one continues it
  --keep                     keeps the schemas at the end
  --restart "COMMAND"        restarts the server with empty caches, for the part cold
  --output bench/results     the folder of large-1000000.json and large-1000000.md`;

/** Whether the command line asks for a run of one large index. */
export function isLargeRun(args: readonly string[]): boolean {
  return args.some((argument) => argument === "--index" || argument.startsWith("--index="));
}

/** Reads the command line; prints the usage and ends the process if it is invalid. */
export function readLargeOptions(): LargeOptions {
  try {
    return parseOptions();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

function parseOptions(): LargeOptions {
  const { values } = parseArgs({
    options: {
      index: { type: "string", default: "halfvec,bit" },
      chunks: { type: "string", default: "1000000" },
      clusters: { type: "string" },
      "chunks-per-training": { type: "string", default: "20" },
      queries: { type: "string", default: "1000" },
      questions: { type: "string", default: "100" },
      "ef-search": { type: "string", default: "40,100,200,400" },
      m: { type: "string", default: "16" },
      "ef-construction": { type: "string", default: "64" },
      memory: { type: "string" },
      workers: { type: "string", default: "1" },
      "no-text-search": { type: "boolean", default: false },
      parts: { type: "string", default: DEFAULT_PARTS.join(",") },
      schema: { type: "string", default: "bench_large" },
      keep: { type: "boolean", default: false },
      restart: { type: "string" },
      output: { type: "string", default: fileURLToPath(new URL("../results", import.meta.url)) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const chunks = wholeNumber("chunks", values.chunks);
  return {
    types: values.index.split(",").map((name) => oneOf("index", name, TYPES)),
    chunks,
    clusters: wholeNumber("clusters", values.clusters ?? `${Math.max(Math.round(chunks / 200), 1)}`),
    chunksPerTraining: wholeNumber("chunks-per-training", values["chunks-per-training"]),
    queries: wholeNumber("queries", values.queries),
    questions: wholeNumber("questions", values.questions),
    efSearch: values["ef-search"]
      .split(",")
      .map((value) => wholeNumber("ef-search", value))
      .sort((left, right) => left - right),
    hnsw: { m: wholeNumber("m", values.m), efConstruction: wholeNumber("ef-construction", values["ef-construction"]) },
    maintenanceWorkMem: values.memory ?? memoryFor(chunks),
    parallelWorkers: wholeNumber("workers", values.workers, 0),
    textSearch: !values["no-text-search"],
    parts: new Set(values.parts.split(",").map((name) => oneOf("parts", name, PARTS))),
    schema: identifier(values.schema),
    keep: values.keep,
    restart: values.restart,
    output: values.output,
  };
}

/** The graph of a halfvec index takes about 2.8 KB a chunk; rounded up. */
function memoryFor(chunks: number): string {
  return `${Math.max(Math.ceil((chunks * 3100) / 1e6 / 64), 1) * 64}MB`;
}

function wholeNumber(option: string, value: string, lowest = 1): number {
  if (/^\d{1,9}$/.test(value) && Number(value) >= lowest) return Number(value);
  throw new Error(`--${option} must be a whole number from ${lowest} to 999999999, not ${value}`);
}

function oneOf<Name extends string>(option: string, value: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new Error(`--${option} must be some of ${names.join(", ")}, not ${value}`);
  return found;
}

function identifier(name: string): string {
  if (/^[a-z_][a-z0-9_]{0,40}$/.test(name)) return name;
  throw new Error(`--schema must be of lower case letters, digits and underscores, not ${name}`);
}
