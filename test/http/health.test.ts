import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { DatabaseError, InvalidArgumentError, SchemaError } from "../../src/errors.js";
import { bearerToken, healthHandler, type HealthHandlerOptions, type ObservableIndex } from "../../src/http/handler.js";
import type { IndexStatus, StatusWarning } from "../../src/inspecting/index-status.js";
import type { StatusOptions } from "../../src/inspecting/status.js";
import { answeredStatuses, checkAnswer, describedStatuses, HEALTH } from "../support/openapi.js";

const MISSING: StatusWarning = { code: "VECTOR_INDEX_MISSING", message: "segredo: run migrate(pool)" };

/** Answers with these warnings, or fails; records the options of each call. */
class FakeIndex implements ObservableIndex {
  readonly calls: StatusOptions[] = [];
  warnings: StatusWarning[] = [];
  failure: Error | undefined;
  before: () => Promise<unknown> = () => Promise.resolve();

  async status(options: StatusOptions = {}): Promise<IndexStatus> {
    this.calls.push(options);
    await this.before();
    if (this.failure) throw this.failure;
    return { warnings: this.warnings } as IndexStatus;
  }
}

type Handler = ReturnType<typeof healthHandler>;

async function ask(handler: Handler, init: RequestInit = {}): Promise<{ status: number; body: unknown }> {
  const response = await handler(new Request("http://localhost/health", init));
  const text = await response.text();
  checkAnswer(HEALTH, response, text);
  return { status: response.status, body: JSON.parse(text) };
}

function askOnce(index: ObservableIndex, options?: HealthHandlerOptions, init?: RequestInit): ReturnType<typeof ask> {
  return ask(healthHandler(index, options), init);
}

