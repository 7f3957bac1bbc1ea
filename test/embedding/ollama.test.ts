import { OllamaEmbeddings } from "@langchain/ollama";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Embedder, type PerTextEmbeddings } from "../../src/embedding/embedder.js";
import { HashingEmbeddings } from "../../src/embedding/hashing.js";
import { embeddingProfiles, ollamaEmbeddings } from "../../src/embedding/ollama.js";
import { InvalidArgumentError } from "../../src/errors.js";
import { openOllama, startOllama } from "../support/ollama.js";
import type { Fault } from "../support/ollama-faults.js";
import type { OllamaServer } from "../support/ollama-server.js";

const QUERY_PROMPT = "Represent this sentence for searching relevant passages: ";

afterEach(() => {
  vi.unstubAllEnvs();
});

function lastBody(server: OllamaServer): Record<string, unknown> {
  return server.requests.at(-1)?.body as Record<string, unknown>;
}

/** The vectors of the server's model, as it sends them over HTTP. */
async function vectorsOf(texts: string[], dimensions: number): Promise<number[][]> {
  const vectors = await new HashingEmbeddings({ dimensions }).embedDocuments(texts);
  return vectors.map((vector) => {
    const norm = Math.hypot(...vector);
    return vector.map((component) => Math.fround(component / norm));
  });
}

/** Distinct texts. */
function manyTexts(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `treinamento ${index} sobre a entrega ${(index * 7) % count}`);
}

/** The error that a function throws. */
function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("the profile of ollamaEmbeddings", () => {
  it("is that of mxbai-embed-large by default, which is also the requested model", async () => {
    const server = await startOllama();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url });
    const [vector] = await embeddings.embedDocuments(["horário de entrega"]);
    expect(embeddings.profile).toEqual({
      model: "mxbai-embed-large",
      dimensions: 1024,
      queryPrefix: QUERY_PROMPT,
      documentPrefix: "",
      maxTokens: 512,
    });
    expect(vector).toHaveLength(1024);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({ method: "POST", path: "/api/embed" });
    expect(lastBody(server)["model"]).toBe("mxbai-embed-large");
  });

  it("drops :latest from the model name, while Ollama gets the tag as given", async () => {
    const server = await startOllama();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, model: "mxbai-embed-large:latest" });
    await embeddings.embedQuery("frete");
    expect(embeddings.profile).toEqual(ollamaEmbeddings().profile);
    expect(lastBody(server)["model"]).toBe("mxbai-embed-large:latest");
  });

  it("keeps a tag other than :latest, which may be another model", () => {
    const { profile } = ollamaEmbeddings({ model: "nomic-embed-text:v1.5", dimensions: 768 });
    expect(profile.model).toBe("nomic-embed-text:v1.5");
  });

  it.each(["qwen3-embedding", "mxbai-embed-large:335m", "constructor", ""])(
    "is not known for the model %j, which is refused by name",
    (model) => {
      const error = thrownBy(() => ollamaEmbeddings({ model }));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ option: "model", code: "INVALID_ARGUMENT" });
      expect((error as Error).message).toContain(JSON.stringify(model));
    },
  );

  it("cannot be made from prefixes alone", () => {
    const error = thrownBy(() => ollamaEmbeddings({ model: "qwen3-embedding", queryPrefix: "query: " }));
    expect(error).toMatchObject({ name: "InvalidArgumentError", option: "model" });
  });

  it("can be made from given dimensions", async () => {
    const server = await startOllama({ models: ["meu-modelo"], dimensions: 256 });
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, model: "meu-modelo", dimensions: 256 });
    const vector = await embeddings.embedQuery("frete");
    expect(embeddings.profile).toEqual({
      model: "meu-modelo",
      dimensions: 256,
      queryPrefix: "",
      documentPrefix: "",
      maxTokens: undefined,
    });
    expect(vector).toHaveLength(256);
    expect(lastBody(server)["input"]).toEqual(["frete"]);
  });

  it("sends no dimensions to Ollama by default", async () => {
    const server = await startOllama();
    await ollamaEmbeddings({ baseUrl: server.url }).embedQuery("frete");
    expect(lastBody(server)).not.toHaveProperty("dimensions");
  });

  it("has the dimensions that Ollama is asked to shorten vectors to", async () => {
    const server = await startOllama();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, dimensions: 512 });
    const vector = await embeddings.embedQuery("frete");
    expect(embeddings.profile.dimensions).toBe(512);
    expect(lastBody(server)["dimensions"]).toBe(512);
    expect(vector).toHaveLength(512);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
  });

  it("prefers given prefixes to those of the model", async () => {
    const server = await startOllama();
    const embeddings = ollamaEmbeddings({
      baseUrl: server.url,
      queryPrefix: "busca: ",
      documentPrefix: "trecho: ",
    });
    await embeddings.embedQuery("frete");
    expect(lastBody(server)["input"]).toEqual(["busca: frete"]);
    await embeddings.embedDocuments(["frete"]);
    expect(lastBody(server)["input"]).toEqual(["trecho: frete"]);
    expect(embeddings.profile).toMatchObject({ dimensions: 1024, queryPrefix: "busca: " });
  });

  it("prefers a given empty prefix to that of the model", async () => {
    const server = await startOllama();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, queryPrefix: "" });
    await embeddings.embedQuery("frete");
    expect(lastBody(server)["input"]).toEqual(["frete"]);
  });

  it("prefers given maxTokens to those of the model", () => {
    expect(ollamaEmbeddings({ model: "bge-m3", maxTokens: 8192 }).profile.maxTokens).toBe(8192);
    expect(embeddingProfiles["bge-m3"].maxTokens).toBe(2048);
  });
});

