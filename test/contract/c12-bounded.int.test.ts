import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { expect, it, onTestFinished, vi } from "vitest";
import { collect, failureOf, openAgain, openServerPool } from "../support/contract.js";
import {
  describeOnServer,
  isOnCluster,
  requireServerUrl,
  uniqueName,
  type TestDatabase,
} from "../support/databases.js";
import { openTestIndex, smallTraining, type TestIndex } from "../support/index.js";
import { silentProxy } from "../support/silent-proxy.js";

interface Bounds {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** Calls that wait for a table lock or for a client. */
const CALLS: [string, (index: TrainingIndex, bounds: Bounds) => Promise<unknown>][] = [
  ["a search", (index, bounds) => index.similar("loja", bounds)],
  [
    "a retriever",
    (index, bounds) =>
      index
        .asRetriever(bounds.timeoutMs === undefined ? {} : { timeoutMs: bounds.timeoutMs })
        .invoke("loja", bounds.signal ? { signal: bounds.signal } : {}),
  ],
  ["a get", (index, bounds) => index.get("a", bounds)],
  ["a list", (index, bounds) => collect(index.list(bounds))],
  ["a count", (index, bounds) => index.count(bounds)],
  ["a read of chunks", (index, bounds) => index.chunks("a", bounds)],
  ["a status", (index, bounds) => index.status(bounds)],
  ["a verify", (index, bounds) => index.verify([{ id: "a" }], bounds)],
  ["a reconcile", (index, bounds) => index.reconcile([smallTraining("a")], bounds)],
  ["a recall", (index, bounds) => index.recall(bounds)],
  ["an upsert", (index, bounds) => index.upsertTraining({ id: "a", content: "Outra loja." }, bounds)],
  ["many upserts", (index, bounds) => collect(index.upsertTrainings([smallTraining("a"), smallTraining("b")], bounds))],
  ["a delete", (index, bounds) => index.deleteTraining("a", bounds)],
  ["deletes", (index, bounds) => index.deleteTrainings({ ids: ["a", "b"] }, bounds)],
  ["a delete by filter", (index, bounds) => index.deleteTrainings({ filter: { grupo: "x" } }, bounds)],
  ["a prune", (index, bounds) => index.prune({ olderThanMs: 1, ...bounds })],
];

const TABLES = ["training", "indexed_1", "chunk_1"];

async function openFilled(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database);
  await test.index.upsertTraining({ id: "a", content: "A loja abre cedo.", metadata: { grupo: "x" } });
  await test.index.similar("loja"); // fills the cache of catalog reads
  return test;
}

/** Each of the calls with an index and a pool of its own, which has a connection already. */
async function openEach(
  test: TestIndex,
  options: pg.PoolConfig = {},
): Promise<{ name: string; index: TrainingIndex; pool: pg.Pool; call: (typeof CALLS)[number][1] }[]> {
  return Promise.all(
    CALLS.map(async ([name, call]) => {
      const pool = openServerPool({ max: 2, ...options });
      const index = await openAgain(test, pool);
      await index.similar("loja");
      return { name, index, pool, call };
    }),
  );
}

/** Locks all tables of the index until the returned function is called or the test ends. */
async function lockTables({ owner, schema }: TestIndex): Promise<() => Promise<void>> {
  const client = await owner.connect();
  let isHeld = true;
  const release = async (): Promise<void> => {
    if (!isHeld) return;
    isHeld = false;
    await client.query("ROLLBACK");
    client.release();
  };
  onTestFinished(release);
  await client.query("BEGIN");
  await client.query(`LOCK TABLE ${TABLES.map((table) => `${schema}.${table}`).join()} IN ACCESS EXCLUSIVE MODE`);
  return release;
}

/** How many statements wait for a lock on the tables of the index. */
async function countWaiting({ owner, schema }: TestIndex): Promise<number> {
  const activity = isOnCluster() ? "citus_stat_activity" : "pg_stat_activity";
  const { rows } = await owner.query<{ count: string }>(
    `SELECT count(*) FROM ${activity} WHERE wait_event_type = 'Lock' AND query LIKE $1`,
    [`%${schema}%`],
  );
  return Number(rows[0]?.count);
}

async function untilWaiting(test: TestIndex): Promise<void> {
  while ((await countWaiting(test)) === 0) await sleep(10);
}

/** Until the test ends, what processes know of their schemas was read long ago. */
function makeKnownSchemasOld(): void {
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 600_000);
  onTestFinished(() => {
    clock.mockRestore();
  });
}

async function failureWithin(ms: number, call: Promise<unknown>): Promise<unknown> {
  const begin = performance.now();
  const failure = await failureOf(call);
  expect(performance.now() - begin).toBeLessThan(ms);
  return failure;
}

