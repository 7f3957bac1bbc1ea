/**
 * Finds the real Postgres of a run: that of `TEST_DATABASE_URL`, else a container if a Docker engine has or can pull the
 * image, else none; the reason is then printed. With `CI=true` a missing server fails the run, so that skipped tests cannot
 * go unnoticed. A `TEST_DATABASE_URL` that cannot be used always fails it.
 */
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { StartedPostgreSqlContainer } from "@testcontainers/postgresql";
import pg from "pg";
import { getContainerRuntimeClient } from "testcontainers";
import type { TestProject } from "vitest/node";

import { oneLine } from "./containers.js";
import { postgresContainer } from "../../tooling/postgres-container.js";
import { prepareFiles } from "./pglite.js";
import { removeOldBundles } from "./bundle.js";
import { CONNECTION_SETUPS, hasPgBouncer, type ConnectionSetup } from "./connection-setups.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The address of the real server, for a superuser; `undefined` without one. */
    serverUrl: string | undefined;
    /** How tests connect to it. */
    connectionSetup: (Omit<ConnectionSetup, "close"> & { name: string; grants: string }) | undefined;
    /** Whether the embedded database is left out: it is tested in the project `integration` only. */
    isServerOnly: boolean;
    /** The Postgres image of containers. */
    image: string;
  }
}

const IMAGE = process.env["TEST_POSTGRES_IMAGE"] ?? "pgvector/pgvector:pg17";
/**
 * What a run without a server covers at least, in percent: it leaves out half of the tests, and code that only they reach (standbys, commands
 * that connect to a server). A run with a server has to meet the thresholds of vitest.config.ts; with `CI=true` every run has one.
 */
const WITHOUT_SERVER = { lines: 87, functions: 87, statements: 86, branches: 78 };

const isCi = process.env["CI"] === "true";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { name, open } = CONNECTION_SETUPS[project.name as keyof typeof CONNECTION_SETUPS];
  const preparing = project.name === "integration" ? Promise.all([prepareFiles(), removeOldBundles()]) : undefined;
  const lacksPgBouncer = project.name === "integration-pgbouncer" && !(await hasPgBouncer());
  const server: Found = lacksPgBouncer
    ? { missing: "no pgbouncer on this machine: apt-get install pgbouncer" }
    : await findServer(project.name === "integration-citus" ? "TEST_CITUS_URL" : "TEST_DATABASE_URL");
  await preparing;
  if ("missing" in server && isCi) {
    endRun(
      `CI=true, but there is no ${name} (${server.missing}). Set TEST_DATABASE_URL, or let a Docker engine answer that has, or ` +
        `can pull, the image ${IMAGE}.`,
    );
  }
  const found = "missing" in server ? undefined : server;
  if (!found && project.name === "integration") project.vitest.config.coverage.thresholds = WITHOUT_SERVER;
  if (found) await installPgvector(found.url);
  const setup = found && (await open(found.url));
  project.provide("serverUrl", found?.url);
  project.provide(
    "connectionSetup",
    setup && { ownerUrl: setup.ownerUrl, url: setup.url, role: setup.role, name, grants: await readGrants() },
  );
  project.provide("isServerOnly", project.name !== "integration");
  project.provide("image", IMAGE);
  return async () => {
    console.log(`\nDatabases of ${project.name}:`);
    if (project.name === "integration") {
      console.log("  embedded: PGlite, in this process");
      if (!process.env["TEST_CITUS_URL"]) {
        console.log(
          `  ${CONNECTION_SETUPS["integration-citus"].name}: NONE (no TEST_CITUS_URL): its tests were left out`,
        );
      }
    }
    if ("missing" in server) console.log(`  ${name}: NONE (${server.missing}): its tests were left out`);
    else console.log(`  ${name}: ${server.description}, ${server.origin}`);
    await setup?.close();
    if (found?.crashes?.length) console.error(`  It crashed:\n${found.crashes.join("")}`);
    await found?.container?.stop();
  };
}

/** Ends the run. Vitest would print a thrown error with a stack, below "No test files found". */
function endRun(message: string): never {
  console.error(`\n${message}\n`);
  process.exit(1);
}

/** The GRANT statements of docs/migrations.md for a role that indexes and searches. */
async function readGrants(): Promise<string> {
  const page = await readFile("docs/migrations.md", "utf8");
  const [, grants] = /^```sql\n(GRANT .*?)^```/ms.exec(page) ?? [];
  if (grants === undefined) throw new Error("docs/migrations.md names no rights");
  return grants;
}

