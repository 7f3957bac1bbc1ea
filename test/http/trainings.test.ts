import type { Training } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import {
  AbortError,
  DatabaseError,
  EmbeddingError,
  InvalidArgumentError,
  SchemaError,
  TimeLimitPassed,
} from "../../src/errors.js";
import { bearerToken, trainingsHandler, type TrainingsHandlerOptions } from "../../src/http/handler.js";
import { ID_TAKEN } from "../../src/writing/scope.js";
import {
  everyone,
  FakeTrainings,
  IDS_OF_ANY_CHARACTERS,
  put,
  send,
  sendTo,
  stored,
  upserted,
} from "../support/http-trainings.js";
import { answeredStatuses, describedStatuses, isDescribedRequest, TRAININGS } from "../support/openapi.js";

const FRETE = { content: "O frete custa doze reais." };
/** A request of each operation. */
const ONE_REQUEST_EACH = [
  ["/trainings", {}],
  ["/trainings/a", {}],
  ["/trainings/a", put(FRETE)],
  ["/trainings/a", { method: "DELETE" }],
] as const;
function failing(error: unknown): FakeTrainings {
  return new FakeTrainings(() => {
    throw error;
  });
}

describe("trainings over HTTP", () => {
  it("are listed, page by page", async () => {
    const all = ["a", "b", "c"].map((id) => ({ ...stored, id }));
    const index = new FakeTrainings(({ args: [options] }) => {
      const { limit, after } = options as { limit: number; after?: string };
      return all.filter(({ id }) => after === undefined || id > after).slice(0, limit);
    });
    const json = all.map((training) => ({ ...training, updatedAt: "2026-11-26T12:00:00.000Z" }));
    const first = await send(index, "/trainings?limit=2");
    expect(first).toMatchObject({ status: 200, body: { trainings: json.slice(0, 2), next: "b" } });
    expect(first.headers.get("cache-control")).toBe("no-store");
    expect(await send(index, "/trainings?limit=2&after=b")).toMatchObject({
      body: { trainings: json.slice(2), next: null },
    });
    expect((await send(index, "/trainings/?limit=3")).body).toEqual({ trainings: json, next: null });
    expect(index.calls[0]).toMatchObject({ method: "list", args: [{ limit: 3 }] });
    await send(index, "/trainings", {}, { ...everyone, maxLimit: 7 });
    expect(index.calls.at(-1)?.args).toMatchObject([{ limit: 8 }]);
  });

  it("are read, with bigints as texts, and without a body for HEAD", async () => {
    const large = { ...stored, id: 9_007_199_254_740_993n, revision: 9_007_199_254_740_995n };
    const index = new FakeTrainings(() => large);
    const answer = await send(index, "/trainings/9007199254740993");
    expect(answer).toMatchObject({ status: 200, body: { id: "9007199254740993", revision: "9007199254740995" } });
    expect(index.calls[0]).toMatchObject({ method: "get", args: ["9007199254740993", {}] });
    expect(await send(index, "/trainings/7", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  it("answers 404 for one that is not stored", async () => {
    const index = new FakeTrainings();
    index.get = () => Promise.resolve(undefined);
    expect(await send(index, "/trainings/x")).toMatchObject({
      status: 404,
      body: { error: "There is no such training" },
    });
  });

  it.each([
    ["a text", { ...FRETE, metadata: { grupo: "loja" }, revision: 3 }],
    ["documents", { documents: [{ pageContent: "Um." }, "{}"], split: false }],
  ])("are stored: %s", async (_name, body) => {
    const index = new FakeTrainings();
    expect(await send(index, "/trainings/frete", put(body))).toMatchObject({ status: 200, body: upserted });
    expect(index.calls).toMatchObject([{ method: "upsertTraining", filters: [] }]);
    expect(index.calls[0]?.args[0]).toEqual({ id: "frete", revision: undefined, metadata: undefined, ...body });
    expect((index.calls[0]?.args[1] as { signal: unknown }).signal).toBeInstanceOf(AbortSignal);
  });

  it("are deleted, with or without a revision", async () => {
    const index = new FakeTrainings();
    const answer = await send(index, "/trainings/frete", { method: "DELETE" });
    expect(answer).toMatchObject({ status: 200, body: { id: "frete", status: "deleted", removed: 1 } });
    await send(index, "/trainings/frete?revision=1764158400000000123", { method: "DELETE" });
    expect(index.calls.map(({ args: [id, options] }) => [id, (options as { revision?: bigint }).revision])).toEqual([
      ["frete", undefined],
      ["frete", 1764158400000000123n],
    ]);
  });

  it.each(IDS_OF_ANY_CHARACTERS)("have ids of any characters: %j", async (id) => {
    const index = new FakeTrainings();
    const path = `/trainings/${encodeURIComponent(id)}`;
    for (const init of [{}, put(FRETE), { method: "DELETE" }]) expect((await send(index, path, init)).status).toBe(200);
    const ids = index.calls.map(({ method, args: [first] }) =>
      method === "upsertTraining" ? (first as Training).id : first,
    );
    expect(ids).toEqual([id, id, id]);
  });

  it.each(["..", "%2e%2e", "."])("cannot be reached by mistake, with the id %s that URLs resolve", async (id) => {
    const index = new FakeTrainings();
    const handler = trainingsHandler(index, everyone);
    for (const method of ["PUT", "DELETE"]) {
      expect((await handler(new Request(`http://localhost/trainings/${id}`, { method }))).status).toBeGreaterThan(403);
    }
    expect(index.calls).toEqual([]);
  });

  it("are where the host mounts them", async () => {
    const index = new FakeTrainings();
    const statusAt = async (path: string, url: string): Promise<number> =>
      (await trainingsHandler(index, { ...everyone, path })(new Request(`http://localhost${url}`))).status;
    expect(await statusAt("/api/v1/treinamentos", "/api/v1/treinamentos/a%2Fb")).toBe(200);
    expect(await statusAt("", "/a")).toBe(200);
    expect(await statusAt("", "/")).toBe(200);
    expect(index.calls.map(({ args: [id] }) => id)).toMatchObject(["a/b", "a", { limit: 101 }]);
    for (const url of ["/", "/training", "/trainingsx", "/api/trainings"])
      expect(await statusAt("/trainings", url)).toBe(404);
  });
});

describe("a request for trainings", () => {
  it.each([
    ["GET", "/trainings?limit=0", "limit must be an integer from 1 to 100"],
    ["GET", "/trainings?limit=101", "limit must be an integer from 1 to 100"],
    ["GET", "/trainings?limit=2.5", "limit must be an integer from 1 to 100"],
    ["GET", "/trainings?limit=", "limit must be an integer from 1 to 100"],
    ["GET", "/trainings?limit=1&limit=2", "The query may have each of these parameters once: limit, after"],
    ["GET", "/trainings?filter=x", "The query may have each of these parameters once: limit, after"],
    ["GET", "/trainings/a?chunks=true", "The query may have no parameters"],
    ["DELETE", "/trainings/a?revison=7", "The query may have each of these parameters once: revision"],
    ["DELETE", "/trainings/a?revision=", "revision must be a number up to 2^53 - 1, or the digits"],
    ["DELETE", "/trainings/a?revision=1e3", "revision must be a number up to 2^53 - 1, or the digits"],
    ["DELETE", `/trainings/a?revision=${"9".repeat(41)}`, "revision must be a number up to 2^53 - 1, or the digits"],
    ["GET", "/trainings/%E0%A4%A", "id must be UTF-8, percent-encoded"],
    ["GET", "/trainings/%FF", "id must be UTF-8, percent-encoded"],
  ])("is refused with 400: %s %s", async (method, path, error) => {
    const index = new FakeTrainings();
    const answer = await send(index, path, { method });
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(error) as string } });
    expect(index.calls).toEqual([]);
  });

  it.each([
    ["/trainings", "GET, HEAD", ["PUT", "DELETE", "POST"]],
    ["/trainings/", "GET, HEAD", ["PUT", "DELETE"]],
    ["/trainings/a", "GET, HEAD, PUT, DELETE", ["POST", "PATCH", "OPTIONS"]],
  ])("is refused with 405 for another method of %s", async (path, allowed, methods) => {
    const index = new FakeTrainings();
    for (const method of methods) {
      const answer = await send(index, path, { method });
      expect(answer.status, method).toBe(405);
      expect(answer.headers.get("allow")).toBe(allowed);
    }
    expect(index.calls).toEqual([]);
  });

  it.each([
    [{ ...FRETE, revision: 1.5 }, 1.5],
    [{ ...FRETE, revision: -7 }, -7],
    [{ ...FRETE, revision: "1764158400000000123" }, 1764158400000000123n],
  ])("has a revision that is a number or digits: %j", async (body, revision) => {
    const index = new FakeTrainings();
    expect((await send(index, "/trainings/a", put(body))).status).toBe(200);
    expect(index.calls[0]?.args[0]).toMatchObject({ revision });
    expect(isDescribedRequest(body, "Training")).toBe(true);
  });

  it.each([
    [{ ...FRETE, revision: null }, "revision must be"],
    [{ ...FRETE, revision: true }, "revision must be"],
    [{ ...FRETE, revision: "2026-11-26" }, "revision must be"],
    [{ ...FRETE, id: "b" }, "The body has a key other than content, documents, metadata, revision, split"],
    [{ ...FRETE, tenant: "globex" }, "The body has a key other than"],
    [JSON.parse('{"content":"a","__proto__":{"id":"b"}}'), "The body has a key other than"],
    [[FRETE], "The body must be an object"],
    [null, "The body must be an object"],
  ])("is refused with 400 for the body %j", async (body, error) => {
    const index = new FakeTrainings();
    const answer = await send(index, "/trainings/a", put(body));
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(error) as string } });
    expect(index.calls).toEqual([]);
    expect(isDescribedRequest(body, "Training")).toBe(false);
  });

  it("is refused with 400 for a revision that JSON.parse rounds, and with 415 for another type", async () => {
    const index = new FakeTrainings();
    const init = { ...put({}), body: '{"content":"a","revision":1764158400000000123}' };
    expect((await send(index, "/trainings/a", init)).status).toBe(400);
    expect((await send(index, "/trainings/a", { method: "PUT", body: "content=a" })).status).toBe(415);
    expect(index.calls).toEqual([]);
  });

  it("is refused with 413 for a body of 10 MB before it arrives, and for more than maxBodyBytes", async () => {
    const index = new FakeTrainings();
    let pulled = 0;
    const body = new ReadableStream({ pull: () => void (pulled += 1) }, { highWaterMark: 0 });
    const headers = { "content-type": "application/json", "content-length": "10000000" };
    const large = new Request("http://localhost/trainings/a", { method: "PUT", headers, body, duplex: "half" });
    const response = await trainingsHandler(index, everyone)(large);
    expect([response.status, pulled, large.bodyUsed]).toEqual([413, 0, false]);
    const options = { ...everyone, maxBodyBytes: 30 };
    expect((await send(index, "/trainings/a", put({ content: "x".repeat(16) }), options)).status).toBe(200);
    expect((await send(index, "/trainings/a", put({ content: "x".repeat(17) }), options)).status).toBe(413);
    expect(index.calls).toHaveLength(1);
  });
});

