/**
 * Streams the given megabytes of text through `upsertTrainings`, and prints as JSON how much memory it took. `memory.ts`
 * starts it as a separate process, so that the figure does not include the memory of the bench.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Embeddings } from "@langchain/core/embeddings";
import { TrainingIndex, type Training } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { dropVectorIndexes } from "./contenders/library.js";
import { DIMENSIONS } from "./data.js";
import type { StreamFigure } from "./results.js";
import { ClusteredVectors, randomNumbers, text } from "../tooling/seeded-data.js";

const MEGABYTE = 1_000_000;
const PARAGRAPHS_PER_TRAINING = 200;
const PARAGRAPH_CHARACTERS = 450; // two of them fill a chunk
const VECTORS = 64;

/** An embedder that takes no time: it returns precomputed vectors in turn. */
class ReadyEmbeddings extends Embeddings {
  readonly #vectors: number[][];
  #given = 0;

  constructor() {
    super({});
    const vectors = new ClusteredVectors(DIMENSIONS, 1, 1);
    this.#vectors = Array.from({ length: VECTORS }, () => vectors.next());
  }

  async embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.all(texts.map(() => this.embedQuery()));
  }

  embedQuery(): Promise<number[]> {
    return Promise.resolve(this.#vectors[this.#given++ % VECTORS] ?? []);
  }
}

const { values } = parseArgs({ options: { schema: { type: "string" }, megabytes: { type: "string" } } });
const { schema = "", megabytes = "" } = values;
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"] });
pool.on("error", (error) => {
  console.error("An idle connection to Postgres was lost:", error.message);
});
try {
  await migrate(pool, { schema, dimensions: DIMENSIONS });
  await dropVectorIndexes(pool, schema); // updating it would take the server an hour, and is not measured here
  const index = await TrainingIndex.initialize(new ReadyEmbeddings(), {
    pool,
    schema,
    profile: { model: "bench", dimensions: DIMENSIONS },
  });
  const residentMegabytesAtStart = toMegabytes(process.memoryUsage.rss());
  const started = performance.now();
  let chunks = 0;
  for await (const result of index.upsertTrainings(trainings(Number(megabytes)))) chunks += result.chunks;
  const figure: StreamFigure = {
    megabytes: Number(megabytes),
    chunks,
    seconds: (performance.now() - started) / 1000,
    residentMegabytesAtStart,
    peakResidentMegabytes: peakResidentMegabytes(),
  };
  console.log(JSON.stringify(figure));
} finally {
  await pool.end();
}

/** Generates texts on demand, as from a cursor or a file. */
async function* trainings(count: number): AsyncGenerator<Training> {
  const random = randomNumbers(1);
  for (let bytes = 0, id = 0; bytes < count * MEGABYTE; id++) {
    const paragraphs = Array.from({ length: PARAGRAPHS_PER_TRAINING }, () => text(random, PARAGRAPH_CHARACTERS));
    const content = paragraphs.join("\n\n");
    bytes += Buffer.byteLength(content);
    yield await Promise.resolve({ id: `training-${id}`, content });
  }
}

/** On Linux `maxRSS` includes the parent's memory at the start of this process, so /proc is read first. */
function peakResidentMegabytes(): number {
  try {
    const [, kibibytes = ""] = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    return toMegabytes(Number(kibibytes) * 1024);
  } catch {
    return toMegabytes(process.resourceUsage().maxRSS * 1024);
  }
}

function toMegabytes(bytes: number): number {
  return Math.round(bytes / MEGABYTE);
}
