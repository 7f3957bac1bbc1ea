/**
 * The main use from end to end:
 *
 *   npm start
 *
 * Migrates, indexes the trainings of a shop, asks questions, edits a training, repeats the edit, deletes a training. Without
 * configuration it runs on an embedded Postgres with a built-in embedder; `DATABASE_URL` and `OLLAMA_BASE_URL`, in the
 * environment or in a file `.env`, choose others. It uses the schema `training_index_example`, and drops it at the end.
 */
import { SingleBar } from "cli-progress";
import { formatContext, TrainingIndex, type ChunkHit, type UpsertResult } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { loadEnvFile } from "../tooling/env-file.js";
import { scriptEnvironment } from "../tooling/environment.js";
import { table } from "../tooling/table.js";
import { trainings } from "./support/trainings.js";

const SCHEMA = "training_index_example";
const EXCERPT_LENGTH = 170;
const QUESTIONS = [
  "Qual é o valor do frete?",
  "As flores chegaram murchas, o que faço?",
  "Tem desconto para pagar no Pix?",
  "De quantas em quantas semanas chegam as flores da assinatura?",
];

loadEnvFile();
const { pool, embeddings, config, ...chosen } = scriptEnvironment();
heading("1. Database and embedder");
console.log(`database: ${chosen.database}`);
console.log(`embedder: ${chosen.embedder}`);

try {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`); // left by an interrupted run
  const { version, vectorIndex } = await migrate(pool, {
    schema: SCHEMA,
    dimensions: embeddings.profile.dimensions,
    hnsw: { m: config.hnsw.m, efConstruction: config.hnsw.efConstruction },
  });
  console.log(`schema:   ${SCHEMA}, migrated to version ${version}, vector index ${vectorIndex}`);
  const index = await TrainingIndex.initialize(embeddings, {
    pool,
    schema: SCHEMA,
    hnsw: { efSearch: config.hnsw.efSearch },
  });

  heading("2. Index the trainings");
  printResults(await indexAll(index));

  heading("3. Ask");
  for (const question of QUESTIONS) {
    printHits(question, await index.similar(question, { k: 3 }));
  }

  heading("4. Edit one paragraph of a training: only the changed chunks are embedded");
  const [deliveries] = trainings;
  if (!deliveries) throw new Error("the sample has no trainings");
  const edited = { ...deliveries, content: deliveries.content.replace("R$ 12,00", "R$ 9,00") };
  printResults([await index.upsertTraining(edited)]);
  const question = "Qual é o valor do frete para endereços perto da loja?";
  printHits(question, await index.similar(question, { k: 1 }));

  heading("5. Repeat the edit: nothing to do");
  printResults([await index.upsertTraining(edited)]);

  heading("6. Delete a training: its passages are no longer found");
  const subscription = "Como funciona a assinatura do Clube Girassol?";
  printHits(`before: ${subscription}`, await index.similar(subscription, { k: 1 }));
  const { id, status, removed } = await index.deleteTraining("clube");
  console.log(`deleted training ${id}: ${status}, ${removed} chunk removed`);
  printHits(`after:  ${subscription}`, await index.similar(subscription, { k: 1 }));

  heading("7. Format passages for a prompt");
  const retriever = index.asRetriever({ k: 2, filter: { grupo: "jardinagem" } });
  console.log(formatContext(await retriever.invoke("De quanto em quanto tempo rego uma orquídea?")));
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  await pool.end();
}

async function indexAll(index: TrainingIndex): Promise<UpsertResult[]> {
  const bar = new SingleBar({ format: "{bar} {value}/{total} trainings", clearOnComplete: true });
  const results: UpsertResult[] = [];
  bar.start(trainings.length, 0);
  for (const training of trainings) {
    results.push(await index.upsertTraining(training));
    bar.increment();
  }
  bar.stop();
  return results;
}

function printResults(results: UpsertResult[]): void {
  const rows = results.map(({ id, status, chunks, embedded, reused, removed }) => [
    id.toString(),
    status,
    chunks,
    embedded,
    reused,
    removed,
  ]);
  console.log(table(["training", "status", "chunks", "embedded", "reused", "removed"], rows));
}

function printHits(question: string, hits: ChunkHit[]): void {
  const rows = hits.map(({ score, trainingId, content }) => [
    score.toFixed(3),
    trainingId.toString(),
    content.length > EXCERPT_LENGTH ? `${content.slice(0, EXCERPT_LENGTH)}…` : content,
  ]);
  console.log(`\n${question}\n${table(["score", "training", "passage"], rows, [7, 12, 90])}`);
}

function heading(text: string): void {
  console.log(`\n${text}\n${"=".repeat(text.length)}`);
}
