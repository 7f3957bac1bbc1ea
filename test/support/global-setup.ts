/**
 * Finds the real Postgres of a run: `TEST_DATABASE_URL` if it is set, else a container where a Docker engine
 * answers, else none, which is said; with `CI=true` that is a failure, so that a run can never seem more than it was.
 */
import { readFile } from "node:fs/promises";
import type { StartedPostgreSqlContainer } from "@testcontainers/postgresql";
import pg from "pg";
import { getContainerRuntimeClient } from "testcontainers";
import type { TestProject } from "vitest/node";

import { postgresContainer } from "./postgres-container.js";
import { SERVER_WAYS, hasPgBouncer, type ServerWay } from "./server-ways.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The address of the real server, for a superuser; `undefined` without one. */
    serverUrl: string | undefined;
    /** How tests reach it. */
    serverWay: (Omit<ServerWay, "close"> & { name: string; grants: string }) | undefined;
    /** Whether the run is about this way alone: the embedded database has its turn in `integration`. */
    isServerOnly: boolean;
    /** Whether tests can start containers of their own. */
    hasDockerEngine: boolean;
    /** The Postgres image that they start. */
    image: string;
  }
}

const IMAGE = process.env["TEST_POSTGRES_IMAGE"] ?? "pgvector/pgvector:pg17";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { name, open } = SERVER_WAYS[project.name as keyof typeof SERVER_WAYS];
  const hasDockerEngine = await findDockerEngine();
  const lacks = project.name === "integration-pgbouncer" && !(await hasPgBouncer());
  const server = lacks ? undefined : await findServer(hasDockerEngine);
  const isCi = process.env["CI"] === "true";
  if (lacks && isCi) throw new Error("CI=true, but there is no pgbouncer: apt-get install pgbouncer");
  if (!server && isCi) {
    throw new Error(
      "CI=true, but there is no real Postgres: set TEST_DATABASE_URL, or let a Docker engine answer",
    );
  }
  const description = server ? `${await describeServer(server.url)}, ${server.origin}` : undefined;
  const way = server ? await open(server.url) : undefined;
  project.provide("serverUrl", server?.url);
  project.provide(
    "serverWay",
    way && { ownerUrl: way.ownerUrl, url: way.url, role: way.role, name, grants: await readGrants() },
  );
  project.provide("isServerOnly", project.name !== "integration");
  project.provide("hasDockerEngine", hasDockerEngine);
  project.provide("image", IMAGE);
  return async () => {
    const reason = lacks ? "no pgbouncer on this machine" : "no TEST_DATABASE_URL and no Docker engine";
    console.log(`\nDatabases of ${project.name}:`);
    if (project.name === "integration") console.log("  embedded: PGlite, in this process");
    console.log(`  ${name}: ${description ?? `NONE (${reason}): its tests were left out`}`);
    await way?.close();
    if (server?.crashes?.length) console.error(`  It crashed:\n${server.crashes.join("")}`);
    await server?.container?.stop();
  };
}

/** The statements that README.md names for a role that indexes and searches. */
async function readGrants(): Promise<string> {
  const readme = await readFile("README.md", "utf8");
  const [, grants] = /^```sql\n(GRANT .*?)^```/ms.exec(readme) ?? [];
  if (grants === undefined) throw new Error("README.md names no rights");
  return grants;
}

interface Server {
  url: string;
  origin: string;
  container?: StartedPostgreSqlContainer;
  /** What the container's log says of crashes, which take the connections of tests with them. */
  crashes?: string[];
}

/** How Postgres says that it lost a process of its own, or gave itself up. */
const CRASH = /PANIC|was terminated by signal|interrupted; last known up/;

async function findDockerEngine(): Promise<boolean> {
  try {
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false;
  }
}

const SETTINGS = [
  // Nothing in it outlives the run; waiting for the disk at each COMMIT took half of the time.
  "fsync=off",
  "full_page_writes=off",
  // VACUUM of the image's pgvector 0.8.0 can damage a vector index when rows are inserted meanwhile (pgvector#988), and then
  // writes fail. What the library does about it has tests of its own, in broken-index.int.test.ts.
  "autovacuum_vacuum_threshold=1000000",
  "autovacuum_vacuum_insert_threshold=-1",
];

async function findServer(hasDockerEngine: boolean): Promise<Server | undefined> {
  const url = process.env["TEST_DATABASE_URL"];
  if (url) return { url, origin: "TEST_DATABASE_URL" };
  if (!hasDockerEngine) return undefined;
  // From here on an engine is there: what fails now is a failure, not a reason to leave tests out.
  const crashes: string[] = [];
  const container = await postgresContainer(IMAGE)
    .withLogConsumer((log) => {
      log.on("data", (line: Buffer | string) => {
        if (CRASH.test(line.toString())) crashes.push(line.toString());
      });
    })
    .withSharedMemorySize(256 * 1024 * 1024)
    .withCommand(["postgres", ...SETTINGS.flatMap((setting) => ["-c", setting])])
    .start();
  return { url: container.getConnectionUri(), origin: `container ${IMAGE}`, container, crashes };
}

async function describeServer(connectionString: string): Promise<string> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; vector: string | null }>(
      `SELECT current_setting('server_version') AS version,
        (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector`,
    );
    const [row] = rows;
    return `Postgres ${row?.version ?? "?"} with pgvector ${row?.vector ?? "missing"}`;
  } finally {
    await client.end();
  }
}
