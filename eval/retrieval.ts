/**
 * Measures how well each search mode finds the right passage, on real questions.
 *
 *   npm run eval -- SET [--split auto|passages] [--language portuguese]
 *
 * Without SET it says what a question set is, and where to get one. Each doc becomes a training, split as the library
 * splits by default; a hit is a chunk that overlaps one of the answers of the question. With `--split passages` each
 * passage is one chunk, and a hit is the one that the question names.
 * The environment, or a file `.env`, chooses database and embedder: see `.env.example`.
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import type { Embeddings } from "@langchain/core/embeddings";
import { SingleBar } from "cli-progress";
import { TrainingIndex, type SearchMode } from "langchain-training-index";
import { migrate, type TextSearchLanguage } from "langchain-training-index/migrations";
import { loadEnvFile } from "../tooling/env-file.js";
import { scriptEnvironment } from "../tooling/environment.js";
import { table } from "../tooling/table.js";
import { QUESTION_SETS, QuestionSetError, readQuestionSet, type QuestionSet, type Split } from "./question-set.js";

const K = 10;
const RANKS = [1, 5, 10];
const MODES: readonly SearchMode[] = ["vector", "text", "hybrid"];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    split: { type: "string", default: "auto" },
    language: { type: "string", default: "portuguese" },
  },
});
const [source] = positionals;
if (source === undefined || !["auto", "passages"].includes(values.split)) endWithUsage();

const set = await readQuestionSet(source, values.split as Split).catch((error: unknown) => {
  if (error instanceof QuestionSetError) endWithUsage(error.message);
  throw error;
});
loadEnvFile();
const { config, pool, embeddings, ...chosen } = scriptEnvironment();
const calls = countCalls(embeddings);
console.log(`database: ${chosen.database}\nembedder: ${chosen.embedder}`);
const schema = `training_index_eval_${randomBytes(4).toString("hex")}`;
try {
  await migrate(pool, {
    schema,
    dimensions: embeddings.profile.dimensions,
    hnsw: { m: config.hnsw.m, efConstruction: config.hnsw.efConstruction },
    textSearch: values.language as TextSearchLanguage,
  });
  const index = await TrainingIndex.initialize(embeddings, {
    pool,
    schema,
    hnsw: { efSearch: config.hnsw.efSearch },
  });
  const indexing = await indexTrainings(index, set);
  const searching: Searching[] = [];
  for (const mode of MODES) searching.push(await askQuestions(index, set, mode));
  print(indexing, searching);
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await pool.end();
}

function endWithUsage(problem?: string): never {
  const usage = `usage: npm run eval -- SET [--split auto|passages] [--language portuguese]\n\n${QUESTION_SETS}`;
  console.error(problem === undefined ? usage : `${problem}\n\n${usage}`);
  process.exit(2);
}

/** Counts the calls of an embedder from now on. */
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

interface Indexing {
  chunks: number;
  embedded: number;
  seconds: number;
}

async function indexTrainings(index: TrainingIndex, { trainings }: QuestionSet): Promise<Indexing> {
  const bar = new SingleBar({ format: "indexing  {bar} {value}/{total} trainings", clearOnComplete: true });
  const started = performance.now();
  const total = { chunks: 0, embedded: 0 };
  bar.start(trainings.length, 0);
  for await (const result of index.upsertTrainings(trainings)) {
    total.chunks += result.chunks;
    total.embedded += result.embedded;
    bar.increment();
  }
  bar.stop();
  return { ...total, seconds: secondsSince(started) };
}

interface Searching {
  mode: SearchMode;
  /** Per question the rank of the first right hit, from 1; `undefined` if none of the first ten is right. */
  ranks: (number | undefined)[];
  seconds: number;
}

async function askQuestions(
  index: TrainingIndex,
  { questions, isRight }: QuestionSet,
  mode: SearchMode,
): Promise<Searching> {
  const format = `asking    {bar} {value}/{total} questions, ${mode}`;
  const bar = new SingleBar({ format, clearOnComplete: true });
  const started = performance.now();
  const ranks: Searching["ranks"] = [];
  bar.start(questions.length, 0);
  for (const question of questions) {
    const hits = await index.similar<SearchMode>(question.text, { k: K, mode });
    const place = hits.findIndex((hit) => isRight(question, hit));
    ranks.push(place < 0 ? undefined : place + 1);
    bar.increment();
  }
  bar.stop();
  return { mode, ranks, seconds: secondsSince(started) };
}

function print(indexing: Indexing, searching: readonly Searching[]): void {
  const row = (measure: string, of: (searched: Searching) => string): string[] => [
    measure,
    ...searching.map((searched) => of(searched)),
  ];
  const share = (part: number, { ranks }: Searching): string => (part / ranks.length).toFixed(3);
  const found = ({ ranks }: Searching, limit: number): number =>
    ranks.filter((rank) => rank !== undefined && rank <= limit).length;
  const reciprocal = ({ ranks }: Searching): number =>
    ranks.reduce<number>((sum, rank) => sum + (rank === undefined ? 0 : 1 / rank), 0);
  console.log(
    table(
      ["measure", ...searching.map(({ mode }) => mode)],
      [
        ...RANKS.map((limit) => row(`R@${limit}`, (searched) => share(found(searched, limit), searched))),
        row("MRR@10", (searched) => share(reciprocal(searched), searched)),
        row("ms a question", ({ seconds, ranks }) => ((seconds * 1000) / ranks.length).toFixed(1)),
      ],
    ),
  );
  console.log(
    table(
      ["indexed", ""],
      [
        ["trainings", set.trainings.length],
        ["chunks", indexing.chunks],
        ["questions", set.questions.length],
        ["texts embedded", indexing.embedded],
        ["embedding calls", calls.made],
        ["seconds to index", indexing.seconds.toFixed(1)],
      ],
    ),
  );
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
