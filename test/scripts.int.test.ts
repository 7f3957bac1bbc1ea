import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { SCHEMA_VERSION } from "../src/schema/layout.js";
import { bundleProgram } from "./support/bundle.js";
import { describeOnServer, requireServerUrl } from "./support/databases.js";
import { newcomersEnvironment } from "./support/environment.js";
import { startOllamaServer } from "./support/ollama-server.js";

const run = promisify(execFile);
const MINUTE = 60_000;

/** Runs an npm script without a `.env`. */
async function npm(...args: string[]): Promise<string> {
  const { stdout } = await run("npm", ["--silent", ...args], { env: newcomersEnvironment({ ENV_FILE: "" }) });
  return stdout;
}

/**
 * Runs the program that an npm script starts, without a `.env`, and with only the given variables: in a third of the time that npm and `tsx`
 * need to start it.
 */
async function script(name: "start" | "bench", args: string[], env: Record<string, string>): Promise<string> {
  const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as { scripts: Record<string, string> };
  expect(scripts[name]).toMatch(/^tsx \S+$/);
  const program = await bundleProgram(pathToFileURL(scripts[name]?.replace("tsx ", "") ?? ""));
  const { stdout } = await run(process.execPath, [program, ...args], {
    env: newcomersEnvironment({ ENV_FILE: "", ...env }),
    maxBuffer: 16 * 1024 ** 2,
  });
  return stdout;
}

describe("npm start, with no configuration", () => {
  it("indexes, searches, edits and deletes on the embedded database", { timeout: MINUTE }, async () => {
    const output = await npm("start"); // as newcomers do: nothing bundled, no prepared files
    expect(output).toContain("database: embedded (PGlite, in memory)");
    expect(output).toContain("embedder: built-in hashing (set OLLAMA_BASE_URL for a real model)");
    expect(output).toContain(`migrated to version ${SCHEMA_VERSION}, vector index built`);
    expect(output).toMatch(/entregas +│ indexed +│ 4 +│ 4 +│ 0 +│ 0/);
    expect(output).toMatch(/Qual é o valor do frete\?\n.*\n.*\n│ 0\.\d+ │ entregas +│ O frete custa R\$ 12,00/);
    expect(output).toMatch(/entregas +│ indexed +│ 4 +│ 1 +│ 3 +│ 1/);
    expect(output).toMatch(/│ entregas +│ O frete custa R\$ 9,00/);
    expect(output).toMatch(/entregas +│ unchanged +│ 4 +│ 0 +│ 4 +│ 0/);
    expect(output).toContain("deleted training clube: deleted, 1 chunk removed");
    const [, after = ""] = output.split("after:");
    expect(after).not.toContain("Clube Girassol custa");
    expect(output).toContain("[1] cuidados - jardinagem");
  });

  it("reads variables from a file; the environment overrides them", { timeout: MINUTE }, async () => {
    const folder = await mkdtemp("/tmp/training index env-");
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, ".env");
    await writeFile(file, "DATABASE_URL=mysql://db\nHNSW_M=many\n");
    const failureWith = async (env: Record<string, string>): Promise<string> => {
      const failure = await script("start", [], { ENV_FILE: file, ...env }).catch((error: unknown) => error);
      return (failure as { stderr: string }).stderr;
    };
    const [fromFile, overridden] = await Promise.all([failureWith({}), failureWith({ DATABASE_URL: "" })]);
    expect(fromFile).toContain("DATABASE_URL must be an address");
    expect(overridden).toContain("HNSW_M must be a whole number");
  });

  it("names an invalid variable without its value", { timeout: MINUTE }, async () => {
    const failure = await script("start", [], { DATABASE_URL: "mysql://root:secret@db" }).catch(
      (error: unknown) => error,
    );
    const { stderr } = failure as { stderr: string };
    expect(stderr).toContain("DATABASE_URL must be an address that starts with postgres:// or postgresql://");
    expect(stderr).not.toContain("secret");
  });
});

describeOnServer("npm start", () => {
  it("runs with Ollama and leaves nothing behind", { timeout: MINUTE }, async () => {
    const ollama = await startOllamaServer();
    onTestFinished(() => ollama.close());
    const env = { DATABASE_URL: requireServerUrl(), OLLAMA_BASE_URL: ollama.url };
    const output = await script("start", [], env);
    expect(output).toContain("database: the server of DATABASE_URL");
    expect(output).toContain("embedder: Ollama, mxbai-embed-large");
    expect(output).toMatch(/entregas +│ unchanged +│ 4 +│ 0 +│ 4 +│ 0/);
    const inputs = ollama.requests.map(({ body }) => JSON.stringify(body));
    expect(inputs.some((input) => input.includes("searching relevant passages: Qual é o valor do frete?"))).toBe(true);
    expect(await script("start", [], env)).toContain("deleted training clube: deleted");
  });
});

