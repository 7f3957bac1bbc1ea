import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { getRequestListener } from "@hono/node-server";
import express, { type Express } from "express";
import { TrainingIndex, type SimilarOptions } from "langchain-training-index";
import { similarityHandler } from "langchain-training-index/http";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { oraculoHandlers, PATHS, type OraculoHandlers } from "../../examples/http/handlers.js";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { answerTo, ask, beginRequest, FRAMEWORKS, serve } from "./http-server.js";
import { DIMENSIONS, filledIndex, gateOf, until } from "../support/index.js";
import { checkAgainstDescription } from "../support/openapi.js";

const run = promisify(execFile);
const MINUTE = 60_000;
const MODES = ["vector", "text", "hybrid"] as const;
/** Log lines of handlers whose searches do not fail. */
const logged: unknown[] = [];
const log = (line: unknown): void => void logged.push(line);
afterEach(() => {
  expect(logged.splice(0)).toEqual([]);
});

describeOnServer("the recipe http", (database) => {
  const shop = filledIndex(
    database,
    ({ index }) =>
      index.upsertTrainings([
        { id: "entregas", content: "O prazo de entrega é de três dias úteis.", metadata: { grupo: "entregas" } },
        { id: "trocas", content: "Trocas são aceitas em até trinta dias.", metadata: { grupo: "trocas" } },
      ]),
    { textSearch: "portuguese" },
  );
  const handlersOf = (token?: string): OraculoHandlers =>
    oraculoHandlers(shop().index, { token, trainingsToken: "outro segredo", log });

  it("answers with hits as docs/openapi.yaml describes them, in every mode and strategy", async () => {
    const options = { modes: MODES, search: { neighbors: { after: 1 } }, allowFilter: true };
    const handler = similarityHandler(shop().index, options);
    const filter = { grupo: { in: ["entregas", "trocas"] } };
    const choices = MODES.flatMap((mode) => ["chunks", "trainings"].map((strategy) => ({ mode, strategy, filter })));
    for (const choice of choices) {
      const body = JSON.stringify({ query: "prazo de entrega", ...choice });
      const headers = { "content-type": "application/json" };
      const response = await handler(new Request("http://localhost/x", { method: "POST", headers, body }));
      const text = await response.text();
      checkAgainstDescription(response, text);
      const { results } = JSON.parse(text) as { results: { trainingId: string }[] };
      expect(results[0]?.trainingId, JSON.stringify(choice)).toBe("entregas");
    }
  });

  describe.each(FRAMEWORKS)("in %s", (framework) => {
    it("finds in each strategy and mode, with the host's field names", async () => {
      const url = await serve(handlersOf(), framework);
      for (const choice of [
        {},
        { strategy: "chunks" },
        { strategy: "trainings" },
        { mode: "text" },
        { mode: "hybrid" },
        { mode: "text", strategy: "trainings" },
        { mode: "hybrid", strategy: "trainings" },
      ]) {
        const response = await ask(url, { query: "prazo de entrega", k: 1, ...choice });
        expect(response.status).toBe(200);
        const { results } = (await response.json()) as { results: Record<string, unknown>[] };
        expect(results, JSON.stringify(choice)).toMatchObject([
          {
            treinamento_id: "entregas",
            chunk_text: "O prazo de entrega é de três dias úteis.",
            metadata: { grupo: "entregas" },
          },
        ]);
        // A coverage of 1 would need a text that repeats each word without end.
        expect(results[0]?.["score"]).toBeGreaterThan("mode" in choice ? 0.4 : 0.5);
      }
    });

    it("answers invalid requests as docs/openapi.yaml describes it", async () => {
      const url = await serve(handlersOf(), framework);
      const bodyless = (method: string): Promise<Response> => fetch(url + PATHS.similarity, { method });
      const responses = await Promise.all([
        ask(url, { query: "  " }),
        ask(url, { query: "frete", mode: "bm25" }),
        ask(url, { query: "frete", strategy: "documents" }),
        ask(url, { query: "frete", filter: { grupo: "trocas" } }),
        ...["GET", "PUT", "DELETE", "OPTIONS"].map(bodyless),
        ask(url, { query: "x".repeat(70_000) }),
        ask(url, { query: "frete" }, { headers: { "content-type": "text/plain" } }),
        ask(url, { query: "frete" }, { headers: { "content-encoding": "gzip" } }),
      ]);
      expect(responses.map(({ status }) => status)).toEqual([400, 400, 400, 400, 405, 405, 405, 405, 413, 415, 415]);
      for (const response of responses) checkAgainstDescription(response, await response.text());
      const head = await bodyless("HEAD");
      expect([head.status, head.headers.get("allow")]).toEqual([405, "POST"]);
    });

    it("stores, lists and deletes trainings, with ids of any characters, for callers with another token", async () => {
      const url = await serve(handlersOf(), framework);
      const headers = { "content-type": "application/json", authorization: "Bearer outro segredo" };
      const ids = ["loja/7", "a//b", "ação 🌻 100%?#", "é".repeat(512)];
      for (const id of ids) {
        const path = `${url}/trainings/${encodeURIComponent(id)}`;
        const stored = await fetch(path, { method: "PUT", headers, body: JSON.stringify({ content: id }) });
        expect([stored.status, await stored.json()], id).toMatchObject([200, { id, status: "indexed" }]);
        expect(await (await fetch(path, { headers })).json(), id).toMatchObject({ id, chunks: 1 });
      }
      const list = await fetch(`${url}/trainings?limit=100`, { headers });
      expect(((await list.json()) as { trainings: unknown[] }).trainings).toHaveLength(ids.length + 2);
      for (const id of ids) {
        const path = `${url}/trainings/${encodeURIComponent(id)}`;
        expect((await fetch(path, { method: "DELETE" })).status).toBe(401);
        expect(await (await fetch(path, { method: "DELETE", headers })).json()).toMatchObject({ status: "deleted" });
      }
      expect((await fetch(`${url}/health`)).status).toBe(200);
    });

    it("refuses a body of 10 MB, to search and to store", async () => {
      const url = await serve(handlersOf(), framework);
      const content = "x".repeat(10_000_000);
      expect((await ask(url, { query: content })).status).toBe(413);
      const headers = { "content-type": "application/json", authorization: "Bearer outro segredo" };
      const body = JSON.stringify({ content });
      const response = await fetch(`${url}/trainings/grande`, { method: "PUT", headers, body });
      expect([response.status, await response.json()]).toEqual([
        413,
        { error: "The body must not be larger than 1048576 bytes" },
      ]);
      expect(await shop().index.get("grande")).toBeUndefined();
    });

    it("serves only callers with the token", async () => {
      const url = await serve(handlersOf("segredo"), framework);
      expect((await ask(url, { query: "frete" })).status).toBe(401);
      const headers = { authorization: "Bearer segredo" };
      expect((await ask(url, { query: "frete" }, { headers })).status).toBe(200);
    });

    it("reads no more of a body than the limit, whatever its content-length", async () => {
      const url = await serve(handlersOf(), framework);
      const tooLarge = { status: 413, body: { error: "The body must not be larger than 65536 bytes" } };
      const endless = beginRequest(url);
      const answered = answerTo(endless);
      const progress = { isAnswered: false };
      void answered.then(() => (progress.isAnswered = true));
      let sentBytes = 0;
      while (!progress.isAnswered && sentBytes < 50_000_000) {
        if (!endless.write(" ".repeat(16_384))) await Promise.race([once(endless, "drain"), answered]);
        sentBytes += 16_384;
      }
      expect(await answered).toEqual(tooLarge);
      endless.destroy();
      // A content-length above the limit is refused before the body arrives.
      const announced = beginRequest(url, { "content-length": "70000" });
      expect(await answerTo(announced)).toEqual(tooLarge);
      announced.destroy();
      // Node ignores what is sent beyond the content-length.
      const short = beginRequest(url, { "content-length": "5" });
      short.end('{"que');
      expect(await answerTo(short)).toMatchObject({ status: 400, body: { error: "The body is not JSON" } });
    });

    it("answers 504 to a caller that sends the body too slowly", async () => {
      const told: unknown[] = [];
      const onError = (error: unknown): void => void told.push(error);
      const similarity = similarityHandler(shop().index, { timeoutMs: 200, onError });
      const url = await serve({ similarity }, framework);
      const slow = beginRequest(url);
      slow.write('{"query":');
      expect(await answerTo(slow)).toEqual({ status: 504, body: { error: "The search took too long" } });
      expect(told).toMatchObject([{ code: "ABORTED" }]);
      slow.destroy();
    });

    it("ends the search of a caller that has disconnected", async () => {
      const searching = gateOf();
      const embeddings = new HashingEmbeddings({ dimensions: DIMENSIONS });
      const waiting = Object.assign(embeddings, {
        embedQuery: () => {
          searching.resolve();
          return new Promise<number[]>(() => undefined);
        },
      });
      const { pool, schema } = shop();
      const index = await TrainingIndex.initialize(waiting, { pool, schema });
      const outcomes: Promise<unknown>[] = [];
      const watched = {
        similar: (query: string, options?: SimilarOptions) => {
          const outcome = index.similar(query, options);
          outcomes.push(outcome);
          return outcome;
        },
      };
      const url = await serve({ similarity: similarityHandler(watched, { onError: log }) }, framework);
      const caller = new AbortController();
      const asked = ask(url, { query: "frete" }, { signal: caller.signal });
      await searching.promise;
      caller.abort();
      await expect(asked).rejects.toThrow();
      await expect(outcomes[0]).rejects.toMatchObject({ code: "ABORTED" });
    });
  });

  it("explains the failure if a body parser has read the body, and docs/http.md how to leave paths out of it", async () => {
    const told: unknown[] = [];
    const handler = similarityHandler(shop().index, { onError: (error) => void told.push(error) });
    const statusBehind = async (mountParser: (app: Express) => unknown): Promise<number> => {
      const app = express();
      mountParser(app);
      app.all(PATHS.similarity, getRequestListener(handler, { overrideGlobalObjects: false }));
      const server = createServer(app).listen(0);
      onTestFinished(() => void server.close());
      await once(server, "listening");
      return (await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { query: "frete" })).status;
    };
    expect(await statusBehind((app) => app.use(express.json()))).toBe(500);
    expect(told).toEqual([new Error("The body was read before the handler: mount it before any body parser")]);
    expect(await statusBehind((app) => app.use(/^\/(?!oraculo|trainings)/, express.json()))).toBe(200);
    expect(await readFile("docs/http.md", "utf8")).toContain("app.use(/^\\/(?!oraculo|trainings)/, express.json())");
  });
});

