import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** The parts of a run, each of which can be left out. */
const PARTS = ["searches", "throughput", "writes", "edits", "real", "stream", "imports", "telemetry"] as const;

/** A part of a run. */
export type Part = (typeof PARTS)[number];

/** The arguments of `npm run bench`. */
export interface BenchOptions {
  /** Only draws the chart again, from the existing results. */
  chartOnly: boolean;
  /** Sizes of the seeded data, ascending; writes and edits are measured at the first. */
  chunkCounts: number[];
  /** Number of clusters of the seeded data at every size; `undefined` for one per 100 chunks. */
  clusters: number | undefined;
  queries: number;
  rounds: number;
  liveRows: number;
  streamMegabytes: number;
  allAtEverySize: boolean;
  parts: ReadonlySet<Part>;
  /** The folder of `results.json` and `chart.svg`. */
  output: string;
}

const USAGE = `npm run bench -- [chart]
  --chunks 10000,100000   sizes of the seeded data; writes and edits are measured at the first
  --clusters 100          clusters of the seeded data at every size; default: one per 100 chunks
  --queries 200           searches per contender
  --rounds 3              how often each write is measured
  --live 2000             rows per round of writes into a live vector index
  --stream-mb 200         megabytes of text streamed through upsertTrainings
  --all-at-every-size     slow contenders at all sizes, not only at the first: takes hours
  --parts ${PARTS.join(",")}
  --output bench          the folder of results.json and chart.svg
chart only draws chart.svg again from results.json.
With --index halfvec,bit one large index of this library is measured instead: npm run bench -- --index bit --help`;

/** Reads the command line; prints the usage and ends the process if it is invalid. */
export function readOptions(): BenchOptions {
  try {
    return parseOptions();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

function parseOptions(): BenchOptions {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      chunks: { type: "string", default: "10000,100000" },
      clusters: { type: "string" },
      queries: { type: "string", default: "200" },
      rounds: { type: "string", default: "3" },
      live: { type: "string", default: "2000" },
      "stream-mb": { type: "string", default: "200" },
      "all-at-every-size": { type: "boolean", default: false },
      parts: { type: "string", default: PARTS.join(",") },
      output: { type: "string", default: fileURLToPath(new URL(".", import.meta.url)) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  if (positionals.some((positional) => positional !== "chart")) {
    throw new Error(`Unknown argument ${positionals.join(" ")}: only chart is known`);
  }
  return {
    chartOnly: positionals.length > 0,
    chunkCounts: values.chunks
      .split(",")
      .map((count) => wholeNumber("chunks", count))
      .sort((left, right) => left - right),
    clusters: values.clusters === undefined ? undefined : wholeNumber("clusters", values.clusters),
    queries: wholeNumber("queries", values.queries),
    rounds: wholeNumber("rounds", values.rounds),
    liveRows: wholeNumber("live", values.live),
    streamMegabytes: wholeNumber("stream-mb", values["stream-mb"]),
    allAtEverySize: values["all-at-every-size"],
    parts: new Set(values.parts.split(",").map(toPart)),
    output: values.output,
  };
}

function wholeNumber(option: string, value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value))
    throw new Error(`--${option} must be a whole number from 1 to 999999999, not ${value}`);
  return Number(value);
}

function toPart(name: string): Part {
  const part = PARTS.find((candidate) => candidate === name);
  if (part === undefined) throw new Error(`--parts must be some of ${PARTS.join(", ")}, not ${name}`);
  return part;
}
