import { OllamaEmbeddings } from "@langchain/ollama";
import { afterEach, describe, expect, it, vi } from "vitest";
import { HashingEmbeddings } from "../../src/embedding/hashing.js";
import { embeddingProfiles, ollamaEmbeddings } from "../../src/embedding/ollama.js";
import { InvalidArgumentError } from "../../src/errors.js";
import { startOllamaServer, type OllamaServer, type OllamaServerOptions } from "../support/ollama-server.js";

const QUERY_PROMPT = "Represent this sentence for searching relevant passages: ";
/** The first retry waits a second or two. */
const RETRY_TIMEOUT = 20_000;

const servers: OllamaServer[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options?: OllamaServerOptions): Promise<OllamaServer> {
  const server = await startOllamaServer(options);
  servers.push(server);
  return server;
}

function lastBody(server: OllamaServer): Record<string, unknown> {
  return server.requests.at(-1)?.body as Record<string, unknown>;
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
  it("is that of mxbai-embed-large by default, and so is the model that is asked for", async () => {
    const server = await start();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url });
    const [vector] = await embeddings.embedDocuments(["horário de entrega"]);
    expect(embeddings.profile).toEqual({
      model: "mxbai-embed-large",
      dimensions: 1024,
      queryPrefix: QUERY_PROMPT,
      documentPrefix: "",
    });
    expect(vector).toHaveLength(1024);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({ method: "POST", path: "/api/embed" });
    expect(lastBody(server)["model"]).toBe("mxbai-embed-large");
  });

  it("has no :latest in its model, while Ollama gets the tag as it was given", async () => {
    const server = await start();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, model: "mxbai-embed-large:latest" });
    await embeddings.embedQuery("frete");
    expect(embeddings.profile).toEqual(ollamaEmbeddings().profile);
    expect(lastBody(server)["model"]).toBe("mxbai-embed-large:latest");
  });

  it("keeps a tag other than :latest, which can be another model", () => {
    const { profile } = ollamaEmbeddings({ model: "nomic-embed-text:v1.5", dimensions: 768 });
    expect(profile.model).toBe("nomic-embed-text:v1.5");
  });

  it.each(["bge-m3", "mxbai-embed-large:335m", "constructor", ""])(
    "is missing for the model %j, which is refused by name",
    (model) => {
      const error = thrownBy(() => ollamaEmbeddings({ model }));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ option: "model", code: "INVALID_ARGUMENT" });
      expect((error as Error).message).toContain(JSON.stringify(model));
    },
  );

  it("is not made up from prefixes alone", () => {
    const error = thrownBy(() => ollamaEmbeddings({ model: "bge-m3", queryPrefix: "query: " }));
    expect(error).toMatchObject({ name: "InvalidArgumentError", option: "model" });
  });

  it("can be given by its dimensions", async () => {
    const server = await start({ models: ["bge-m3"], dimensions: 256 });
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, model: "bge-m3", dimensions: 256 });
    const vector = await embeddings.embedQuery("frete");
    expect(embeddings.profile).toEqual({
      model: "bge-m3",
      dimensions: 256,
      queryPrefix: "",
      documentPrefix: "",
    });
    expect(vector).toHaveLength(256);
    expect(lastBody(server)["input"]).toEqual(["frete"]);
  });

  it("leaves it to Ollama how many dimensions the model has, unless told", async () => {
    const server = await start();
    await ollamaEmbeddings({ baseUrl: server.url }).embedQuery("frete");
    expect(lastBody(server)).not.toHaveProperty("dimensions");
  });

  it("follows the dimensions that Ollama is asked to cut vectors to", async () => {
    const server = await start();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, dimensions: 512 });
    const vector = await embeddings.embedQuery("frete");
    expect(embeddings.profile.dimensions).toBe(512);
    expect(lastBody(server)["dimensions"]).toBe(512);
    expect(vector).toHaveLength(512);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
  });

  it("lets prefixes that are given win over those of the model", async () => {
    const server = await start();
    const embeddings = ollamaEmbeddings({
      baseUrl: server.url,
      queryPrefix: "busca: ",
      documentPrefix: "trecho: ",
    });
    await embeddings.embedQuery("frete");
    expect(lastBody(server)["input"]).toEqual(["busca: frete"]);
    await embeddings.embedDocuments(["frete", "prazo"]);
    expect(lastBody(server)["input"]).toEqual(["trecho: frete", "trecho: prazo"]);
    expect(embeddings.profile).toMatchObject({ dimensions: 1024, queryPrefix: "busca: " });
  });

  it("lets an empty prefix win over that of the model", async () => {
    const server = await start();
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, queryPrefix: "" });
    await embeddings.embedQuery("frete");
    expect(lastBody(server)["input"]).toEqual(["frete"]);
  });
});

