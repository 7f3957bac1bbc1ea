import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { createAdaptorServer } from "@hono/node-server";
import type { TrainingIndex } from "langchain-training-index";
import { describe, expect, it, onTestFinished } from "vitest";
import { expressApp } from "../../examples/http/express.js";
import { oraculoHandler, SIMILARITY_PATH } from "../../examples/http/handler.js";
import { honoApp } from "../../examples/http/hono.js";
import { describeOnEach } from "../support/databases.js";
import { openTestIndex, until } from "../support/index.js";

const run = promisify(execFile);
const MINUTE = 60_000;

type Handler = (request: Request) => Promise<Response>;

/** A server to listen with, and where it is to be asked. */
interface Listening {
  listen(port: number): { address(): unknown; once(event: string, done: () => void): unknown };
  close(): unknown;
}

const MOUNTS: [name: string, mount: (handler: Handler) => Listening][] = [
  ["Hono", (handler) => createAdaptorServer(honoApp(SIMILARITY_PATH, handler))],
  [
    "Express",
    (handler) => {
      const app = expressApp(SIMILARITY_PATH, handler);
      let server: ReturnType<typeof app.listen>;
      return { listen: (port) => (server = app.listen(port)), close: () => server.close() };
    },
  ],
];

/** Serves an index as the recipe does, until the test ends. */
async function serve(mount: (handler: Handler) => Listening, handler: Handler): Promise<string> {
  const listening = mount(handler);
  const server = listening.listen(0);
  await new Promise<void>((resolve) => server.once("listening", resolve));
  onTestFinished(() => void listening.close());
  return `http://localhost:${(server.address() as AddressInfo).port}${SIMILARITY_PATH}`;
}

function post(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
  return fetch(url, { method: "POST", body: JSON.stringify(body), ...init, headers });
}

describeOnEach("the recipe http", (database) => {
  async function openShop(): Promise<TrainingIndex> {
    const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    for (const [id, content] of [
      ["entregas", "O prazo de entrega é de três dias úteis."],
      ["trocas", "Trocas são aceitas em até trinta dias."],
    ] as const) {
      await index.upsertTraining({ id, content, metadata: { grupo: id } });
    }
    return index;
  }

  describe.each(MOUNTS)("in %s", (_name, mount) => {
    it("finds in each strategy and mode, under the host's names", async () => {
      const url = await serve(mount, oraculoHandler(await openShop(), undefined));
      for (const choice of [
        {},
        { strategy: "chunks" },
        { strategy: "trainings" },
        { mode: "text" },
        { mode: "hybrid" },
      ]) {
        const response = await post(url, { query: "prazo de entrega", k: 1, ...choice });
        expect(response.status).toBe(200);
        const { results } = (await response.json()) as { results: Record<string, unknown>[] };
        expect(results, JSON.stringify(choice)).toMatchObject([
          {
            treinamento_id: "entregas",
            chunk_text: "O prazo de entrega é de três dias úteis.",
            metadata: { grupo: "entregas" },
          },
        ]);
        if (choice.mode !== "text") expect(results[0]?.["score"]).toBeGreaterThan(0.5);
      }
    });

    it("answers what is wrong with a request", async () => {
      const url = await serve(mount, oraculoHandler(await openShop(), undefined));
      const statuses = await Promise.all([
        post(url, { query: "  " }).then(({ status }) => status),
        post(url, { query: "frete", mode: "bm25" }).then(({ status }) => status),
        post(url, { query: "frete", mode: "text", strategy: "trainings" }).then(({ status }) => status),
        fetch(url).then(({ status }) => status),
        post(url, { query: "x".repeat(70_000) }).then(({ status }) => status),
        post(url, { query: "frete" }, { headers: { "content-type": "text/plain" } }).then(
          ({ status }) => status,
        ),
      ]);
      expect(statuses).toEqual([400, 400, 400, 405, 413, 415]);
    });

    it("serves those who have the token", async () => {
      const url = await serve(mount, oraculoHandler(await openShop(), "segredo"));
      expect((await post(url, { query: "frete" })).status).toBe(401);
      const headers = { authorization: "Bearer segredo" };
      expect((await post(url, { query: "frete" }, { headers })).status).toBe(200);
    });

    it("ends the search of a caller who has gone", async () => {
      const index = await openShop();
      const signals: AbortSignal[] = [];
      const waiting = {
        similar: (_query: string, { signal }: { signal?: AbortSignal | undefined } = {}) => {
          if (signal) signals.push(signal);
          return new Promise<never>(() => undefined);
        },
      };
      const watched = Object.assign(Object.create(index) as TrainingIndex, waiting);
      const url = await serve(mount, oraculoHandler(watched, undefined));
      const caller = new AbortController();
      const asked = post(url, { query: "frete" }, { signal: caller.signal });
      await until(() => signals.length > 0);
      caller.abort();
      await expect(asked).rejects.toThrow();
      await until(() => signals[0]?.aborted === true);
    });
  });
});

describe("npm run example -- http", () => {
  /** The commands of a page that begin with a word. */
  async function commandsOf(page: string, word: string): Promise<string[]> {
    const text = await readFile(page, "utf8");
    const blocks = [...text.matchAll(/```bash\n([\s\S]*?)```/g)].map(([, block = ""]) => block.trim());
    return blocks.filter((block) => block.startsWith(word));
  }

  it("asks itself a question, and ends", { timeout: MINUTE }, async () => {
    const { stdout } = await run("npm", ["run", "--silent", "example", "--", "http"]);
    expect(stdout).toContain("entregas: indexed");
    expect(stdout).toMatch(/200 \{\s+"results": \[/);
    expect(stdout).toContain('"treinamento_id": "entregas"');
  });

  it("answers the curl of its README and of ours", { timeout: MINUTE }, async () => {
    const server = spawn(process.execPath, ["--import", "tsx", "examples/run.ts", "http", "--serve"], {
      env: { ...process.env, PORT: "0", DATABASE_URL: "" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void server.kill());
    let output = "";
    server.stdout.on("data", (data: Buffer) => (output += data.toString()));
    await until(() => output.includes("listening on "));
    const [, address = ""] = /listening on (http:\/\/localhost:\d+)/.exec(output) ?? [];
    const curls = [
      ...(await commandsOf("examples/http/README.md", "curl")),
      ...(await commandsOf("README.md", "curl")),
    ];
    expect(curls).toHaveLength(2);
    for (const curl of curls) {
      const { stdout } = await run("sh", ["-c", curl.replace("http://localhost:3000", address)]);
      const { results } = JSON.parse(stdout) as { results: Record<string, unknown>[] };
      expect(results[0]).toMatchObject({ treinamento_id: "entregas" });
    }
    server.kill("SIGTERM");
    const [code] = (await once(server, "exit")) as [number | null];
    expect(code).toBe(0);
  });
});
