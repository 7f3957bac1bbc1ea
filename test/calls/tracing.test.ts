import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { notifier, type Notice } from "../../src/calls/notices.js";
import { CHANNEL_NAMES, describeFailure, runWith, searchChannel, traced } from "../../src/calls/tracing.js";
import type { SearchTrace } from "../../src/calls/tracing.js";
import { AbortError, DatabaseError, InvalidArgumentError } from "../../src/errors.js";
import { subscribeAll, subscribeNotices } from "../support/channels.js";

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

function trace(): SearchTrace {
  const begun = { schema: "s", model: "m", mode: "vector", strategy: "chunks", k: 1, filtered: false, reranked: false };
  return { ...begun, queryText: () => "segredo" } as SearchTrace;
}

describe("traced", () => {
  it("only calls the work if nobody listens", () => {
    const working = Promise.resolve(7);
    const begin = (): never => {
      throw new Error("is not called");
    };
    expect(traced(searchChannel, begin, () => working)).toBe(working);
  });

  it.each(EVENTS)("publishes if somebody listens to %s alone", async (event) => {
    const { name } = searchChannel[event];
    const heard: unknown[] = [];
    const listener = (message: unknown): void => void heard.push(message);
    subscribe(name, listener);
    onTestFinished(() => void unsubscribe(name, listener));
    await traced(searchChannel, trace, () => Promise.reject(new Error("x"))).catch(() => undefined);
    expect(heard).toHaveLength(1);
  });

  it("publishes the events of tracePromise, in its order", async () => {
    const plain = tracingChannel("test:plain");
    const expected = subscribeAll("test:plain");
    const heard = subscribeAll(CHANNEL_NAMES.search);
    for (const work of [() => Promise.resolve(7), () => Promise.reject(new Error("x"))]) {
      await plain.tracePromise(work, {}).catch(() => undefined);
      await traced(searchChannel, trace, work).catch(() => undefined);
    }
    expect(heard.map(({ event }) => event)).toEqual(expected.map(({ event }) => event));
  });

  it("publishes neither the result nor what a failure may hold", async () => {
    const heard = subscribeAll(CHANNEL_NAMES.search);
    const failure = new Error("um texto secreto");
    await traced(
      searchChannel,
      trace,
      () => Promise.resolve(["um texto secreto"]),
      (published, result) => (published.hits = result.map(() => ({ id: "a", score: 1 }))),
    );
    await expect(traced(searchChannel, trace, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(heard.at(3)?.message).toMatchObject({ hits: [{ id: "a", score: 1 }] });
    expect(heard.at(-1)?.message).toMatchObject({ error: { name: "Error" } });
    expect(inspect(heard, { depth: 5, showHidden: true })).not.toContain("secreto");
  });

  it("publishes work that throws before its first await", async () => {
    const heard = subscribeAll(CHANNEL_NAMES.search);
    const work = (): never => {
      throw new InvalidArgumentError("k", "must be 1");
    };
    await expect(traced(searchChannel, trace, work)).rejects.toThrow("k must be 1");
    expect(heard.map(({ event }) => event)).toEqual(["start", "end", "error", "asyncStart", "asyncEnd"]);
  });

  it("runs the work in the stores that are bound to the channel, as tracePromise does", async () => {
    const store = new AsyncLocalStorage<string>();
    const { start } = tracingChannel(CHANNEL_NAMES.search);
    start.bindStore(store, () => "bound");
    onTestFinished(() => void start.unbindStore(store));
    const work = async (): Promise<string | undefined> => {
      await Promise.resolve();
      return store.getStore();
    };
    expect(await traced(searchChannel, trace, work)).toBe("bound");
  });

  it("runs the work inside of all functions that subscribers give to runWith, the first one outermost", async () => {
    const order: string[] = [];
    const listenerOf =
      (name: string) =>
      (message: unknown): void => {
        runWith(message as object, (work) => {
          order.push(name);
          return work();
        });
      };
    for (const listener of [listenerOf("first"), listenerOf("second")]) {
      subscribe(searchChannel.start.name, listener);
      onTestFinished(() => void unsubscribe(searchChannel.start.name, listener));
    }
    await traced(searchChannel, trace, () => Promise.resolve(order.push("work")));
    expect(order).toEqual(["first", "second", "work"]);
  });
});

describe("describeFailure", () => {
  it.each([
    [
      new DatabaseError("Postgres rejected a statement", { code: "CONFLICT", retryable: true, sqlState: "40001" }),
      {
        name: "DatabaseError",
        code: "CONFLICT",
        message: "Postgres rejected a statement",
        retryable: true,
        sqlState: "40001",
      },
    ],
    [
      new AbortError("por segredo"),
      { name: "AbortError", code: "ABORTED", message: "The operation was aborted", retryable: false },
    ],
    [Object.assign(new Error('key (text)=("segredo")'), { code: "23505" }), { name: "Error", code: "23505" }],
    [Object.assign(new TypeError("segredo"), { code: 7 }), { name: "TypeError" }],
    [Object.assign(new Error("x"), { name: "um texto", code: "um texto" }), { name: "Error" }],
    ["segredo", { name: "Error" }],
    [undefined, { name: "Error" }],
  ])("of %s", (error, described) => {
    expect(describeFailure(error)).toEqual(described);
  });
});

describe("notifier", () => {
  it("tells the host's callback and the channel, which gets no texts of the cause", () => {
    const published = subscribeNotices();
    const told: Notice[] = [];
    const cause = new Error("um texto secreto");
    notifier((notice) => told.push(notice))({ code: "RETRY", message: "Retried", cause });
    expect(told).toEqual([{ code: "RETRY", message: "Retried", cause }]);
    expect(published).toEqual([{ code: "RETRY", message: "Retried", cause: { name: "Error" } }]);
  });

  it("tells the channel also without a callback, or with one that throws", () => {
    const published = subscribeNotices();
    notifier(undefined)({ code: "RETRY", message: "Retried" });
    notifier(() => {
      throw new Error("the log is full");
    })({ code: "RETRY", message: "Retried" });
    expect(published).toEqual([
      { code: "RETRY", message: "Retried" },
      { code: "RETRY", message: "Retried" },
    ]);
  });
});
