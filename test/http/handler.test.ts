import { describe, expect, it, onTestFinished, vi } from "vitest";
import { AbortError, DatabaseError, EmbeddingError, InvalidArgumentError, SchemaError } from "../../src/errors.js";
import {
  bearerToken,
  similarityHandler,
  type HttpIndex,
  type SimilarityHandlerOptions,
} from "../../src/http/handler.js";
import type { ChunkHit } from "../../src/hit-types.js";
import {
  FakeIndex,
  failWith,
  hit,
  jsonRequest,
  post,
  send,
  sendTo,
  training,
  untilAborted,
  type Answer,
} from "../support/http.js";
import { collectGarbage } from "../support/garbage.js";
import { answeredStatuses, describedStatuses, isDescribedRequest } from "../support/openapi.js";

describe("a search over HTTP", () => {
  it("answers with the index's complete hits, in its order", async () => {
    const second = { ...hit, chunkId: "c2", score: 0.5, similarity: 0.5, distance: 0.5 };
    const index = new FakeIndex(() => [hit, second]);
    const answer = await post(index, { query: "prazo de entrega?" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
    expect(answer.body).toEqual({ results: [hit, second] });
    expect(index.calls).toHaveLength(1);
    expect(index.calls[0]?.query).toBe("prazo de entrega?");
  });

  it("answers with an empty list if nothing is found", async () => {
    const answer = await post(new FakeIndex(() => []), { query: "frete" });
    expect(answer).toMatchObject({ status: 200, body: { results: [] } });
  });

  it("writes bigint ids as strings, and other ids unchanged", async () => {
    const ids = [9_007_199_254_740_993n, 42, "manual-7"];
    const answer = await post(new FakeIndex(() => ids.map((trainingId) => ({ ...hit, trainingId }))), {
      query: "frete",
    });
    const { results } = answer.body as { results: ChunkHit[] };
    expect(results.map(({ trainingId }) => trainingId)).toEqual(["9007199254740993", 42, "manual-7"]);
  });

  it("answers with the result of toResult for each hit", async () => {
    const answer = await post(
      new FakeIndex(() => [{ ...hit, trainingId: 7n }]),
      { query: "frete" },
      { toResult: (found) => ({ id: Number(found.trainingId), text: "content" in found && found.content }) },
    );
    expect(answer.body).toEqual({ results: [{ id: 7, text: hit.content }] });
  });

  it("answers 500 without details if toResult throws", async () => {
    const toResult = (): never => {
      throw new Error("segredo");
    };
    const answer = await post(new FakeIndex(), { query: "frete" }, { toResult });
    expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
  });

  it("can run concurrently with others in one handler", async () => {
    const index = new FakeIndex();
    const handler = similarityHandler(index);
    const statuses = await Promise.all(
      ["frete", "prazo"].map(async (query) => {
        const request = new Request("http://localhost/x", jsonRequest(JSON.stringify({ query })));
        return (await handler(request)).status;
      }),
    );
    expect(statuses).toEqual([200, 200]);
    expect(index.calls.map(({ query }) => query).sort()).toEqual(["frete", "prazo"]);
  });
});

describe("k in a request", () => {
  it.each([
    [undefined, 5],
    [50, 5],
    [3, 3],
  ])("with maxK %j defaults to %j", async (maxK, k) => {
    const index = new FakeIndex();
    const handler = similarityHandler(index, { maxK });
    await handler(new Request("http://localhost/x", jsonRequest('{"query":"frete"}')));
    expect(index.calls[0]?.options.k).toBe(k);
  });

  it.each([1, 7, 50])("is passed on unchanged: %j", async (k) => {
    const index = new FakeIndex();
    expect((await post(index, { query: "frete", k })).status).toBe(200);
    expect(index.calls[0]?.options.k).toBe(k);
  });

  it.each([51, 0, -1, 1.5, "5", null, true, 1e300])("is refused: %j", async (k) => {
    const index = new FakeIndex();
    const answer = await post(index, { query: "frete", k });
    expect(answer).toMatchObject({ status: 400, body: { error: "k must be an integer from 1 to 50" } });
    expect(index.calls).toEqual([]);
  });

  it("may be at most maxK", async () => {
    const index = new FakeIndex();
    const options = { maxK: 200 };
    expect((await post(index, { query: "frete", k: 200 }, options)).status).toBe(200);
    const refused = await post(index, { query: "frete", k: 201 }, options);
    expect(refused).toMatchObject({ status: 400, body: { error: "k must be an integer from 1 to 200" } });
    expect(index.calls).toHaveLength(1);
  });
});

describe("the fields of an answer", () => {
  const fields = { treinamento_id: "trainingId", score: "score", chunk_text: "content" } as const;

  it("are those that the host chooses, under its names", async () => {
    const answer = await post(new FakeIndex(), { query: "frete" }, { fields });
    expect(answer.body).toEqual({
      results: [{ treinamento_id: "manual-7", score: 0.83, chunk_text: "Entregamos em 3 dias úteis" }],
    });
  });

  it("of a training are its own, or else those of its best chunk", async () => {
    const body = { query: "frete", strategy: "trainings" };
    const answer = await post(new FakeIndex(() => [training]), body, { fields });
    expect(answer.body).toEqual({
      results: [{ treinamento_id: "9007199254740993", score: 0.83, chunk_text: "Entregamos em 3 dias úteis" }],
    });
  });

  it("are left out if a hit does not have them", async () => {
    const found = { palavras: "coverage", sentido: "similarity", id: "trainingId" } as const;
    const answer = await post(new FakeIndex(), { query: "frete" }, { fields: found });
    expect(answer.body).toEqual({ results: [{ sentido: 0.83, id: "manual-7" }] });
  });

  it.each(["textScore", "fusedScore"])("cannot be %s, which hits do not have", (field) => {
    const fields = { pontos: field as "score" };
    expect(() => similarityHandler(new FakeIndex(), { fields })).toThrow(
      expect.objectContaining({ option: "fields.pontos" }),
    );
  });
});

describe("strategy and mode in a request", () => {
  it.each([
    [{}, { mode: "vector", strategy: "chunks" }],
    [{ strategy: "chunks" }, { mode: "vector", strategy: "chunks" }],
    [{ strategy: "trainings" }, { mode: "vector", strategy: "trainings" }],
    [{ mode: "vector" }, { mode: "vector", strategy: "chunks" }],
  ])("are passed on: %j", async (given, expected) => {
    const index = new FakeIndex();
    expect((await post(index, { query: "frete", ...given })).status).toBe(200);
    expect(index.calls[0]?.options).toMatchObject(expected);
  });

  it("answers with complete trainings, with nested bigint ids as strings too", async () => {
    const answer = await post(new FakeIndex(() => [training]), { query: "frete", strategy: "trainings" });
    const trainingId = "9007199254740993";
    expect(answer.body).toEqual({
      results: [Object.assign({}, training, { trainingId, chunks: [{ ...hit, trainingId }] })],
    });
  });

  it.each([
    [{ strategy: "documents" }, "strategy must be one of chunks, trainings"],
    [{ strategy: null }, "strategy must be one of chunks, trainings"],
    [{ mode: "text" }, "mode must be one of vector"],
    [{ mode: 5 }, "mode must be one of vector"],
  ])("are refused: %j", async (given, error) => {
    const index = new FakeIndex();
    const answer = await post(index, { query: "frete", ...given });
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(index.calls).toEqual([]);
  });

  it("are limited to those that the host allows, the first by default, with both strategies", async () => {
    const index = new FakeIndex();
    const options: SimilarityHandlerOptions = { modes: ["hybrid", "text"] };
    for (const strategy of ["chunks", "trainings"]) {
      for (const body of [{}, { mode: "text" }]) {
        expect((await post(index, { query: "frete", strategy, ...body }, options)).status).toBe(200);
      }
      expect((await post(index, { query: "frete", strategy, mode: "vector" }, options)).status).toBe(400);
    }
    expect(index.calls.map(({ options: { mode, strategy } }) => [mode, strategy])).toEqual([
      ["hybrid", "chunks"],
      ["text", "chunks"],
      ["hybrid", "trainings"],
      ["text", "trainings"],
    ]);
  });

  it("are combined with the host's own options", async () => {
    const index = new FakeIndex();
    await post(index, { query: "frete", k: 2 }, { search: { minScore: 0.5 } });
    expect(index.calls[0]?.options).toMatchObject({ minScore: 0.5, k: 2 });
  });
});

describe("authorization", () => {
  const authorize = bearerToken("segredo");
  async function statusWith(authorization: string | undefined): Promise<number> {
    const headers = new Headers({ "content-type": "application/json" });
    if (authorization !== undefined) headers.set("authorization", authorization);
    const answer = await send(new FakeIndex(), { ...jsonRequest('{"query":"frete"}'), headers }, { authorize });
    return answer.status;
  }

  it.each([
    ["Bearer segredo", 200],
    ["bearer segredo", 200],
    ["Bearer  segredo", 200],
    ["Bearer errado", 401],
    ["Bearer segredo2", 401],
    ["Bearer ", 401],
    ["segredo", 401],
    ["Basic segredo", 401],
    [undefined, 401],
  ])("answers the header %j with %i", async (authorization, status) => {
    expect(await statusWith(authorization)).toBe(status);
  });

  it("runs before the body is read, and may be asynchronous", async () => {
    const index = new FakeIndex();
    const request = new Request("http://localhost/x", jsonRequest("{não é JSON"));
    const response = await similarityHandler(index, { authorize: () => Promise.resolve(false) })(request);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(request.bodyUsed).toBe(false);
  });

  it("answers 500 without details if it throws", async () => {
    const authorize = (): never => {
      throw new Error("segredo");
    };
    const answer = await post(new FakeIndex(), { query: "frete" }, { authorize });
    expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
  });
});

describe("options of the handler", () => {
  it.each([
    ["maxK", { maxK: 0 }],
    ["maxK", { maxK: 1001 }],
    ["maxBodyBytes", { maxBodyBytes: -1 }],
    ["timeoutMs", { timeoutMs: 2 ** 31 }],
    ["timeoutMs", { timeoutMs: "5" }],
    ["modes", { modes: [] }],
    ["modes", { modes: ["bm25"] }],
    ["modes", { modes: "vector" }],
    ["fields", { fields: {} }],
    ["fields", { fields: "content" }],
    ["fields.texto", { fields: { texto: "embedding" } }],
    ["fields.texto", { fields: { texto: "constructor" } }],
    ["fields", { fields: { texto: "content" }, toResult: () => ({}) }],
    ["toResult", { toResult: "content" }],
    ["authorize", { authorize: "Bearer segredo" }],
    ["options", { options: { filter: { grupo: "a" } } }],
    ["maxConcurrent", { maxConcurrent: 0 }],
    ["maxConcurrent", { maxConcurrent: "5" }],
    ["search", { search: 5 }],
    ["search.filters", { search: { filters: { grupo: "a" } } }],
    ["search.client", { search: { client: {} } }],
    ["search.k", { search: { k: 5 }, maxK: 4 }],
    ["search.mode", { search: { mode: "bm25" } }],
    ["search.mode", { search: { mode: "vector" }, modes: ["text"] }],
    ["search.strategy", { search: { strategy: "chunks" }, strategies: ["chunks"] }],
    ["filter.$where", { search: { filter: { $where: "1 = 1" } } }],
    ["authorise", { authorise: () => false }],
    ["allowFilters", { allowFilters: true }],
    ["options", 5],
    ["options", null],
    ["options", [{}]],
  ])("refuses an invalid %s at creation: %j", (option, options) => {
    expect(() => similarityHandler(new FakeIndex(), options as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option }) as Error,
    );
  });

  it("refuses anything that is not an index, and an empty token", () => {
    expect(() => similarityHandler({} as never)).toThrow(InvalidArgumentError);
    expect(() => similarityHandler(Promise.resolve(new FakeIndex()) as never)).toThrow(
      "index is a promise: await TrainingIndex.initialize(...)",
    );
    expect(() => bearerToken("")).toThrow(InvalidArgumentError);
    expect(() => bearerToken(undefined as never)).toThrow(InvalidArgumentError);
  });
});

describe("a filter in a request", () => {
  it("is refused by default", async () => {
    const index = new FakeIndex();
    const answer = await post(index, { query: "frete", filter: { grupo: "entrega" } });
    expect(answer).toMatchObject({ status: 400, body: { error: "filter is not allowed here" } });
    expect(index.calls).toEqual([]);
  });

  it("is passed on with allowFilter", async () => {
    const index = new FakeIndex();
    const filter = { grupo: "entrega", page: 4 };
    expect((await post(index, { query: "frete", filter }, { allowFilter: true })).status).toBe(200);
    expect(index.calls[0]?.options.filter).toEqual(filter);
  });

  it("is absent from the search if left out", async () => {
    const index = new FakeIndex();
    await post(index, { query: "frete" }, { allowFilter: true });
    expect(index.calls[0]?.options.filter).toBeUndefined();
  });

  it.each([
    [[], "filter must be an object of metadata keys and values"],
    [{ grupo: { $where: 1 } }, "filter.grupo.$where must be one of"],
    [{ conta: 9007199254740992 }, "filter.conta must be a number up to 2^53 - 1"],
  ])("answers 400 to %j, without a search", async (filter, error) => {
    const index = new FakeIndex();
    const answer = await post(index, { query: "frete", filter }, { allowFilter: true, search: { filter: { a: 1 } } });
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(error) as string } });
    expect(index.calls).toEqual([]);
  });
});

