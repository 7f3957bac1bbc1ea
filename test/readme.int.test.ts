import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { requireServerUrl, uniqueName } from "./support/databases.js";
import { codeBlocks, expectLines, promisedOutput, runPage, runPageHere } from "./support/markdown-program.js";

const READMES = ["README.md", "README.pt-BR.md"];
/** Connects to a server several times at once; `docs-pages.int.test.ts` runs it. */
const SERVER_PAGE = "orms.md";
/** Every other page below docs/ that has code. Each is one program that starts what it needs. */
const PAGES = readdirSync("docs")
  .filter((name) => name.endsWith(".md") && name !== SERVER_PAGE)
  .map((name) => `docs/${name}`)
  .filter((page) => readFileSync(page, "utf8").includes("\n```ts\n"));

async function expectReadmeOutput(readme: string, output: string): Promise<void> {
  expect(output).toMatch(/^0\.\d{3} entregas Entregamos em três dias úteis/);
  expect(output).toContain("Entregamos em dois dias úteis. O frete custa doze reais.\n");
  const promised = promisedOutput((await codeBlocks(readme, "ts")).join("\n"));
  expect(promised).toContain("indexed 1 1 0 1");
  expectLines(output, promised);
}

describe.each(READMES)("the code of %s", (readme) => {
  it("runs on the embedded database", { timeout: 90_000 }, async () => {
    const database = new PGlite({ extensions: { vector } });
    await database.waitReady;
    const server = new PGLiteSocketServer({ db: database, port: 0, host: "127.0.0.1" });
    await server.start();
    onTestFinished(async () => {
      await server.stop();
      await database.close();
    });
    const url = `postgres://postgres:postgres@${server.getServerConn()}/postgres`;
    await expectReadmeOutput(readme, await runPage(readme, url));
  });

  it("names scripts that exist", async () => {
    const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as {
      scripts: Record<string, string>;
    };
    const text = await readFile(readme, "utf8");
    const named = [...text.matchAll(/npm (?:run )?(start|test|eval|bench|example|playground|check|build)\b/g)].map(
      ([, name = ""]) => name,
    );
    expect(named).toContain("start");
    for (const name of named) expect(scripts).toHaveProperty(name);
    // Other tests run these: test/package.int.test.ts installs, test/scripts.int.test.ts starts.
    expect(await codeBlocks(readme, "bash")).toEqual([
      "npm ci && npm start\nnpm ci && npm test\n",
      "npm install langchain-training-index @langchain/core @langchain/ollama pg\n",
      "npm install @electric-sql/pglite @electric-sql/pglite-pgvector\n",
    ]);
    expect(await codeBlocks(readme, "powershell")).toEqual(["npm ci; npm start\nnpm ci; npm test\n"]);
  });
});

describe.each(PAGES)("the code of %s", (page) => {
  it("runs as one program, and prints what the page says", { timeout: 90_000 }, async () => {
    const output = await runPageHere(page, "");
    expectLines(output, promisedOutput((await codeBlocks(page, "ts")).join("\n")));
  });
});

it("the pages that run are those that have code", () => {
  expect(PAGES).toEqual(expect.arrayContaining(["docs/retrieval.md", "docs/trainings.md"]));
});

it("the pages name files of the repository that exist", async () => {
  const pages = [...READMES, "CONTRIBUTING.md", ...readdirSync("docs").map((name) => `docs/${name}`)];
  const missing: string[] = [];
  for (const page of pages.filter((path) => path.endsWith(".md"))) {
    const named = (await readFile(page, "utf8")).matchAll(/`((?:src|test|examples|eval|bench|docs)\/[\w./-]+\.\w+)`/g);
    for (const [, path = ""] of named) if (!existsSync(path)) missing.push(`${page}: ${path}`);
  }
  expect(missing).toEqual([]);
});

describe.runIf(inject("serverUrl") !== undefined).each(READMES)("the code of %s, on the server", (readme) => {
  it("runs", { timeout: 90_000 }, async () => {
    await expectReadmeOutput(readme, await runPage(readme, (await freshDatabase()).href));
  });
});

describe.runIf(inject("serverUrl") !== undefined)("the rights that docs/migrations.md names", () => {
  it("let a role index and search, and create nothing", async () => {
    const url = await freshDatabase();
    const owner = openPool(url);
    await migrate(owner, { dimensions: 64 });
    const role = uniqueName("role");
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const [grants = ""] = await codeBlocks("docs/migrations.md", "sql");
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
