/**
 * A fake Ollama server: the embedding part of its native API, without a model.
 *
 * After Ollama v0.33.0-rc2 (fb30760, 2026-08-21): `EmbedHandler`, `ShowHandler`, `ListHandler` and
 * `handleScheduleError` of `server/routes.go`, `llm/llama_server.go` and `api/types.go`. Vectors are L2-normalised in
 * float32, again after `dimensions` has cut them; one bad text fails the whole request; a text that is too long is cut
 * unless `truncate` is `false`; the first request waits until the model is loaded.
 *
 * Differences: each word has two tokens, and each text two markers; `num_ctx` and `num_batch` have no effect; invalid JSON
 * is refused with JavaScript's message.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { HashingEmbeddings } from "../../src/embedding/hashing.js";
import {
  failure,
  Faults,
  proxyAnswer,
  RUNNER_FAILURES,
  SCHEDULE_FAILURES,
  type Answer,
  type Fault,
} from "./ollama-faults.js";

/** Options of {@link startOllamaServer}. */
export interface OllamaServerOptions {
  /** The pulled models, with or without a tag. Default `mxbai-embed-large`. */
  models?: readonly string[];
  /** Dimensions of a vector. Default 1024. */
  dimensions?: number;
  /** The most tokens of one text. Default 510: 512 of mxbai-embed-large, less its two markers. */
  maxTokens?: number;
  /** How long it takes to load the model. Default 0. */
  loadMs?: number;
  /** The faults from the start. */
  faults?: readonly Fault[];
}

/** A received request. */
export interface OllamaRequest {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  /** The parsed JSON; `undefined` for a request without a body. */
  body: unknown;
  /** Whether the client closed the connection before the whole answer was sent. */
  wasCut: boolean;
}

/** A running server. */
export interface OllamaServer {
  /** For `baseUrl`. */
  url: string;
  /** All requests so far, in order. */
  requests: OllamaRequest[];
  /** The texts of each embedding request so far, in order. */
  inputs: () => string[][];
  /** The highest number of concurrent requests so far. */
  mostAtOnce: () => number;
  /** Adds a fault. */
  fault: (fault: Fault) => void;
  /** Removes all faults. */
  heal: () => void;
  close: () => Promise<void>;
}

/** A request that gets no complete answer. */
type NoAnswer = "hang" | "stall" | "reset";

const MARKERS = 2;

