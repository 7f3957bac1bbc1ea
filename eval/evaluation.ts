import { randomBytes } from "node:crypto";
import { SingleBar } from "cli-progress";
import { TrainingIndex, type SearchMode, type TrainingIndexOptions } from "langchain-training-index";
import { migrate, type TextSearchLanguage } from "langchain-training-index/migrations";
import type { ScriptEnvironment } from "../tooling/environment.js";
import { K, type Rank } from "../src/cli/evaluating/measures.js";
import type { Model } from "./models.js";
import type { QuestionSet } from "./question-set.js";

/** What indexing a set took. */
export interface Indexing {
  trainings: number;
  chunks: number;
  textsEmbedded: number;
  embeddingCalls: number;
  seconds: number;
}

/** What asking all questions in one mode found. */
export interface Asking {
  /** One for each question, in the order of the set. */
  ranks: Rank[];
  /** The mean time of a search, with the embedding of its question: one after the other. */
  millisecondsPerQuestion: number;
}

/** A set in a schema of its own. */
export interface IndexedSet {
  indexing: Indexing;
  /** Asks the set's questions in these words, one for each of them. */
  ask: (texts: readonly string[], mode: SearchMode) => Promise<Asking>;
}

/** Indexes a set with a model, uses it, and drops its schema. */
export async function withIndexedSet(
  environment: ScriptEnvironment,
  { embeddings, calls }: Model,
  settings: {
    set: QuestionSet;
    language: TextSearchLanguage;
    indexOptions: Pick<TrainingIndexOptions, "splitter" | "header">;
  },
  use: (indexed: IndexedSet) => Promise<void>,
): Promise<void> {
  const { config, pool } = environment;
  const { set, language, indexOptions } = settings;
  const schema = `training_index_eval_${randomBytes(4).toString("hex")}`;
  try {
    await migrate(pool, {
      schema,
      dimensions: embeddings.profile.dimensions,
      hnsw: { m: config.hnsw.m, efConstruction: config.hnsw.efConstruction },
      textSearch: language,
    });
    const index = await TrainingIndex.initialize(embeddings, {
      pool,
      schema,
      hnsw: { efSearch: config.hnsw.efSearch },
      ...indexOptions,
    });
    const earlierCalls = calls.made;
    const indexed = await indexTrainings(index, set);
    const indexing = { ...indexed, embeddingCalls: calls.made - earlierCalls };
    await use({ indexing, ask: (texts, mode) => askQuestions(index, set, texts, mode) });
  } finally {
    await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  }
}

async function indexTrainings(
  index: TrainingIndex,
  { trainings }: QuestionSet,
): Promise<Omit<Indexing, "embeddingCalls">> {
  const bar = new SingleBar({ format: "indexing  {bar} {value}/{total} trainings", clearOnComplete: true });
  const started = performance.now();
  const total = { trainings: trainings.length, chunks: 0, textsEmbedded: 0 };
  bar.start(trainings.length, 0);
  for await (const result of index.upsertTrainings(trainings)) {
    total.chunks += result.chunks;
    total.textsEmbedded += result.embedded;
    bar.increment();
  }
  bar.stop();
  return { ...total, seconds: (performance.now() - started) / 1000 };
}

async function askQuestions(
  index: TrainingIndex,
  { questions, isRight }: QuestionSet,
  texts: readonly string[],
  mode: SearchMode,
): Promise<Asking> {
  const bar = new SingleBar({ format: `asking    {bar} {value}/{total} questions, ${mode}`, clearOnComplete: true });
  const ranks: Rank[] = [];
  let milliseconds = 0;
  bar.start(questions.length, 0);
  for (const [number, question] of questions.entries()) {
    const started = performance.now();
    const hits = await index.similar<SearchMode>(texts[number] ?? question.text, { k: K, mode });
    milliseconds += performance.now() - started;
    const place = hits.findIndex((hit) => isRight(question, hit));
    ranks.push(place < 0 ? undefined : place + 1);
    bar.increment();
  }
  bar.stop();
  return { ranks, millisecondsPerQuestion: milliseconds / questions.length };
}
