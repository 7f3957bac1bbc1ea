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
    const searches = MODES.map((mode): Search => ({
      name: `mode ${mode}${name}`,
      search: async ({ text }) =>
        (await index.similar<SearchMode>(text, { k: K, mode, filter })).map(({ trainingId }) => trainingId),
    }));
    const [vector, text, hybrid] = await measure(asked, searches);
    if (!vector || !text || !hybrid) throw new Error("each mode is measured");
    const ratios = hybrid.times.map((time, at) => time / ((vector.times[at] ?? 0) + (text.times[at] ?? 0)));
    rows.push(vector, text, { ...hybrid, againstHalves: quantile(ratios, 0.5) });
  }
  rows.push(
    ...(await measure(asked, [
      { name: "OR query, ts_rank_cd", search: rankByCoverDensity },
      {
        name: "BM25 over all chunks, outside Postgres",
        search: ({ text }) => Promise.resolve(exact.best(text, K)),
      },
    ])),
  );
  print(rows);
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await pool.end();
}

interface Search {
  name: string;
  search: (question: Question) => Promise<unknown[]>;
}

interface Measured {
  name: string;
  /** Of each question, in milliseconds. */
  times: number[];
  /** Share of the questions whose passage is among the first ten hits. */
  recall: number;
  /** Of hybrid search: the median, over the questions, of its time as a multiple of both halves' times together. */
  againstHalves?: number | undefined;
}

/** Asks each question twice of each search in turn, and times the second: so none of them has the caches to itself. */
async function measure(asked: readonly Question[], searches: readonly Search[]): Promise<Measured[]> {
  const measured = searches.map(({ name }) => ({ name, times: [] as number[], found: 0 }));
  for (const question of asked) {
    for (const [place, { search }] of searches.entries()) {
      await search(question);
      const started = performance.now();
      const ids = await search(question);
      const row = measured[place];
      row?.times.push(performance.now() - started);
      if (row && ids.includes(question.passage_id)) row.found += 1;
    }
  }
  return measured.map(({ name, times, found }) => ({ name, times, recall: found / asked.length }));
}

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length * share)] ?? NaN;
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
      ["", "p50 ms", "p95 ms", `R@${K}`, "x both halves"],
      rows.map(({ name, times, recall, againstHalves }) => [
        name,
        quantile(times, 0.5).toFixed(1),
        quantile(times, 0.95).toFixed(1),
        recall.toFixed(3),
        againstHalves?.toFixed(2) ?? "",
      ]),
    ),
  );
}
