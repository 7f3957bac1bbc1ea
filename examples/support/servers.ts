/** Servers for the recipes: those of the environment, else containers, which are removed with the script. */
import { configFromEnv } from "langchain-training-index";
import { GenericContainer } from "testcontainers";
import { postgresContainer } from "../../tooling/postgres-container.js";

/** A running server. */
export interface Server {
  url: string;
  /** Stops the container; does nothing for a server of the environment. */
  stop: () => Promise<unknown>;
}

const POSTGRES_IMAGE = "pgvector/pgvector:pg17";
const REDIS_IMAGE = "redis:7";
const REDIS_PORT = 6379;

/** The Postgres of `DATABASE_URL`, else a container. */
export async function postgresServer(env: NodeJS.ProcessEnv = process.env): Promise<Server> {
  const { databaseUrl } = configFromEnv(env);
  if (databaseUrl !== undefined) return borrowed(databaseUrl);
  const container = await postgresContainer(POSTGRES_IMAGE).start();
  return { url: container.getConnectionUri(), stop: () => container.stop() };
}

/** The Redis of `REDIS_URL`, else a container. */
export async function redisServer(env: NodeJS.ProcessEnv = process.env): Promise<Server> {
  const url = env["REDIS_URL"];
  if (url !== undefined) return borrowed(url);
  const container = await new GenericContainer(REDIS_IMAGE).withExposedPorts(REDIS_PORT).start();
  const address = `redis://${container.getHost()}:${container.getMappedPort(REDIS_PORT)}`;
  return { url: address, stop: () => container.stop() };
}

function borrowed(url: string): Server {
  return { url, stop: () => Promise.resolve() };
}