describe("the authorization of trainings", () => {
  it.each([{}, { authorize: undefined }, { authorize: "token" }, { authorize: true }])("is required: %j", (options) => {
    expect(() => trainingsHandler(new FakeTrainings(), options as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option: "authorize" }) as Error,
    );
  });

  it("comes before all else, also before the path is looked at and the body is read", async () => {
    const index = new FakeTrainings();
    const asked: string[] = [];
    const authorize = bearerToken("segredo");
    const options = (request: Request): object => (asked.push(request.method), {});
    const handler = trainingsHandler(index, { authorize, options });
    for (const [path, init] of ONE_REQUEST_EACH) {
      const answer = await sendTo(handler, path, init);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
    expect((await handler(new Request("http://localhost/elsewhere"))).status).toBe(401);
    expect([index.calls, asked]).toEqual([[], []]);
    expect((await sendTo(handler, "/trainings/a", { headers: { authorization: "Bearer segredo" } })).status).toBe(200);
  });

  it("may let some callers only read", async () => {
    const handler = trainingsHandler(new FakeTrainings(), { authorize: ({ method }) => method === "GET" });
    expect((await sendTo(handler, "/trainings/a")).status).toBe(200);
    expect((await sendTo(handler, "/trainings/a", put(FRETE))).status).toBe(401);
  });
});

