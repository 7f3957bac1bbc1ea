/**
 * How well the right passage is found, on real input.
 *
 *   npm run eval -- DIR
 *
 * DIR holds `docs.jsonl` ({ id, title?, text }) and `queries.jsonl` ({ id, text, doc_id, answers: [{ start, end }] },
 * offsets in UTF-16 units of the doc's text), as `../shared/data/faquad-pt` does. Each doc becomes a training, split
 * as the library splits by default. A hit is a chunk that overlaps one of the answers of the question.
 * The environment chooses database and embedder, see `.env.example`.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Embeddings } from "@langchain/core/embeddings";
import { SingleBar } from "cli-progress";
import { TrainingIndex, type ChunkHit } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { scriptEnvironment } from "../examples/support/environment.js";
import { table } from "../examples/support/table.js";

interface EvaluationDocument {
  id: string;
  title?: string;
  text: string;
}

interface EvaluationQuery {
  text: string;
  doc_id: string;
  answers: { start: number; end: number }[];
}

const K = 10;
const RANKS = [1, 5, 10];

const { positionals } = parseArgs({ allowPositionals: true });
const [directory] = positionals;
if (directory === undefined) {
  console.error("usage: npm run eval -- DIR     (a folder with docs.jsonl and queries.jsonl)");
  process.exit(2);
}

const documents = await readLines<EvaluationDocument>(join(directory, "docs.jsonl"));
const queries = await readLines<EvaluationQuery>(join(directory, "queries.jsonl"));
const { config, pool, embeddings, ...chosen } = scriptEnvironment();
const calls = countCalls(embeddings);
console.log(`database: ${chosen.database}\nembedder: ${chosen.embedder}`);
const schema = `training_index_eval_${randomBytes(4).toString("hex")}`;
try {
  await migrate(pool, {
    schema,
    dimensions: embeddings.profile.dimensions,
    hnsw: { m: config.hnsw.m, efConstruction: config.hnsw.efConstruction },
  });
  const index = await TrainingIndex.initialize(embeddings, {
    pool,
    schema,
    hnsw: { efSearch: config.hnsw.efSearch },
  });
  const indexing = await indexDocuments(index);
  const searching = await askQuestions(index);
  print(indexing, searching);
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await pool.end();
}

/** Counts the requests to an embedder from here on. */
function countCalls(counted: Embeddings): { made: number } {
  const count = { made: 0 };
  for (const method of ["embedDocuments", "embedQuery"] as const) {
    const original = counted[method].bind(counted) as (input: never) => Promise<never>;
    Object.defineProperty(counted, method, {
      value: (input: never) => {
        count.made += 1;
        return original(input);
      },
    });
  }
  return count;
}

async function readLines<T>(path: string): Promise<T[]> {
  const text = await readFile(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as T);
}

async function indexDocuments(
  index: TrainingIndex,
): Promise<{ chunks: number; embedded: number; seconds: number }> {
  const bar = new SingleBar({ format: "indexing  {bar} {value}/{total} docs", clearOnComplete: true });
  const started = performance.now();
  const total = { chunks: 0, embedded: 0 };
  bar.start(documents.length, 0);
  const trainings = documents.map(({ id, title, text }) => ({ id, content: text, metadata: { title } }));
  for await (const result of index.upsertTrainings(trainings)) {
    total.chunks += result.chunks;
    total.embedded += result.embedded;
    bar.increment();
  }
  bar.stop();
  return { ...total, seconds: secondsSince(started) };
}

interface Searching {
  /** For each question the place of the first hit, from 1; `undefined` when there is none among the first ten. */
  ranks: (number | undefined)[];
  seconds: number;
}

async function askQuestions(index: TrainingIndex): Promise<Searching> {
  const bar = new SingleBar({ format: "asking    {bar} {value}/{total} questions", clearOnComplete: true });
  const started = performance.now();
  const ranks: Searching["ranks"] = [];
  bar.start(queries.length, 0);
  for (const query of queries) {
    const hits = await index.similar(query.text, { k: K });
    const place = hits.findIndex((hit) => answers(query, hit));
    ranks.push(place < 0 ? undefined : place + 1);
    bar.increment();
  }
  bar.stop();
  return { ranks, seconds: secondsSince(started) };
}

function answers(query: EvaluationQuery, hit: ChunkHit): boolean {
  return (
    hit.trainingId === query.doc_id &&
    query.answers.some(({ start, end }) => hit.start < end && hit.end > start)
  );
}

function print(indexing: Awaited<ReturnType<typeof indexDocuments>>, { ranks, seconds }: Searching): void {
  const share = (part: number): string => (part / ranks.length).toFixed(3);
  const found = (limit: number): number => ranks.filter((rank) => rank !== undefined && rank <= limit).length;
  const reciprocal = ranks.reduce<number>((sum, rank) => sum + (rank === undefined ? 0 : 1 / rank), 0);
  console.log(
    table(
      ["measure", "value"],
      [
        ...RANKS.map((limit) => [`R@${limit}`, share(found(limit))]),
        ["MRR@10", share(reciprocal)],
        ["trainings", documents.length],
        ["chunks", indexing.chunks],
        ["questions", queries.length],
        ["texts embedded", indexing.embedded + queries.length],
        ["embedding calls", calls.made],
        ["seconds to index", indexing.seconds.toFixed(1)],
        ["seconds to ask", seconds.toFixed(1)],
      ],
    ),
  );
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
