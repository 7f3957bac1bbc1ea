/**
 * The console on sample trainings, in the embedded database: search, read, edit, delete. Nothing has to be installed.
 *
 *   npm run playground                    serves it on http://127.0.0.1:4000 (or PORT)
 *   npm run example -- playground         starts it, requests the page once, and ends
 */
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
// The console is not exported: it belongs to the command line, `training-index console`.
import { readPage } from "../../src/console/page.js";
import { startConsole } from "../../src/console/server.js";
import { scriptEnvironment } from "../../tooling/environment.js";
import { trainings } from "../support/trainings.js";

const QUESTIONS = [
  "Qual é o frete de plantas com mais de um metro de altura?",
  "Posso pagar com Pix?",
  "A loja abre aos sábados?",
];

const { values } = parseArgs({ options: { serve: { type: "boolean", default: false } } });
// Always uses the embedded database, even if DATABASE_URL is set; OLLAMA_BASE_URL chooses the embedder.
const pool = embeddedPool();
const { embeddings, embedder } = scriptEnvironment({ ...process.env, DATABASE_URL: undefined });
await migrate(pool, { textSearch: "portuguese", dimensions: embeddings.profile.dimensions });
const index = await TrainingIndex.initialize(embeddings, { pool });
await index.upsertTrainings(trainings);

const schema = "training_index";
const page = await readPage(fileURLToPath(new URL("../../src/console/page", import.meta.url)));
const running = await startConsole(
  {
    open: () => Promise.resolve({ index, pool, schema, idType: "text" }),
    schema,
    writable: true,
    page,
    questions: QUESTIONS,
    onError: console.error,
  },
  Number(process.env["PORT"] ?? (values.serve ? 4000 : 0)),
);
console.log(`${trainings.length} trainings, embedder: ${embedder}`);
console.log(`console: ${running.url}`);

if (values.serve) {
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
} else {
  const response = await fetch(running.url);
  console.log(response.status, /<title>.*<\/title>/.exec(await response.text())?.[0]);
}
await running.close();
await pool.end();
