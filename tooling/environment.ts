/** The database and embedder of examples and evaluation, chosen by environment variables. Without them nothing has to be installed. */
import { configFromEnv, type EmbeddingProfile, type EnvironmentConfig } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { ollamaEmbeddings } from "langchain-training-index/ollama";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type { Embeddings } from "@langchain/core/embeddings";
import pg from "pg";

/** A database and an embedder, with descriptions of both to print. */
export interface ScriptEnvironment {
  config: EnvironmentConfig;
  pool: pg.Pool;
  database: string;
  embeddings: Embeddings & { readonly profile: EmbeddingProfile };
  embedder: string;
}

/** `DATABASE_URL` chooses the server, `OLLAMA_BASE_URL` and `EMBEDDINGS_MODEL` the embedder. */
export function scriptEnvironment(env: NodeJS.ProcessEnv = process.env): ScriptEnvironment {
  const config = configFromEnv(env);
  const { databaseUrl, ollamaBaseUrl, embeddingsModel } = config;
  const embeddings =
    ollamaBaseUrl === undefined
      ? new HashingEmbeddings()
      : ollamaEmbeddings({ baseUrl: ollamaBaseUrl, model: embeddingsModel });
  return {
    config,
    pool: databaseUrl === undefined ? embeddedPool() : serverPool(databaseUrl),
    database: databaseUrl === undefined ? "embedded (PGlite, in memory)" : "the server of DATABASE_URL",
    embeddings,
    embedder:
      ollamaBaseUrl === undefined
        ? "built-in hashing (set OLLAMA_BASE_URL for a real model)"
        : `Ollama, ${embeddings.profile.model}`,
  };
}

/** A pool with an error listener: without one, an idle connection that breaks ends the process. */
function serverPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString });
  pool.on("error", (error) => {
    console.error("An idle connection to Postgres was lost:", error.message);
  });
  return pool;
}
