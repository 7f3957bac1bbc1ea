import { randomBytes } from "node:crypto";
import { embeddedPool } from "langchain-training-index/embedded";
import pg from "pg";
import { afterAll, beforeAll, describe, inject } from "vitest";

/** One of the databases that integration tests run on. */
export interface TestDatabase {
  name: "embedded" | "server";
  /** The pool for the library; open while the tests of the suite run. */
  readonly pool: pg.Pool;
  /** The pool of the role that owns the schemas: for migrations, the host's tables, and DDL of tests. */
  readonly owner: pg.Pool;
}

const serverUrl = inject("serverUrl");
const connectionSetup = inject("connectionSetup");

/** Shared by all files of a worker and never closed: starting one takes seconds. */
let embedded: pg.Pool | undefined;

/** Runs a suite on every available database. */
export function describeOnEach(title: string, suite: (database: TestDatabase) => void): void {
  if (!inject("isServerOnly")) describeOn("embedded", `${title}, on the embedded database`, suite);
  describeOnServer(title, suite);
}

/** Runs a suite on the real server, and without one on the embedded database: for what both do alike. */
export function describeOnServerOrEmbedded(title: string, suite: (database: TestDatabase) => void): void {
  if (connectionSetup || inject("isServerOnly")) describeOnServer(title, suite);
  else describeOnEmbedded(title, suite);
}

/** Runs a suite on the embedded database: for what no database changes. */
export function describeOnEmbedded(title: string, suite: (database: TestDatabase) => void): void {
  if (!inject("isServerOnly")) describeOn("embedded", title, suite);
}

/** Runs a suite on the real server. Without one the suite is skipped, and `global-setup.ts` prints why. */
export function describeOnServer(title: string, suite: (database: TestDatabase) => void): void {
  describeOn("server", `${title}, on the ${connectionSetup?.name ?? "server database"}`, suite);
}

/** The address of the real server, for a superuser. */
export function requireServerUrl(): string {
  if (serverUrl === undefined) throw new Error("this test runs on the server only");
  return serverUrl;
}

/** The connection setup of this run. */
export function requireConnectionSetup(): NonNullable<typeof connectionSetup> {
  if (!connectionSetup) throw new Error("this test runs on the server only");
  return connectionSetup;
}

/** Whether the real server is the coordinator of a Citus cluster, whose workers have the schemas of the tests. */
export function isOnCluster(): boolean {
  return connectionSetup?.name.startsWith("Citus") ?? false;
}

/** How the cluster holds the schemas of the tests; `undefined` without one. */
export function citusMode(): "schema" | "tables" | undefined {
  if (!isOnCluster()) return undefined;
  return process.env["TEST_CITUS_MODE"] === "tables" ? "tables" : "schema";
}

/** Grants the rights of docs/migrations.md to the library's role, unless it is the owner. */
export async function grantRights({ name, owner }: TestDatabase, schema: string): Promise<void> {
  if (name === "embedded" || connectionSetup?.role === undefined) return;
  const { grants, role } = connectionSetup;
  const quoted = pg.escapeIdentifier(schema);
  await owner.query(grants.replaceAll("training_index", () => quoted).replaceAll("TO bot", `TO ${role}`));
}

/** A unique name, for example of a schema. */
export function uniqueName(prefix = "test"): string {
  return `${prefix}_${randomBytes(6).toString("hex")}`;
}

function describeOn(name: TestDatabase["name"], title: string, suite: (database: TestDatabase) => void): void {
  describe.skipIf(name === "server" && connectionSetup === undefined)(title, () => {
    const pools: Partial<Record<"pool" | "owner", pg.Pool>> = {};
    beforeAll(() => {
      if (name === "embedded") {
        embedded ??= embeddedPool();
        pools.pool = pools.owner = embedded;
      } else {
        const { url, ownerUrl } = requireConnectionSetup();
        pools.pool = openPool(url);
        pools.owner = ownerUrl === url ? pools.pool : openPool(ownerUrl);
      }
    });
    afterAll(async () => {
      if (name === "embedded") return; // the next suite uses it too
      await Promise.all([...new Set(Object.values(pools))].map((pool) => pool.end()));
    });
    const opened = (which: "pool" | "owner"): pg.Pool => {
      const pool = pools[which];
      if (!pool) throw new Error("the pools are open in hooks and tests only");
      return pool;
    };
    suite({
      name,
      get pool() {
        return opened("pool");
      },
      get owner() {
        return opened("owner");
      },
    });
  });
}

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 10 });
  // Tests break connections on purpose; a broken idle one must not end the run.
  pool.on("error", () => undefined);
  return pool;
}
