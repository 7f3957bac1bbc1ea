/** Tests of the program as it is installed from the tarball; `package.int.test.ts` packs and installs it once. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnServer, requireConnectionSetup, uniqueName } from "../support/databases.js";
import { startOllamaServer, type OllamaServer } from "../support/ollama-server.js";

const TIMEOUT = 120_000;
const FILES = 1000;
const MODEL = "minha";
/** Written before a bar is drawn again. */
const CLEAR_LINE = "\r\x1b[K";
/** How long each request to the embedder takes while the program is watched and killed. */
const SLOW_MS = 100;

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** @param programOf - the path of the installed bin */
export function describePackedProgram(programOf: () => string): void {
  describeOnServer("the installed program", (database) => {
    const [schema, other] = [uniqueName(), uniqueName()];
    let cwd = "";
    let ollama: OllamaServer;

    /** Runs the program as a shell would. @param input - of stdin @param stop - when to interrupt it */
    const run = async (
      args: string[],
      env: Record<string, string> = {},
      input?: string,
      stop?: () => Promise<void>,
    ): Promise<Ended> => {
      const { PATH = "", HOME = "" } = process.env;
      const own = {
        PATH,
        HOME,
        DATABASE_URL: requireConnectionSetup().url,
        OLLAMA_BASE_URL: ollama.url,
        EMBEDDINGS_MODEL: MODEL,
      };
      const child = spawn(programOf(), args, { cwd, env: { ...own, ...env } });
      const output = { stdout: "", stderr: "" };
      child.stdout.on("data", (data: Buffer) => (output.stdout += data.toString()));
      child.stderr.on("data", (data: Buffer) => (output.stderr += data.toString()));
      child.stdin.end(input);
      void stop?.().then(() => child.kill("SIGINT"));
      const [code] = (await once(child, "close")) as [number | null];
      return { code, ...output };
    };
    const expectRun = async (
      args: string[],
      code: number,
      output: string | RegExp,
      input?: string,
    ): Promise<string> => {
      const ended = await run(args, {}, input);
      // Retries are told above the error.
      const text = code === 0 || code === 3 ? ended.stdout : (ended.stderr.trimEnd().split("\n").at(-1) ?? "");
      expect([args.join(" "), ended.code, text]).toEqual([args.join(" "), code, expect.stringMatching(output)]);
      expect(ended.stderr).not.toMatch(/^ +at /m);
      return ended.stdout;
    };

    beforeAll(async () => {
      cwd = await mkdtemp("/tmp/packed program-");
      await mkdir(join(cwd, "docs"));
      await mkdir(join(cwd, "many"));
      await mkdir(join(cwd, "questions"));
      const files: Record<string, string> = {
        "docs/frete.md": "O frete custa doze reais.",
        "docs/troca.txt": "A troca leva sete dias.",
        "faq.csv": 'codigo;resposta\npix;"Aceita ""Pix""\ne cartão"\n',
        "questions/queries.jsonl":
          '{"text":"Quanto custa o frete?","doc_id":"frete","answers":[{"start":8,"end":24}]}\n{"text":"E o prazo?","doc_id":"nada"}\n',
        ".env": "HNSW_EF_SEARCH=50\n",
      };
      for (const [name, content] of Object.entries(files)) await writeFile(join(cwd, name), content);
      for (let number = 0; number < FILES; number++) {
        await writeFile(join(cwd, "many", `${number}.md`), `Treinamento ${number} sobre o assunto ${number * 7}.`);
      }
      ollama = await startOllamaServer({ models: [MODEL], dimensions: 64 });
      const options = ["--dimensions", "64", "--text-search", "portuguese"];
      await Promise.all(
        [schema, other].map((name) => expectRun(["migrate", "--schema", name, ...options], 0, /migrated to version/)),
      );
    }, TIMEOUT);

    afterAll(async () => {
      await ollama.close();
      await rm(cwd, { recursive: true });
      for (const name of [schema, other]) await database.owner.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`);
    });

    const docs = ["docs", "--schema", schema, "--filter", "origem=docs"];
    const faq = [
      "faq.csv",
      "--schema",
      schema,
      "--id-column",
      "codigo",
      "--text-column",
      "resposta",
      "--delimiter",
      ";",
    ];
    const on = (...args: string[]): string[] => [...args, "--schema", schema];

    it("runs every command", { timeout: TIMEOUT }, async () => {
      await expectRun(["sql", "--schema", "loja"], 0, 'CREATE SCHEMA IF NOT EXISTS "loja"');
      await expectRun(["ingest", ...docs], 0, /^2 indexed, .*chunks: 2 embedded/);
      await expectRun(["ingest", ...faq], 0, /^1 indexed/);
      const reads = Promise.all([
        expectRun(on("get", "pix"), 0, 'Aceita "Pix"\ne cartão'),
        expectRun(on("search", "Quanto custa o frete?", "--k", "1", "--mode", "hybrid"), 0, "docs/frete.md"),
        expectRun(on("recall", "--sample", "2"), 0, "efSearch"),
        expectRun(on("verify"), 0, "checked 3 trainings: all as it should be"),
        expectRun(
          on("eval", "questions", "--ids", "docs/{id}.md"),
          0,
          /^mode +R@1(.|\n)*^hybrid +1\.000(.|\n)*1 questions(.|\n)*1 others/m,
        ),
      ]);
      const { code, stdout } = await run(on("status"));
      expect([code, stdout]).toEqual([
        stdout.includes("warning ") ? 3 : 0,
        expect.stringContaining(`schema        ${schema}`),
      ]);
      await reads;

      const exported = await expectRun(on("export", "-"), 0, /^\{"format":"langchain-training-index",.*"trainings":3,/);
      await expectRun(on("export", "index.jsonl"), 0, /^$/);
      expect(await readFile(join(cwd, "index.jsonl"), "utf8")).toBe(exported);
      await expectRun(["import", "-", "--schema", other, "--bulk"], 0, /^3 imported/, exported);
      await expectRun(["import", "index.jsonl", "--schema", other], 0, /^0 imported, 3 unchanged/);

      await rm(join(cwd, "docs/troca.txt"));
      await writeFile(join(cwd, "docs/frete.md"), "O frete custa quinze reais.");
      await expectRun(["verify", ...docs], 3, /stale 1: docs\/frete\.md\norphaned 1: docs\/troca\.txt/);
      await expectRun(["reconcile", ...docs, "--dry-run"], 3, /^orphaned 1:(.|\n)*nothing was changed/m);
      await expectRun(["reconcile", ...docs, "--max-deletes", "1"], 0, /repaired 1, deleted 1\n$/);
      await expectRun(on("list"), 0, /^docs\/frete\.md\t(.|\n)*^pix\t/m);
    });

    // One of each exit code; program.test.ts and command-line.int.test.ts have the others, in the test's process.
    it("explains bad input in one line, with an exit code", { timeout: TIMEOUT }, async () => {
      await expectRun(["statsu"], 2, "did you mean status?");
      await expectRun(on("get", "nada"), 1, 'there is no training "nada"');
    });

    // `script` of util-linux gives the program a terminal; other systems have another one.
    it.runIf(process.platform === "linux")(
      "ingests 1,000 files with a bar, survives a kill, and embeds nothing twice",
      { timeout: TIMEOUT },
      async () => {
        const count = async (): Promise<number> => {
          const { rows } = await database.owner.query<{ count: string }>(
            `SELECT count(*) FROM ${schema}.training WHERE id LIKE 'many/%'`,
          );
          return Number(rows[0]?.count);
        };
        ollama.fault({ kind: "slow", ms: SLOW_MS });
        const { PATH = "", HOME = "" } = process.env;
        const env = {
          PATH,
          HOME,
          TERM: "xterm",
          DATABASE_URL: requireConnectionSetup().url,
          OLLAMA_BASE_URL: ollama.url,
          EMBEDDINGS_MODEL: MODEL,
        };
        const command = `stty cols 120; echo $$ > pid; exec "${programOf()}" ingest many --schema ${schema}`;
        const terminal = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], { cwd, env });
        let shown = "";
        terminal.stdout.on("data", (data: Buffer) => (shown += data.toString()));
        const ended = once(terminal, "close");
        while ((await count()) < 200) await sleep(20);
        // The bar is drawn at intervals, and is empty at first.
        await expect
          .poll(() => shown.replaceAll(CLEAR_LINE, "\n"), { timeout: TIMEOUT / 4, interval: 20 })
          .toMatch(/^\[#+ +\] stored \d+ of 1000, \d+ chunks embedded/m);
        process.kill(Number(await readFile(join(cwd, "pid"), "utf8")), "SIGKILL");
        await ended;
        // A statement that was sent before the kill is committed.
        const running =
          "SELECT FROM pg_stat_activity WHERE application_name = 'training-index' AND strpos(query, $1) > 0";
        while ((await database.owner.query(running, [schema])).rowCount !== 0) await sleep(10);
        const killedAt = await count();
        const interrupted = await run(on("ingest", "many"), {}, "", async () => {
          while ((await count()) <= killedAt) await sleep(20);
        });
        expect(interrupted).toMatchObject({
          code: 130,
          stdout: "",
          stderr: expect.stringMatching(/interrupted\n$/) as string,
        });
        const before = await count();
        expect(before).toBeLessThan(FILES);

        ollama.heal();
        const rest = JSON.parse(await expectRun(on("ingest", "many", "--json"), 0, "indexed")) as unknown;
        expect(rest).toMatchObject({ indexed: FILES - before, unchanged: before, embedded: FILES - before });
        const requests = ollama.inputs().length;
        const again = JSON.parse(await expectRun(on("ingest", "many", "--json"), 0, "indexed")) as unknown;
        expect(again).toMatchObject({ indexed: 0, unchanged: FILES, embedded: 0 });
        expect(ollama.inputs()).toHaveLength(requests);
      },
    );
  });
}