describe("npm run example -- http", () => {
  const program = (): Promise<string> => bundleProgram(new URL("../../examples/http/main.ts", import.meta.url));

  /** The code blocks of a page in a language that start with a word. */
  async function blocksOf(page: string, language: string, word = ""): Promise<string[]> {
    const text = await readFile(page, "utf8");
    const blocks = [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)];
    return blocks
      .filter(([, of, block = ""]) => of === language && block.startsWith(word))
      .map(([, , block = ""]) => block.trim());
  }

  it("stores, finds and deletes a training, and ends", { timeout: MINUTE }, async () => {
    const { stdout } = await run(process.execPath, [await program(), "--in", "fastify"], {
      env: newcomersEnvironment(),
    });
    expect(stdout).toMatch(/PUT \S+loja%2Fgarantia\n200 \{[^}]*"status": "indexed"/);
    expect(stdout).toMatch(/POST \S+similarity\n200 \{\s+"results": \[\s+\{\s+"treinamento_id": "loja\/garantia"/);
    expect(stdout).toMatch(/DELETE \S+\n200 \{[^}]*"status": "deleted"/);
  });

  it("answers the curl commands of its README, of docs/http.md and of its output", { timeout: MINUTE }, async () => {
    const server = spawn(process.execPath, [await program(), "--serve"], {
      env: newcomersEnvironment({ PORT: "0" }),
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void server.kill());
    let output = "";
    server.stdout.on("data", (data: Buffer) => (output += data.toString()));
    await until(() => /^curl .*trainings\n/m.test(output) || server.exitCode !== null);
    const [, address = ""] = /listening on (http:\/\/localhost:\d+)/.exec(output) ?? [];
    const answers: Record<string, unknown>[][] = [];
    for (const curl of [
      ...(await blocksOf("examples/http/README.md", "bash", "curl")),
      ...(await blocksOf("docs/http.md", "bash", "curl")),
      /^curl .*$/m.exec(output)?.[0] ?? "",
    ]) {
      const { stdout } = await run("sh", ["-c", curl.replace("http://localhost:3000", address)]);
      answers.push((JSON.parse(stdout) as { results: Record<string, unknown>[] }).results);
    }
    expect(answers).toHaveLength(3);
    for (const [best] of answers) expect(best).toMatchObject({ treinamento_id: "entregas" });
    // The README shows the actual answer, with a shortened text.
    const [shown = ""] = await blocksOf("examples/http/README.md", "json");
    const { results } = JSON.parse(shown) as { results: Record<string, unknown>[] };
    const beginning = String(results[0]?.["chunk_text"]).replace(/ \.\.\.$/, "");
    const whole = {
      ...results[0],
      score: expect.closeTo(Number(results[0]?.["score"]), 3) as unknown,
      chunk_text: expect.stringContaining(beginning) as unknown,
    };
    expect(answers[0]).toEqual([whole]);
    const { stdout: listed } = await run("sh", ["-c", /^curl .*trainings$/m.exec(output)?.[0] ?? ""]);
    expect(JSON.parse(listed)).toMatchObject({ trainings: { length: 6 }, next: null });
    server.kill("SIGTERM");
    const [code] = (await once(server, "exit")) as [number | null];
    expect(code).toBe(0);
  });
});
