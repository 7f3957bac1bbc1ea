/** The command line: in this process, and where signals or the environment matter, in its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { runHere, type ProgramRun } from "./command-terminal.js";
import { bundleProgram } from "../support/bundle.js";
import {
  describeOnEach,
  describeOnServer,
  requireConnectionSetup,
  uniqueName,
  type TestDatabase,
} from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";

const MINUTE = 60_000;

let program = "";

interface EndedProcess extends Omit<ProgramRun, "code"> {
  code: number | null;
}

interface Settings {
  cwd?: string;
  env?: Record<string, string>;
}

type Run = (args: string[], settings?: Settings) => Promise<ProgramRun>;

/** Runs the program in this process, on the server or on the embedded database, which the program must not end. */
function runOn(database: TestDatabase): Run {
  return (args, { cwd, env } = {}) => {
    if (database.name === "server") {
      return runHere(args, { DATABASE_URL: requireConnectionSetup().url, ...env }, cwd);
    }
    const kept = Object.create(database.owner, { end: { value: () => Promise.resolve() } }) as TestDatabase["owner"];
    return runHere(args, { DATABASE_URL: "postgres://localhost/embedded", ...env }, cwd, () => Promise.resolve(kept));
  };
}

async function runProcess(args: string[], { cwd = "/", env = {} }: Settings): Promise<EndedProcess> {
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: newcomersEnvironment({ DATABASE_URL: requireConnectionSetup().url, ...env }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data: Buffer) => (output.stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output.stderr += data.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...output };
}

/** A schema that the command line has migrated, and a folder of files. */
async function prepared(
  database: TestDatabase,
  files: Record<string, string | Buffer>,
  ...options: string[]
): Promise<{ schema: string; cwd: string }> {
  const { owner } = database;
  const schema = uniqueName();
  onTestFinished(async () => {
    await owner.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });
  const cwd = await mkdtemp("/tmp/training command-");
  onTestFinished(() => rm(cwd, { recursive: true }));
  await mkdir(join(cwd, "docs"));
  for (const [name, content] of Object.entries(files)) await writeFile(join(cwd, name), content);
  const { code, stdout } = await runOn(database)(["migrate", "--schema", schema, "--dimensions", "64", ...options]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/migrated to version \d+, vector index built\n$/)]);
  return { schema, cwd };
}

const DOCS = {
  "docs/frete.md": "O frete custa doze reais.",
  "docs/garantia.txt": "A garantia é de dois anos.",
  "docs/vazio.md": "",
  "faq.csv": 'id,content,grupo\npix,"Aceita ""Pix"",\ne cartão",pagamento\n',
  "mais.jsonl": '{"id":"troca","content":"A troca leva sete dias.","metadata":{"grupo":"loja"},"revision":3}\n',
};
const SOURCE = ["docs", "faq.csv", "mais.jsonl", "--filter", "origem=manual"];

