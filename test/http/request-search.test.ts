/** The option `options`: what the host sets for one request, for example by its tenant. */
import { describe, expect, it } from "vitest";
import { DatabaseError, InvalidArgumentError } from "../../src/errors.js";
import { similarityHandler, type RequestSearch, type SimilarityHandlerOptions } from "../../src/http/handler.js";
import { FakeIndex, jsonRequest, post } from "../support/http.js";

/** What the index is asked for, and the status, if `options` returns this. */
async function askedWith(
  returned: RequestSearch,
  body: object = { query: "frete" },
  options: SimilarityHandlerOptions = {},
): Promise<{ status: number; asked: unknown }> {
  const index = new FakeIndex();
  const { status } = await post(index, body, { ...options, options: () => returned });
  return { status, asked: index.calls[0]?.options };
}

describe("options of one request", () => {
  it("come from the request, so that one handler serves tenants", async () => {
    const index = new FakeIndex();
    const handler = similarityHandler(index, {
      options: async ({ headers }) => Promise.resolve({ filter: { tenant: headers.get("x-tenant") ?? "" } }),
    });
    for (const tenant of ["acme", "globex"]) {
      const request = new Request("http://localhost/x", jsonRequest('{"query":"frete"}'));
      request.headers.set("x-tenant", tenant);
      expect((await handler(request)).status).toBe(200);
    }
    expect(index.calls.map(({ options }) => options.filter)).toEqual([{ tenant: "acme" }, { tenant: "globex" }]);
  });

  it("narrow the host's own, and the request narrows both", async () => {
    const search = { filter: { ano: 2026 }, minScore: 0.5, maxDistance: 1, perTraining: 3, timeoutMs: 1000, k: 10 };
    const narrower = { filter: { tenant: "a" }, minScore: 0.7, maxDistance: 0.5, perTraining: 1, timeoutMs: 500, k: 4 };
    const { asked } = await askedWith(narrower, { query: "frete" }, { search });
    expect(asked).toMatchObject({ ...narrower, filter: { $and: [{ ano: 2026 }, { tenant: "a" }] } });

    const wider = { minScore: -1, maxDistance: 2, perTraining: 9, timeoutMs: 9000, k: 50 };
    const kept = await askedWith(wider, { query: "frete" }, { search });
    expect(kept.asked).toMatchObject(search);

    const filtered = { query: "frete", filter: { $or: [{ tenant: "b" }, { tenant: "a" }] }, k: 2 };
    const both = await askedWith({ filter: { tenant: "a" } }, filtered, { allowFilter: true });
    expect(both.asked).toMatchObject({ filter: { $and: [{ tenant: "a" }, filtered.filter] }, k: 2 });
  });

  it("bound the k of the request", async () => {
    expect(await askedWith({ k: 3 })).toMatchObject({ asked: { k: 3 } });
    expect(await askedWith({ k: 3 }, { query: "frete", k: 2 })).toMatchObject({ asked: { k: 2 } });
    expect(await askedWith({ k: 3 }, { query: "frete", k: 4 })).toEqual({ status: 400, asked: undefined });
    expect(await askedWith({ k: 90 })).toMatchObject({ asked: { k: 50 } });
    expect(await askedWith({ k: 90 }, { query: "frete", k: 51 }, { maxK: 60 })).toMatchObject({ asked: { k: 51 } });
    expect(await askedWith({})).toMatchObject({ asked: { k: 5 } });
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a filter that is undefined", { filter: undefined }],
    ["a filter that is null", { filter: null }],
    ["an empty filter", { filter: {} }],
    ["a filter without a value", { filter: { tenant: undefined } }],
    ["a misspelled name", { filters: { tenant: "a" } }],
    ["a mode", { mode: "text" }],
    ["a k of the wrong type", { k: "5" }],
    ["a list", [{ filter: { tenant: "a" } }]],
  ])("are refused with 500 if the function returns %s: nothing is searched", async (_case, returned) => {
    const errors: unknown[] = [];
    const index = new FakeIndex();
    const answer = await post(
      index,
      { query: "frete" },
      { options: () => returned as RequestSearch, onError: (error) => errors.push(error) },
    );
    expect(answer).toMatchObject({ status: 500, body: { error: "The search failed" } });
    expect(errors).toEqual([expect.any(InvalidArgumentError)]);
    expect(index.calls).toEqual([]);
  });

  it("answer 500 without details if the function throws, and 503 for an outage of its own", async () => {
    const failing = async (error: Error): Promise<unknown> => {
      const options = (): Promise<RequestSearch> => Promise.reject(error);
      return post(new FakeIndex(), { query: "frete" }, { options });
    };
    const details = { status: 500, body: { error: "The search failed" } };
    expect(await failing(new Error("no tenant segredo"))).toMatchObject(details);
    expect(await failing(new InvalidArgumentError("query", "segredo"))).toMatchObject(details);
    const down = new DatabaseError("segredo", { code: "CONNECTION_FAILED", retryable: true });
    expect(await failing(down)).toMatchObject({ status: 503 });
  });

  it("are asked for after authorize, and before the body is read", async () => {
    const calls: string[] = [];
    const options: SimilarityHandlerOptions = {
      authorize: ({ bodyUsed }) => calls.push(`authorize ${bodyUsed}`) === 1,
      options: ({ bodyUsed }) => {
        calls.push(`options ${bodyUsed}`);
        return {};
      },
    };
    await post(new FakeIndex(), { query: "frete" }, options);
    expect((await post(new FakeIndex(), { query: "frete" }, options)).status).toBe(401);
    expect(calls).toEqual(["authorize false", "options false", "authorize false"]);
  });
});
