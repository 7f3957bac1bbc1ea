/**
 * Search and trainings over HTTP: POST /oraculo/similarity, /trainings and /health, mounted in Hono, Express or Fastify.
 *
 *   npm run example -- http                  stores a training, finds it and deletes it, over HTTP, and ends
 *   npm run example -- http --serve          stays up
 *   npm run example -- http --in fastify     in Fastify; also express, and hono, which is the default
 *
 * PORT sets the port, ORACULO_TOKEN the token that those who search need, TRAININGS_TOKEN that of /trainings.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { scriptEnvironment } from "../../tooling/environment.js";
import { trainings } from "../support/trainings.js";
import { oraculoHandlers, PATHS } from "./handlers.js";
import { SERVERS } from "./servers.js";

const { values } = parseArgs({
  options: { serve: { type: "boolean", default: false }, in: { type: "string", default: "hono" } },
});
const makeServer = SERVERS[values.in];
if (!makeServer) throw new Error(`--in takes one of ${Object.keys(SERVERS).join(", ")}`);
const { config, pool, embeddings } = scriptEnvironment();
await migrate(pool, { textSearch: "portuguese" });
const index = await TrainingIndex.initialize(embeddings, { pool });
// Do not add sample trainings to your own database.
const samples = config.databaseUrl === undefined ? trainings : [];
for await (const { id, status } of index.upsertTrainings(samples)) console.log(`${id}: ${status}`);

const token = setting("ORACULO_TOKEN");
// Nobody can guess it: without a token of your own nobody changes trainings, but whoever reads this output.
const trainingsToken = setting("TRAININGS_TOKEN") ?? randomBytes(16).toString("hex");
const log = (line: string): void => {
  console.error(line);
};
const server = await makeServer(oraculoHandlers(index, { token, trainingsToken, log }));
server.listen(Number(setting("PORT") ?? (values.serve ? 3000 : 0)));
await once(server, "listening");
const url = `http://localhost:${(server.address() as AddressInfo).port}`;
console.log(`listening on ${url}${PATHS.similarity}`);

const json = "content-type: application/json";
if (!values.serve) {
  const training = `${PATHS.trainings}/${encodeURIComponent("loja/garantia")}`;
  await ask("PUT", training, { content: "A garantia dos vasos é de dois anos.", revision: 1 }, trainingsToken);
  await ask("POST", PATHS.similarity, { query: "Qual é a garantia dos vasos?", k: 1, mode: "hybrid" }, token);
  await ask("DELETE", `${training}?revision=2`, undefined, trainingsToken);
  await ask("GET", PATHS.health);
  await stop();
} else {
  const authorization = token === undefined ? "" : ' -H "authorization: Bearer $ORACULO_TOKEN"';
  const body = JSON.stringify({ query: "Qual é o prazo de entrega?", k: 2, strategy: "chunks" });
  console.log(`curl --silent -H "${json}"${authorization} -d '${body}' ${url}${PATHS.similarity}`);
  const shown = setting("TRAININGS_TOKEN") === undefined ? trainingsToken : "$TRAININGS_TOKEN";
  console.log(`curl --silent -H "authorization: Bearer ${shown}" ${url}${PATHS.trainings}`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
}

/** Sends a request, and prints the answer. */
async function ask(method: string, path: string, body?: object, bearer?: string): Promise<void> {
  const headers = { "content-type": "application/json", ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) };
  const response = await fetch(`${url}${path}`, { method, headers, body: body ? JSON.stringify(body) : null });
  console.log(`\n${method} ${path}\n${response.status} ${JSON.stringify(await response.json(), undefined, 2)}`);
}

/** A variable of the environment; they are empty in .env.example. */
function setting(name: string): string | undefined {
  return process.env[name] === "" ? undefined : process.env[name];
}

async function stop(): Promise<void> {
  server.close();
  server.closeIdleConnections();
  await once(server, "close");
  await pool.end();
}