describe("the host's search options", () => {
  it("include a filter that a request's filter cannot widen, and that applies without one too", async () => {
    const index = new FakeIndex();
    const search = { filter: { bot: "loja" }, minScore: 0.3 };
    await post(
      index,
      { query: "frete", filter: { $or: [{ bot: "outra" }, { ano: 1 }] } },
      { search, allowFilter: true },
    );
    await post(index, { query: "frete" }, { search });
    expect(index.calls.map(({ options: { filter, minScore } }) => ({ filter, minScore }))).toEqual([
      { filter: { $and: [{ bot: "loja" }, { $or: [{ bot: "outra" }, { ano: 1 }] }] }, minScore: 0.3 },
      search,
    ]);
  });

  it("include a default k, which is also the maximum unless maxK is higher", async () => {
    const index = new FakeIndex();
    await post(index, { query: "frete" }, { search: { k: 2 } });
    expect((await post(index, { query: "frete", k: 3 }, { search: { k: 2 } })).status).toBe(400);
    await post(index, { query: "frete" }, { search: { k: 2 }, maxK: 9 });
    await post(index, { query: "frete", k: 9 }, { search: { k: 2 }, maxK: 9 });
    expect(index.calls.map(({ options }) => options.k)).toEqual([2, 2, 9]);
  });

  it("fix the mode and strategy if they name them", async () => {
    const index = new FakeIndex();
    const search = { mode: "hybrid", strategy: "chunks" } as const;
    await post(index, { query: "frete" }, { search });
    expect(index.calls[0]?.options).toMatchObject(search);
    for (const asked of [{ mode: "text" }, { strategy: "trainings" }])
      expect((await post(index, { query: "frete", ...asked }, { search })).status).toBe(400);
  });

  it("are not revealed by an error about the combined filters", async () => {
    const index = new FakeIndex(() => {
      throw new InvalidArgumentError("filter.$and[0].segredo", "exceeds the limit: a filter has at most 1000 values");
    });
    const search = { filter: { segredo: 1 } };
    const answer = await post(index, { query: "frete", filter: { ano: 1 } }, { search, allowFilter: true });
    expect(answer).toMatchObject({ status: 400, body: { error: "filter is too long, or nested too deep" } });
  });
});

