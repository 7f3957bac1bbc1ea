import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { SCHEMA_VERSION } from "../src/schema/layout.js";
import { describeOnServer, requireServerUrl } from "./support/databases.js";
import { newcomersEnvironment, preparedEnvironment } from "./support/environment.js";
import { allFound, flowersSet } from "./support/question-sets.js";
import { startOllamaServer } from "./support/ollama-server.js";

const run = promisify(execFile);
const MINUTE = 60_000;

/**
 * Runs an npm script without a `.env`, and with only the given variables.
 *
 * @param environmentOf - default: one with which the embedded database starts sooner
 */
async function npm(
  args: string[],
  env: Record<string, string> = {},
  environmentOf = preparedEnvironment,
): Promise<string> {
  const { stdout } = await run("npm", ["--silent", ...args], {
    env: environmentOf({ ENV_FILE: "", ...env }),
    maxBuffer: 16 * 1024 ** 2,
  });
  return stdout;
}

describe("npm start, with no configuration", () => {
  it("indexes, searches, edits and deletes on the embedded database", { timeout: MINUTE }, async () => {
    const output = await npm(["start"], {}, newcomersEnvironment);
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
      const failure = await npm(["start"], { ENV_FILE: file, ...env }).catch((error: unknown) => error);
      return (failure as { stderr: string }).stderr;
    };
    const [fromFile, overridden] = await Promise.all([failureWith({}), failureWith({ DATABASE_URL: "" })]);
    expect(fromFile).toContain("DATABASE_URL must be an address");
    expect(overridden).toContain("HNSW_M must be a whole number");
  });

  it("names an invalid variable without its value", { timeout: MINUTE }, async () => {
    const failure = await npm(["start"], { DATABASE_URL: "mysql://root:secret@db" }).catch((error: unknown) => error);
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
    const output = await npm(["start"], env);
    expect(output).toContain("database: the server of DATABASE_URL");
    expect(output).toContain("embedder: Ollama, mxbai-embed-large");
    expect(output).toMatch(/entregas +│ unchanged +│ 4 +│ 0 +│ 4 +│ 0/);
    const inputs = ollama.requests.map(({ body }) => JSON.stringify(body));
    expect(inputs.some((input) => input.includes("searching relevant passages: Qual é o valor do frete?"))).toBe(true);
    expect(await npm(["start"], env)).toContain("deleted training clube: deleted");
  });
});

describe("npm run example", () => {
  it("lists the examples", { timeout: MINUTE }, async () => {
    const lines = (await npm(["run", "example"])).trim().split("\n");
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

  /** What each prints, among other lines. The recipes that are not here have tests of their own. */
  const PRINTED: [name: string, expected: string][] = [
    [
      "agent",
      `financeiro: No Pix há cinco por cento de desconto [1].
  success: [1] pagamentos 0-309
jardinagem: Não sei.
  error: 
  success: [1] cuidados 0-385`,
    ],
    ["bot", "Vou transferir você para um atendente. (hands over)"],
    [
      "conversation",
      `E a partir de quanto não pago?
  searched: Em que valor de compra o frete é grátis?
  Em compras acima de R$ 150,00 o frete é grátis [2].`,
    ],
    [
      "langgraph",
      `ai: No Pix há cinco por cento de desconto [1].
human: A loja abre aos sábados?
ai: Aos sábados a loja abre das 8 às 13 horas [1].
[1] horarios 0-280`,
    ],
    [
      "mcp",
      `stdio: search_trainings, read_training
  found: [1] pagamentos - financeiro
  {"sources":[{"number":1,"start":0,"end":309,"trainingId":"pagamentos"}]}
  refused: Received tool input did not match expected schema
  found: [1] pagamentos - financeiro
  {"trainingId":"pagamentos","metadata":{"tag":"pagamentos","grupo":"financeiro"},"start":0,"end":309,"next":null}
  refused: There is no such training`,
    ],
    ["migration-sql", 'CREATE TABLE "training_index".chunk_1'],
    ["playground", "200 <title>Training index</title>"],
    ["rerank", "3  0.487  pagamentos"],
    ["retriever", "No Pix há cinco por cento de desconto [1]."],
    [
      "streamed-citations",
      `de desconto [1]
{"number":1,"trainingId":"pagamentos","start":0,"end":309}
Aceitamos Pix, cartão de crédito`,
    ],
    ["switch-model", "dropped: { name: 'hashing-1', dimensions: 512 }"],
    ["transaction", "after the host's DELETE: []"],
    ["two-step-rag", "No Pix há cinco por cento de desconto [1]."],
    ["vector-store", "left: [ 'boleto', 'frete' ]"],
  ];

  it("runs each to its end, several in one process", { timeout: 5 * MINUTE }, async () => {
    const output = await npm(["run", "example", "--", ...PRINTED.map(([name]) => name)]);
    const printed = new Map(output.split(/^== /m).map((part) => [part.split("\n", 1)[0], part]));
    for (const [name, expected] of PRINTED) expect(printed.get(name), name).toContain(expected);
  });

  it("lists the examples if the given one does not exist", { timeout: MINUTE }, async () => {
    await expect(npm(["run", "example", "--", "../package"])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("two-step-rag, vector-store") as unknown,
    });
  });
});

describe("npm run eval", () => {
  it("prints how often the right passage was found", { timeout: MINUTE }, async () => {
    const folder = await flowersSet();
    const output = await npm(["run", "eval", "--", folder]);
    expect(output).toMatch(/questions +│ mode +│ R@1 +│ R@5 +│ R@10 +│ MRR@10 +│ ms a question/);
    for (const mode of ["vector", "text", "hybrid"]) expect(output).toMatch(allFound("clean", mode));
    expect(output).toMatch(/trainings +│ chunks +│ texts embedded +│ embedding calls +│ seconds to index/);
    expect(output).toMatch(/│ 2 +│ 3 +│ 3 +│ 1 +│ \d+\.\d +│/);
  });

  it("explains on stderr what cannot be used, and what a question set is", { timeout: MINUTE }, async () => {
    const failure = await npm(["run", "eval", "--", "package.json"]).catch((error: unknown) => error);
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
    const output = await npm(["run", "bench", "--", ...options], { DATABASE_URL: requireServerUrl() });
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
    const first = await npm(["run", "bench", "--", ...options, "--parts", "searches", "--keep"], env);
    for (const type of ["halfvec", "bit"])
      expect(first).toMatch(new RegExp(`\\| ${type} \\| 100 \\| [01]\\.\\d{3} \\| \\d`));
    expect(first).not.toContain("a new training of one chunk");

    const second = await npm(["run", "bench", "--", ...options, "--parts", "searches,words,writes,vacuum"], env);
    const loadOf = (output: string): unknown => /\| halfvec \| \d+ s .*minutes/.exec(output)?.[0];
    expect(loadOf(first)).toBeDefined();
    expect(loadOf(second)).toBe(loadOf(first)); // it was not loaded again
    for (const row of ["bit | hybrid", "bit | a new training of one chunk"]) expect(second).toContain(`| ${row} |`);
    expect(await readFile(`${folder}/large-400.md`, "utf8")).toContain("VACUUM takes");
  });
});
