import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { requireServerUrl, uniqueName } from "./support/databases.js";
import { startOllamaServer } from "./support/ollama-server.js";

const run = promisify(execFile);
const READMES = ["README.md", "README.pt-BR.md"];
/** Pages whose code needs nothing but what it starts itself. */
const PAGES = ["docs/retrieval.md"];

/** The code blocks of a page in one language, in order. */
async function blocks(readme: string, language: string): Promise<string[]> {
  const text = await readFile(readme, "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(
    ([, code = ""]) => code,
  );
}

/** Runs the TypeScript of a page as the one program that it is, and returns what it prints. */
async function runPage(readme: string, databaseUrl: string): Promise<string> {
  const ollama = await startOllamaServer();
  onTestFinished(() => ollama.close());
  const file = `test/${uniqueName(".readme")}.ts`;
  onTestFinished(() => rm(file));
  await writeFile(file, (await blocks(readme, "ts")).join("\n"));
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, DATABASE_URL: databaseUrl, OLLAMA_BASE_URL: ollama.url };
  const { stdout } = await run("npx", ["tsx", file], { env });
  return stdout;
}

function expectOutput(output: string): void {
  const lines = output.split("\n");
  expect(lines[0]).toMatch(/^0\.\d{3} entregas Entregamos em três dias úteis/);
  expect(lines).toContain("indexed 1 1 0 1");
  expect(lines).toContain("pix indexed");
  for (const mode of ["vector", "text", "hybrid"]) expect(lines).toContain(`${mode} entregas`);
  expect(lines).toContain("[1] entregas - logistica");
  expect(output).toContain("Entregamos em dois dias úteis. O frete custa doze reais.\n");
  expect(output).toMatch(/^true 0\.\d+$/m);
  expect(output).toMatch(/^200 \{/m);
  expect(output).toContain("chunk_text: 'A garantia é de dois anos.'");
  expect(lines).toContain("loaded boleto indexed");
  expect(output).toContain("vectorIndex: 'valid'");
  expect(output).toContain('REFERENCES "public"."oraculo_treinamento" ("id") ON DELETE CASCADE');
  expect(lines.at(-2)).toBe("true true undefined undefined");
}

describe.each(READMES)("the code of %s", (readme) => {
  it("runs on the embedded database", { timeout: 90_000 }, async () => {
    const database = await PGlite.create({ extensions: { vector } });
    const server = new PGLiteSocketServer({ db: database, port: 0, host: "127.0.0.1" });
    await server.start();
    onTestFinished(async () => {
      await server.stop();
      await database.close();
    });
    expectOutput(await runPage(readme, `postgres://postgres:postgres@${server.getServerConn()}/postgres`));
  });

  it("names scripts that exist", async () => {
    const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as {
      scripts: Record<string, string>;
    };
    const text = await readFile(readme, "utf8");
    const named = [
      ...text.matchAll(/npm (?:run )?(start|test|eval|bench|example|playground|check|build)\b/g),
    ].map(([, name = ""]) => name);
    expect(named).toContain("start");
    for (const name of named) expect(scripts).toHaveProperty(name);
    // Commands that others run: test/package.test.ts installs, test/scripts.int.test.ts starts, test/recipes/http.int.test.ts
    // asks.
    const commands = await blocks(readme, "bash");
    expect(commands.filter((command) => !command.startsWith("curl "))).toEqual([
      "npm ci && npm start\nnpm ci && npm test\n",
      "npm install langchain-training-index @langchain/core @langchain/ollama pg\n",
    ]);
  });
});

describe.each(PAGES)("the code of %s", (page) => {
  it("runs as one program", { timeout: 90_000 }, async () => {
    const output = await runPage(page, "");
    expect(output).toContain("MANUTENÇÕES entregas true\n");
    expect(output).toMatch(/^entregas 0\.0\d+ 0\.\d+ \d\.\d+$/m);
  });
});

describe.runIf(inject("serverUrl") !== undefined).each(READMES)("the code of %s, on the server", (readme) => {
  it("runs", { timeout: 90_000 }, async () => {
    expectOutput(await runPage(readme, (await freshDatabase()).href));
  });

  it("grants a role the rights to index and to search", async () => {
    const url = await freshDatabase();
    const owner = openPool(url);
    await migrate(owner, { dimensions: 64 });
    const role = uniqueName("role");
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const [grants = ""] = await blocks(readme, "sql");
    await owner.query(grants.replaceAll("TO bot", `TO ${role}`));

    Object.assign(url, { username: role, password: "x" });
    const pool = openPool(url);
    const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: 64 }), { pool });
    expect(await index.upsertTraining({ id: "a", content: "loja" })).toMatchObject({ status: "indexed" });
    expect(await index.upsertTraining({ id: "a", content: "a loja" })).toMatchObject({ removed: 1 });
    expect(await index.similar("loja")).toHaveLength(1);
    expect(await index.deleteTraining("a")).toMatchObject({ status: "deleted" });
    await expect(pool.query("CREATE TABLE training_index.mine ()")).rejects.toMatchObject({ code: "42501" });
  });
});

/** The address of a database that is dropped when the test ends. */
async function freshDatabase(): Promise<URL> {
  const url = new URL(requireServerUrl());
  const admin = openPool(url);
  const name = uniqueName("readme");
  await admin.query(`CREATE DATABASE ${name}`);
  onTestFinished(async () => {
    const dropper = new pg.Client({ connectionString: requireServerUrl() });
    await dropper.connect();
    await dropper.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await dropper.end();
  });
  url.pathname = `/${name}`;
  return url;
}

function openPool(url: URL): pg.Pool {
  const pool = new pg.Pool({ connectionString: url.href });
  pool.on("error", () => undefined);
  onTestFinished(() => pool.end());
  return pool;
}