describe("an invalid body", () => {
  it.each([
    ["has no query", "{}", "query must be a string"],
    ["has a query that is a number", '{"query":5}', "query must be a string"],
    ["has a query that is null", '{"query":null}', "query must be a string"],
    ["has an unknown key", '{"query":"frete","efSearch":900}', "key other than query, k, strategy, mode, filter"],
    ["has __proto__ as a key", '{"query":"frete","__proto__":{"k":900}}', "key other than"],
    ["is an array", '["frete"]', "The body must be an object"],
    ["is null", "null", "The body must be an object"],
    ["is a string", '"frete"', "The body must be an object"],
    ["is not JSON", "{query:", "The body is not JSON"],
    ["is empty", "", "The body is not JSON"],
  ])("answers 400 when it %s", async (_name, body, problem) => {
    const index = new FakeIndex();
    const answer = await send(index, jsonRequest(body));
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.body as object)).toEqual(["error"]);
    expect((answer.body as { error: string }).error).toContain(problem);
    expect(index.calls).toEqual([]);
  });

  it("answers 400 if there is none", async () => {
    const answer = await send(new FakeIndex(), jsonRequest(null));
    expect(answer).toMatchObject({ status: 400, body: { error: "The body is not JSON" } });
  });

  it("answers 400 with the index's message about a blank query", async () => {
    const index = new FakeIndex(() => {
      throw new InvalidArgumentError("query", "must not be blank");
    });
    const answer = await post(index, { query: "   " });
    expect(answer).toMatchObject({ status: 400, body: { error: "query must not be blank" } });
    expect(index.calls[0]?.query).toBe("   ");
  });
});

