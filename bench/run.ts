/**
 * Compares this library, `PGVectorStore`, other libraries and bare SQL, in one run, on one server, with the same data:
 *
 *   npm run bench                 everything, about 20 minutes; `npm run bench -- --help` for less
 *   npm run bench -- chart        draws chart.svg again from results.json
 *   npm ci --prefix bench         installs the optional contenders and the chart's packages
 *   npm run bench -- --index halfvec,bit --chunks 1000000      one large index of this library instead
 *
 * On the server of `DATABASE_URL`, else in a container. All have pools of the same size, the same HNSW parameters where
 * they let them be chosen, statistics gathered after their loads, questions that are not timed before those that are,
 * and take turns. Medians and percentiles are reported. The ratios are the result: the milliseconds are this machine's.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadEnvFile } from "../tooling/env-file.js";
import { drawChart } from "./chart.js";
import { ChunkSource, clustersFor, DIMENSIONS } from "./data.js";
import { SEEDED } from "./figures.js";
import { measureImports } from "./imports.js";
import { isLargeRun, readLargeOptions } from "./large/large-options.js";
import { measureLarge } from "./large/large-run.js";
import { describeMachine, describePackages } from "./machine.js";
import { measureStream, MemoryLog } from "./memory.js";
import { readOptions, type BenchOptions, type Part } from "./options.js";
import { readRealDataset, REAL_DATA_FOLDER } from "./real-data.js";
import { printReport } from "./report.js";
import type { Results } from "./results.js";
import { BenchServer, POOL_SIZE } from "./server.js";
import { measureDataset, type Bench } from "./stages.js";
import { measureTelemetry } from "./telemetry.js";
import { checkThresholds } from "./thresholds.js";

/** Parts that need the seeded data. */
const SEEDED_PARTS: readonly Part[] = ["searches", "throughput", "writes", "edits"];

loadEnvFile();
if (isLargeRun(process.argv)) {
  await measureLarge(readLargeOptions());
} else {
  const options = readOptions();
  if (!options.chartOnly) await measureAll(options);
  await drawChart(options.output);
}

async function measureAll(options: BenchOptions): Promise<void> {
  await mkdir(options.output, { recursive: true }); // fails now rather than at the end of the run
  const server = await BenchServer.start();
  try {
    const results = await emptyResults(server, options);
    const started = performance.now();
    const progress = (message: string): void => {
      console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${message}`);
    };
    await measureParts({ server, options, results, memory: new MemoryLog(), progress });
    results.thresholds = checkThresholds(results);
    printReport(results);
    await writeFile(join(options.output, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
  } finally {
    await server.stop();
  }
}

async function measureParts(bench: Bench): Promise<void> {
  const { server, options, memory, results, progress } = bench;
  memory.note("started");
  if (options.parts.has("stream")) {
    progress(`streaming ${options.streamMegabytes} MB through upsertTrainings`);
    results.stream = await measureStream(server, options.streamMegabytes);
  }
  if (options.parts.has("imports")) {
    progress("cold imports");
    results.imports = await measureImports();
  }
  if (options.parts.has("real")) {
    const dataset = await readRealDataset();
    if (dataset) {
      await measureDataset(bench, { dataset, isSeeded: false, onlyQuick: false, source: undefined });
    } else {
      results.leftOut.push(`Vectors of a real model: ${REAL_DATA_FOLDER} does not exist`);
    }
  }
  if (SEEDED_PARTS.some((part) => options.parts.has(part))) await measureSeededData(bench);
  // Last: OpenTelemetry changes how promises run in this process.
  if (options.parts.has("telemetry")) {
    progress("searches with and without telemetry");
    results.telemetry = await measureTelemetry(server, options.queries);
  }
  results.memory = memory.figures;
}

async function measureSeededData(bench: Bench): Promise<void> {
  const { options } = bench;
  for (const [index, count] of options.chunkCounts.entries()) {
    const source = new ChunkSource(options.clusters ?? clustersFor(count));
    const queries = source.takeQueries(options.queries);
    const dataset = { name: SEEDED, dimensions: DIMENSIONS, chunks: source.take(count), queries };
    const isFirst = index === 0;
    await measureDataset(bench, {
      dataset,
      isSeeded: true,
      onlyQuick: !isFirst && !options.allAtEverySize,
      source: isFirst ? source : undefined,
    });
  }
}

async function emptyResults(server: BenchServer, { allAtEverySize, chunkCounts }: BenchOptions): Promise<Results> {
  const { versions, settings } = await server.describe();
  return {
    date: new Date().toISOString(),
    arguments: process.argv.slice(2),
    machine: describeMachine(),
    versions: { ...versions, ...describePackages() },
    server: server.description,
    serverSettings: settings,
    poolSize: POOL_SIZE,
    leftOut:
      allAtEverySize || chunkCounts.length === 1
        ? []
        : ["The slow contenders at more than the first size (--all-at-every-size)"],
    sizes: [],
    searches: [],
    throughput: [],
    writes: [],
    edits: [],
    memory: [],
    stream: null,
    imports: null,
    telemetry: null,
    thresholds: [],
  };
}
