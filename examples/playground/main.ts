/**
 * A page to try the library: search, see the passages in their trainings, edit, finalise, delete.
 *
 *   npm run playground                    serves the page on http://localhost:4000 (or PORT)
 *   npm run example -- playground         starts it, requests the page once, and ends
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { serve } from "@hono/node-server";
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { scriptEnvironment } from "../../tooling/environment.js";
import { trainings } from "../support/trainings.js";
import { playgroundApp } from "./app.js";
import { createTable, saveTraining } from "./trainings.js";

const { values } = parseArgs({ options: { serve: { type: "boolean", default: false } } });
// Always uses the embedded database, even if DATABASE_URL is set; OLLAMA_BASE_URL chooses the embedder.
const pool = embeddedPool();
const { embeddings, embedder } = scriptEnvironment({ ...process.env, DATABASE_URL: undefined });
await migrate(pool, { textSearch: "portuguese", dimensions: embeddings.profile.dimensions });
const index = await TrainingIndex.initialize(embeddings, { pool });
await createTable(pool);
for (const { id, content, metadata } of trainings) {
  const row = { id, tag: metadata.tag, grupo: metadata.grupo, conteudo: content, finalizado: true };
  await saveTraining(pool, index, row);
}

const port = Number(process.env["PORT"] ?? (values.serve ? 4000 : 0));
const server = serve({ fetch: playgroundApp(pool, index).fetch, port });
await once(server, "listening");
const url = `http://localhost:${(server.address() as AddressInfo).port}`;
console.log(`${trainings.length} trainings, embedder: ${embedder}`);
console.log(`playground: ${url}`);

if (values.serve) {
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
} else {
  const response = await fetch(url);
  console.log(response.status, /<title>.*<\/title>/.exec(await response.text())?.[0]);
}
server.close();
await pool.end();