describe("the trainings of one request", () => {
  const acme: TrainingsHandlerOptions = { ...everyone, options: () => ({ filter: { empresa: "acme" } }) };

  it("are those of its filter, which is also stored", async () => {
    const index = new FakeTrainings();
    for (const [path, init] of [
      ["/trainings", {}],
      ["/trainings/a", {}],
      ["/trainings/a", put({ ...FRETE, metadata: { grupo: "loja" } })],
      ["/trainings/a", put(FRETE)],
      ["/trainings/a", put({ ...FRETE, metadata: { empresa: "globex" } })],
      ["/trainings/a", put({ ...FRETE, metadata: "loja" })],
      ["/trainings/a", { method: "DELETE" }],
    ] as const) {
      await send(index, path, init, acme);
    }
    expect(index.calls.map(({ filters }) => filters)).toEqual(index.calls.map(() => [{ empresa: "acme" }]));
    const metadata = index.calls.filter(({ method }) => method === "upsertTraining").map(({ args: [given] }) => given);
    expect(metadata).toMatchObject([
      { metadata: { empresa: "acme", grupo: "loja" } },
      { metadata: { empresa: "acme" } },
      // Refused by the index, as is what is no object.
      { metadata: { empresa: "globex" } },
      { metadata: "loja" },
    ]);
  });

  it("may come from a promise, and may be all", async () => {
    const index = new FakeTrainings();
    const filter = { grupo: { in: ["a", "b"] } };
    await send(index, "/trainings/a", {}, { ...everyone, options: () => Promise.resolve({ filter }) });
    await send(index, "/trainings/a", {}, { ...everyone, options: () => ({}) });
    expect(index.calls.map(({ filters }) => filters)).toEqual([[filter], []]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("segredo"))],
    ["returns nothing", () => undefined],
    ["returns a filter that is undefined", () => ({ filter: undefined })],
    ["returns an unknown name", () => ({ filters: { empresa: "acme" } })],
  ])("are none if options %s", async (_name, options) => {
    const index = new FakeTrainings();
    const told: unknown[] = [];
    const onError = (error: unknown): void => void told.push(error);
    for (const init of [{}, put(FRETE), { method: "DELETE" }]) {
      const answer = await send(index, "/trainings/a", init, { ...everyone, options: options as never, onError });
      expect(answer).toMatchObject({ status: 500, body: { error: "The request failed" } });
    }
    expect(index.calls).toEqual([]);
    expect(told).toHaveLength(3);
  });
});