describeOnEach("the command line", (database) => {
  const run = runOn(database);

  it("ingests, reads, searches, checks and prunes", { timeout: MINUTE }, async () => {
    const { schema, cwd } = await prepared(database, DOCS, "--text-search", "portuguese");
    const command = async (...args: string[]): Promise<ProgramRun> => run([...args, "--schema", schema], { cwd });
    const json = async (...args: string[]): Promise<unknown> => JSON.parse((await command(...args, "--json")).stdout);

    const first = await command("ingest", ...SOURCE, "--embedder", "hashing");
    expect(first.code).toBe(0);
    expect(first.stdout).toContain(
      "5 indexed, 0 unchanged, 0 superseded, 0 failed; chunks: 4 embedded, 0 reused\n1 without text",
    );
    expect(await json("ingest", ...SOURCE)).toMatchObject({ indexed: 0, unchanged: 5, embedded: 0, blank: 1 });

    const listed = await command("list", "--json", "--filter", "origem=manual");
    const trainings = listed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string });
    expect(trainings.map(({ id }) => id)).toEqual([
      "docs/frete.md",
      "docs/garantia.txt",
      "docs/vazio.md",
      "pix",
      "troca",
    ]);
    expect(trainings.at(-1)).toMatchObject({ revision: 3, chunks: 1, metadata: { grupo: "loja", origem: "manual" } });
    expect((await command("list", "--after", "docs/vazio.md", "--limit", "1")).stdout).toMatch(
      /^pix\t1\t-\t\S+Z\t\{.*\}\n$/,
    );
    expect(await json("get", "pix")).toMatchObject({
      id: "pix",
      chunks: [{ content: 'Aceita "Pix",\ne cartão', start: 0 }],
    });
    expect(await command("get", "nada")).toMatchObject({
      code: 1,
      stderr: 'training-index: there is no training "nada"\n',
    });

    const found = await command("search", "Quanto custa o frete?", "--k", "1");
    expect(found).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^0\.\d{3} {2}docs\/frete\.md {2}O frete/) as string,
    });
    // By words it needs no embedder: that one would not answer.
    const words = ["search", "fretes", "--mode", "text", "--ollama-url", "http://localhost:1", "--embedder", "ollama"];
    expect(await json(...words)).toMatchObject([{ trainingId: "docs/frete.md" }]);

    expect(await json("status")).toMatchObject({ model: { name: "hashing-1" }, counts: { trainings: 5, chunks: 4 } });
    const status = await command("status");
    expect(status.code).toBe(status.stdout.includes("warning ") ? 3 : 0);
    expect(await command("recall", "--sample", "2")).toMatchObject({ code: 0 });

    expect(await command("verify")).toMatchObject({ code: 0, stdout: "checked 5 trainings: all as it should be\n" });
    await database.owner.query(`UPDATE ${schema}.chunk_1 SET content = 'outro' WHERE training_id = 'pix'`);
    await rm(join(cwd, "docs/frete.md"));
    await writeFile(join(cwd, "docs/novo.md"), "Abrimos aos sábados.");
    const drift = await command("verify", ...SOURCE);
    expect(drift.code).toBe(3);
    expect(drift.stdout).toMatch(
      /^missing 1: docs\/novo\.md\norphaned 1: docs\/frete\.md\ndamaged 1: pix\n {2}pix: .*text/m,
    );

    const refused = await command("ingest", ...SOURCE, "--prune", "--max-deletes", "0");
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("--prune deleted nothing") as string });
    expect(await command("get", "docs/frete.md")).toMatchObject({ code: 0 });
    expect(await json("ingest", ...SOURCE, "--prune")).toMatchObject({ deleted: 1, failed: { count: 0 } });
    expect(await command("get", "docs/frete.md")).toMatchObject({ code: 1 });
  });

  it("prunes nothing outside of its filter", { timeout: MINUTE }, async () => {
    const { schema, cwd } = await prepared(database, DOCS);
    const ingest = (...args: string[]): Promise<ProgramRun> =>
      run(["ingest", ...args, "--schema", schema, "--embedder", "hashing"], { cwd });
    expect(await ingest("mais.jsonl", "--filter", "origem=outra")).toMatchObject({ code: 0 });
    expect(await ingest("docs", "--filter", "origem=docs", "--prune")).toMatchObject({ code: 0 });
    const { stdout } = await run(["list", "--schema", schema]);
    expect(stdout.split("\n").map((line) => line.split("\t")[0])).toContain("troca");
    const other = await ingest("faq.csv", "--filter", "grupo=loja");
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining("pix: ") as string });
    await writeFile(
      join(cwd, "bad.jsonl"),
      '{"id":"a","content":"b","metadata":"texto"}\n{"id":"b","content":"c","titulo":"d"}\n',
    );
    const bad = await ingest("bad.jsonl");
    expect(bad).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("0 indexed, 0 unchanged, 0 superseded, 2 failed") as string,
    });
    expect(bad.stderr).toMatch(/^a: .*metadata.*\nb: .*titulo.*\n$/m);
    const range = await ingest("docs", "--filter", '{"ano":{"gt":2020}}', "--prune");
    expect(range).toMatchObject({ code: 2, stderr: expect.stringContaining("reads only") as string });
  });

  it("writes nothing if a file is wrong", { timeout: MINUTE }, async () => {
    const files = {
      "docs/ok.md": "texto",
      "latin.txt": Buffer.from("preço secreto", "latin1"),
      "same.jsonl": '{"id":"docs/ok.md","content":"segredo"}',
      "bad.jsonl": '{"id":"","content":"segredo"}',
      "column.csv": "codigo,content\n1,segredo\n",
      "none.jsonl": "",
    };
    const { schema, cwd } = await prepared(database, files);
    const stderrOf = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await run(["ingest", ...args, "--schema", schema, "--embedder", "hashing"], {
        cwd,
      });
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).not.toMatch(/segredo|secreto/);
      return stderr;
    };
    expect(await stderrOf("docs", "latin.txt")).toContain("latin.txt is not UTF-8");
    expect(await stderrOf("docs", "same.jsonl")).toContain('same.jsonl:1 has the id "docs/ok.md", which occurs twice');
    expect(await stderrOf("docs", "bad.jsonl")).toContain("bad.jsonl:1: id must not be empty or blank");
    expect(await stderrOf("docs", "column.csv")).toContain('column.csv has no column "id"');
    expect(await stderrOf("none.jsonl")).toContain("there are no trainings in the given files");
    expect((await run(["list", "--schema", schema])).stdout).toBe("");
  });
});