describe("requests of ollamaEmbeddings", () => {
  it("have the query prompt before queries", async () => {
    const server = await start();
    await ollamaEmbeddings({ baseUrl: server.url }).embedQuery("qual o prazo de entrega?");
    expect(lastBody(server)["input"]).toEqual([`${QUERY_PROMPT}qual o prazo de entrega?`]);
  });

  it("have nothing before documents", async () => {
    const server = await start();
    await ollamaEmbeddings({ baseUrl: server.url }).embedDocuments(["entregamos em 3 dias", "frete grátis"]);
    expect(lastBody(server)["input"]).toEqual(["entregamos em 3 dias", "frete grátis"]);
  });

  it("do not let Ollama cut a text in silence", async () => {
    const server = await start();
    await ollamaEmbeddings({ baseUrl: server.url }).embedDocuments(["frete"]);
    expect(lastBody(server)["truncate"]).toBe(false);
  });

  it("bring back vectors in the order of the texts", async () => {
    const server = await start();
    const texts = Array.from({ length: 20 }, (_, index) => `treinamento ${(index * 7) % 20} sobre entregas`);
    const vectors = await ollamaEmbeddings({ baseUrl: server.url }).embedDocuments(texts);
    expect(vectors).toEqual(await new HashingEmbeddings().embedDocuments(texts));
    expect(new Set(vectors.map((vector) => vector.join())).size).toBe(20);
  });

  it("go to localhost by default, whatever OLLAMA_BASE_URL says", async () => {
    vi.stubEnv("OLLAMA_BASE_URL", "http://127.0.0.1:9");
    const server = await start();
    const addresses: string[] = [];
    const toServer = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
      addresses.push(input instanceof Request ? input.url : String(input));
      return fetch(`${server.url}/api/embed`, init);
    };
    await ollamaEmbeddings({ fetch: toServer }).embedQuery("frete");
    await ollamaEmbeddings({ fetch: toServer, baseUrl: undefined }).embedQuery("frete");
    // LangChain's own class shows that the variable is one that is read.
    await new OllamaEmbeddings({ fetch: toServer }).embedQuery("frete");
    expect(addresses).toEqual([
      "http://localhost:11434/api/embed",
      "http://localhost:11434/api/embed",
      "http://127.0.0.1:9/api/embed",
    ]);
  });

  it("go to baseUrl, whatever OLLAMA_BASE_URL says", async () => {
    vi.stubEnv("OLLAMA_BASE_URL", "http://127.0.0.1:9");
    const server = await start();
    await ollamaEmbeddings({ baseUrl: server.url, maxRetries: 0 }).embedQuery("frete");
    expect(server.requests).toHaveLength(1);
  });
});

