import { execFile } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";

const TIMEOUT = { timeout: 60_000 };

/** Runs the example as its reader does. Resolves when it has ended with exit code 0. */
async function runExample(env: Record<string, string> = {}): Promise<string> {
  const program = await bundleProgram(new URL("../../examples/pg-boss.ts", import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program], {
    env: newcomersEnvironment({ NODE_NO_WARNINGS: "1", ...env }),
  });
  expect(stderr).toBe("");
  return stdout;
}

/** The output lines of each step. */
function stepsOf(output: string): string[][] {
  const [, ...steps] = output.split(/^\d\. /m);
  return steps.map((step) =>
    step
      .split("\n")
      .slice(1)
      .map((line) => line.trim())
      .filter((line) => line !== ""),
  );
}

/** Checks the output, which is the same on each database. */
function expectEndStates(output: string): void {
  const [together = [], retried = [], letters = [], deleted = [], ...others] = stepsOf(output);
  expect(others).toEqual([]);
  expect(together).toEqual([
    "rolled back: Error: the host changed its mind",
    "training 1, version 1: indexed", // and no job of training 2
    "Quanto custa o frete? O frete custa doze reais.",
  ]);
  expect(retried).toEqual([
    "training 1, version 2: EMBEDDING_FAILED, will be retried",
    "training 1, version 2: indexed",
    "training 1, version 2: unchanged",
    "Quanto custa o frete? O frete custa nove reais.",
  ]);
  expect(letters).toEqual([
    "training 3, version 1: EMBEDDING_FAILED, a dead letter",
    "put back: 1",
    "training 3, version 1: indexed",
    "A que horas abre? Abrimos às oito horas.",
  ]);
  expect(deleted).toEqual(["Quanto custa o frete? (nothing found)"]);
}

describe("recipe pg-boss", () => {
  it("runs on the embedded database without further installation", TIMEOUT, async () => {
    const output = await runExample();
    expect(output).toContain("database: embedded (PGlite, in memory)");
    expectEndStates(output);
  });
});

describeOnServer("recipe pg-boss", () => {
  it("runs on the server and leaves nothing behind", TIMEOUT, async () => {
    const url = await createDatabase();
    const output = await runExample({ DATABASE_URL: url });
    expect(output).toContain("database: the server of DATABASE_URL");
    expectEndStates(output);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgboss%'");
    await client.end();
    expect(rows).toEqual([]);
  });
});

/** An empty database, dropped when the test ends. */
async function createDatabase(): Promise<string> {
  const name = uniqueName("pg_boss");
  const admin = new pg.Client({ connectionString: requireServerUrl() });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  onTestFinished(async () => {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  });
  const url = new URL(requireServerUrl());
  url.pathname = `/${name}`;
  return url.href;
}
