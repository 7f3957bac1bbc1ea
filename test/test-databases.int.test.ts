import { execFile, type ExecFileException } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { newcomersEnvironment } from "./support/environment.js";

const TIMEOUT = { timeout: 120_000 };
/** Test files without tests on the embedded database, so that a run is short. */
const SERVER_TESTS = "test/postgres/idle-connections";
const REDIS_TESTS = "test/recipes/bullmq-shutdown";
const SERVER_URL = inject("serverUrl");

interface TestRun {
  exitCode: number;
  output: string;
}

/** Runs tests as `npm test` does, with only this environment. */
function runTests(filter: string, env: Record<string, string>): Promise<TestRun> {
  const arguments_ = ["node_modules/vitest/vitest.mjs", "run", "--project", "integration", filter];
  const options = { env: newcomersEnvironment({ NO_COLOR: "1", TESTCONTAINERS_RYUK_DISABLED: "true", ...env }) };
  return new Promise((resolve) => {
    execFile(process.execPath, arguments_, options, (error: ExecFileException | null, stdout, stderr) => {
      resolve({ exitCode: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

/** A fake Docker engine that fails to pull images or, with `hasImages`, to start containers. */
async function startEngine({ hasImages }: { hasImages: boolean }): Promise<{ DOCKER_HOST: string }> {
  const engine = createServer((request, response) => {
    const url = request.url ?? "";
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (url.includes("/_ping")) response.end("OK");
    else if (url.includes("/info")) send(200, { OperatingSystem: "played", Architecture: "x86_64", NCPU: 1 });
    else if (url.includes("/images/create")) send(500, { message: "no route\nto the registry" });
    else if (url.includes("/images/json")) send(200, []);
    else if (url.includes("/images/") && hasImages) send(200, { Id: "sha256:1" });
    else if (hasImages) send(500, { message: "no space left\non the device" });
    else send(404, { message: "no such image" });
  });
  engine.listen(0, "127.0.0.1");
  await once(engine, "listening");
  onTestFinished(() => {
    engine.closeAllConnections();
    engine.close();
  });
  return { DOCKER_HOST: `tcp://127.0.0.1:${(engine.address() as AddressInfo).port}` };
}

describe("a run of the tests", () => {
  it.each([
    ["cannot pull images", false, "no route to the registry"],
    ["cannot start containers", true, "no space left on the device"],
  ])("continues without a server if the Docker engine %s, and prints why", TIMEOUT, async (_what, hasImages, why) => {
    const { exitCode, output } = await runTests(SERVER_TESTS, await startEngine({ hasImages }));
    expect(output).toMatch(new RegExp(`server database: NONE \\(.*${why}.*\\): its tests were left out`));
    expect(output).toContain("embedded: PGlite, in this process");
    expect(output).not.toMatch(/No test files found|Unhandled|^\s+at /m);
    expect(exitCode).toBe(0);
  });

  it("fails with CI=true, and prints what would help", TIMEOUT, async () => {
    const engine = await startEngine({ hasImages: false });
    const { exitCode, output } = await runTests(SERVER_TESTS, { ...engine, CI: "true" });
    expect(output).toMatch(/CI=true, but there is no server database \(.*no route to the registry.*\)/);
    expect(output).toContain("Set TEST_DATABASE_URL");
    expect(output).not.toMatch(/No test files found|Unhandled|^\s+at /m);
    expect(exitCode).toBe(1);
  });

  it("fails for an unreachable TEST_DATABASE_URL", TIMEOUT, async () => {
    const env = { TEST_DATABASE_URL: "postgres://a:secret@127.0.0.1:1/x" };
    const { exitCode, output } = await runTests(SERVER_TESTS, env);
    expect(output).toMatch(/TEST_DATABASE_URL cannot be used \(.*ECONNREFUSED.*\)\. Start that server/);
    expect(output).not.toMatch(/No test files found|Unhandled|secret|^\s+at /m);
    expect(exitCode).toBe(1);
  });

  it("fails for a TEST_DATABASE_URL without pgvector", TIMEOUT, async () => {
    const database = new PGlite();
    await database.waitReady;
    const server = new PGLiteSocketServer({ db: database, port: 0, host: "127.0.0.1" });
    await server.start();
    onTestFinished(async () => {
      await server.stop();
      await database.close();
    });
    const url = `postgres://postgres:postgres@${server.getServerConn()}/postgres`;
    const { exitCode, output } = await runTests(SERVER_TESTS, { TEST_DATABASE_URL: url });
    expect(output).toMatch(/TEST_DATABASE_URL cannot be used \(.*no pgvector/);
    expect(exitCode).toBe(1);
  });

  it.skipIf(SERVER_URL === undefined)("skips recipes on Redis if none can be started", TIMEOUT, async () => {
    const env = { ...(await startEngine({ hasImages: false })), TEST_DATABASE_URL: SERVER_URL ?? "" };
    const { exitCode, output } = await runTests(REDIS_TESTS, env);
    expect(output).toMatch(/Redis: NONE \(.*no route to the registry.*\): the tests of this suite were left out/);
    expect(output).toMatch(/Tests +3 skipped/);
    expect(exitCode).toBe(0);
    const inCi = await runTests(REDIS_TESTS, { ...env, CI: "true" });
    expect(inCi.output).toMatch(/there is no Redis for these tests: .*no route to the registry/);
    expect(inCi.exitCode).toBe(1);
  });
});
