/**
 * Measures one large index of this library: load and build, sizes, searches with one and eight clients, recall, filters, words, writes, VACUUM and
 * cold caches. What is done is in the results after each part, so a run that was interrupted continues with the same command.
 */
import { execFile } from "node:child_process";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { TrainingIndex } from "langchain-training-index";
import { migrate, type VectorIndexType } from "langchain-training-index/migrations";
import type pg from "pg";
import { DIMENSIONS } from "../data.js";
import { nearestRecall, recordQuestions } from "../direct-recall.js";
import { describeMachine, describePackages } from "../machine.js";
import { BenchServer } from "../server.js";
import { timed } from "../statistics.js";
import { LARGE_SELECTIONS, LargeData, NumberedEmbeddings } from "./large-data.js";
import { loadLarge, sizesOf } from "./large-load.js";
import type { LargeOptions } from "./large-options.js";
import { largeMarkdown } from "./large-report.js";
import type { ColdFigure, LargeIndexFigures, LargeLoadFigure, LargeResults, ReportedRecall } from "./large-results.js";
import { measureLargeSearches, measureWordSearches, timesOf } from "./large-searches.js";
import { readTruth, RECALL_K } from "./large-truth.js";
import { measureVerify } from "./large-verify.js";
import { measureLargeWrites, measureVacuum } from "./large-writes.js";

const COLD_SEARCHES = 100;
const RECALL_SAMPLE = 50;
const AGREEMENT_SAMPLE = 500;
const MAX_RECALL_MS = 3_600_000;
const RESTART_MILLISECONDS = 300_000;
const POLL_MILLISECONDS = 500;

/** How far the load of a schema is, in a table beside its own. */
interface LoadState {
  chunks: number;
  seconds: number;
  /** Once the vector index is built. */
  figure?: LargeLoadFigure | undefined;
}

/** Runs what the options name, and writes `large-<chunks>.json` and `large-<chunks>.md`. */
export async function measureLarge(options: LargeOptions): Promise<void> {
  await mkdir(options.output, { recursive: true });
  const server = await BenchServer.start({
    settings: { shared_buffers: `${Math.floor(totalmem() / 3 / 2 ** 20)}MB`, max_wal_size: "16GB" },
    sharedMemoryBytes: Math.floor(totalmem() / 4),
  });
  try {
    if (options.keep && server.isContainer) {
      throw new Error("--keep needs DATABASE_URL: a container ends with the run");
    }
    const run = new LargeRun(server, options, await openResults(server, options));
    for (const type of options.types) await run.measure(type);
    console.log(largeMarkdown(run.results));
  } finally {
    await server.stop();
  }
}

async function openResults(server: BenchServer, options: LargeOptions): Promise<LargeResults> {
  const { versions, settings } = await server.describe();
  const { chunks, clusters, chunksPerTraining, hnsw, maintenanceWorkMem, parallelWorkers, textSearch, output } =
    options;
  const setup = {
    chunks,
    clusters,
    chunksPerTraining,
    dimensions: DIMENSIONS,
    hnsw,
    maintenanceWorkMem,
    parallelWorkers,
    textSearch,
  };
  const results: LargeResults = {
    date: new Date().toISOString(),
    arguments: process.argv.slice(2),
    machine: describeMachine(),
    versions: { ...versions, ...describePackages() },
    server: server.description,
    serverSettings: settings,
    ...setup,
    leftOut: options.restart === undefined ? ["Cold caches: needs --restart"] : [],
    indexes: [],
  };
  const earlier = await readFile(fileOf(output, chunks, "json"), "utf8").then(
    (text) => JSON.parse(text) as LargeResults,
    () => undefined,
  );
  const isSame =
    earlier &&
    Object.entries(setup).every(([key, value]) => {
      return JSON.stringify(earlier[key as keyof LargeResults]) === JSON.stringify(value);
    });
  return isSame ? { ...results, indexes: earlier.indexes } : results;
}

function fileOf(folder: string, chunks: number, extension: string): string {
  return join(folder, `large-${chunks}.${extension}`);
}

class LargeRun {
  readonly results: LargeResults;
  readonly #server: BenchServer;
  readonly #options: LargeOptions;
  readonly #data: LargeData;
  readonly #started = performance.now();

  constructor(server: BenchServer, options: LargeOptions, results: LargeResults) {
    this.#server = server;
    this.#options = options;
    this.results = results;
    this.#data = new LargeData(options.clusters);
  }