async function expectAllReleased(pool: pg.Pool): Promise<void> {
  for (let tries = 0; tries < 100 && pool.idleCount !== pool.totalCount; tries++) await sleep(10);
  expect(pool.idleCount).toBe(pool.totalCount);
  expect(pool.waitingCount).toBe(0);
}

describeOnServer("C12 Bounded", (database) => {
  it.each(CALLS)("the signal ends %s that waits for a lock, on the server too", async (_name, call) => {
    const test = await openFilled(database);
    const pool = openServerPool({ max: 3 });
    const index = await openAgain(test, pool);
    await index.similar("loja");
    const unlock = await lockTables(test);
    const controller = new AbortController();
    const running = failureOf(call(index, { signal: controller.signal }));
    await untilWaiting(test);
    controller.abort();
    expect(await failureWithin(1500, Promise.reject(await running))).toMatchObject({ code: "ABORTED" });
    expect(await countWaiting(test)).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    await unlock();
    await expectAllReleased(pool);
    expect(await index.similar("loja")).toHaveLength(1);
  });

  it.each(["known", "to be read again"])(
    "timeoutMs ends every call that waits for a lock, on the server too: the schema is %s",
    async (schema) => {
      const test = await openFilled(database);
      const calls = await openEach(test);
      if (schema !== "known") makeKnownSchemasOld();
      await lockTables(test);
      await Promise.all(
        calls.map(async ({ name, index, call }) => {
          expect(await failureWithin(2500, call(index, { timeoutMs: 300 })), name).toMatchObject({
            code: "TIMEOUT",
            retryable: true,
            message: expect.stringContaining("300 ms") as string,
          });
        }),
      );
      expect(await countWaiting(test)).toBe(0);
    },
  );

  it.each(["known", "to be read again"])(
    "every call ends if all clients of the pool are in use, and the error says what to do: the schema is %s",
    async (schema) => {
      const calls = await openEach(await openFilled(database), { max: 1 });
      if (schema !== "known") makeKnownSchemasOld();
      await Promise.all(
        calls.map(async ({ name, index, pool, call }) => {
          const client = await pool.connect();
          const controller = new AbortController();
          try {
            const aborted = call(index, { signal: controller.signal });
            setTimeout(() => {
              controller.abort();
            }, 50);
            expect(await failureWithin(1500, aborted), name).toMatchObject({ code: "ABORTED" });
            const failure = await failureWithin(2000, call(index, { timeoutMs: 100 }));
            expect(failure, name).toMatchObject({ code: "TIMEOUT" });
            expect((failure as Error).message, name).toMatch(/pool.*client.*\{ client \}/);
          } finally {
            client.release();
          }
          await expectAllReleased(pool);
          expect(getEventListeners(controller.signal, "abort"), name).toEqual([]);
          expect(await index.similar("loja"), name).toHaveLength(1);
        }),
      );
    },
  );

  it("every call ends if the server stops answering", async () => {
    const { url, fallSilent, goDown } = await silentProxy(new URL(requireServerUrl()));
    const calls = await openEach(await openFilled(database), { connectionString: url.href, max: 2 });
    onTestFinished(goDown); // before the pools end: one that is still connecting would wait for ever
    fallSilent();
    await Promise.all(
      calls.map(async ({ name, index, call }) => {
        const failure = await failureWithin(3000, call(index, { timeoutMs: 200 }));
        expect(failure, name).toMatchObject({ code: "TIMEOUT" });
      }),
    );
  });

  it("a search that times out leaves the host's transaction and client usable", async () => {
    const test = await openFilled(database);
    // Not in the schema of the index: on a Citus cluster that takes locks on its tables.
    const table = `public.${uniqueName("host")}`;
    onTestFinished(async () => {
      await test.owner.query(`DROP TABLE IF EXISTS ${table}`);
    });
    const client = await test.owner.connect();
    await client.query("BEGIN");
    await client.query(`CREATE TABLE ${table} (id int)`);
    const unlock = await lockTables(test);
    const failure = await failureWithin(2000, test.index.similar("loja", { client, timeoutMs: 200 }));
    expect(failure).toMatchObject({ code: "TIMEOUT" });
    await unlock();
    expect(await test.index.similar("loja", { client })).toHaveLength(1);
    await client.query("COMMIT");
    client.release();
    const { rows } = await test.owner.query("SELECT to_regclass($1) IS NOT NULL AS there", [table]);
    expect(rows).toEqual([{ there: true }]);
  });

  it("a commit that times out stores nothing, and the host's transaction stays usable", async () => {
    const test = await openFilled(database);
    const prepared = await test.index.prepareTraining({ id: "a", content: "Outra loja." });
    const client = await test.owner.connect();
    await client.query("BEGIN");
    const unlock = await lockTables(test);
    expect(await failureOf(prepared.commit(client, { timeoutMs: 200 }))).toMatchObject({ code: "TIMEOUT" });
    await unlock();
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    expect(await prepared.commit(client)).toMatchObject({ status: "indexed" });
    await client.query("COMMIT");
    client.release();
  });
});

