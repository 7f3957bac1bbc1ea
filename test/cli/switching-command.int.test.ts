/** `training-index switch`, in this process. */
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { describeOnServer, requireConnectionSetup, uniqueName } from "../support/databases.js";
import { startOllamaServer, type OllamaServer } from "../support/ollama-server.js";
import { runHere, type ProgramRun } from "./command-terminal.js";

const MINUTE = 60_000;
const MODEL = "bge-m3";
const LINES =
  '{"id":"frete","content":"O frete custa doze reais."}\n' +
  '{"id":"troca","content":"A troca leva sete dias."}\n{"id":"pix","content":"Aceita Pix e boleto."}\n';

/** More than the ten hits that a switch compares. */
const MANY_LINES = Array.from(
  { length: 40 },
  (_, n) => `{"id":"${n}","content":"O pedido ${n * 37} custa ${n * n} reais."}\n`,
).join("");

describeOnServer("training-index switch", (database) => {
  /** A schema with three trainings of the built-in embedder, and an Ollama server with another model. */
  async function prepared(lines = LINES): Promise<{
    command: (...args: string[]) => Promise<ProgramRun>;
    json: (...args: string[]) => Promise<unknown>;
    ollama: OllamaServer;
  }> {
    const schema = uniqueName();
    const cwd = await mkdtemp("/tmp/training-switch-");
    const ollama = await startOllamaServer({ models: [MODEL] });
    onTestFinished(async () => {
      await database.owner.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      await rm(cwd, { recursive: true });
      await ollama.close();
    });
    const env = { DATABASE_URL: requireConnectionSetup().ownerUrl, OLLAMA_BASE_URL: ollama.url };
    const command = (...args: string[]): Promise<ProgramRun> => runHere([...args, "--schema", schema], env, cwd);
    const json = async (...args: string[]): Promise<unknown> => {
      const { code, stdout, stderr } = await command(...args, "--json");
      expect([code, stderr.includes("unexpected")]).toEqual([0, false]);
      return JSON.parse(stdout);
    };
    await writeFile(join(cwd, "all.jsonl"), lines);
    await command("migrate", "--dimensions", "64");
    expect(await command("ingest", "all.jsonl", "--embedder", "hashing")).toMatchObject({ code: 0 });
    return { command, json, ollama };
  }

  it("plans, switches, shows, switches back and retires", { timeout: MINUTE }, async () => {
    const { command, json, ollama } = await prepared();
    expect(await json("switch", "--status")).toEqual({
      model: expect.objectContaining({ name: "hashing-1" }) as unknown,
    });
    const planned = await command("switch", "--model", MODEL, "--dry-run", "--max-texts-per-minute", "60");
    expect(planned.code).toBe(0);
    expect(planned.stdout).toMatch(/to +bge-m3, 1024 dimensions\nstatus +planned\ntrainings +3, 3 to build\n/);
    expect(planned.stdout).toMatch(/texts +3 chunks, \d+ characters\ntime +at least 1 min/);
    expect(ollama.inputs().flat()).toEqual(["loja"]); // the probe
    expect(await command("switch", "--status")).toMatchObject({
      stdout: expect.stringMatching(/other +none/) as string,
    });

    const switched = await command("switch", "--model", MODEL);
    expect(switched.code).toBe(0);
    expect(switched.stdout).toMatch(
      /from +hashing-1, 64 dimensions\nto +bge-m3, 1024 dimensions\nstatus +switched\ntrainings +3/,
    );
    expect(switched.stdout).toMatch(/same hits +100 % of 10, for 3 questions/);
    expect(switched.stderr).toMatch(/training-index: building: 0 trainings built, 3 left/);
    expect(switched.stderr).toMatch(/training-index: switching: 3 trainings built, 0 left/);
    expect((await command("switch", "--status")).stdout).toMatch(
      /in use +bge-m3, 1024 dimensions\nother +hashing-1, 64 dimensions, retired, 0 trainings behind/,
    );
    expect(await json("search", "Quanto custa o frete?", "--k", "1")).toMatchObject([{ trainingId: "frete" }]);
    const old = await command("search", "frete", "--embedder", "hashing");
    expect(old).toMatchObject({ code: 1, stderr: expect.stringContaining('model "bge-m3" is recorded') as string });
    expect(await json("ingest", "all.jsonl")).toMatchObject({ unchanged: 3, embedded: 0 });

    expect(await json("switch", "--back")).toMatchObject({ status: "switched", to: { name: "hashing-1" }, texts: 0 });
    expect(await json("search", "Quanto custa o frete?", "--k", "1")).toMatchObject([{ trainingId: "frete" }]);
    expect(await json("switch", "--retire")).toEqual({ dropped: { name: MODEL, dimensions: 1024 } });
    expect(await command("switch", "--retire")).toMatchObject({ code: 0, stdout: "there is no other model\n" });
    expect(await command("switch", "--back")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--back: there is no model that was in use before") as string,
    });
  });

  it(
    "refuses the switch that --min-overlap or the embedder does not allow, and continues it",
    { timeout: MINUTE },
    async () => {
      const { command, json, ollama } = await prepared(MANY_LINES);
      const unknown = await command("switch", "--model", "nenhum", "--dimensions", "64");
      expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("ollama pull nenhum") as string });
      const same = await command("switch", "--embedder", "hashing");
      expect(same).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("is the model that the index uses") as string,
      });
      const refused = await command("switch", "--model", MODEL, "--min-overlap", "1");
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("check did not accept") as string });
      expect(await command("switch", "--back")).toMatchObject({ code: 2 }); // it was never in use
      expect((await command("switch", "--status")).stdout).toMatch(
        /in use +hashing-1, 64 dimensions\nother +bge-m3, 1024 dimensions, building, 0 trainings behind/,
      );
      const other = await command("switch", "--embedder", "hashing", "--dimensions", "8");
      expect(other).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('is being switched to "bge-m3"') as string,
      });
      const embedded = ollama.inputs().flat().length;
      expect(await json("switch", "--model", MODEL, "--sample", "0")).toMatchObject({ status: "switched", texts: 0 });
      expect(ollama.inputs().flat().slice(embedded)).toEqual(["loja"]);
    },
  );

  it.each([
    [["switch"], "--model is missing"],
    [["switch", "--back", "--retire"], "--back and --retire cannot be combined"],
    [["switch", "--retire", "--dry-run"], "--retire and --dry-run cannot be combined"],
    [["switch", "--status", "--model", MODEL], "--status and --model cannot be combined"],
    [["switch", "--back", "--dimensions", "64"], "--back and --dimensions cannot be combined"],
    [["switch", "--model", MODEL, "--concurrency", "many"], '--concurrency must be a number, not "many"'],
    [["switch", "--model", MODEL, "--min-overlap", "2"], "--min-overlap must be from 0 to 1, not 2"],
    [["switch", "--modell", MODEL], "switch has no option --modell; did you mean --model?"],
    [["switch", MODEL], 'switch does not take "bge-m3"'],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await runHere(args, { DATABASE_URL: "postgres://localhost:1/none" });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });
});