describe("an invalid request", () => {
  it.each(["GET", "PUT", "DELETE"])("answers 405 and allows POST when its method is %s", async (method) => {
    const index = new FakeIndex();
    const answer = await send(index, { method });
    expect(answer).toMatchObject({ status: 405, body: { error: "Use POST" } });
    expect(answer.headers.get("allow")).toBe("POST");
    expect(index.calls).toEqual([]);
  });

  it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])(
    "answers 415 when its content type is %j",
    async (type) => {
      const index = new FakeIndex();
      const answer = await send(index, {
        method: "POST",
        headers: { "content-type": type },
        body: '{"query":"frete"}',
      });
      expect(answer).toMatchObject({ status: 415, body: { error: "The body must be application/json" } });
      expect(index.calls).toEqual([]);
    },
  );

  it("answers 415 when it has no content type", async () => {
    const answer = await send(new FakeIndex(), {
      method: "POST",
      body: new TextEncoder().encode('{"query":"frete"}'),
    });
    expect(answer.status).toBe(415);
  });

  it.each(["application/json; charset=utf-8", "Application/JSON", "application/json;charset=utf-8"])(
    "is accepted with the content type %j",
    async (type) => {
      const answer = await send(new FakeIndex(), {
        method: "POST",
        headers: { "content-type": type },
        body: '{"query":"frete"}',
      });
      expect(answer.status).toBe(200);
    },
  );
});

