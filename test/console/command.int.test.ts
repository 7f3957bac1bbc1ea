/** `training-index console`: from the command to the answers of the index. */
import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { runProgram } from "../../src/cli/program.js";
import { openServerPool } from "../../src/cli/session/connection.js";
import { recordedOutput, runHere } from "../cli/command-terminal.js";
import { describeOnServer, requireConnectionSetup } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";
import { PAGE_FOLDER } from "./browser.js";

interface Started {
  url: URL;
  call: (path: string, body: object) => Promise<{ status: number; body: Record<string, unknown> }>;
  /** Ctrl-C. @returns the exit code, and what was written to stderr */
  end: () => Promise<[number, string]>;
}

async function start(args: string[], databaseUrl = requireConnectionSetup().url): Promise<Started> {
  const [stdout, stderr] = [recordedOutput(), recordedOutput()];
  const interrupted = new AbortController();
  const ended = runProgram(["console", "--port", "0", ...args], {
    env: { DATABASE_URL: databaseUrl },
    cwd: "/",
    stdin: Readable.from([]),
    stdout,
    stderr,
    signal: interrupted.signal,
    loadEnvFile: undefined,
    openPool: openServerPool,
    version: () => "1.2.3",
    pageFolder: () => PAGE_FOLDER,
  });
  onTestFinished(async () => {
    interrupted.abort();
    await ended;
  });
  await expect.poll(() => stdout.text, { timeout: 20_000 }).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#\S{32}\n$/);
  const url = new URL(stdout.text.trim());
  return {
    url,
    call: async (path, body) => {
      const response = await fetch(new URL(path, url), {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${url.hash.slice(1)}` },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    end: async () => {
      interrupted.abort();
      return [await ended, stderr.text];
    },
  };
}

describeOnServer("training-index console", (database) => {
  it("serves the index of the schema, reads only, and ends by Ctrl-C", async () => {
    const { index, schema } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    await index.upsertTraining({ id: "frete", content: "Quanto custa o frete? O frete custa doze reais." });
    const { url, call, end } = await start(["--schema", schema]);
    expect((await (await fetch(url)).text()).startsWith("<!doctype html>")).toBe(true);
    expect((await call("/overview", {})).body).toMatchObject({
      status: { schema: { name: schema }, counts: { trainings: 1 } },
      writable: false,
      questions: ["Quanto custa o frete?"],
      trainings: [{ id: "frete" }],
    });
    expect((await call("/search", { query: "frete", mode: "hybrid", k: 3 })).body).toMatchObject({
      results: [{ trainingId: "frete", chunks: [{ matches: expect.any(Array) as unknown }] }],
    });
    expect((await call("/search", { query: " ", mode: "text" })).body).toMatchObject({ code: "QUESTION_INVALID" });
    expect((await call("/search", { query: "frete", filter: {} })).body).toMatchObject({ code: "QUESTION_INVALID" });
    expect((await call("/training", { id: "frete" })).body).toMatchObject({ id: "frete" });
    expect((await call("/store", { id: "novo", text: "x", metadata: {} })).body).toMatchObject({ code: "READ_ONLY" });
    expect(await end()).toEqual([0, "The page only reads; Ctrl-C ends it\n"]);
    await expect(fetch(url)).rejects.toThrow();
  });

  it("changes trainings with --write, and refuses what cannot be stored", async () => {
    const { index, schema } = await openTestIndex(database);
    const { call, end } = await start(["--schema", schema, "--write", "--embedder", "hashing"]);
    expect((await call("/store", { id: "novo", text: "Um texto.", metadata: { a: 1 } })).body).toMatchObject({
      status: "indexed",
      embedded: 1,
    });
    expect(await index.get("novo")).toMatchObject({ metadata: { a: 1 } });
    for (const [body, code] of [
      [{ id: "novo", text: "Outro.", metadata: {} }, "ID_TAKEN"],
      [{ id: " ", text: "Outro.", metadata: {} }, "ID_INVALID"],
      [{ id: "b", text: "Outro.", metadata: { trainingIndex: 1 } }, "METADATA_INVALID"],
      [{ id: "b", text: "Outro.", metadata: "x" }, "METADATA_INVALID"],
      [{ id: "b", text: 1, metadata: {} }, "BAD_REQUEST"],
      [{ id: "b", text: "Outro.", metadata: {}, versoin: "1" }, "BAD_REQUEST"],
      [{ id: "nada", text: "Outro.", metadata: {}, version: "1" }, "GONE"],
    ] as const) {
      expect([body, (await call("/store", body)).body["code"]]).toEqual([body, code]);
    }
    expect((await end())[0]).toBe(0);
  });

  it("opens without a database or a schema, which the page shows, and sees them when they come", async () => {
    const down = await start([], "postgres://root:secret@127.0.0.1:1/x");
    expect(await down.call("/overview", {})).toEqual({
      status: 503,
      body: { code: "CONNECTION_FAILED", schema: "training_index" },
    });
    const [code, stderr] = await down.end();
    expect([code, stderr.includes("secret")]).toEqual([0, false]);

    const { schema } = await openTestIndex(database);
    const { owner } = database;
    await owner.query(`ALTER SCHEMA ${schema} RENAME TO ${schema}_later`);
    const { call } = await start(["--schema", schema, "--embedder", "hashing"]);
    expect((await call("/overview", {})).body).toEqual({ code: "SCHEMA_MISSING", schema });
    await owner.query(`ALTER SCHEMA ${schema}_later RENAME TO ${schema}`);
    expect((await call("/overview", {})).body).toMatchObject({ status: { counts: { trainings: 0 } } });
  });

  it("says what is wrong with its options", async () => {
    const env = { DATABASE_URL: requireConnectionSetup().url };
    const taken = await start([]);
    for (const [args, message] of [
      [["--port", "70000"], "--port must be a whole number from 0 to 65535"],
      [["--port", taken.url.port], `port ${taken.url.port} is in use: --port chooses another`],
      [["--wirte"], "did you mean --write?"],
    ] as const) {
      const { code, stderr } = await runHere(["console", ...args], env);
      expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
    }
  });
});