/** Starts a server on a free port of this machine. */
export async function startOllamaServer(options: OllamaServerOptions = {}): Promise<OllamaServer> {
  const { models = ["mxbai-embed-large"], dimensions = 1024, maxTokens = 510, loadMs = 0 } = options;
  const hashing = new HashingEmbeddings({ dimensions });
  const pulled = models.map(withTag);
  const requests: OllamaRequest[] = [];
  const faults = new Faults(options.faults);
  const closing = new AbortController();
  let loading: Promise<void> | undefined;
  const underWay = new Set<ServerResponse>();
  let mostAtOnce = 0;

  const wait = (ms: number): Promise<void> => sleep(ms, undefined, closing).catch(() => undefined);

  const embed = async (body: unknown): Promise<Answer | NoAnswer> => {
    const sent = textsOf(body) ?? [];
    for (const kind of ["hang", "reset", "stall"] as const) if (faults.take(kind, sent)) return kind;
    const proxy = faults.take("proxy", sent);
    if (proxy) return proxyAnswer(proxy);

    if (body === undefined) return failure(400, "missing request body");
    const { model = "", ...settings } = body as Partial<Record<string, unknown>> & { model?: string };
    const { truncate = true, dimensions: wanted = 0 } = settings as {
      truncate?: boolean;
      dimensions?: number;
    };
    if (model === "") return failure(404, "model '' not found");
    const given = textsOf(body);
    if (!given) return failure(400, "invalid input type");
    if (!pulled.includes(withTag(model))) {
      return failure(404, `model ${JSON.stringify(model)} not found, try pulling it first`);
    }

    if (!loading) {
      const failed = faults.takeAnswer(SCHEDULE_FAILURES, given);
      if (failed) return failed.answer;
      loading = wait(loadMs);
    }
    await loading;
    if (given.length === 0) return { status: 200, body: { model, embeddings: [] } };

    const texts = truncate ? given.map((text) => cut(text, maxTokens)) : given;
    if (texts.some((text) => countTokens(text) > maxTokens)) {
      return failure(400, "the input length exceeds the context length");
    }
    const slow = faults.take("slow", given);
    if (slow) await wait((slow.ms ?? 0) + (slow.msPerText ?? 0) * given.length);
    const failed = faults.takeAnswer(RUNNER_FAILURES, given);
    if (failed?.kind === "crash" || failed?.kind === "dead") loading = undefined;
    if (failed) return failed.answer;

    const whole = await hashing.embedDocuments(texts);
    const length = wanted > 0 && wanted < dimensions ? wanted : dimensions;
    const vectors = whole.map((vector) => normalize(vector.slice(0, length)));
    return {
      status: 200,
      body: {
        model,
        embeddings: disturb(vectors, given),
        total_duration: 14_143_917,
        load_duration: 1_019_500,
        prompt_eval_count: texts.reduce((sum, text) => sum + countTokens(text) + MARKERS, 0),
      },
    };
  };

  /** Applies the faults that spoil vectors in a successful answer. */
  const disturb = (vectors: number[][], texts: readonly string[]): number[][] => {
    const zeros = faults.take("zeros", texts);
    const some = zeros
      ? vectors.map((vector, index) => (texts[index]?.includes(zeros.marker ?? "") ? vector.map(() => 0) : vector))
      : vectors;
    const short = faults.take("short", texts) ? some.slice(1) : some;
    return faults.take("shuffled", texts) ? short.reverse() : short;
  };

  const show = (body: unknown): Answer => {
    if (body === undefined) return failure(400, "missing request body");
    const { model, name } = body as { model?: string; name?: string };
    const asked = [model, name].find((given) => given !== undefined && given !== "") ?? "";
    if (asked === "") return failure(400, "model is required");
    if (!pulled.includes(withTag(asked))) return failure(404, `model '${withTag(asked)}' not found`);
    return {
      status: 200,
      body: {
        license: "Apache License Version 2.0",
        modelfile: `FROM ${withTag(asked)}\nPARAMETER num_ctx ${maxTokens + MARKERS}\n`,
        parameters: `num_ctx                        ${maxTokens + MARKERS}`,
        template: "{{ .Prompt }}",
        details: DETAILS,
        model_info: {
          "bert.context_length": maxTokens + MARKERS,
          "bert.embedding_length": dimensions,
          "general.architecture": "bert",
        },
        capabilities: ["embedding"],
        modified_at: MODIFIED_AT,
      },
    };
  };

  const tags = (): Answer => {
    const digest = "468836162de7f81e041c43663fedbbba921dcea9b9fefea135685a39b2d83dd8";
    const common = { modified_at: MODIFIED_AT, size: 669_615_493, digest, details: DETAILS };
    const list = pulled.map((name) => ({ name, model: name, ...common, capabilities: ["embedding"] }));
    return { status: 200, body: { models: list } };
  };

  const answer = async (incoming: IncomingMessage, body: unknown): Promise<Answer | NoAnswer> => {
    switch (`${incoming.method ?? ""} ${incoming.url ?? ""}`) {
      case "POST /api/embed":
        return embed(body);
      case "POST /api/show":
        return show(body);
      case "GET /api/tags":
        return tags();
      case "GET /":
        return { status: 200, body: "Ollama is running" };
      default:
        return { status: 404, body: "404 page not found" };
    }
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<Answer | NoAnswer> => {
    const text = await readText(incoming);
    const { method = "", url: path = "", headers } = incoming;
    const request: OllamaRequest = { method, path, headers, body: undefined, wasCut: false };
    requests.push(request);
    response.on("close", () => {
      request.wasCut = !response.writableFinished;
    });
    if (text !== "") request.body = JSON.parse(text);
    return answer(incoming, request.body);
  };

  const server = createServer((incoming, response) => {
    underWay.add(response);
    mostAtOnce = Math.max(mostAtOnce, underWay.size);
    response.on("close", () => underWay.delete(response));
    void handle(incoming, response)
      .catch((error: unknown) => failure(400, String(error)))
      .then((outcome) => {
        if (typeof outcome === "object") underWay.delete(response); // the client may send its next request before this one closes
        send(response, outcome);
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    closing.abort();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    inputs: () => requests.filter(({ path }) => path === "/api/embed").map(({ body }) => textsOf(body) ?? []),
    mostAtOnce: () => mostAtOnce,
    fault: (fault) => {
      faults.add(fault);
    },
    heal: () => {
      faults.clear();
    },
    close,
  };
}

const MODIFIED_AT = "2026-08-21T12:00:00.123456789Z";
const DETAILS = {
  parent_model: "",
  format: "gguf",
  family: "bert",
  families: ["bert"],
  parameter_size: "334M",
  quantization_level: "F16",
};

function send(response: ServerResponse, outcome: Answer | NoAnswer): void {
  if (outcome === "hang") return;
  if (outcome === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  if (outcome === "stall") {
    response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
    response.write('{"model":"mxbai-embed-large","embeddings":[[0.0123');
    return;
  }
  const { status, body, type } = outcome;
  const usual = typeof body === "string" ? "text/plain" : "application/json; charset=utf-8";
  response.writeHead(status, { "content-type": type ?? usual });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of incoming as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

/** The texts of a request body; `undefined` for an `input` that Ollama refuses. */
function textsOf(body: unknown): string[] | undefined {
  const { input } = (body ?? {}) as { input?: unknown };
  if (input === undefined || input === null || input === "") return [];
  if (typeof input === "string") return [input];
  return Array.isArray(input) && input.every((text) => typeof text === "string") ? input : undefined;
}

const withTag = (model: string): string => (model.includes(":") ? model : `${model}:latest`);
const words = (text: string): string[] => text.match(/\S+/gu) ?? [];
const countTokens = (text: string): number => words(text).length * 2;

function cut(text: string, maxTokens: number): string {
  if (countTokens(text) <= maxTokens) return text;
  const kept = words(text).slice(0, maxTokens / 2);
  return kept.join(" ");
}

function normalize(vector: readonly number[]): number[] {
  const norm = Math.max(Math.hypot(...vector), 1e-12);
  return vector.map((component) => Math.fround(component / norm));
}
