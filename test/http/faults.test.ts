/** Who learns the cause of a failure: the caller if the request is wrong, the host in all other cases. */
import { describe, expect, it } from "vitest";
import { AbortError, DatabaseError, EmbeddingError, InvalidArgumentError } from "../../src/errors.js";
import { bearerToken, similarityHandler, type SimilarityHandlerOptions } from "../../src/http/handler.js";
import { FakeIndex, hit, jsonRequest, post, send, untilAborted, type Answer, type Search } from "../support/http.js";

/** A search that fails. */
function failing(error: Error): FakeIndex {
  return new FakeIndex(() => {
    throw error;
  });
}

/** The answer to one request, and the errors that onError gets. */
async function listen(
  search: Search,
  body: unknown = { query: "frete" },
  options: SimilarityHandlerOptions = {},
): Promise<{ answer: Answer; told: unknown[] }> {
  const told: unknown[] = [];
  const onError = (error: unknown): void => void told.push(error);
  return { answer: await post(new FakeIndex(search), body, { onError, ...options }), told };
}

describe("an invalid option of a search", () => {
  it.each(["query", "k", "strategy"])("answers 400 with the problem if it is the caller's: %s", async (option) => {
    const answer = await post(failing(new InvalidArgumentError(option, "must be another")), { query: "a" });
    expect(answer).toMatchObject({ status: 400, body: { error: `${option} must be another` } });
  });

  it.each(["filter", "filter.grupo", "filter.$and[0].ano.gt"])(
    "does not reveal what the host filters by: %s",
    async (option) => {
      const index = failing(new InvalidArgumentError(option, "must be another"));
      const ofHost = await post(index, { query: "a" });
      expect(ofHost).toMatchObject({ status: 500, body: { error: "The search failed" } });
      const ofBoth = await post(index, { query: "a", filter: { ano: 2026 } }, { allowFilter: true });
      expect(ofBoth).toMatchObject({
        status: 400,
        body: { error: "filter is too long, or nested too deep" },
      });
    },
  );

  it.each(["mode", "minScore", "kind", "mmr.fetchK", "signal", "queryPrefix"])(
    "answers 500 without the problem if it is the host's: %s",
    async (option) => {
      const { answer, told } = await listen(() => {
        throw new InvalidArgumentError(option, "segredo");
      });
      expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
      expect(told).toMatchObject([{ option }]);
    },
  );

  it("answers 500 if toResult throws, whatever its error", async () => {
    const toResult = (): never => {
      throw new InvalidArgumentError("query", "segredo");
    };
    const { answer } = await listen(() => [hit], { query: "frete" }, { toResult });
    expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
  });

  it("answers 400 if the query is too long for the model", async () => {
    const answer = await post(failing(new EmbeddingError("TEXT_TOO_LONG", "segredo", false)), { query: "a" });
    expect(answer).toMatchObject({ status: 400, body: { error: "query is longer than the model reads" } });
  });
});

describe("onError", () => {
  it.each([
    [500, new Error("segredo")],
    [500, new EmbeddingError("MODEL_MISSING", "segredo", false)],
    [503, new EmbeddingError("EMBEDDING_FAILED", "segredo", true)],
    [503, new DatabaseError("segredo", { code: "CONNECTION_FAILED", retryable: true })],
  ])("receives the error behind a %i: %s", async (status, error) => {
    const { answer, told } = await listen(() => {
      throw error;
    });
    expect(answer.status).toBe(status);
    expect(told).toEqual([error]);
  });

  it("receives the error of a search that took too long", async () => {
    const { answer, told } = await listen(untilAborted, { query: "frete" }, { timeoutMs: 20 });
    expect(answer.status).toBe(504);
    expect(told).toEqual([expect.any(AbortError)]);
  });

  it("receives the request", async () => {
    const requests: Request[] = [];
    const request = new Request("http://localhost/x", jsonRequest('{"query":"frete"}'));
    const onError = (_error: unknown, given: Request): void => void requests.push(given);
    await similarityHandler(failing(new Error("segredo")), { onError })(request);
    expect(requests).toEqual([request]);
  });

  it("is not called for a wrong request, nor for a caller that has disconnected", async () => {
    const bodies = [{ query: 5 }, { query: "a", k: 0 }, { query: "a", mode: "text" }];
    for (const body of bodies) expect((await listen(() => [hit], body)).told).toEqual([]);
    const controller = new AbortController();
    const told: unknown[] = [];
    const index = new FakeIndex((query, options) => {
      queueMicrotask(() => {
        controller.abort();
      });
      return untilAborted(query, options);
    });
    const request = { ...jsonRequest('{"query":"frete"}'), signal: controller.signal };
    const answer = await send(index, request, { onError: (error) => void told.push(error) });
    expect(answer.status).toBe(504);
    expect(told).toEqual([]);
  });

  it("does not change the answer when it throws", async () => {
    const onError = (): never => {
      throw new Error("the log is full");
    };
    const answer = await post(failing(new Error("segredo")), { query: "frete" }, { onError });
    expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
  });
});

