import { beforeEach, describe, expect, it } from "vitest";
import type { NoticeCode, Notify } from "../../src/calls/notices.js";
import { translateError, type DatabaseClient, type DatabasePool, type Queryable } from "../../src/postgres/database.js";
import { write, writeEach } from "../../src/storing/write-transaction.js";

const rejected = (code: string): Error =>
  translateError(Object.assign(new Error("rejeitado"), { severity: "ERROR", code }));

/** A pool whose only client records its statements. */
function recordingClientPool(): { pool: DatabasePool; client: Queryable; statements: string[] } {
  const statements: string[] = [];
  const client: DatabaseClient = {
    query: (text) => {
      statements.push(text);
      return Promise.resolve({ rows: [], rowCount: 0 });
    },
    release: () => undefined,
    on: () => undefined,
    removeListener: () => undefined,
  };
  const pool = {
    connect: () => Promise.resolve(client),
    query: () => Promise.reject(new Error("goes through the client")),
  };
  return { pool, client, statements };
}

/** A body that fails with these errors, one per run, and then succeeds. */
function failingBody(...failures: Error[]): { body: () => Promise<string>; runs: () => number } {
  let runs = 0;
  const body = (): Promise<string> => {
    const failure = failures[runs++];
    return failure === undefined ? Promise.resolve("feito") : Promise.reject(failure);
  };
  return { body, runs: () => runs };
}

/** The codes of the notices in this test. */
const told: NoticeCode[] = [];
const notify: Notify = ({ code }) => told.push(code);
beforeEach(() => (told.length = 0));

const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED";

describe("write", () => {
  it("runs the body in a transaction of its own", async () => {
    const { pool, statements } = recordingClientPool();
    const outcome = await write(pool, undefined, notify, async (given) => {
      await given.query("body");
      return "feito";
    });
    expect(outcome).toBe("feito");
    expect(statements).toEqual([BEGIN, "body", "COMMIT"]);
  });

  it.each(["40001", "40P01"])("runs the body again after SQLSTATE %s", async (sqlState) => {
    const { pool, statements } = recordingClientPool();
    const { body, runs } = failingBody(rejected(sqlState));
    await expect(write(pool, undefined, notify, body)).resolves.toBe("feito");
    expect(runs()).toBe(2);
    expect(statements).toEqual([BEGIN, "ROLLBACK", BEGIN, "COMMIT"]);
    expect(told).toEqual(["RETRY"]);
  });

  it("may succeed at the fifth attempt, and gives up after it", async () => {
    const { pool } = recordingClientPool();
    const deadlocks = Array.from({ length: 5 }, () => rejected("40P01"));
    const fifth = failingBody(...deadlocks.slice(1));
    await expect(write(pool, undefined, notify, fifth.body)).resolves.toBe("feito");
    expect(fifth.runs()).toBe(5);
    const never = failingBody(...deadlocks);
    await expect(write(pool, undefined, notify, never.body)).rejects.toBe(deadlocks[4]);
    expect(never.runs()).toBe(5);
  });

  it.each([rejected("23503"), rejected("57014"), new Error("do chamador")])(
    "throws any other error without a retry (%#)",
    async (failure) => {
      const { pool, statements } = recordingClientPool();
      const { body, runs } = failingBody(failure);
      await expect(write(pool, undefined, notify, body)).rejects.toBe(failure);
      expect(runs()).toBe(1);
      expect(statements).toEqual([BEGIN, "ROLLBACK"]);
      expect(told).toEqual([]);
    },
  );

  it("runs the body in the host's transaction after a savepoint", async () => {
    const { client, statements } = recordingClientPool();
    await expect(write(noPool, client, notify, failingBody().body)).resolves.toBe("feito");
    expect(statements).toEqual([
      expect.stringMatching(/^SAVEPOINT training_index_\d+$/),
      expect.stringMatching(/^RELEASE SAVEPOINT training_index_\d+$/),
    ]);
  });

  it("does not retry in the host's transaction, which has failed", async () => {
    const { client } = recordingClientPool();
    const failure = rejected("40001");
    const { body, runs } = failingBody(failure);
    await expect(write(noPool, client, notify, body)).rejects.toBe(failure);
    expect(runs()).toBe(1);
  });
});

describe("writeEach", () => {
  it("writes nothing without items", async () => {
    const { writeAll, calls } = recordingWriter();
    await expect(writeEach([], writeAll, { gone: "gone", notify })).resolves.toEqual([]);
    expect(calls).toEqual([]);
  });

  it("writes all items in a single call", async () => {
    const { writeAll, calls } = recordingWriter();
    await expect(writeEach(["a", "b"], writeAll, { gone: "gone", notify })).resolves.toEqual(["a!", "b!"]);
    expect(calls).toEqual([["a", "b"]]);
  });

  it("writes each item by itself if the host's row of one is gone", async () => {
    const { writeAll, calls } = recordingWriter({ b: rejected("23503") });
    const codes: string[] = [];
    const outcomes = await writeEach(["a", "b", "c"], writeAll, {
      gone: "gone",
      notify: ({ code }) => codes.push(code),
    });
    expect(outcomes).toEqual(["a!", "gone", "c!"]);
    expect(calls).toEqual([["a", "b", "c"], ["a"], ["b"], ["c"]]);
    expect(codes).toEqual(["RETRY"]);
  });

  it("does not write a single item twice", async () => {
    const { writeAll, calls } = recordingWriter({ a: rejected("23503") });
    await expect(writeEach(["a"], writeAll, { gone: "gone", notify })).resolves.toEqual(["gone"]);
    expect(calls).toEqual([["a"]]);
  });

  it("throws any other error immediately", async () => {
    const failure = rejected("23505");
    const { writeAll, calls } = recordingWriter({ b: failure });
    await expect(writeEach(["a", "b", "c"], writeAll, { gone: "gone", notify })).rejects.toBe(failure);
    expect(calls).toHaveLength(1);
  });

  it("throws another error of an item that is written by itself", async () => {
    const failure = rejected("57014");
    const { writeAll, calls } = recordingWriter({ a: rejected("23503"), b: failure });
    await expect(writeEach(["a", "b", "c"], writeAll, { gone: "gone", notify })).rejects.toBe(failure);
    expect(calls).toEqual([["a", "b", "c"], ["a"], ["b"]]);
  });
});

const noPool: DatabasePool = {
  connect: () => Promise.reject(new Error("is not asked")),
  query: () => Promise.reject(new Error("is not asked")),
};

/** Writes items by adding an exclamation mark; fails with the error of the first item that has one. */
function recordingWriter(failures: Record<string, Error> = {}): {
  writeAll: (items: readonly string[]) => Promise<string[]>;
  calls: (readonly string[])[];
} {
  const calls: (readonly string[])[] = [];
  const writeAll = (items: readonly string[]): Promise<string[]> => {
    calls.push(items);
    const failure = items.map((item) => failures[item]).find((found) => found !== undefined);
    return failure ? Promise.reject(failure) : Promise.resolve(items.map((item) => `${item}!`));
  };
  return { writeAll, calls };
}
