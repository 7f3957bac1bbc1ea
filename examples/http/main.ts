/**
 * POST /oraculo/similarity: similarity search over HTTP, mounted in Hono.
 *
 *   npm run example -- http             sends itself one request, and ends
 *   npm run example -- http --serve     stays up; PORT sets the port, ORACULO_TOKEN the token that callers need
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { serve, type ServerType } from "@hono/node-server";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { scriptEnvironment } from "../../tooling/environment.js";
import { trainings } from "../support/trainings.js";
import { oraculoHandler, SIMILARITY_PATH } from "./handler.js";
import { honoApp } from "./hono.js";

const { values } = parseArgs({ options: { serve: { type: "boolean", default: false } } });
const { config, pool, embeddings } = scriptEnvironment();
await migrate(pool, { textSearch: "portuguese" });
const index = await TrainingIndex.initialize(embeddings, { pool });
// Do not add sample trainings to your own database.
const samples = config.databaseUrl === undefined ? trainings : [];
for await (const { id, status } of index.upsertTrainings(samples)) console.log(`${id}: ${status}`);

const { ORACULO_TOKEN = "" } = process.env;
const token = ORACULO_TOKEN === "" ? undefined : ORACULO_TOKEN; // it is empty in .env.example
const log = (line: string): void => {
  console.error(line);
};
const app = honoApp(SIMILARITY_PATH, oraculoHandler(index, { token, log }));
const port = Number(process.env["PORT"] ?? (values.serve ? 3000 : 0));
const server: ServerType = serve({ fetch: app.fetch, port });
await once(server, "listening");
const url = `http://localhost:${(server.address() as AddressInfo).port}${SIMILARITY_PATH}`;
console.log(`listening on ${url}`);

if (!values.serve) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ query: "Qual é o prazo de entrega?", k: 2, mode: "hybrid" }),
  });
  console.log(response.status, JSON.stringify(await response.json(), undefined, 2));
  await stop();
} else {
  const authorization = token === undefined ? "" : ' -H "authorization: Bearer $ORACULO_TOKEN"';
  const body = JSON.stringify({ query: "Qual é o prazo de entrega?", k: 2, strategy: "chunks" });
  console.log(`curl --silent -H "content-type: application/json"${authorization} -d '${body}' ${url}`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
}

async function stop(): Promise<void> {
  server.close();
  await once(server, "close");
  await pool.end();
}
