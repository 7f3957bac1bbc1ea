/**
 * A WhatsApp bot: a webhook, gathered messages, a conversation, and answers from the trainings alone, or from a person.
 *
 *   npm run example -- bot            plays a conversation, with a scripted model and a fake Evolution API
 *   npm run example -- bot --serve    for real: ELOLUTIONAPI_BASE_URL, EVOLUTION_API_KEY, OLLAMA_BASE_URL, CHAT_MODEL
 *
 * Messages are gathered in the Redis of REDIS_URL; played without one, in memory.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { serve } from "@hono/node-server";
import { ChatOllama } from "@langchain/ollama";
import { Redis } from "ioredis";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { scriptEnvironment } from "../../tooling/environment.js";
import { redisServer } from "../support/servers.js";
import { scriptedModel } from "../support/shop.js";
import { trainings } from "../support/trainings.js";
import { conversationHandler, webhookApp } from "./app.js";
import { startEvolutionServer } from "./evolution-server.js";
import { gatherInMemory } from "./gather-in-memory.js";
import { openGatherer } from "./gather.js";

const SILENCE_MS = 20_000;

const { values } = parseArgs({ options: { serve: { type: "boolean", default: false } } });
// The played conversation runs on the embedded database, even if DATABASE_URL is set.
const { config, pool, embeddings } = scriptEnvironment(
  values.serve ? process.env : { ...process.env, DATABASE_URL: undefined },
);
await migrate(pool, { textSearch: "portuguese" });
const index = await TrainingIndex.initialize(embeddings, { pool });
// Do not add sample trainings to your own database.
const samples = config.databaseUrl === undefined ? trainings : [];
for await (const { id, status } of index.upsertTrainings(samples)) console.log(`${id}: ${status}`);

const evolutionServer = values.serve ? undefined : await startEvolutionServer();
const baseUrl = config.evolutionApiBaseUrl ?? evolutionServer?.url;
if (baseUrl === undefined) throw new Error("set ELOLUTIONAPI_BASE_URL to the address of the Evolution API");

const handler = conversationHandler({
  index,
  model: values.serve
    ? new ChatOllama({
        baseUrl: config.ollamaBaseUrl ?? "http://localhost:11434",
        model: process.env["CHAT_MODEL"] ?? "llama3.2",
        temperature: 0,
      })
    : scriptedModel(
        "No Pix há cinco por cento de desconto.",
        "Vocês aceitam boleto?", // "E com boleto?", as it is searched
        "Boleto só para empresas com cadastro aprovado.",
      ),
  evolution: { baseUrl, apiKey: process.env["EVOLUTION_API_KEY"] ?? "" },
  onAnswer: ({ phone, text }, { text: answer, handsOver, citations }) => {
    console.log(`\n${phone}: ${text.replaceAll("\n", " / ")}`);
    console.log(`  -> ${answer}${handsOver ? " (hands over)" : ""}`);
    for (const { number, trainingId } of citations) console.log(`     [${number}] training ${trainingId}`);
  },
});
const redis = values.serve || process.env["REDIS_URL"] ? await redisServer() : undefined;
const client = redis && new Redis(redis.url, { maxRetriesPerRequest: null });
const options = { silenceMs: values.serve ? SILENCE_MS : 300, onConversation: handler };
const prefix = values.serve ? "wa" : `wa_${randomBytes(4).toString("hex")}`;
const gatherer = client ? openGatherer(client, { url: redis.url }, { ...options, prefix }) : gatherInMemory(options);
const port = Number(process.env["PORT"] ?? (values.serve ? 3000 : 0));
const server = serve({ fetch: webhookApp(gatherer).fetch, port });
await once(server, "listening");
const webhook = `http://localhost:${(server.address() as AddressInfo).port}/webhook`;
console.log(`webhook: ${webhook}`);

if (evolutionServer) {
  await evolutionServer.receive(webhook, "5511999990000", ["Oi!", "Tem desconto", "no Pix?"]);
  await evolutionServer.untilSent(1);
  await evolutionServer.receive(webhook, "5511999990000", ["E com boleto?"]);
  await evolutionServer.receive(webhook, "5511888880000", ["xilofone quântico?"]);
  await evolutionServer.untilSent(3);
} else {
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
}
server.close();
await gatherer.close();
await evolutionServer?.close();
await client?.quit();
await redis?.stop();
await pool.end();