describe("the size of a body", () => {
  const tooLarge = { status: 413, body: { error: "The body must not be larger than 100 bytes" } };
  /** JSON of exactly this many bytes. */
  const bodyOf = (bytes: number): string => `{"query":"${"x".repeat(bytes - '{"query":""}'.length)}"}`;
  /** A body that never ends, as a client may send it; `sent` counts its bytes. */
  const endless = (): {
    stream: ReadableStream<Uint8Array>;
    sent: () => number;
    cancelled: () => boolean;
  } => {
    let sent = 0;
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 40;
        controller.enqueue(new Uint8Array(40).fill(32));
      },
      cancel() {
        cancelled = true;
      },
    });
    return { stream, sent: () => sent, cancelled: () => cancelled };
  };

  it("is refused by content-length before anything is read", async () => {
    const index = new FakeIndex();
    const { stream, sent } = endless();
    const sentBefore = sent();
    const request = new Request("http://localhost/x", {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": "101" },
      body: stream,
      duplex: "half",
    });
    const response = await similarityHandler(index, { maxBodyBytes: 100 })(request);
    expect({ status: response.status, body: await response.json() }).toEqual(tooLarge);
    expect(request.bodyUsed).toBe(false);
    expect(sentBefore).toBe(0);
    expect(index.calls).toEqual([]);
  });

  it("is refused while it streams in without content-length, and the rest is not read", async () => {
    const index = new FakeIndex();
    const { stream, sent, cancelled } = endless();
    const answer = await send(index, { ...jsonRequest(stream), duplex: "half" }, { maxBodyBytes: 100 });
    expect(answer).toMatchObject(tooLarge);
    expect(sent()).toBeLessThan(400);
    expect(cancelled()).toBe(true);
    expect(index.calls).toEqual([]);
  });

  it("is refused even if content-length understates it", async () => {
    const headers = { "content-type": "application/json", "content-length": "5" };
    const answer = await send(new FakeIndex(), { method: "POST", headers, body: bodyOf(101) }, { maxBodyBytes: 100 });
    expect(answer).toMatchObject(tooLarge);
  });

  it("may be at most maxBodyBytes", async () => {
    const options = { maxBodyBytes: 100 };
    expect((await send(new FakeIndex(), jsonRequest(bodyOf(100)), options)).status).toBe(200);
    expect((await send(new FakeIndex(), jsonRequest(bodyOf(101)), options)).status).toBe(413);
  });

  it("may be at most 65,536 bytes by default", async () => {
    expect((await send(new FakeIndex(), jsonRequest(bodyOf(65_536)))).status).toBe(200);
    expect((await send(new FakeIndex(), jsonRequest(bodyOf(65_537)))).status).toBe(413);
  });

  it("is counted in bytes, not in characters", async () => {
    const body = '{"query":"ação ação ação"}';
    const bytes = new TextEncoder().encode(body).byteLength;
    expect(bytes).toBeGreaterThan(body.length);
    expect((await send(new FakeIndex(), jsonRequest(body), { maxBodyBytes: body.length })).status).toBe(413);
    expect((await send(new FakeIndex(), jsonRequest(body), { maxBodyBytes: bytes })).status).toBe(200);
  });

  it("may arrive in pieces that split a character", async () => {
    const bytes = new TextEncoder().encode('{"query":"ação"}');
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const index = new FakeIndex();
    expect((await send(index, { ...jsonRequest(stream), duplex: "half" })).status).toBe(200);
    expect(index.calls[0]?.query).toBe("ação");
  });
});