describe("requests of ollamaEmbeddings", () => {
  it("put the query prompt before queries", async () => {
    const server = await startOllama();
    await ollamaEmbeddings({ baseUrl: server.url }).embedQuery("qual o prazo de entrega?");
    expect(lastBody(server)["input"]).toEqual([`${QUERY_PROMPT}qual o prazo de entrega?`]);
  });

  it("put nothing before documents", async () => {
    const server = await startOllama();
    await ollamaEmbeddings({ baseUrl: server.url }).embedDocuments(["entregamos em 3 dias"]);
    expect(lastBody(server)["input"]).toEqual(["entregamos em 3 dias"]);
  });

  it("forbid Ollama to truncate texts silently", async () => {
    const server = await startOllama();
    await ollamaEmbeddings({ baseUrl: server.url }).embedDocuments(["frete"]);
    expect(lastBody(server)["truncate"]).toBe(false);
  });

  it("return vectors in the order of the texts", async () => {
    const server = await startOllama();
    const texts = Array.from({ length: 20 }, (_, index) => `treinamento ${(index * 7) % 20} sobre entregas`);
    const vectors = await ollamaEmbeddings({ baseUrl: server.url }).embedDocuments(texts);
    expect(vectors).toEqual(await vectorsOf(texts, 1024));
    expect(new Set(vectors.map((vector) => vector.join())).size).toBe(20);
  });

  it("go to localhost by default, whatever OLLAMA_BASE_URL says", async () => {
    vi.stubEnv("OLLAMA_BASE_URL", "http://127.0.0.1:9");
    const server = await startOllama();
    const addresses: string[] = [];
    const toServer = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
      addresses.push(input instanceof Request ? input.url : String(input));
      return fetch(`${server.url}/api/embed`, init);
    };
    await ollamaEmbeddings({ fetch: toServer }).embedQuery("frete");
    await ollamaEmbeddings({ fetch: toServer, baseUrl: undefined }).embedQuery("frete");
    // LangChain's own class does read the variable.
    await new OllamaEmbeddings({ fetch: toServer }).embedQuery("frete");
    expect(addresses).toEqual([
      "http://localhost:11434/api/embed",
      "http://localhost:11434/api/embed",
      "http://127.0.0.1:9/api/embed",
    ]);
  });

  it("go to baseUrl, whatever OLLAMA_BASE_URL says", async () => {
    vi.stubEnv("OLLAMA_BASE_URL", "http://127.0.0.1:9");
    const server = await startOllama();
    await ollamaEmbeddings({ baseUrl: server.url }).embedQuery("frete");
    expect(server.requests).toHaveLength(1);
  });

  it("carry keepAlive and the model's options in Ollama's spelling, and headers", async () => {
    const { server, embeddings } = await openOllama(
      {},
      {
        keepAlive: "30m",
        requestOptions: { numBatch: 8192, numCtx: 8192 },
        headers: { "x-loja": "centro" },
      },
    );
    await embeddings.embedQuery("frete");
    expect(lastBody(server)).toMatchObject({
      keep_alive: "30m",
      options: { num_batch: 8192, num_ctx: 8192 },
    });
    expect(server.requests[0]?.headers).toMatchObject({ "x-loja": "centro" });
  });

  it("carry baseUrl's name and password in a header, because fetch refuses them in a URL", async () => {
    const server = await startOllama();
    const baseUrl = server.url.replace("//", "//ana:se%40gredo@");
    await ollamaEmbeddings({ baseUrl }).embedQuery("frete");
    const given = { authorization: "Bearer x" };
    await ollamaEmbeddings({ baseUrl, headers: given }).embedQuery("frete");
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Basic ${btoa("ana:se@gredo")}`,
      "Bearer x",
    ]);
  });

  it("are not made without texts", async () => {
    const { server, embeddings } = await openOllama();
    expect(await embeddings.embedDocuments([])).toEqual([]);
    expect(server.requests).toEqual([]);
  });
});

describe("the repeated second text at the end of a request", () => {
  it("is sent until a request of eight texts has come back in order", async () => {
    const { server, embeddings } = await openOllama();
    for (const count of [1, 2, 7, 8, 8, 2]) await embeddings.embedDocuments(manyTexts(count));
    expect(server.inputs().map(({ length }) => length)).toEqual([1, 3, 8, 9, 8, 2]);
    expect(server.inputs()[1]).toEqual([...manyTexts(2), manyTexts(2)[1]]);
  });

  it("is not sent again if a small request ends after a large one", async () => {
    const { server, embeddings } = await openOllama(
      { faults: [{ kind: "slow", ms: 100, marker: "devagar" }] },
      { maxTextsPerRequest: 8 },
    );
    await embeddings.embedDocuments([...manyTexts(8), "devagar", "um", "dois"]);
    await embeddings.embedDocuments(manyTexts(2));
    expect(server.inputs().map(({ length }) => length)).toEqual([9, 4, 2]);
  });

  it("adds no vector to the result", async () => {
    const { embeddings } = await openOllama();
    const texts = manyTexts(3);
    expect(await embeddings.embedDocuments(texts)).toEqual(await vectorsOf(texts, 16));
  });
});

/** The first two requests take long enough to overlap on the server. */
const SLOW_AT_FIRST: Fault = { kind: "slow", ms: 250, times: 2 };

describe("the limits of requests", () => {
  it("hold for 5,000 texts, whose vectors are returned in order", { timeout: 30_000 }, async () => {
    const { server, embeddings } = await openOllama({ faults: [SLOW_AT_FIRST] });
    const texts = manyTexts(5_000);
    expect(await embeddings.embedDocuments(texts)).toEqual(await vectorsOf(texts, 16));
    const inputs = server.inputs();
    const [first = []] = inputs;
    expect(first).toHaveLength(33);
    expect(inputs.length).toBeLessThan(5_000 / 32 + 2);
    for (const input of inputs) {
      expect(input.length).toBeLessThanOrEqual(33);
      expect(input.join("").length).toBeLessThanOrEqual(33_000);
    }
    expect(server.mostAtOnce()).toBe(2);
  });

  it("bound memory, too: at most 64 vectors are held as 64-bit JavaScript numbers", { timeout: 30_000 }, async () => {
    const { server, embeddings } = await openOllama({ faults: [SLOW_AT_FIRST] }, { dimensions: 16 });
    const asked: number[] = [];
    const noting: PerTextEmbeddings = {
      embedEach: (texts) => {
        asked.push(texts.length);
        return embeddings.embedEach(texts);
      },
      embedDocuments: (texts) => embeddings.embedDocuments(texts),
      embedQuery: (text) => embeddings.embedQuery(text),
    };
    const embedder = new Embedder(noting, { profile: embeddings.profile, addsPrefixes: false });
    const vectors = await embedder.embedDocuments(manyTexts(5_000));
    expect(vectors).toHaveLength(5_000);
    expect(Math.max(...asked)).toBe(64);
    const memories = new Set(vectors.map((vector) => (vector as Float32Array).buffer));
    const bytes = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(bytes).toBe(5_000 * 16 * 4);
    expect(server.mostAtOnce()).toBe(2);
  });

  it("can be set: texts per request, and concurrent requests", async () => {
    const { server, embeddings } = await openOllama(
      { faults: [{ kind: "slow", ms: 20 }] },
      { maxTextsPerRequest: 5, maxConcurrency: 4 },
    );
    await embeddings.embedDocuments(manyTexts(60));
    expect(server.inputs().map(({ length }) => length)).toEqual(new Array(12).fill(6));
    expect(server.mostAtOnce()).toBe(4);
  });

  it("count characters with their prefix, and send a longer text by itself", async () => {
    const { server, embeddings } = await openOllama(
      {},
      { maxCharactersPerRequest: 100, maxConcurrency: 1, documentPrefix: "d: " },
    );
    const lengths = [47, 47, 1, 300, 2];
    await embeddings.embedDocuments(lengths.map((length) => "a".repeat(length)));
    expect(server.inputs().map((input) => input.map(({ length }) => length))).toEqual([[50, 50, 50], [4], [303], [5]]);
  });

  it.each([
    ["maxConcurrency", 0],
    ["maxTextsPerRequest", 1.5],
    ["maxTextsPerRequest", "32"],
    ["maxCharactersPerRequest", -1],
    ["requestTimeoutMs", Number.NaN],
    ["requestTimeoutMs", 2 ** 31],
    ["loadTimeoutMs", Number.POSITIVE_INFINITY],
    ["retryBudgetMs", -1],
    ["dimensions", 0],
    ["maxTokens", 0],
    ["baseUrl", "ftp://ollama:11434"],
    ["baseUrl", "http://"],
    ["baseUrl", "http://ollama:porta"],
    ["baseUrl", new URL("http://ollama:11434")],
    ["baseUrl", null],
    ["model", 7],
    ["queryPrefix", null],
    ["fetch", "fetch"],
    ["queryTimeoutMs", 0],
    ["unreachableBudgetMs", -1],
  ])("are validated: %s = %s is refused", (option, value) => {
    const error = thrownBy(() => ollamaEmbeddings({ [option]: value }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ option });
  });

  it.each(["", "ollama", "ollama:11434", ":11434", "https://ollama.exemplo/api-ia", "http://ollama/"])(
    "are validated: the address %j is accepted, because Ollama's client completes it",
    (baseUrl) => {
      expect(() => ollamaEmbeddings({ baseUrl, retryBudgetMs: 0 })).not.toThrow();
    },
  );
});