interface Server {
  url: string;
  origin: string;
  description: string;
  container?: StartedPostgreSqlContainer;
  /** Log lines of the container about crashes, which close the connections of tests. */
  crashes?: string[];
}

/** The server, or one line that says why there is none. */
type Found = Server | { missing: string };

/** Log lines of Postgres about a crashed process or a panic. */
const CRASH = /PANIC|was terminated by signal|interrupted; last known up/;

const CONNECT_TIMEOUT_MS = 10_000;
const DIRECT_TIMEOUT_MS = 1_000;

/** In a container. */
const POSTGRES_PORT = 5432;

const SETTINGS = [
  // The data does not outlive the run, and waiting for the disk at each COMMIT took half of the time.
  "fsync=off",
  "full_page_writes=off",
  // Tests that disable plans make them look expensive: Postgres compiled each of their statements, for a second each.
  "jit=off",
  // VACUUM of the image's pgvector 0.8.0 can corrupt a vector index while rows are inserted (pgvector#988), and then writes
  // fail. broken-index.int.test.ts tests how the library handles that.
  "autovacuum_vacuum_threshold=1000000",
  "autovacuum_vacuum_insert_threshold=-1",
  // test/postgres/statement-names.int.test.ts reads what it keeps of its own statements.
  "shared_preload_libraries=pg_stat_statements",
  "pg_stat_statements.track=none",
];

async function findServer(variable: "TEST_DATABASE_URL" | "TEST_CITUS_URL"): Promise<Found> {
  const url = process.env[variable];
  if (url) {
    const description = await describeServer(url).catch((error: unknown) =>
      endRun(`${variable} cannot be used (${oneLine(error)}). Start that server, correct the address, or unset it.`),
    );
    return { url, origin: variable, description };
  }
  try {
    await getContainerRuntimeClient();
  } catch {
    return { missing: "no TEST_DATABASE_URL and no Docker engine" };
  }
  try {
    return await startServer();
  } catch (error) {
    return { missing: `no TEST_DATABASE_URL, and the image ${IMAGE} does not serve: ${oneLine(error)}` };
  }
}

/** @throws if the container does not serve Postgres with pgvector */
async function startServer(): Promise<Server> {
  const crashes: string[] = [];
  const container = await postgresContainer(IMAGE)
    .withLogConsumer((log) => {
      log.on("data", (line: Buffer | string) => {
        if (CRASH.test(line.toString())) crashes.push(line.toString());
      });
    })
    .withSharedMemorySize(256 * 1024 * 1024)
    .withTmpFs({ "/var/lib/postgresql/data": "rw" })
    .withCommand(["postgres", ...SETTINGS.flatMap((setting) => ["-c", setting])])
    .start();
  try {
    const published = container.getConnectionUri();
    const reached = await reachDirectly(container).catch(async () => ({
      url: published,
      description: await describeServer(published),
    }));
    return { ...reached, origin: `container ${IMAGE}`, container, crashes };
  } catch (error) {
    await container.stop();
    throw error;
  }
}

/**
 * The server at the address of the container itself. The published port leads there through a process of Docker's that copies each byte:
 * it took a sixth of the CPU while random schedules ran.
 *
 * @throws if it does not answer there, as when the engine runs in a virtual machine
 */
async function reachDirectly(container: StartedPostgreSqlContainer): Promise<Pick<Server, "url" | "description">> {
  const url = new URL(container.getConnectionUri());
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []);
  if (!["localhost", ...own].includes(url.hostname)) throw new Error("the engine is on another machine");
  const [network = ""] = container.getNetworkNames();
  url.hostname = container.getIpAddress(network);
  url.port = String(POSTGRES_PORT);
  return { url: url.href, description: await describeServer(url.href, DIRECT_TIMEOUT_MS) };
}

/** Installs the extension before the tests. `migrate` can do so in several processes at once, printed statements cannot: the first tests failed. */
async function installPgvector(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query("CREATE EXTENSION IF NOT EXISTS vector");
  } finally {
    await client.end();
  }
}

/** @throws if it cannot be reached or has no pgvector */
async function describeServer(connectionString: string, connectionTimeoutMillis = CONNECT_TIMEOUT_MS): Promise<string> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; vector: string | null }>(
      `SELECT concat(current_setting('server_version'),
          (SELECT ' with Citus ' || extversion FROM pg_extension WHERE extname = 'citus')) AS version,
        (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector`,
    );
    const [row] = rows;
    if (row?.vector == null) throw new Error("it has no pgvector: the extension vector is not available");
    return `Postgres ${row.version} with pgvector ${row.vector}`;
  } finally {
    await client.end();
  }
}
