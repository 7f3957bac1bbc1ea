/**
 * Finds the real Postgres of a run: `TEST_DATABASE_URL` if it is set, else a container where a Docker engine
 * answers, else none, which is said; with `CI=true` that is a failure, so that a run can never seem more than it was.
 */
import { PostgreSqlContainer, type StartedPostgreSqlContainer } from "@testcontainers/postgresql";
import pg from "pg";
import { getContainerRuntimeClient } from "testcontainers";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    serverUrl: string | undefined;
    /** Whether tests can start containers of their own. */
    hasDockerEngine: boolean;
    /** The Postgres image that they start. */
    image: string;
  }
}

const IMAGE = process.env["TEST_POSTGRES_IMAGE"] ?? "pgvector/pgvector:pg17";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const hasDockerEngine = await findDockerEngine();
  const server = await findServer(hasDockerEngine);
  project.provide("serverUrl", server?.url);
  project.provide("hasDockerEngine", hasDockerEngine);
  project.provide("image", IMAGE);
  const description = server ? `${await describeServer(server.url)}, ${server.origin}` : undefined;
  if (!description && process.env["CI"] === "true") {
    throw new Error(
      "CI=true, but there is no real Postgres: set TEST_DATABASE_URL, or let a Docker engine answer",
    );
  }
  return async () => {
    console.log("\nDatabases of this run:");
    console.log("  embedded: PGlite, in this process");
    console.log(
      description === undefined
        ? "  server:   NONE. No TEST_DATABASE_URL and no Docker engine: tests on a real Postgres were left out"
        : `  server:   ${description}`,
    );
    await server?.container?.stop();
  };
}

interface Server {
  url: string;
  origin: string;
  container?: StartedPostgreSqlContainer;
}

async function findDockerEngine(): Promise<boolean> {
  try {
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false;
  }
}

async function findServer(hasDockerEngine: boolean): Promise<Server | undefined> {
  const url = process.env["TEST_DATABASE_URL"];
  if (url) return { url, origin: "TEST_DATABASE_URL" };
  if (!hasDockerEngine) return undefined;
  // From here on an engine is there: what fails now is a failure, not a reason to leave tests out.
  const container = await new PostgreSqlContainer(IMAGE).withSharedMemorySize(256 * 1024 * 1024).start();
  return { url: container.getConnectionUri(), origin: `container ${IMAGE}`, container };
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
