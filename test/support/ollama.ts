/** Helpers of tests with the fake Ollama server. */
import { performance } from "node:perf_hooks";
import {
  ollamaEmbeddings,
  type OllamaEmbeddingsOptions,
  type ProfiledOllamaEmbeddings,
} from "langchain-training-index/ollama";
import { EmbeddingError } from "langchain-training-index";
import { onTestFinished } from "vitest";
import { startOllamaServer, type OllamaServer, type OllamaServerOptions } from "./ollama-server.js";

/**
 * Starts a server that ends with the test.
 *
 * @param whenFinished - of the test's context, in tests that run concurrently
 */
export async function startOllama(options?: OllamaServerOptions, whenFinished = onTestFinished): Promise<OllamaServer> {
  const server = await startOllamaServer(options);
  whenFinished(() => server.close());
  return server;
}

/** A server that ends with the test, and an embedder on it with a short retry budget. */
export async function openOllama(
  server: OllamaServerOptions = {},
  options: OllamaEmbeddingsOptions = {},
  whenFinished = onTestFinished,
): Promise<{ server: OllamaServer; embeddings: ProfiledOllamaEmbeddings }> {
  const started = await startOllama({ dimensions: 16, ...server }, whenFinished);
  const embeddings = ollamaEmbeddings({ baseUrl: started.url, retryBudgetMs: 1_000, ...options });
  return { server: started, embeddings };
}

/** The error of a call, and how long it took. */
export interface Ended {
  error: unknown;
  elapsedMs: number;
}

/** Waits for a call that fails. */
export async function failureIn(call: () => Promise<unknown>): Promise<Ended> {
  const start = performance.now();
  try {
    await call();
  } catch (error) {
    return { error, elapsedMs: performance.now() - start };
  }
  throw new Error("the call did not fail");
}

/** A short form of embedding outcomes: `vector` or the code of an error. */
export function summaryOf(outcomes: readonly (number[] | EmbeddingError)[]): string[] {
  return outcomes.map((outcome) => (outcome instanceof EmbeddingError ? outcome.code : "vector"));
}