  /** One type of vector index, in a schema of its own. */
  async measure(type: VectorIndexType): Promise<void> {
    const { parts, schema: prefix, keep, chunks, textSearch, hnsw, restart, queries } = this.#options;
    const schema = `${prefix}_${type}`;
    const progress = (message: string): void => {
      this.#progress(`${type}: ${message}`);
    };
    const figures = this.#figuresOf(type);
    const state = await this.#openSchema(schema);
    // A schema that is partly loaded has no vector index, which migrate would build.
    if (state.chunks === 0) {
      const language = textSearch ? "portuguese" : false;
      await migrate(this.#server.pool, {
        schema,
        dimensions: DIMENSIONS,
        vectorIndex: type,
        hnsw,
        textSearch: language,
      });
    }
    const index = await this.#open(schema, this.#server.pool);
    if (!state.figure) {
      for (const name of Object.keys(figures)) if (name !== "type") Reflect.deleteProperty(figures, name);
      progress(state.chunks > 0 ? `continuing the load at ${state.chunks} chunks` : `loading ${chunks} chunks`);
      const figure = await loadLarge({
        ...{ index, data: this.#data, options: this.#options, progress, earlier: state },
        onStored: (stored, seconds) => this.#keepState(schema, { chunks: stored, seconds }),
      });
      progress(`loaded and built in ${figure.minutes.toFixed(1)} minutes`);
      await this.#keepState(schema, { chunks, seconds: figure.loadSeconds, figure });
      state.figure = figure;
      progress("VACUUM and ANALYZE");
      await this.#server.pool.query(`VACUUM (ANALYZE) ${schema}.chunk_1`);
      await this.#server.settle();
    }
    figures.load = state.figure;
    await this.#write();
    const part = async <Part extends keyof LargeIndexFigures>(
      name: Part,
      measure: () => Promise<NonNullable<LargeIndexFigures[Part]>>,
    ): Promise<void> => {
      if (figures[name] !== undefined) return;
      progress(name);
      figures[name] = await measure();
      await this.#write();
    };
    await part("sizes", () => sizesOf(this.#server.pool, schema, type));
    if (parts.has("searches")) {
      await part("searches", async () => {
        const truth = await this.#truth(schema, progress);
        return measureLargeSearches(index, this.#data, this.#options, truth, progress);
      });
    }
    if (parts.has("words") && textSearch) {
      await part("words", () => measureWordSearches(index, this.#data, this.#options, progress));
    }
    if (parts.has("recall")) await part("recall", () => this.#recall(index));
    if (parts.has("cold") && restart !== undefined) {
      await part("cold", () =>
        this.#cold(index, restart, this.#data.questions(queries + COLD_SEARCHES).slice(queries)),
      );
    }
    if (parts.has("verify")) {
      const { connectionString } = this.#server;
      await part("verify", () => measureVerify(connectionString, schema, chunks, progress));
    }
    if (parts.has("agreement")) await part("agreement", () => this.#agreement(index, schema));
    if (parts.has("writes")) await part("writes", () => measureLargeWrites(index, this.#options));
    if (parts.has("vacuum")) {
      await part("vacuum", () => measureVacuum(index, this.#server.pool, schema, this.#data, this.#options));
    }
    if (!keep) {
      await this.#server.dropSchema(schema);
      await this.#server.dropSchema(stateSchema(schema));
    }
  }

  #open(schema: string, pool: pg.Pool): Promise<TrainingIndex> {
    const profile = { model: "bench", dimensions: DIMENSIONS };
    return TrainingIndex.initialize(new NumberedEmbeddings(this.#data), { pool, schema, profile });
  }

  #truth(schema: string, progress: (message: string) => void): ReturnType<typeof readTruth> {
    const { chunks, clusters, questions } = this.#options;
    const name = `truth-${chunks}-${clusters}`;
    return readTruth(this.#server.pool, schema, name, this.#data.questions(questions), LARGE_SELECTIONS, progress);
  }

  async #recall(index: TrainingIndex): Promise<ReportedRecall> {
    const { efSearch } = this.#options;
    const report = await index.recall({
      k: RECALL_K,
      efSearch,
      sample: RECALL_SAMPLE,
      target: 0.98,
      maxMs: MAX_RECALL_MS,
    });
    const { rows, suggestion, exactP50Ms = null } = report;
    return {
      rows: rows.map(({ efSearch: value, recall, p50Ms }) => ({ efSearch: value, recall, p50Ms })),
      suggestion,
      exactP50Ms,
    };
  }

  async #cold(index: TrainingIndex, restart: string, questions: readonly number[][]): Promise<ColdFigure> {
    await promisify(execFile)("sh", ["-c", restart]);
    const deadline = performance.now() + RESTART_MILLISECONDS;
    for (;;) {
      try {
        await this.#server.pool.query("SELECT 1");
        break;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(POLL_MILLISECONDS);
      }
    }
    const times: number[] = [];
    for (const vector of questions) times.push(await timed(() => index.similar(vector, { k: RECALL_K })));
    return { how: restart, firstMilliseconds: times[0] ?? NaN, firstHundred: timesOf(times) };
  }

  async #agreement(index: TrainingIndex, schema: string): Promise<NonNullable<LargeIndexFigures["agreement"]>> {
    const { efSearch } = this.#options;
    const pool = this.#server.openPool();
    const asked = recordQuestions(pool);
    const recorded = await this.#open(schema, pool);
    const report = await recorded.recall({ k: RECALL_K, efSearch, sample: AGREEMENT_SAMPLE, maxMs: MAX_RECALL_MS });
    const direct = await nearestRecall(index, pool, schema, { k: RECALL_K, efSearch, questions: asked });
    return report.rows.map(({ efSearch: value, recall }) => ({
      efSearch: value,
      recall,
      direct: direct.get(value) ?? NaN,
    }));
  }

  /** Creates the table of what is loaded if it is missing, and reads it. */
  async #openSchema(schema: string): Promise<LoadState> {
    const { pool } = this.#server;
    await pool.query(`CREATE SCHEMA IF NOT EXISTS ${stateSchema(schema)}`);
    await pool.query(
      `CREATE TABLE IF NOT EXISTS ${stateSchema(schema)}.load (setup text PRIMARY KEY, chunks bigint NOT NULL, seconds float8 NOT NULL, figure jsonb)`,
    );
    const { rows } = await pool.query<{
      setup: string;
      chunks: string;
      seconds: number;
      figure: LargeLoadFigure | null;
    }>(`SELECT setup, chunks, seconds, figure FROM ${stateSchema(schema)}.load`);
    const [found] = rows;
    if (!found) return { chunks: 0, seconds: 0 };
    if (found.setup !== this.#setup()) {
      throw new Error(
        `Schema ${schema} was loaded with ${found.setup}: choose another --schema, or drop it and ${stateSchema(schema)}`,
      );
    }
    return { chunks: Number(found.chunks), seconds: found.seconds, figure: found.figure ?? undefined };
  }

  async #keepState(schema: string, { chunks, seconds, figure }: LoadState): Promise<void> {
    await this.#server.pool.query(
      `INSERT INTO ${stateSchema(schema)}.load VALUES ($1, $2, $3, $4)
        ON CONFLICT (setup) DO UPDATE SET chunks = excluded.chunks, seconds = excluded.seconds, figure = excluded.figure`,
      [this.#setup(), chunks, seconds, figure ? JSON.stringify(figure) : null],
    );
  }

  /** What the content of a schema depends on. */
  #setup(): string {
    const { chunks, clusters, chunksPerTraining, hnsw, textSearch } = this.#options;
    return JSON.stringify({ chunks, clusters, chunksPerTraining, hnsw, textSearch });
  }

  #figuresOf(type: VectorIndexType): LargeIndexFigures {
    const found = this.results.indexes.find((figures) => figures.type === type);
    if (found) return found;
    const figures: LargeIndexFigures = { type };
    this.results.indexes.push(figures);
    return figures;
  }

  async #write(): Promise<void> {
    const { output, chunks } = this.#options;
    const file = fileOf(output, chunks, "json");
    await writeFile(`${file}.new`, `${JSON.stringify(this.results, null, 2)}\n`);
    await rename(`${file}.new`, file);
    await writeFile(fileOf(output, chunks, "md"), largeMarkdown(this.results));
  }

  #progress(message: string): void {
    console.error(`${((performance.now() - this.#started) / 1000).toFixed(0).padStart(5)} s  ${message}`);
  }
}

function stateSchema(schema: string): string {
  return `${schema}_state`;
}