describeOnServer("the command line", (database) => {
  const run = runOn(database);

  beforeAll(async () => {
    program = await bundleProgram(new URL("../../src/cli/main.ts", import.meta.url));
  });

  it("explains what is missing", { timeout: MINUTE }, async () => {
    const { schema, cwd } = await prepared(database, DOCS);
    expect(await run(["status", "--schema", "nowhere"])).toMatchObject({
      code: 1,
      stderr: 'training-index: Schema "nowhere" has not been migrated: run training-index migrate --schema nowhere\n',
    });
    const env = { DATABASE_URL: "postgres://root:secret@localhost:1/x" };
    const down = await run(["list"], { env });
    expect([down.code, down.stderr.includes("secret")]).toEqual([1, false]);
    expect(down.stderr).toMatch(/^training-index: The connection to Postgres .*\n$/);
    const noOllama = await run(
      ["ingest", "docs", "--schema", schema, "--model", "minha", "--ollama-url", "http://localhost:1"],
      { cwd },
    );
    expect(noOllama).toMatchObject({ code: 1, stderr: expect.stringContaining("http://localhost:1") as string });
    await database.owner.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (99, 'future', true)`);
    expect(await run(["list", "--schema", schema])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("is at version 99") as string,
    });
  });

  // test/cli/program.test.ts has wrong usage.
  it("explains files and addresses that cannot be used, each in one line", { timeout: MINUTE }, async () => {
    const { schema, cwd } = await prepared(database, {
      ...DOCS,
      "column.csv": "codigo;resposta\n1;segredo\n",
      "empty.csv": "",
      "broken.jsonl": '{"id":"a","content":"b"}\n{"id":segredo',
      "cut.jsonl": '{"format":"langchain-training-index","version":1,"profile":null,"trainings":2,"tombstones":0}\n',
    });
    const on = (...args: string[]): string[] => [...args, "--schema", schema];
    const refused: [string[], number, string | RegExp][] = [
      [["migrate", "--dimensions", "99999"], 2, "--dimensions must"],
      [on("search", "frete", "--ollama-url", "http://localhost:1"), 1, "http://localhost:1"],
      [on("ingest", "empty.csv"), 1, "empty.csv is empty"],
      [on("ingest", "broken.jsonl"), 1, /broken\.jsonl:2 is not JSON$/],
      [on("verify", "column.csv"), 1, 'column.csv has no column "id"'],
      [on("reconcile", "nowhere.md"), 1, "nowhere.md cannot be read"],
      [on("eval", "docs"), 1, "docs/queries.jsonl cannot be read"],
      [on("export", "nowhere/index.jsonl"), 1, "nowhere/index.jsonl cannot be written: ENOENT"],
      [on("import", "column.csv"), 1, "column.csv:1 is not JSON"],
      [on("import", "cut.jsonl"), 1, "cut.jsonl is cut off: it has 0 of 2 trainings"],
    ];
    for (const [args, code, message] of refused) {
      const ended = await run(args, { cwd, env: { EMBEDDINGS_MODEL: "minha" } });
      // Retries are told above the error.
      const text = ended.stderr.trimEnd().split("\n").at(-1);
      expect([args.join(" "), ended.code, text]).toEqual([args.join(" "), code, expect.stringMatching(message)]);
      expect(ended.stderr).not.toMatch(/^ +at |segredo/m);
    }
  });

  it("reads .env, and the environment overrides it", { timeout: MINUTE }, async () => {
    const { schema, cwd } = await prepared(database, {
      ".env": "HNSW_EF_SEARCH=many\n",
      "other.env": "DATABASE_URL=mysql://x\n",
    });
    const args = ["list", "--schema", schema];
    expect(await runProcess(args, { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("HNSW_EF_SEARCH must") as string,
    });
    expect(await runProcess(args, { cwd, env: { HNSW_EF_SEARCH: "50" } })).toMatchObject({ code: 0 });
    const named = await runProcess([...args, "--env-file", "other.env"], { cwd });
    expect(named).toMatchObject({ code: 0 }); // DATABASE_URL was set
  });

  it("makes the index equal to files, and says what it cannot do", { timeout: MINUTE }, async () => {
    const lines = '{"id":"a","content":"Um."}\n{"id":"b","content":"Dois.","revision":2}\n';
    const { schema, cwd } = await prepared(database, {
      "all.jsonl": lines,
      "ids.jsonl": '{"id":"a"}\n{"id":"b","revision":2}\n',
    });
    const command = (...args: string[]): Promise<ProgramRun> =>
      run([...args, "--schema", schema, "--embedder", "hashing"], { cwd });
    expect(await command("reconcile", "all.jsonl")).toMatchObject({
      code: 0,
      stdout: "checked 2 trainings: 2 findings\nmissing 2: a, b\nrepaired 2, deleted 0\n",
    });
    expect(await command("verify", "ids.jsonl")).toMatchObject({ code: 0 });
    expect(await command("reconcile", "ids.jsonl")).toMatchObject({
      code: 1,
      stderr: "training-index: ids.jsonl:1 has no content: only verify takes ids and revisions alone\n",
    });
    await database.owner.query(`DROP INDEX ${schema}.chunk_1_metadata`);
    expect(await command("reconcile", "all.jsonl")).toMatchObject({
      code: 3,
      stdout: expect.stringContaining("schema: index chunk_1_metadata: is missing") as string,
    });
    const json = JSON.parse((await command("reconcile", "all.jsonl", "--dry-run", "--json")).stdout) as unknown;
    expect(json).toMatchObject({ checked: 2, repaired: 0, deleted: 0 });
  });

  it("moves an index, and replaces a file only when it is complete", { timeout: MINUTE }, async () => {
    const { schema, cwd } = await prepared(database, DOCS);
    const { schema: target } = await prepared(database, {});
    const { schema: wide } = await prepared(database, {}, "--dimensions", "32");
    expect(await run(["export", "none.jsonl", "--schema", target], { cwd })).toMatchObject({ code: 0 });
    expect(await run(["import", "none.jsonl", "--schema", wide], { cwd })).toMatchObject({ code: 0 });
    await run(["ingest", ...SOURCE, "--schema", schema, "--embedder", "hashing"], { cwd });
    const exported = await run(["export", "all.jsonl", "--schema", schema, "--filter", "grupo=loja"], { cwd });
    expect(exported).toMatchObject({ code: 0, stdout: "", stderr: "exported 1 trainings\n" });
    const before = await readFile(join(cwd, "all.jsonl"), "utf8");
    await database.owner.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id = 'pix'`);
    expect(await run(["export", "all.jsonl", "--schema", schema], { cwd })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Training "pix" is damaged') as string,
    });
    expect(await readFile(join(cwd, "all.jsonl"), "utf8")).toBe(before);
    expect(await readdir(cwd)).not.toContain("all.jsonl.partial");

    await run(["import", "all.jsonl", "--schema", target], { cwd });
    await run(["ingest", "mais.jsonl", "--schema", target, "--filter", "grupo=nova", "--embedder", "hashing"], { cwd });
    const summary = { indexed: 0, unchanged: 1, superseded: 0, deleted: 0 };
    const again = await run(["import", "all.jsonl", "--schema", target, "--overwrite", "--json"], { cwd });
    expect(JSON.parse(again.stdout)).toEqual(summary);
    expect(await run(["import", "all.jsonl", "--schema", wide], { cwd })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "all.jsonl has vectors of hashing-1 with 64 dimensions, the schema has",
      ) as string,
    });
    expect(await run(["import", "all.jsonl", "--schema", target, "--filter", "grupo=rh"], { cwd })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('all.jsonl:2.metadata must have the same value of "grupo"') as string,
    });
  });

  it("is the bin of the package", async () => {
    const { bin } = JSON.parse(await readFile("package.json", "utf8")) as { bin: Record<string, string> };
    expect(bin).toEqual({ "training-index": "./dist/cli.js" });
    expect(await readFile(program, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});