describeOnServer("C12 Bounded", (database) => {
  it("a signal shared by many calls keeps no listener and causes no MaxListenersExceededWarning", async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error): number => warnings.push(warning);
    process.on("warning", listen);
    onTestFinished(() => void process.off("warning", listen));
    const { index, pool } = await openTestIndex(database);
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 100 }, async (_, place) => {
        await index.upsertTraining(smallTraining(`t${place % 10}`), { signal, timeoutMs: 60_000 });
        await index.similar("loja", { signal });
      }),
    );
    const many = Array.from({ length: 300 }, (_, place) => smallTraining(`m${place}`));
    await collect(index.upsertTrainings(many, { signal, concurrency: 16 }));
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await expectAllReleased(pool);
    await sleep(10);
    expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
  });

  it("the time limit includes the embedder, and the error blames it", async () => {
    const { index, embeddings } = await openTestIndex(database);
    embeddings.before = () => sleep(5000);
    expect(await failureWithin(2000, index.upsertTraining(smallTraining("a"), { timeoutMs: 300 }))).toMatchObject({
      name: "EmbeddingError",
      code: "TIMEOUT",
      retryable: true,
    });
  });

  it("a commit ends by the signal of its preparation or by its own", async () => {
    const { index } = await openTestIndex(database);
    const controller = new AbortController();
    const prepared = await index.prepareTraining(smallTraining("a"), {
      signal: controller.signal,
      timeoutMs: 60_000,
    });
    expect(await failureOf(prepared.commit(undefined, { signal: AbortSignal.abort() }))).toMatchObject({
      code: "ABORTED",
    });
    controller.abort();
    expect(await failureOf(prepared.commit())).toMatchObject({ code: "ABORTED" });
    expect(await index.similar("loja")).toEqual([]);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31, "100"])("refuses a time limit of %s", async (timeoutMs) => {
    const { index } = await openTestIndex(database);
    expect(await failureOf(index.similar("loja", { timeoutMs: timeoutMs as number }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "timeoutMs",
    });
  });

  it("a call without the client of its transaction times out, and the error names { client }", async () => {
    const { index, pool } = await openTestIndex(database);
    const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()));
    await clients[0]?.query("BEGIN");
    const failure = await failureOf(index.similar("loja", { timeoutMs: 200 }));
    await clients[0]?.query("ROLLBACK");
    for (const client of clients) client.release();
    expect(failure).toMatchObject({ code: "TIMEOUT", retryable: true });
    expect(failure.message).toContain("{ client }");
  });

  it("a search in the host's transaction leaves the host's settings as they were", async () => {
    const { index, pool } = await openTestIndex(database);
    await index.upsertTraining(smallTraining("a"));
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("SET LOCAL hnsw.ef_search = 77");
      expect(await index.similar("loja", { client, efSearch: 500 })).toHaveLength(1);
      const { rows } = await client.query(
        "SELECT current_setting('hnsw.ef_search') AS ef, current_setting('hnsw.iterative_scan') AS scan",
      );
      expect(rows).toEqual([{ ef: "77", scan: "off" }]);
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
    const outside = await pool.connect();
    expect(await index.similar("loja", { client: outside })).toHaveLength(1);
    outside.release();
  });

  it("concurrent calls on one client run one after the other", async () => {
    const { index, pool } = await openTestIndex(database);
    const prepared = await Promise.all(
      Array.from({ length: 8 }, (_, place) => index.prepareTraining(smallTraining(`t${place}`))),
    );
    const client = await pool.connect();
    await client.query("BEGIN");
    const results = await Promise.all([
      ...prepared.map((training) => training.commit(client)),
      index.deleteTraining("nada", { client }),
      index.similar("loja", { client }),
    ]);
    expect(results.slice(0, 8)).toMatchObject(new Array(8).fill({ status: "indexed" }));
    await client.query("COMMIT");
    client.release();
    expect(await index.similar("loja", { k: 20 })).toHaveLength(8);
  });

  it("a commit fails if the host ends its transaction meanwhile", async () => {
    const { index, pool } = await openTestIndex(database);
    const prepared = await index.prepareTraining(smallTraining("a"));
    const client = await pool.connect();
    await client.query("BEGIN");
    const committing = failureOf(prepared.commit(client));
    await client.query("ROLLBACK");
    const failure = await committing;
    client.release();
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option: "client" });
    expect(failure.message).toMatch(/COMMIT or ROLLBACK|BEGIN first/);
  });
});
