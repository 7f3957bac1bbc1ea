import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DatabaseError } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { expect, inject, it, onTestFinished } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { newcomersEnvironment } from "../support/environment.js";

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "training-index-"));
  onTestFinished(async () => {
    await rm(path, { recursive: true, force: true });
    await rm(`${path}.lock`, { force: true });
  });
  return path;
}

function childProgram(): Promise<string> {
  return bundleProgram(new URL("embedded-child.ts", import.meta.url));
}

it.skipIf(inject("isServerOnly"))(
  "opens a folder in one pool at a time, and releases it when the pool ends",
  async () => {
    const path = await folder();
    const first = embeddedPool(path);
    await first.query("CREATE TABLE note (text text)");
    expect(() => embeddedPool(path)).toThrow(DatabaseError);
    expect(() => embeddedPool(`${path}/.`)).toThrow(/open in another pool of this process/);
    await first.end();
    expect(existsSync(`${path}.lock`)).toBe(false);
    const second = embeddedPool(path);
    expect((await second.query("SELECT FROM note")).rowCount).toBe(0);
    await second.end();
  },
);

it.skipIf(inject("isServerOnly"))("keeps its data under a path with spaces and backslashes", async () => {
  const path = join(await folder(), "a bot's data\\of 2026 (ção)");
  const first = embeddedPool(path);
  await first.query("CREATE TABLE note (text text)");
  expect(existsSync(`${path}.lock`)).toBe(true);
  await first.end();
  expect(existsSync(join(path, "PG_VERSION"))).toBe(true);
  const second = embeddedPool(path);
  expect((await second.query("SELECT FROM note")).rowCount).toBe(0);
  await second.end();
});

it.skipIf(inject("isServerOnly"))(
  "refuses a folder that another process has open, and takes it over once that process is killed",
  async () => {
    const path = await folder();
    const child = spawn(process.execPath, [await childProgram(), "stay", path], {
      env: newcomersEnvironment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const failure = (() => {
      try {
        return embeddedPool(path);
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toMatchObject({ code: "DIRECTORY_IN_USE", retryable: true });
    expect((failure as Error).message).toContain(`process ${child.pid ?? ""} on `);
    child.kill("SIGKILL");
    await once(child, "exit");
    const pool = embeddedPool(path);
    expect((await pool.query("SELECT FROM note")).rowCount).toBe(0);
    await pool.end();
  },
);

it.skipIf(inject("isServerOnly"))(
  "does not keep a process alive that leaves its pool open",
  async () => {
    const path = await folder();
    // The second process opens a folder that was not closed. A process that stays is killed, and its run fails.
    for (let opened = 0; opened < 2; opened++) {
      await promisify(execFile)(process.execPath, [await childProgram(), "leave", path], {
        env: newcomersEnvironment(),
        timeout: 60_000, // each may stay 10 s longer before Postgres writes its statistics
      });
    }
  },
  130_000,
);

it.skipIf(inject("isServerOnly"))(
  "does not mistake a process that reuses a dead process's id for the folder's owner",
  async () => {
    const path = await folder();
    const first = embeddedPool(path);
    const holder = JSON.parse(await readFile(`${path}.lock`, "utf8")) as object;
    await first.end();
    for (const dead of [
      { processId: process.ppid, processStart: "1" },
      { processId: process.pid, id: "of a process before this one in the same container" },
      { processId: 2 ** 22 + 1 },
    ]) {
      await writeFile(`${path}.lock`, JSON.stringify({ ...holder, ...dead }));
      await embeddedPool(path).end();
    }
    await writeFile(`${path}.lock`, JSON.stringify({ ...holder, host: "elsewhere" }));
    expect(() => embeddedPool(path)).toThrow(/on elsewhere/);
  },
);
