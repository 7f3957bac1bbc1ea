import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";

/** The program after its pool: prints its connection's process id, and prints it again after a line of input. */
const BODY = `
const pid = async () => (await pool.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
console.log(await pid());
process.stdin.once("data", async () => {
  console.log(await pid());
  await pool.end();
  process.exit();
});
`;

/** The statements of a page that create its pool. */
async function poolOf(page: string): Promise<string> {
  const text = await readFile(page, "utf8");
  const statement = /^(?:const pool = new pg\.Pool|pool\.on)\((?:.*\);|.*\n(?: +.*\n)*\}\);)/gm;
  const statements = text.match(statement) ?? [];
  return ['import pg from "pg";', ...statements].join("\n");
}

// Servers end idle connections, for example in a restart or a failover, or by `idle_session_timeout`.
describeOnServer("an idle connection that is ended", () => {
  it.each([
    [
      "the examples",
      () => 'import { scriptEnvironment } from "../tooling/environment.js";\nconst { pool } = scriptEnvironment();',
    ],
    ["README.md", () => poolOf("README.md")],
    ["README.pt-BR.md", () => poolOf("README.pt-BR.md")],
  ])("does not end the program of %s, which continues with another", { timeout: 60_000 }, async (_name, poolCode) => {
    const file = `test/${uniqueName(".idle")}.ts`;
    onTestFinished(() => rm(file));
    await writeFile(file, `${await poolCode()}\n${BODY}`);
    const child = spawn(process.execPath, [await bundleProgram(pathToFileURL(file))], {
      env: newcomersEnvironment({ DATABASE_URL: requireServerUrl() }),
    });
    onTestFinished(() => void child.kill());
    let errors = "";
    child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, "exit");
    const nextLine = async (): Promise<string> => {
      const line = await Promise.race([once(lines, "line"), ended.then(() => [""])]);
      return String(line[0]);
    };
    const first = await nextLine();
    await terminate(first);
    child.stdin.write("again\n");
    const second = await nextLine();
    expect(second, errors).toMatch(/^\d+$/);
    expect(second).not.toBe(first);
    expect(await ended).toEqual([0, null]);
    expect(errors).toMatch(/idle connection|conexão ociosa/i);
  });
});

/** Terminates a connection, and waits until it has ended. */
async function terminate(pid: string): Promise<void> {
  const client = new pg.Client({ connectionString: requireServerUrl() });
  await client.connect();
  await client.query("SELECT pg_catalog.pg_terminate_backend($1::integer, 5000::bigint)", [pid]);
  await client.end();
}