describe("npm run example", () => {
  it("lists the examples", { timeout: MINUTE }, async () => {
    const lines = (await npm("run", "example")).trim().split("\n");
    expect(lines.map((line) => line.split(" ")[0])).toEqual([
      "agent",
      "bot",
      "bullmq",
      "conversation",
      "faiss-import",
      "http",
      "langgraph",
      "mcp",
      "migration-sql",
      "pg-boss",
      "playground",
      "postgres-trigger",
      "rerank",
      "retriever",
      "start",
      "streamed-citations",
      "switch-model",
      "transaction",
      "two-step-rag",
      "vector-store",
    ]);
    for (const line of lines) expect(line).toMatch(/^\S+ +\S.+[.:]$/);
    const [recipes = "", ...readmes] = await Promise.all(
      ["docs/recipes.md", "README.md", "README.pt-BR.md"].map((page) => readFile(page, "utf8")),
    );
    for (const name of lines.map((line) => line.split(" ")[0] ?? "")) {
      expect(recipes).toContain(name === "start" ? "`npm start`" : `\`npm run example -- ${name}\``);
      for (const readme of readmes) expect(readme).toContain(name === "start" ? "`npm start`" : `\`${name}\``);
    }
  });

  it("runs several in one process, and passes on to them what follows their names", { timeout: MINUTE }, async () => {
    const folder = await mkdtemp("/tmp/training index-");
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "one row.json");
    await writeFile(file, JSON.stringify([{ id: 31, tag: "horarios", grupo: "loja", documentos: "cortado" }]));
    const output = await npm("run", "example", "--", "retriever", "faiss-import", file);
    expect(output).toMatch(/^== retriever\n[^=]*No Pix há cinco por cento de desconto \[1\]\.\n/m);
    expect(output).toMatch(/^== faiss-import\n[^=]*NOT IMPORTED: row 31 \(horarios\): documentos is not a list/m);
  });

  it("lists the examples if the given one does not exist", { timeout: MINUTE }, async () => {
    await expect(npm("run", "example", "--", "../package")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("two-step-rag, vector-store") as unknown,
    });
  });
});

describe("npm run eval", () => {
  it("explains on stderr what cannot be used, and what a question set is", { timeout: MINUTE }, async () => {
    const failure = await npm("run", "eval", "--", "package.json").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2 });
    const { stderr } = failure as { stderr: string };
    expect(stderr).toContain("package.json is not in the format of SQuAD");
    expect(stderr).toContain("https://github.com/liafacom/faquad");
    expect(stderr).toContain('{"id": "q1", "text": "How much is shipping?"');
  });
});

describeOnServer("npm run bench", () => {
  it("measures this library, PGVectorStore and bare SQL", { timeout: 2 * MINUTE }, async () => {
    const folder = await mkdtemp("/tmp/training-index-bench-");
    onTestFinished(() => rm(folder, { recursive: true }));
    const sizes = ["--chunks", "100", "--queries", "5", "--rounds", "1"];
    const options = [...sizes, "--parts", "searches", "--output", folder];
    const output = await script("bench", options, { DATABASE_URL: requireServerUrl() });
    for (const row of ["bare SQL, index used", "this library", "PGVectorStore"]) {
      expect(output).toMatch(new RegExp(`│ ${row} +│ +\\d+\\.\\d+ +│ +\\d+\\.\\d+ +│ 5 `));
    }
    expect(await readFile(`${folder}/results.json`, "utf8")).toContain('"searches"');
  });
});

describeOnServer("npm run bench -- --index", () => {
  it("measures a large index, and continues from what is there", { timeout: 4 * MINUTE }, async () => {
    const folder = await mkdtemp("/tmp/training-index-bench-");
    onTestFinished(() => rm(folder, { recursive: true }));
    const env = { DATABASE_URL: requireServerUrl() };
    const schema = `bench_${randomBytes(4).toString("hex")}`;
    const sizes = ["--chunks", "400", "--clusters", "8", "--queries", "10", "--questions", "5", "--schema", schema];
    const options = ["--index", "halfvec,bit", ...sizes, "--ef-search", "40,100", "--output", folder];
    const first = await script("bench", [...options, "--parts", "searches", "--keep"], env);
    for (const type of ["halfvec", "bit"])
      expect(first).toMatch(new RegExp(`\\| ${type} \\| 100 \\| [01]\\.\\d{3} \\| \\d`));
    expect(first).not.toContain("a new training of one chunk");

    const second = await script("bench", [...options, "--parts", "searches,words,writes,vacuum"], env);
    const loadOf = (output: string): unknown => /\| halfvec \| \d+ s .*minutes/.exec(output)?.[0];
    expect(loadOf(first)).toBeDefined();
    expect(loadOf(second)).toBe(loadOf(first)); // it was not loaded again
    for (const row of ["bit | hybrid", "bit | a new training of one chunk"]) expect(second).toContain(`| ${row} |`);
    expect(await readFile(`${folder}/large-400.md`, "utf8")).toContain("VACUUM takes");
  });
});
