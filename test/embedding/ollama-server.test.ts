import { describe, expect, it } from "vitest";
import { startOllama } from "../support/ollama.js";
import type { Fault } from "../support/ollama-faults.js";
import type { OllamaServer } from "../support/ollama-server.js";

const model = "mxbai-embed-large";

async function post(server: OllamaServer, path: string, body?: unknown): Promise<[number, unknown]> {
  const given = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(server.url + path, { method: "POST", ...given });
  return [response.status, await response.json()];
}

const embed = (server: OllamaServer, body?: unknown): Promise<[number, unknown]> => post(server, "/api/embed", body);

// The messages are those of server/routes.go at fb30760.
describe("/api/embed of the stand-in", () => {
  it.each([[""], [[]], [null], [undefined]])("returns no vectors for the input %j", async (input) => {
    const server = await startOllama();
    expect(await embed(server, { model, input })).toEqual([200, { model, embeddings: [] }]);
  });

  it("returns normalised 32-bit vectors, and counts the model's special tokens", async () => {
    const server = await startOllama({ dimensions: 16 });
    const [status, body] = await embed(server, { model, input: ["um dois três", ""] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ model, prompt_eval_count: 6 + 2 + 2, total_duration: 14_143_917 });
    const [vector = []] = (body as { embeddings: number[][] }).embeddings;
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    expect(vector).toEqual(vector.map(Math.fround));
  });

  it.each([
    [8, 8],
    [16, 16],
    [17, 16],
    [0, 16],
    [-1, 16],
  ])("asked for %d dimensions, returns %d", async (dimensions, length) => {
    const server = await startOllama({ dimensions: 16 });
    const [, body] = await embed(server, { model, input: "um", dimensions });
    const [vector = []] = (body as { embeddings: number[][] }).embeddings;
    expect(vector).toHaveLength(length);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
  });

  it("truncates a long text unless the request forbids it", async () => {
    const server = await startOllama({ maxTokens: 4 });
    expect(await embed(server, { model, input: "um dois três" })).toMatchObject([200, { prompt_eval_count: 6 }]);
    expect(await embed(server, { model, input: "um dois três", truncate: false })).toEqual([
      400,
      { error: "the input length exceeds the context length" },
    ]);
  });

  it.each([
    [undefined, 400, "missing request body"],
    [{ input: "um" }, 404, "model '' not found"],
    [{ model: "x", input: "um" }, 404, 'model "x" not found, try pulling it first'],
    [{ model: "x:1b", input: "um" }, 404, 'model "x:1b" not found, try pulling it first'],
    [{ model: "x", input: 7 }, 400, "invalid input type"],
    [{ model, input: ["um", 7] }, 400, "invalid input type"],
    [{ model, input: {} }, 400, "invalid input type"],
  ])("refuses %j", async (body, status, error) => {
    const server = await startOllama();
    expect(await embed(server, body)).toEqual([status, { error }]);
  });

  it("is busy only while the model is not loaded", async () => {
    const busy = "server busy, please try again.  maximum pending requests exceeded";
    const server = await startOllama({ faults: [{ kind: "busy", times: 1 }] });
    expect(await embed(server, { model, input: "um" })).toEqual([503, { error: busy }]);
    expect(await embed(server, { model, input: "um" })).toMatchObject([200, { model }]);
    server.fault({ kind: "busy" });
    expect(await embed(server, { model, input: "um" })).toMatchObject([200, { model }]);
    server.fault({ kind: "crash", times: 1 });
    await embed(server, { model, input: "um" });
    expect(await embed(server, { model, input: "um" })).toEqual([503, { error: busy }]);
    server.heal();
    expect(await embed(server, { model, input: "um" })).toMatchObject([200, { model }]);
  });

  it("fails on demand to load the model, while it is not loaded", async () => {
    const server = await startOllama({ faults: [{ kind: "loadFailure", times: 1 }] });
    const error = expect.stringMatching(/^llama-server process has terminated: /) as string;
    expect(await embed(server, { model, input: "um" })).toEqual([500, { error }]);
    expect(await embed(server, { model, input: "um" })).toMatchObject([200, { model }]);
    server.fault({ kind: "loadFailure" });
    expect(await embed(server, { model, input: "um" })).toMatchObject([200, { model }]);
  });

  it.each<[Fault["kind"], number, RegExp]>([
    ["notReady", 400, /^unexpected server status: llm server loading model$/],
    ["crash", 400, /^do embedding request: Post "http:\/\/127\.0\.0\.1:\d+\/v1\/embeddings": EOF$/],
    ["dead", 400, /^llama-server process no longer running: /],
    ["nan", 400, /^embedding contains NaN or Inf values$/],
  ])("fails on demand: %s", async (kind, status, error) => {
    const server = await startOllama({ faults: [{ kind, times: 1, marker: "mau" }] });
    expect(await embed(server, { model, input: ["bom"] })).toMatchObject([200, { model }]);
    const text = expect.stringMatching(error) as string;
    expect(await embed(server, { model, input: ["bom", "um mau"] })).toEqual([status, { error: text }]);
    expect(await embed(server, { model, input: ["bom", "um mau"] })).toMatchObject([200, { model }]);
  });
});

describe("the other paths of the stand-in", () => {
  it("show a model", async () => {
    const server = await startOllama();
    expect(await post(server, "/api/show", { model })).toMatchObject([
      200,
      {
        capabilities: ["embedding"],
        details: { family: "bert", quantization_level: "F16" },
        model_info: {
          "bert.context_length": 512,
          "bert.embedding_length": 1024,
          "general.architecture": "bert",
        },
        parameters: expect.stringMatching(/^num_ctx +512$/) as string,
      },
    ]);
  });

  it.each([
    [undefined, 400, "missing request body"],
    [{}, 400, "model is required"],
    [{ model: "x" }, 404, "model 'x:latest' not found"],
    [{ name: "x:1b" }, 404, "model 'x:1b' not found"],
  ])("show no model for %j", async (body, status, error) => {
    const server = await startOllama();
    expect(await post(server, "/api/show", body)).toEqual([status, { error }]);
  });

  it("list the models", async () => {
    const server = await startOllama({ models: ["bge-m3", "nomic-embed-text:v1.5"] });
    const tags: unknown = await (await fetch(`${server.url}/api/tags`)).json();
    expect(tags).toMatchObject({
      models: [
        { name: "bge-m3:latest", model: "bge-m3:latest", size: expect.any(Number) as number },
        { name: "nomic-embed-text:v1.5", digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      ],
    });
  });

  it.each([
    ["/", 200, "Ollama is running"],
    ["/api/unknown", 404, "404 page not found"],
    ["/api/embed", 404, "404 page not found"],
  ])("answer GET %s in plain text", async (path, status, text) => {
    const server = await startOllama();
    const response = await fetch(server.url + path);
    expect([response.status, await response.text()]).toEqual([status, text]);
    expect(response.headers.get("content-type")).toContain("text/plain");
  });
});