describe("a health check over HTTP", () => {
  it("answers 200 and says whether there are warnings, but not which", async () => {
    const index = new FakeIndex();
    expect(await askOnce(index)).toEqual({ status: 200, body: { status: "ok" } });
    index.warnings = [MISSING];
    expect(await askOnce(index)).toEqual({ status: 200, body: { status: "degraded" } });
    expect(index.calls[0]).toEqual({ counts: false, timeoutMs: 5000 });
  });

  it("answers 503 with a warning that the host counts as an outage", async () => {
    const index = new FakeIndex();
    index.warnings = [MISSING];
    const failOn = ["VECTOR_INDEX_MISSING"] as const;
    expect(await askOnce(index, { failOn })).toEqual({ status: 503, body: { status: "unavailable" } });
    expect(await askOnce(index, { failOn: ["DEAD_ROWS"] })).toMatchObject({ status: 200 });
  });

  it("shows warnings with details, and then only", async () => {
    const index = new FakeIndex();
    index.warnings = [MISSING];
    const body = { status: "degraded", warnings: [MISSING] };
    expect(await askOnce(index, { details: true })).toEqual({ status: 200, body });
  });

  it.each([
    new DatabaseError("segredo", { code: "CONNECTION_FAILED", retryable: true }),
    new SchemaError("SCHEMA_MISSING", "segredo"),
    new SchemaError("PROFILE_MISMATCH", "segredo"),
    new TypeError("segredo"),
  ])("answers 503 without details if the index fails with %o, and reports the error", async (failure) => {
    const index = new FakeIndex();
    index.failure = failure;
    const onError = vi.fn();
    expect(await askOnce(index, { onError, details: true })).toEqual({ status: 503, body: { status: "unavailable" } });
    expect(onError).toHaveBeenCalledExactlyOnceWith(failure, expect.any(Request));
    onError.mockImplementation(() => {
      throw new Error("log");
    });
    expect(await askOnce(index, { onError })).toMatchObject({ status: 503 });
  });

  it("answers 503 in time if the index or authorize does not answer", async () => {
    const index = new FakeIndex();
    index.before = () => new Promise(() => undefined);
    const begin = performance.now();
    expect(await askOnce(index, { timeoutMs: 50 })).toMatchObject({ status: 503 });
    const authorize = (): Promise<boolean> => new Promise(() => undefined);
    expect(await askOnce(new FakeIndex(), { timeoutMs: 50, authorize })).toMatchObject({ status: 503 });
    expect(performance.now() - begin).toBeLessThan(2000);
  });

  it("takes GET and HEAD only", async () => {
    const index = new FakeIndex();
    expect(await askOnce(index, {}, { method: "POST", body: "{}" })).toMatchObject({ status: 405 });
    const response = await healthHandler(index)(new Request("http://localhost/", { method: "HEAD" }));
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  it("asks authorize before the index", async () => {
    const index = new FakeIndex();
    const authorize = bearerToken("token");
    expect(await askOnce(index, { authorize })).toMatchObject({ status: 401 });
    expect(index.calls).toHaveLength(0);
    const headers = { authorization: "Bearer token" };
    expect(await askOnce(index, { authorize }, { headers })).toMatchObject({ status: 200 });
    const broken = (): never => {
      throw new Error("segredo");
    };
    expect(await askOnce(index, { authorize: broken })).toEqual({ status: 503, body: { status: "unavailable" } });
  });

  it("asks the index once for many requests, and again when the result is old", async () => {
    vi.useFakeTimers({ toFake: ["performance"] }); // on a busy machine the requests take longer than the result is kept
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const index = new FakeIndex();
    index.before = () => sleep(20);
    const handler = healthHandler(index, { maxAgeMs: 100 });
    await Promise.all(Array.from({ length: 50 }, () => ask(handler)));
    await ask(handler);
    expect(index.calls).toHaveLength(1);
    vi.advanceTimersByTime(110);
    index.failure = new Error("gone");
    expect(await ask(handler)).toMatchObject({ status: 503 });
    expect(index.calls).toHaveLength(2);
  });

  it("without maxAgeMs shares only the check that is running", async () => {
    const index = new FakeIndex();
    const handler = healthHandler(index, { maxAgeMs: 0 });
    await Promise.all([ask(handler), ask(handler)]);
    expect(index.calls).toHaveLength(1);
    await ask(handler);
    expect(index.calls).toHaveLength(2);
  });

  it("a caller that disconnects is no outage", async () => {
    const index = new FakeIndex();
    index.before = () => sleep(50);
    const onError = vi.fn();
    const controller = new AbortController();
    const running = askOnce(index, { onError }, { signal: controller.signal });
    controller.abort();
    expect(await running).toMatchObject({ status: 503 });
    expect(onError).not.toHaveBeenCalled();
  });

  it.each([
    ["index", () => healthHandler({} as never)],
    ["index", () => healthHandler(Promise.resolve(new FakeIndex()) as never)],
    ["failOn", () => healthHandler(new FakeIndex(), { failOn: ["MISSING"] as never })],
    ["failOn", () => healthHandler(new FakeIndex(), { failOn: "DEAD_ROWS" as never })],
    ["details", () => healthHandler(new FakeIndex(), { details: "false" as never })],
    ["timeoutMs", () => healthHandler(new FakeIndex(), { timeoutMs: 0 })],
    ["maxAgeMs", () => healthHandler(new FakeIndex(), { maxAgeMs: -1 })],
    ["authorize", () => healthHandler(new FakeIndex(), { authorize: "token" as never })],
    ["onError", () => healthHandler(new FakeIndex(), { onError: 5 as never })],
    ["detail", () => healthHandler(new FakeIndex(), { detail: true } as never)],
  ])("refuses a wrong %s when it is made (%#)", (option, make) => {
    let failure: unknown;
    try {
      make();
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(InvalidArgumentError);
    expect(failure).toMatchObject({ option });
  });

  it("answers as docs/openapi.yaml says, with every status that is there", () => {
    expect(answeredStatuses(HEALTH)).toEqual(describedStatuses(HEALTH));
  });
});