describe("a search that fails", () => {
  it("answers 504 after timeoutMs, and its signal has fired", async () => {
    const index = new FakeIndex(untilAborted);
    const answer = await post(index, { query: "frete" }, { timeoutMs: 20 });
    expect(answer).toMatchObject({ status: 504, body: { error: "The search took too long" } });
    expect(index.calls[0]?.options.signal?.aborted).toBe(true);
  });

  // Node collects an AbortSignal.timeout that only AbortSignal.any still references: nodejs/node#57736.
  it("answers 504 even if garbage is collected before timeoutMs ends", async () => {
    const index = new FakeIndex((query, options) => {
      setTimeout(collectGarbage, 20);
      return untilAborted(query, options);
    });
    const answer = await post(index, { query: "frete" }, { timeoutMs: 200 });
    expect(answer.status).toBe(504);
  });

  it("is not aborted before timeoutMs", async () => {
    const index = new FakeIndex();
    await post(index, { query: "frete" }, { timeoutMs: 60_000 });
    expect(index.calls[0]?.options.signal?.aborted).toBe(false);
  });

  it("leaves no timer behind", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const timers: number[] = [];
    const index = new FakeIndex(() => {
      timers.push(vi.getTimerCount());
      return [];
    });
    expect((await post(index, { query: "frete" })).status).toBe(200);
    expect([...timers, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("is aborted when the caller disconnects", async () => {
    const controller = new AbortController();
    const index = new FakeIndex((query, options) => {
      setTimeout(() => {
        controller.abort();
      }, 20);
      return untilAborted(query, options);
    });
    const init = { ...jsonRequest('{"query":"frete"}'), signal: controller.signal };
    const answer = await send(index, init);
    expect(answer.status).toBe(504);
    expect(index.calls[0]?.options.signal?.aborted).toBe(true);
  });

  it("is aborted even if garbage is collected before the caller disconnects", async () => {
    const controller = new AbortController();
    const index = new FakeIndex((query, options) => {
      setTimeout(collectGarbage, 20);
      setTimeout(() => {
        controller.abort();
      }, 200);
      return untilAborted(query, options);
    });
    const init = { ...jsonRequest('{"query":"frete"}'), signal: controller.signal };
    const answer = await send(index, init);
    expect(answer.status).toBe(504);
  });

  it("answers 503 for a retryable EmbeddingError", async () => {
    const answer = await failWith(new EmbeddingError("EMBEDDING_FAILED", "segredo", true));
    expect(answer).toMatchObject({
      status: 503,
      body: { error: "The search is not possible at the moment" },
    });
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("answers 500 for an EmbeddingError that is not retryable", async () => {
    expect((await failWith(new EmbeddingError("EMBEDDING_INVALID", "segredo", false))).status).toBe(500);
  });

  it("answers 503 for a retryable DatabaseError", async () => {
    const error = new DatabaseError("segredo", { code: "CONNECTION_FAILED", retryable: true });
    expect((await failWith(error)).status).toBe(503);
  });

  it("answers 500 for a DatabaseError that is not retryable", async () => {
    const error = new DatabaseError("segredo", { code: "DATABASE_FAILED", retryable: false });
    expect((await failWith(error)).status).toBe(500);
  });

  it("answers 500 for a schema that is not ready", async () => {
    expect((await failWith(new SchemaError("SCHEMA_MISSING", "segredo"))).status).toBe(500);
  });

  it.each([
    new Error("connect ECONNREFUSED postgres://app:segredo@db:5432", { cause: new Error("segredo") }),
    new EmbeddingError("EMBEDDING_FAILED", "segredo", true, new Error("segredo")),
    new DatabaseError("segredo", { code: "CONNECTION_FAILED", retryable: true, cause: "segredo" }),
    new DatabaseError("segredo", { code: "DATABASE_FAILED", retryable: false, cause: "segredo" }),
    new SchemaError("PROFILE_MISMATCH", "segredo"),
    new AbortError("segredo"),
  ])("reveals nothing of the error: $name", async (error) => {
    const answer = await failWith(error);
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(Object.keys(answer.body as object)).toEqual(["error"]);
    expect(answer.text).not.toContain("segredo");
    expect([...answer.headers.values()].join()).not.toContain("segredo");
  });

  it("answers 500 for a thrown value that is not an Error", async () => {
    const thrown = "segredo" as unknown as Error;
    const index: HttpIndex = { similar: () => Promise.reject(thrown) };
    const answer = await post(index, { query: "frete" });
    expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
  });
});

// Last in the file: it checks the statuses that the tests above have caused.
describe("maxConcurrent", () => {
  it("answers 429 to a search that finds no free slot, and serves the next one when a slot is free", async () => {
    const release: (() => void)[] = [];
    const index = new FakeIndex(async () => {
      await new Promise<void>((resolve) => release.push(resolve));
      return [hit];
    });
    const handler = similarityHandler(index, { maxConcurrent: 2 });
    const ask = (): Promise<Answer> => sendTo(handler, jsonRequest('{"query":"frete"}'));
    const served = [ask(), ask()];
    await vi.waitFor(() => {
      expect(release).toHaveLength(2);
    });
    const refused = await ask();
    expect(refused).toMatchObject({ status: 429, body: { error: "Too many requests at the moment" } });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await sendTo(handler, jsonRequest("{}"))).status).toBe(400);
    release.shift()?.();
    await served[0];
    const next = ask();
    await vi.waitFor(() => {
      expect(release).toHaveLength(2);
    });
    for (const free of release) free();
    expect((await Promise.all([...served, next])).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it("frees the slot of a search that fails", async () => {
    const failing = new FakeIndex(() => {
      throw new Error("segredo");
    });
    const handler = similarityHandler(failing, { maxConcurrent: 1 });
    for (let call = 0; call < 3; call++) {
      expect((await sendTo(handler, jsonRequest('{"query":"frete"}'))).status).toBe(500);
    }
  });
});

describe("docs/openapi.yaml", () => {
  it.each([
    { query: "frete" },
    { query: "frete", k: 50, strategy: "trainings" },
    { query: "frete", k: 51 },
    { query: "frete", k: "5" },
    { query: "frete", strategy: "documents" },
    { query: "frete", mode: "hybrid", filter: { grupo: "a" } },
    { query: "frete", mode: "vector", strategy: "trainings" },
    { query: "frete", mode: "text", strategy: "trainings" },
    { query: "frete", mode: "text", strategy: "chunks" },
    { query: "frete", efSearch: 100 },
    { k: 5 },
    "frete",
  ])("describes exactly the requests that are accepted: %j", async (body) => {
    const modes = ["vector", "text", "hybrid"] as const;
    const { status } = await post(new FakeIndex(), body, { modes, allowFilter: true });
    expect(isDescribedRequest(body)).toBe(status === 200);
  });

  it("describes exactly the statuses that were answered", () => {
    expect(answeredStatuses()).toEqual(describedStatuses());
  });
});