describe("a request for trainings that fails", () => {
  it.each<[string, unknown, number, string]>([
    [
      "the body's values",
      new InvalidArgumentError("training.content", "must be a string"),
      400,
      "content must be a string",
    ],
    [
      "the body",
      new InvalidArgumentError("training", "must have either content or documents"),
      400,
      "training must have",
    ],
    [
      "a document",
      new EmbeddingError("TEXT_TOO_LONG", "segredo", false),
      400,
      "A document is longer than the model reads",
    ],
    ["an id of another tenant", new InvalidArgumentError("training.id", ID_TAKEN), 409, "The id is not available"],
    ["a filter that only reads", new InvalidArgumentError("filter", "segredo"), 403, "Only reads are allowed here"],
    ["an option of the host", new InvalidArgumentError("header", "segredo"), 500, "The request failed"],
    ["the schema", new SchemaError("SCHEMA_MISSING", "segredo"), 500, "The request failed"],
    ["the host's code", new Error("segredo"), 500, "The request failed"],
    ["the embedder", new EmbeddingError("EMBEDDING_FAILED", "segredo", true), 503, "The request is not possible"],
    [
      "a conflict",
      new DatabaseError("segredo", { code: "CONFLICT", retryable: true }),
      503,
      "The request is not possible",
    ],
    [
      "a time limit",
      new DatabaseError("segredo", { code: "TIMEOUT", retryable: true }),
      504,
      "The request took too long",
    ],
    ["an abort", new AbortError(new TimeLimitPassed(1)), 504, "The request took too long"],
  ])("because of %s answers with its status and no more", async (_name, error, status, text) => {
    const told: unknown[] = [];
    const onError = (given: unknown): void => void told.push(given);
    const answer = await send(failing(error), "/trainings/a", put(FRETE), { ...everyone, onError });
    expect(answer).toMatchObject({ status, body: { error: expect.stringContaining(text) as string } });
    expect(answer.text).not.toContain("segredo");
    expect(answer.headers.get("retry-after")).toBe(status === 503 ? "5" : null);
    expect(told).toEqual(status >= 500 ? [error] : []);
  });

  it.each([
    ["GET", "/trainings", new InvalidArgumentError("after", "must be a uuid"), 400],
    ["GET", "/trainings/a", new InvalidArgumentError("id", "must be a uuid"), 400],
    ["DELETE", "/trainings/a", new InvalidArgumentError("id", "must be a uuid"), 400],
    ["DELETE", "/trainings/a", new InvalidArgumentError("filter", "segredo"), 403],
    ...["/trainings", "/trainings/a"].flatMap((path) =>
      ["GET", ...(path === "/trainings" ? [] : ["DELETE"])].flatMap((method) => [
        [method, path, new Error("segredo"), 500] as const,
        [method, path, new DatabaseError("segredo", { code: "CONNECTION_FAILED", retryable: true }), 503] as const,
        [method, path, new AbortError("segredo"), 504] as const,
      ]),
    ),
  ] as const)("is told so: %s %s with %o", async (method, path, error, status) => {
    const answer = await send(failing(error), path, { method });
    expect(answer.status).toBe(status);
    expect(answer.text).not.toContain("segredo");
  });

  it("answers 409 if the host's row is missing, so that no caller takes the training for stored", async () => {
    const superseded = (reason: string): FakeTrainings =>
      new FakeTrainings(() => ({ ...upserted, status: "superseded", reason }));
    expect((await send(superseded("hostRowMissing"), "/trainings/a", put(FRETE))).status).toBe(409);
    const answer = await send(superseded("deleted"), "/trainings/a", put(FRETE));
    expect(answer).toMatchObject({ status: 200, body: { status: "superseded", reason: "deleted" } });
  });

  it.each<[string, Partial<TrainingsHandlerOptions>, () => AbortSignal | null]>([
    ["after timeoutMs", { timeoutMs: 20 }, () => null],
    ["when the caller disconnects", {}, () => AbortSignal.timeout(20)],
  ])("ends %s, and so does its work", async (_name, options, makeSignal) => {
    const signals: AbortSignal[] = [];
    const index = new FakeTrainings(({ args }) => {
      signals.push((args[1] as { signal: AbortSignal }).signal);
      return new Promise(() => undefined);
    });
    const init = { ...put(FRETE), signal: makeSignal() };
    expect((await send(index, "/trainings/a", init, { ...everyone, ...options })).status).toBe(504);
    expect(signals[0]?.aborted).toBe(true);
  });
});

