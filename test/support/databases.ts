import { randomBytes } from "node:crypto";
import { embeddedPool } from "langchain-training-index/embedded";
import pg from "pg";
import { afterAll, beforeAll, describe, inject } from "vitest";

/** One of the databases that integration tests run on. */
export interface TestDatabase {
  name: "embedded" | "server";
  /** The pool of this file; open while its tests run. */
  readonly pool: pg.Pool;
}

const serverUrl = inject("serverUrl");

/** Runs a suite on every database there is. */
export function describeOnEach(title: string, suite: (database: TestDatabase) => void): void {
  describeOn("embedded", title, suite);
  describeOnServer(title, suite);
}

/** Runs a suite on the real server; without one it counts as skipped, and `global-setup.ts` says so. */
export function describeOnServer(title: string, suite: (database: TestDatabase) => void): void {
  describeOn("server", title, suite);
}

/** The address of the real server. */
export function requireServerUrl(): string {
  if (serverUrl === undefined) throw new Error("this test runs on the server only");
  return serverUrl;
}

/** Names a schema that no other test has. */
export function uniqueName(prefix = "test"): string {
  return `${prefix}_${randomBytes(6).toString("hex")}`;
}

function describeOn(
  name: TestDatabase["name"],
  title: string,
  suite: (database: TestDatabase) => void,
): void {
  const isLeftOut = name === "server" && serverUrl === undefined;
  describe.skipIf(isLeftOut)(`${title}, on the ${name} database`, () => {
    let pool: pg.Pool | undefined;
    beforeAll(() => {
      pool = name === "embedded" ? embeddedPool() : new pg.Pool({ connectionString: serverUrl, max: 10 });
      // Tests break connections on purpose; an idle one that breaks must not end the run.
      pool.on("error", () => undefined);
    });
    afterAll(async () => {
      await pool?.end();
    });
    suite({
      name,
      get pool() {
        if (!pool) throw new Error("the pool is open in hooks and tests only");
        return pool;
      },
    });
  });
}
