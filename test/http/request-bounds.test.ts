/** The option `rate`, of both handlers. `maxConcurrent` is tested with each of them. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { similarityHandler, trainingsHandler, type RequestRate } from "../../src/http/handler.js";
import { RequestBounds } from "../../src/http/request-bounds.js";
import { everyone, FakeTrainings, sendTo as sendTraining } from "../support/http-trainings.js";
import { FakeIndex, jsonRequest, sendTo as sendSearch } from "../support/http.js";

/** Stops the clock for the test. @returns a function that moves it on */
function stopClock(): (milliseconds: number) => void {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  return (milliseconds) => void vi.advanceTimersByTime(milliseconds);
}

/** Counts requests with a header `key`, and says which were served, or after how many seconds to try again. */
function counter(rate: RequestRate): (key?: string) => Promise<true | number> {
  const bounds = new RequestBounds({ maxConcurrent: Infinity, rate });
  return (key = "") =>
    bounds.count(new Request("http://localhost/x", { headers: { key } })).then(
      () => true,
      (error: unknown) => Number((error as { headers: Record<string, string> }).headers["Retry-After"]),
    );
}

const keyOf = ({ headers }: Request): string => headers.get("key") ?? "";

describe("a rate", () => {
  it("serves so many requests in its time, also at the same moment, and says when to try again", async () => {
    const advance = stopClock();
    const count = counter({ requests: 3, perMs: 60_000 });
    expect([await count(), await count(), await count(), await count()]).toEqual([true, true, true, 20]);
    advance(19_999);
    expect(await count()).toBe(1);
    advance(1);
    expect([await count(), await count()]).toEqual([true, 20]);
    advance(60_000);
    expect([await count(), await count(), await count(), await count()]).toEqual([true, true, true, 20]);
  });

  it("serves its number on average, whatever is asked for", async () => {
    const advance = stopClock();
    const count = counter({ requests: 7, perMs: 1000 });
    let served = 0;
    for (let now = 0; now < 10_000; now += 10) {
      if ((await count()) === true) served += 1;
      advance(10);
    }
    // Seven at the beginning, and seven in each second.
    expect(served).toBeGreaterThanOrEqual(75);
    expect(served).toBeLessThanOrEqual(77);
  });

  it("is counted for each key, and forgets keys without recent requests", async () => {
    const advance = stopClock();
    const count = counter({ requests: 1, perMs: 1000, keyOf });
    expect([await count("acme"), await count("globex"), await count("acme")]).toEqual([true, true, 1]);
    advance(1000);
    expect([await count("acme"), await count("globex")]).toEqual([true, true]);
    const sweep = vi.spyOn(Map.prototype, "delete");
    onTestFinished(() => {
      sweep.mockRestore();
    });
    for (let key = 0; key < 998; key += 1) await count(key.toString());
    expect(sweep).not.toHaveBeenCalled();
    advance(1000);
    for (let key = 1000; key < 2001; key += 1) await count(key.toString());
    expect(sweep.mock.calls.length).toBeGreaterThanOrEqual(1000);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("segredo"))],
    ["returns no text", () => undefined as never],
  ])("serves nothing if keyOf %s", async (_name, failingKeyOf) => {
    const bounds = new RequestBounds({
      maxConcurrent: Infinity,
      rate: { requests: 1, perMs: 1, keyOf: failingKeyOf },
    });
    await expect(bounds.count(new Request("http://localhost/x"))).rejects.toMatchObject({ option: "rate.keyOf" });
  });

  it("bounds searches and trainings, after authorization and for each caller", async () => {
    const authorize = ({ headers }: Request): boolean => headers.has("key");
    const rate = { requests: 1, perMs: 60_000, keyOf };
    const search = similarityHandler(new FakeIndex(), { authorize, rate });
    const trainings = trainingsHandler(new FakeTrainings(), { ...everyone, authorize, rate });
    for (const [key, expected] of [
      ["acme", 200],
      ["acme", 429],
      ["globex", 200],
      [undefined, 401],
    ] as const) {
      const headers = { "content-type": "application/json", ...(key === undefined ? {} : { key }) };
      const found = await sendSearch(search, { ...jsonRequest('{"query":"frete"}'), headers });
      const listed = await sendTraining(trainings, "/trainings", { headers });
      expect([found.status, listed.status]).toEqual([expected, expected]);
      if (expected === 429) expect(listed.headers.get("retry-after")).toBe("60");
    }
  });

  it.each([
    ["rate", { rate: 5 }],
    ["rate.requests", { rate: { requests: 0, perMs: 5 } }],
    ["rate.perMs", { rate: { requests: 5 } }],
    ["rate.per", { rate: { requests: 5, perMs: 5, per: 1 } }],
  ])("is refused at creation with an invalid %s", (option, options) => {
    expect(() => similarityHandler(new FakeIndex(), options as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option }) as Error,
    );
  });
});
