/**
 * Measures time and recall of text search among many chunks, compared with hand-written SQL.
 *
 *   npm run eval:scale -- SET [--chunks 100000] [--questions 100]
 *
 * SET as for `npm run eval -- SET --split passages`. Its passages are mixed with chunks made of random
 * sentences of its docs. Compared are this library's modes, with and without filters, an OR query ranked by `ts_rank_cd`,
 * and BM25 over all chunks, computed outside the database. Needs a server: DATABASE_URL, in the environment or in `.env`.
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { configFromEnv, TrainingIndex, type Filter, type SearchMode, type Training } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { loadEnvFile } from "../tooling/env-file.js";
import { table } from "../tooling/table.js";
import { randomOf } from "../tooling/random.js";
import { ExactRanking } from "./exact-ranking.js";
import { QUESTION_SETS, readDocuments, readQuestionSet, type Question } from "./question-set.js";

const K = 10;
const CHUNK_CHARACTERS = 800;
const SEED = 6;
const MODES: readonly SearchMode[] = ["vector", "text", "hybrid"];
/** Each matches all passages, and the given share of the other chunks. */
const FILTERS: readonly (readonly [name: string, filter: Filter | undefined])[] = [
  ["", undefined],
  [", filter of 50 %", { lugar: { lt: 50 } }],
  [", filter of 1 %", { lugar: 0 }],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    chunks: { type: "string", default: "100000" },
    questions: { type: "string", default: "100" },
  },
});
const [source] = positionals;
loadEnvFile();
const { databaseUrl } = configFromEnv(process.env);
const [chunkCount, questionCount] = [Number(values.chunks), Number(values.questions)];
if (source === undefined || databaseUrl === undefined || !(chunkCount > 0) || !(questionCount > 0)) {
  console.error(`usage: npm run eval:scale -- SET [--chunks 100000] [--questions 100]
It needs a Postgres server: set DATABASE_URL, in the environment or in .env.

${QUESTION_SETS}`);
  process.exit(2);
}

const pool = new pg.Pool({ connectionString: databaseUrl });
pool.on("error", (error) => {
  console.error("An idle connection to Postgres was lost:", error.message);
});
const schema = `training_index_scale_${randomBytes(4).toString("hex")}`;
const random = randomOf(SEED);
try {
  const { trainings, questions } = await readQuestionSet(source, "passages");
  const asked = [...questions].sort(() => random() - 0.5).slice(0, questionCount);
  await migrate(pool, { schema, textSearch: "portuguese" });
  const index = await TrainingIndex.initialize(new HashingEmbeddings(), { pool, schema });
  const noise = noiseOf(await sentencesOf(source), chunkCount - trainings.length);
  const passages = trainings.map((training) => ({ ...training, metadata: { lugar: 0 } }));
  for await (const { status } of index.bulkLoad(concatenated(passages, noise))) {
    if (status !== "indexed") throw new Error(`A new training was ${status} instead of indexed`);
  }
  await pool.query(`VACUUM ANALYZE ${schema}.chunk_1`);

  const exact = await ExactRanking.read(
    pool,
    schema,
    asked.map(({ text }) => text),
  );
  const rows: Measured[] = [];
  for (const [name, filter] of FILTERS) {
    for (const mode of MODES) {
      const search = async ({ text }: Question): Promise<unknown[]> =>
        (await index.similar<SearchMode>(text, { k: K, mode, filter })).map(({ trainingId }) => trainingId);
      rows.push(await measure(`mode ${mode}${name}`, asked, search));
    }
  }
  rows.push(await measure("OR query, ts_rank_cd", asked, rankByCoverDensity));
  rows.push(
    await measure("BM25 over all chunks, outside Postgres", asked, ({ text }) => Promise.resolve(exact.best(text, K))),
  );
  print(rows);
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await pool.end();
}

interface Measured {
  name: string;
  p50: number;
  p95: number;
  /** Share of the questions whose passage is among the first ten hits. */
  recall: number;
}

/** Asks each question twice, and times the second. */
async function measure(
  name: string,
  asked: readonly Question[],
  search: (question: Question) => Promise<unknown[]>,
): Promise<Measured> {
  const milliseconds: number[] = [];
  let found = 0;
  for (const question of asked) {
    await search(question);
    const started = performance.now();
    const ids = await search(question);
    milliseconds.push(performance.now() - started);
    if (ids.includes(question.passage_id)) found += 1;
  }
  milliseconds.sort((left, right) => left - right);
  const quantile = (share: number): number => milliseconds[Math.floor(milliseconds.length * share)] ?? NaN;
  return { name, p50: quantile(0.5), p95: quantile(0.95), recall: found / asked.length };
}

/** Hand-written text search: any of the words, ranked by Postgres. */
async function rankByCoverDensity({ text }: Question): Promise<unknown[]> {
  const { rows } = await pool.query<{ training_id: string }>(
    `WITH question AS MATERIALIZED (
      SELECT replace(plainto_tsquery('portuguese', $1)::text, ' & ', ' | ')::tsquery AS query)
    SELECT c.training_id FROM ${schema}.chunk_1 c, question q WHERE c.lexemes @@ q.query
    ORDER BY ts_rank_cd(c.lexemes, q.query) DESC LIMIT ${K}`,
    [text.normalize("NFD").replace(/[\u0300-\u036f]/g, "")],
  );
  return rows.map((row) => row.training_id);
}

async function sentencesOf(source: string): Promise<string[]> {
  return (await readDocuments(source)).flatMap(({ text }) => text.split(/(?<=[.!?])\s+/));
}

function* noiseOf(sentences: readonly string[], count: number): Generator<Training> {
  for (let made = 0; made < count; made++) {
    let text = "";
    while (text.length < CHUNK_CHARACTERS) {
      text += `${sentences[Math.floor(random() * sentences.length)] ?? ""} `;
    }
    const metadata = { lugar: made % 100 };
    yield { id: `ruído-${made}`, documents: [{ pageContent: text.trim() }], split: false, metadata };
  }
}

function* concatenated(first: Iterable<Training>, second: Iterable<Training>): Generator<Training> {
  yield* first;
  yield* second;
}

function print(rows: readonly Measured[]): void {
  console.log(`${chunkCount} chunks, ${questionCount} questions, k = ${K}`);
  console.log(
    table(
      ["", "p50 ms", "p95 ms", `R@${K}`],
      rows.map(({ name, p50, p95, recall }) => [name, p50.toFixed(1), p95.toFixed(1), recall.toFixed(3)]),
    ),
  );
}
