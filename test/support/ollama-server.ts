/**
 * A server that answers as Ollama's native API does, as far as embeddings go, without a model.
 *
 * Taken from ollama's `server/routes.go` (EmbedHandler, handleScheduleError), `llm/llama_server.go` and
 * `api/types.go` at fb30760, that is 0.30 and later: vectors are L2-normalised, again after `dimensions` has cut
 * them; one bad text fails the whole request; a text that is too long is cut unless `truncate` is `false` (0.13.5
 * to 0.2x never cut: ollama#14186). Tokens are counted as two for each word.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { HashingEmbeddings } from "../../src/embedding/hashing.js";

/** Options of {@link startOllamaServer}. */
export interface OllamaServerOptions {
  /** The models that have been pulled, with or without a tag. Default `mxbai-embed-large`. */
  models?: readonly string[];
  /** Components of a vector. Default 1024. */
  dimensions?: number;
  /** Tokens that one text may have. Default 510: 512 of mxbai-embed-large, less its two markers. */
  maxTokens?: number;
  /** How many requests for embeddings are turned away with 503 before the first is served. Default 0. */
  busyRequests?: number;
}

/** A request as it came in. */
export interface OllamaRequest {
  method: string;
  path: string;
  /** The parsed JSON; `undefined` for a request without a body. */
  body: unknown;
}

/** A server that is running. */
export interface OllamaServer {
  /** For `baseUrl`. */
  url: string;
  /** All requests so far, in order. */
  requests: OllamaRequest[];
  close(): Promise<void>;
}

type Answer = [status: number, body: unknown];

/** Starts a server on a free port of this machine. */
export async function startOllamaServer(options: OllamaServerOptions = {}): Promise<OllamaServer> {
  const { models = ["mxbai-embed-large"], dimensions = 1024, maxTokens = 510 } = options;
  const hashing = new HashingEmbeddings({ dimensions });
  const pulled = models.map(withTag);
  const requests: OllamaRequest[] = [];
  let busy = options.busyRequests ?? 0;

  const embed = async (body: unknown): Promise<Answer> => {
    if (body === undefined) return [400, { error: "missing request body" }];
    const { model = "", input = [], ...settings } = body as { model?: string; input?: unknown };
    const { truncate = true, dimensions: wanted = 0 } = settings as {
      truncate?: boolean;
      dimensions?: number;
    };
    const given: unknown = typeof input === "string" ? [input].filter((text) => text !== "") : input;
    if (!isTexts(given)) return [400, { error: "invalid input type" }];
    if (!pulled.includes(withTag(model))) {
      return [404, { error: `model ${JSON.stringify(model)} not found, try pulling it first` }];
    }
    if (busy > 0) {
      busy -= 1;
      return [503, { error: "server busy, please try again.  maximum pending requests exceeded" }];
    }
    if (given.length === 0) return [200, { model, embeddings: [] }];
    const texts = truncate ? given.map((text) => cut(text, maxTokens)) : given;
    if (texts.some((text) => countTokens(text) > maxTokens)) {
      return [400, { error: "the input length exceeds the context length" }];
    }
    const vectors = await hashing.embedDocuments(texts);
    const shorter = wanted > 0 && wanted < dimensions;
    return [
      200,
      {
        model,
        embeddings: shorter ? vectors.map((vector) => normalize(vector.slice(0, wanted))) : vectors,
        total_duration: 14_143_917,
        load_duration: 1_019_500,
        prompt_eval_count: texts.reduce((sum, text) => sum + countTokens(text), 0),
      },
    ];
  };

  const show = (body: unknown): Answer => {
    const { model = "" } = (body ?? {}) as { model?: string };
    if (!pulled.includes(withTag(model))) return [404, { error: `model '${model}' not found` }];
    const info = { "bert.context_length": maxTokens + 2, "bert.embedding_length": dimensions };
    return [200, { capabilities: ["embedding"], model_info: info }];
  };

  const answer = (method: string, path: string, body: unknown): Answer | Promise<Answer> => {
    if (method === "POST" && path === "/api/embed") return embed(body);
    if (method === "POST" && path === "/api/show") return show(body);
    if (method === "GET" && path === "/api/tags") {
      return [200, { models: pulled.map((name) => ({ name, model: name, details: { family: "bert" } })) }];
    }
    return [404, { error: "404 page not found" }];
  };

  const server = createServer((incoming, response) => {
    const { method = "", url: path = "" } = incoming;
    const handle = async (): Promise<Answer> => {
      const body = await readJson(incoming);
      requests.push({ method, path, body });
      return answer(method, path, body);
    };
    void handle()
      .catch((error: unknown): Answer => [400, { error: String(error) }])
      .then(([status, json]) => {
        response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
        response.end(JSON.stringify(json));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close };
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of incoming as AsyncIterable<Buffer>) parts.push(part);
  return parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString("utf8"));
}

const withTag = (model: string): string => (model.includes(":") ? model : `${model}:latest`);
const isTexts = (input: unknown): input is string[] =>
  Array.isArray(input) && input.every((text) => typeof text === "string");
const words = (text: string): string[] => text.match(/\S+/gu) ?? [];
const countTokens = (text: string): number => words(text).length * 2;

function cut(text: string, maxTokens: number): string {
  if (countTokens(text) <= maxTokens) return text;
  const kept = words(text).slice(0, maxTokens / 2);
  return kept.join(" ");
}

function normalize(vector: readonly number[]): number[] {
  const norm = Math.max(Math.hypot(...vector), 1e-12);
  return vector.map((component) => component / norm);
}