describe("failures of Ollama", () => {
  it("are not retried when the model has not been pulled", async () => {
    const server = await start({ models: ["nomic-embed-text"] });
    const embeddings = ollamaEmbeddings({ baseUrl: server.url });
    await expect(embeddings.embedDocuments(["frete"])).rejects.toMatchObject({
      message: 'model "mxbai-embed-large" not found, try pulling it first',
      status_code: 404,
    });
    expect(server.requests).toHaveLength(1);
  });

  it("are not retried when a text is too long", async () => {
    const server = await start({ maxTokens: 10 });
    const embeddings = ollamaEmbeddings({ baseUrl: server.url });
    await expect(
      embeddings.embedDocuments(["curto", "um texto de mais de cinco palavras"]),
    ).rejects.toMatchObject({
      message: "the input length exceeds the context length",
      status_code: 400,
    });
    expect(server.requests).toHaveLength(1);
  });

  it(
    "are retried, and heal, when the server is busy",
    async () => {
      const server = await start({ busyRequests: 1 });
      const embeddings = ollamaEmbeddings({ baseUrl: server.url, maxRetries: 1 });
      await expect(embeddings.embedDocuments(["frete"])).resolves.toHaveLength(1);
      expect(server.requests).toHaveLength(2);
      expect(server.requests[1]).toEqual(server.requests[0]);
    },
    RETRY_TIMEOUT,
  );

  it(
    "end when the server stays busy",
    async () => {
      const server = await start({ busyRequests: 9 });
      const embeddings = ollamaEmbeddings({ baseUrl: server.url, maxRetries: 1 });
      await expect(embeddings.embedQuery("frete")).rejects.toMatchObject({ status_code: 503 });
      expect(server.requests).toHaveLength(2);
    },
    RETRY_TIMEOUT,
  );

  it("are not made again when the caller's fetch is aborted", async () => {
    let requests = 0;
    const embeddings = ollamaEmbeddings({
      fetch: () => {
        requests += 1;
        return Promise.reject(new DOMException("aborted", "AbortError"));
      },
    });
    await expect(embeddings.embedQuery("frete")).rejects.toThrow("aborted");
    expect(requests).toBe(1);
  });
});

describe("embeddingProfiles", () => {
  it("knows mxbai-embed-large as its makers describe it", () => {
    expect(embeddingProfiles["mxbai-embed-large"]).toEqual({
      model: "mxbai-embed-large",
      dimensions: 1024,
      queryPrefix: QUERY_PROMPT,
      documentPrefix: "",
      maxTokens: 512,
      languages: ["en"],
      license: "Apache-2.0",
      source: "https://ollama.com/library/mxbai-embed-large",
    });
  });

  it("has each profile under the name of its model, without a tag", () => {
    for (const [name, profile] of Object.entries(embeddingProfiles)) {
      expect(profile.model).toBe(name);
      expect(name).not.toMatch(/:latest$/);
    }
  });
});

describe("the server of these tests", () => {
  const post = async (server: OllamaServer, path: string, body: unknown): Promise<[number, unknown]> => {
    const response = await fetch(server.url + path, { method: "POST", body: JSON.stringify(body) });
    return [response.status, await response.json()];
  };
  const model = "mxbai-embed-large";

  it("answers no vector for empty input, as Ollama does", async () => {
    const server = await start();
    expect(await post(server, "/api/embed", { model, input: "" })).toEqual([200, { model, embeddings: [] }]);
  });

  it("cuts a long text unless the request forbids it, as Ollama does", async () => {
    const server = await start({ maxTokens: 4 });
    const [status, body] = await post(server, "/api/embed", { model, input: "um dois três" });
    expect(status).toBe(200);
    expect(body).toMatchObject({ model, prompt_eval_count: 4 });
    const refused = await post(server, "/api/embed", { model, input: "um dois três", truncate: false });
    expect(refused).toEqual([400, { error: "the input length exceeds the context length" }]);
  });

  it("lists and shows the models that it has", async () => {
    const server = await start();
    const tags: unknown = await (await fetch(`${server.url}/api/tags`)).json();
    expect(tags).toMatchObject({ models: [{ name: "mxbai-embed-large:latest" }] });
    expect(await post(server, "/api/show", { model })).toMatchObject([
      200,
      { model_info: { "bert.context_length": 512, "bert.embedding_length": 1024 } },
    ]);
    expect(await post(server, "/api/show", { model: "x" })).toEqual([404, { error: "model 'x' not found" }]);
  });
});