describe("the host's search options", () => {
  it.each([
    ["minScore", { search: { minScore: 5 } }],
    ["maxDistance", { search: { maxDistance: 0.5 }, modes: ["vector", "text"] }],
    ["maxDistance", { search: { maxDistance: 0.5, onTextOnly: () => undefined } }],
    ["mmr", { search: { mmr: {} } }],
    ["mmr", { search: { mmr: {} }, strategies: ["chunks"], modes: ["vector", "hybrid"] }],
    ["neighbors.before", { search: { neighbors: { before: -1 } } }],
    ["efSearch", { search: { efSearch: 0 } }],
    ["strategies", { strategies: [] }],
    ["strategies", { strategies: ["documents"] }],
    ["allowFilter", { allowFilter: "false" }],
    ["allowFilter", { allowFilter: 1 }],
    ["onError", { onError: "log" }],
  ])("are refused at creation if not every request could be served: %s of %j", (option, options) => {
    expect(() => similarityHandler(new FakeIndex(), options as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option }) as Error,
    );
  });

  it("may have a minScore in every mode and strategy, and with onTextOnly", async () => {
    const index = new FakeIndex();
    const search = { minScore: 0.5, onTextOnly: () => undefined };
    const modes = ["vector", "text", "hybrid"] as const;
    for (const mode of modes) {
      for (const strategy of ["chunks", "trainings"]) {
        expect((await post(index, { query: "frete", mode, strategy }, { search, modes })).status).toBe(200);
      }
    }
    expect(index.calls).toHaveLength(6);
    for (const { options } of index.calls) expect(options).toMatchObject(search);
  });

  it("are copied, so later changes to the host's object have no effect", async () => {
    const index = new FakeIndex();
    const modes: ("vector" | "text")[] = ["vector"];
    const options = { search: { mmr: { lambda: 0.7 } }, strategies: ["chunks" as const], modes };
    const handler = similarityHandler(index, options);
    modes.push("text");
    Object.assign(options.search, { mmr: { lambda: 9 } });
    const ask = (body: object): Promise<Response> =>
      handler(new Request("http://localhost/x", jsonRequest(JSON.stringify(body))));
    expect((await ask({ query: "frete" })).status).toBe(200);
    expect((await ask({ query: "frete", mode: "text" })).status).toBe(400);
    expect(index.calls).toMatchObject([{ options: { mmr: { lambda: 0.7 }, mode: "vector" } }]);
  });
});

describe("strategies", () => {
  it("are limited to those that the host allows, so no caller can reach the embedder through another one", async () => {
    const index = new FakeIndex();
    const options: SimilarityHandlerOptions = { modes: ["text"], strategies: ["chunks"] };
    const answer = await post(index, { query: "frete", strategy: "trainings" }, options);
    expect(answer).toMatchObject({ status: 400, body: { error: "strategy must be one of chunks" } });
    expect(index.calls).toEqual([]);
  });

  it("default to the host's first one", async () => {
    const index = new FakeIndex();
    const options: SimilarityHandlerOptions = { strategies: ["trainings", "chunks"], modes: ["hybrid"] };
    expect((await post(index, { query: "frete" }, options)).status).toBe(200);
    expect((await post(index, { query: "frete", strategy: "chunks" }, options)).status).toBe(200);
    expect(index.calls.map(({ options: { strategy, mode } }) => [strategy, mode])).toEqual([
      ["trainings", "hybrid"],
      ["chunks", "hybrid"],
    ]);
  });

  it("never reach the embedder if the host allows mode text only", async () => {
    const index = new FakeIndex();
    const options: SimilarityHandlerOptions = { modes: ["text"] };
    for (const body of [{}, { strategy: "chunks" }, { strategy: "trainings" }]) {
      expect((await post(index, { query: "frete", ...body }, options)).status).toBe(200);
    }
    expect(index.calls.map(({ options: { mode } }) => mode)).toEqual(["text", "text", "text"]);
    expect((await post(index, { query: "frete", strategy: "trainings", mode: "vector" }, options)).status).toBe(400);
  });
});

describe("a token", () => {
  it.each(["", " ", "segredo\n", " segredo", "segrédo", "a\u0000b", undefined, 5])(
    "that cannot be sent in a header is refused at creation: %j",
    (token) => {
      expect(() => bearerToken(token as string)).toThrow(InvalidArgumentError);
    },
  );

  it.each(["a", "um segredo", "eyJhbGciOi.J9-_~+/=="])("can be %j", async (token) => {
    const authorize = bearerToken(token);
    const ask = async (given: string): Promise<number> => {
      const request = jsonRequest('{"query":"frete"}');
      const headers = { ...(request.headers as Record<string, string>), authorization: `Bearer ${given}` };
      return (await send(new FakeIndex(), { ...request, headers }, { authorize })).status;
    };
    expect([await ask(token), await ask(`${token}x`), await ask(token.slice(1))]).toEqual([200, 401, 401]);
  });
});
