/** Answers and log of the recipe http while the embedder or the database is down. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { TrainingIndex } from "langchain-training-index";
import { ollamaEmbeddings } from "langchain-training-index/ollama";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { oraculoHandlers } from "../../examples/http/handlers.js";
import { describeOnServer, requireServerUrl } from "../support/databases.js";
import { ask, serve } from "./http-server.js";
import { DIMENSIONS, migratedSchema } from "../support/index.js";
import { startOllamaServer } from "../support/ollama-server.js";
import { checkAgainstDescription } from "../support/openapi.js";

/** Serves an index like the recipe. */
async function serveShop(index: TrainingIndex): Promise<{ url: string; log: string[] }> {
  const log: string[] = [];
  const handlers = oraculoHandlers(index, { trainingsToken: "segredo", log: (line) => void log.push(line) });
  return { url: await serve(handlers), log };
}

/** The status of one search, after a check of its answer against `docs/openapi.yaml`. */
async function statusOf(url: string, query = "Quanto custa o frete?"): Promise<number> {
  const response = await ask(url, { query });
  checkAgainstDescription(response, await response.text(), { fields: {} }); // the recipe uses other field names
  return response.status;
}

describeOnServer("the recipe http, when Ollama fails", (database) => {
  async function openOnOllama(): Promise<{
    ollama: Awaited<ReturnType<typeof startOllamaServer>>;
    index: TrainingIndex;
  }> {
    const ollama = await startOllamaServer({ dimensions: 1024 });
    onTestFinished(() => ollama.close());
    const embeddings = ollamaEmbeddings({ baseUrl: ollama.url, retryBudgetMs: 200 });
    const schema = await migratedSchema(database, { dimensions: 1024 });
    const index = await TrainingIndex.initialize(embeddings, { pool: database.pool, schema });
    await index.upsertTraining({ id: "frete", content: "O frete custa doze reais." });
    return { ollama, index };
  }

  it("answers 503 while Ollama is unreachable, and 200 once it is back", async () => {
    const { ollama, index } = await openOnOllama();
    const { url, log } = await serveShop(index);
    expect(await statusOf(url)).toBe(200);
    ollama.fault({ kind: "reset" });
    expect(await statusOf(url)).toBe(503);
    expect(log).toEqual([expect.stringMatching(/^EMBEDDING_FAILED: /)]);
    expect(log.join()).not.toContain("frete");
    ollama.heal();
    expect(await statusOf(url)).toBe(200);
  });

  it("answers 400 to a question that is too long for the model", async () => {
    const { index } = await openOnOllama();
    const { url, log } = await serveShop(index);
    const response = await ask(url, { query: "frete ".repeat(600) });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: "query is longer than the model reads" });
    expect(log).toEqual([]);
  });
});

describeOnServer("the recipe http, when the database fails", (database) => {
  /** A proxy to the server that can be shut down. */
  async function openProxy(): Promise<{ url: string; shutDown: () => void }> {
    const target = new URL(requireServerUrl());
    const sockets = new Set<Socket>();
    const proxy = createServer((incoming) => {
      const outgoing = connect(Number(target.port), target.hostname);
      for (const [socket, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => other.destroy());
        socket.pipe(other);
      }
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const url = new URL(target);
    url.hostname = "127.0.0.1";
    url.port = (proxy.address() as AddressInfo).port.toString();
    const shutDown = (): void => {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    };
    onTestFinished(shutDown);
    return { url: url.href, shutDown };
  }

  it("answers 500 if the tables are missing and 503 if the server is down, and logs no text or address", async () => {
    const schema = await migratedSchema(database);
    const proxy = await openProxy();
    const pool = new pg.Pool({ connectionString: proxy.url });
    pool.on("error", () => undefined);
    onTestFinished(() => pool.end());
    const embeddings = new HashingEmbeddings({ dimensions: DIMENSIONS });
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    await index.upsertTraining({ id: "frete", content: "O frete custa doze reais." });
    const { url, log } = await serveShop(index);
    expect(await statusOf(url)).toBe(200);

    await database.owner.query(`DROP SCHEMA ${schema} CASCADE`);
    expect(await statusOf(url)).toBe(500);
    proxy.shutDown();
    expect(await statusOf(url)).toBe(503);
    expect(log).toHaveLength(2);
    expect(log[1]).toMatch(/^CONNECTION_FAILED: /);
    expect(log.join()).not.toMatch(/frete|postgres:|password|SELECT/);
  });
});