describe("options of trainingsHandler", () => {
  it.each([
    ["path", { path: "trainings" }],
    ["path", { path: "/trainings/" }],
    ["path", { path: "/trainings?x" }],
    ["path", { path: 5 }],
    ["maxLimit", { maxLimit: 0 }],
    ["maxLimit", { maxLimit: 501 }],
    ["maxBodyBytes", { maxBodyBytes: "1mb" }],
    ["timeoutMs", { timeoutMs: 2 ** 31 }],
    ["maxConcurrent", { maxConcurrent: 0 }],
    ["rate.requests", { rate: { perMs: 5 } }],
    ["rate.perMs", { rate: { requests: 5, perMs: 0 } }],
    ["rate.keyOf", { rate: { requests: 5, perMs: 5, keyOf: "tenant" } }],
    ["rate.key", { rate: { requests: 5, perMs: 5, key: () => "" } }],
    ["options", { options: { filter: {} } }],
    ["onError", { onError: true }],
    ["filter", { filter: { empresa: "acme" } }],
  ])("refuses an invalid %s at creation: %j", (option, options) => {
    expect(() => trainingsHandler(new FakeTrainings(), { ...everyone, ...options } as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option }) as Error,
    );
  });

  it("refuses anything that is not an index", () => {
    expect(() => trainingsHandler({} as never, everyone)).toThrow("index must be a TrainingIndex");
    expect(() => trainingsHandler(Promise.resolve() as never, everyone)).toThrow("index is a promise: await");
  });
});

// Last in the file: it checks the statuses that the tests above have caused.
describe("docs/openapi.yaml", () => {
  it("describes exactly the statuses of trainings that were answered", async () => {
    const busy = trainingsHandler(new FakeTrainings(() => new Promise((resolve) => setTimeout(resolve, 20))), {
      ...everyone,
      maxConcurrent: 1,
    });
    const first = sendTo(busy, "/trainings");
    for (const [path, init] of ONE_REQUEST_EACH) {
      expect((await sendTo(busy, path, init)).status).toBe(429);
    }
    await first;
    for (const operation of Object.values(TRAININGS)) {
      expect(answeredStatuses(operation), operation.join()).toEqual(describedStatuses(operation));
    }
  });
});
