/**
 * Measures what an operator of a large index wants to know: sizes, the memory of `verify` and `reconcile`, and whether `recall` agrees with a
 * direct computation.
 *
 *   npm run bench:large                            100,000 chunks, about 15 minutes, 3 GB of disk
 *   npm run bench:large -- --chunks 20000 --questions 100
 *
 * On the server of `DATABASE_URL`, else in a container.
 */
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { Embeddings } from "@langchain/core/embeddings";
import { build } from "esbuild";
import { TrainingIndex, type Training } from "langchain-training-index";
import { migrate, type VectorIndexType } from "langchain-training-index/migrations";
import { loadEnvFile } from "../tooling/env-file.js";
import { ClusteredVectors, randomNumbers, text } from "../tooling/seeded-data.js";
import { table } from "../tooling/table.js";
import { clustersFor, DIMENSIONS } from "./data.js";
import { nearestRecall, recordQuestions } from "./direct-recall.js";
import { BenchServer } from "./server.js";

const TEXT_CHARACTERS = 700;
const SEED = 7;
const IDS = 1_000_000;
const EF_SEARCH = [10, 20, 40, 100];
const HNSW: VectorIndexType[] = ["vector", "halfvec", "bit"];

/** Gives each text the next vector of the clusters. */
class SeededEmbeddings extends Embeddings {
  readonly #vectors: ClusteredVectors;

  constructor(chunks: number) {
    super({});
    this.#vectors = new ClusteredVectors(DIMENSIONS, clustersFor(chunks), SEED);
  }

  embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.resolve(texts.map(() => this.#vectors.next()));
  }

  embedQuery(): Promise<number[]> {
    return Promise.resolve(this.#vectors.next());
  }
}

const { values } = parseArgs({
  options: { chunks: { type: "string", default: "100000" }, questions: { type: "string", default: "500" } },
});
const [chunks, questions] = [Number(values.chunks), Number(values.questions)];
loadEnvFile();
const server = await BenchServer.start();
try {
  await measure(server);
} finally {
  await server.clear();
  await server.stop();
}

async function measure(bench: BenchServer): Promise<void> {
  const { pool, connectionString } = bench;
  const schema = bench.schemaName("large");
  await migrate(pool, { schema, dimensions: DIMENSIONS });
  const profile = { model: "bench", dimensions: DIMENSIONS };
  const index = await TrainingIndex.initialize(new SeededEmbeddings(chunks), { pool, schema, profile });
  progress(`loading ${chunks} trainings of a chunk each`);
  await index.bulkLoad(trainings(chunks), { maintenanceWorkMem: "1GB" });
  await pool.query(`VACUUM ANALYZE ${schema}.chunk_1`);

  progress("sizes");
  const sizes = [["table of chunks", await bytesOf(`${schema}.chunk_1`)]] as [string, number][];
  const builder = bench.openPool({ maintenance_work_mem: "1GB" });
  for (const vectorIndex of HNSW) {
    await migrate(builder, { schema, vectorIndex });
    const suffix = vectorIndex === "vector" ? "" : `_${vectorIndex}`;
    sizes.push([`index ${vectorIndex}`, await bytesOf(`${schema}.chunk_1_embedding${suffix}`)]);
  }
  await migrate(builder, { schema, vectorIndex: "vector" });
  console.log(
    table(
      ["", "MB", "bytes a chunk"],
      sizes.map(([name, bytes]) => [name, (bytes / 1e6).toFixed(1), Math.round(bytes / chunks)]),
    ),
  );

  progress(`memory of verify and reconcile, with ${IDS} ids too`);
  const memory: (string | number)[][] = [];
  for (const [job, count] of [
    ["stored", chunks],
    ["verify", chunks],
    ["verify", IDS],
    ["reconcile", IDS],
  ] as const) {
    memory.push([job, count, ...(await runChild(connectionString, schema, job, count))]);
  }
  console.log(table(["", "trainings", "MB at start", "highest MB", "seconds"], memory));

  progress(`recall of ${questions} questions`);
  const recordedPool = bench.openPool();
  const asked = recordQuestions(recordedPool);
  const measured = await TrainingIndex.initialize(new SeededEmbeddings(chunks), {
    pool: recordedPool,
    schema,
    profile,
  });
  const report = await measured.recall({ k: 10, efSearch: EF_SEARCH, sample: questions, maxMs: 3_600_000 });
  const direct = await nearestRecall(index, pool, schema, { k: 10, efSearch: EF_SEARCH, questions: asked });
  console.log(
    table(
      ["efSearch", "recall()", "computed directly"],
      report.rows.map(({ efSearch, recall }) => [efSearch, recall.toFixed(3), direct.get(efSearch)?.toFixed(3) ?? ""]),
    ),
  );

  async function bytesOf(relation: string): Promise<number> {
    const { rows } = await pool.query<{ bytes: string }>("SELECT pg_table_size($1::regclass)::text AS bytes", [
      relation,
    ]);
    return Number(rows[0]?.bytes);
  }
}

function* trainings(count: number): Generator<Training> {
  const random = randomNumbers(SEED);
  for (let number = 0; number < count; number++) {
    yield { id: `training-${number}`, content: `Trecho ${number}: ${text(random, TEXT_CHARACTERS)}`, revision: 1 };
  }
}

/** Runs a job in a process of its own, as a host's: without what transforms TypeScript. */
async function runChild(url: string, schema: string, job: string, count: number): Promise<number[]> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const folder = join(root, "node_modules", ".cache", "bench");
  const outfile = join(folder, "verify-child.mjs");
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [join(root, "bench", "verify-child.ts")],
    ...{ outfile, bundle: true, platform: "node", format: "esm", target: "node20", packages: "external" },
    tsconfig: join(root, "tsconfig.json"),
  });
  const args = [outfile, schema, job, `${count}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, DATABASE_URL: url } });
  return JSON.parse(stdout) as number[];
}

function progress(message: string): void {
  console.error(message);
}
