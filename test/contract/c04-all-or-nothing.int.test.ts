import { AbortError, DatabaseError, EmbeddingError, type UpsertResult } from "langchain-training-index";
import type pg from "pg";
import { describe, expect, it } from "vitest";
import {
  failureOf,
  holdEmbedding,
  hookedPool,
  onSwapPart,
  openAgain,
  SWAP_PARTS,
  terminateSession,
  untilWaiting,
  waitingProcesses,
  wholeText,
  poolOfRetriedDeletes,
} from "../support/contract.js";
import { describeOnEach, describeOnServer, type TestDatabase } from "../support/databases.js";
import {
  FIVE_PARAGRAPHS,
  inHostTransaction,
  openTestIndex,
  paragraph,
  smallTraining,
  type TestIndex,
} from "../support/index.js";
import { overtakenPreparation } from "../support/overtaken.js";

const OLD = { id: "a", content: FIVE_PARAGRAPHS, metadata: { versao: 1 } };
/** Adds chunks, removes chunks and changes the metadata of kept ones, so every part of a swap has work. */
const NEW = {
  id: "a",
  content: ["Pix", "Trocas", "Clube"].map(paragraph).join("\n\n"),
  metadata: { versao: 2 },
};
const PARAGRAPHS_OF_FIVE_REQUESTS = 300;

/** An index that stores the old version. */
async function openWithOld(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database);
  expect(await test.index.upsertTraining(OLD)).toMatchObject({ status: "indexed" });
  test.embeddings.calls = 0;
  return test;
}

/** Expects the whole old version, searchable, and no trace of the failed call. */
async function expectOldVersion(test: TestIndex): Promise<void> {
  expect(await wholeText(test)).toBe(OLD.content);
  const hits = await test.index.similar("loja", { k: 100, filter: { versao: 1 } });
  expect(hits).toHaveLength(5);
  expect(await test.index.similar("loja", { k: 100 })).toHaveLength(5);
  expect(test.pool.idleCount).toBe(test.pool.totalCount);
}

/** Expects a repeat of the failed call to succeed. */
async function expectRepeatSucceeds(test: TestIndex, training = NEW): Promise<void> {
  expect(await test.index.upsertTraining(training)).toMatchObject({ status: "indexed" });
  expect(await wholeText(test)).toBe(training.content);
  expect(test.pool.idleCount).toBe(test.pool.totalCount);
}

// Guards: all texts are embedded before anything is written.
describeOnEach("C4 All or nothing", (database) => {
  describe("when the embedder fails", () => {
    const long = {
      ...NEW,
      content: Array.from({ length: PARAGRAPHS_OF_FIVE_REQUESTS }, (_, place) => paragraph(`Novidade ${place}`)).join(
        "\n\n",
      ),
    };

    it.each([1, 3, 5])("at request %i of 5, the old version stays whole and searchable", async (request) => {
      const test = await openWithOld(database);
      test.embeddings.before = () => {
        if (test.embeddings.calls === request) throw new Error("the model crashed on: secret text");
      };
      const failure = await failureOf(test.index.upsertTraining(long));
      expect(failure).toBeInstanceOf(EmbeddingError);
      expect(failure).toMatchObject({ code: "EMBEDDING_FAILED", retryable: true });
      expect(failure.message).not.toContain("secret");
      expect(failure.cause).toBeInstanceOf(Error);
      expect(test.embeddings.calls).toBe(request);
      await expectOldVersion(test);
      test.embeddings.calls = 0;
      test.embeddings.before = () => undefined;
      await expectRepeatSucceeds(test, long);
      expect(test.embeddings.calls).toBe(5);
    });

    it("for a new training, nothing of it is stored", async () => {
      const test = await openWithOld(database);
      test.embeddings.before = () => Promise.reject(new Error("the model crashed"));
      await failureOf(test.index.upsertTraining({ ...long, id: "b" }));
      expect(await wholeText(test, "b")).toBe("");
      await expectOldVersion(test);
    });

    // Guards: the check of the embedder's vectors before they are stored.
    it.each<[string, (vectors: number[][]) => unknown]>([
      ["fewer vectors than texts", (vectors) => vectors.slice(1)],
      ["more vectors than texts", (vectors) => [...vectors, ...vectors.slice(0, 1)]],
      ["no vectors", () => []],
      ["undefined", () => undefined],
      ["an object", (vectors) => ({ vectors })],
      ["empty vectors", (vectors) => vectors.map(() => [])],
      ["an undefined vector", ofLast(() => undefined)],
      ["too few dimensions", ofLast((vector) => vector.slice(1))],
      ["too many dimensions", ofLast((vector) => [...vector, 0])],
      ["NaN", ofLast((vector) => vector.with(0, NaN))],
      ["infinity", ofLast((vector) => vector.with(0, Infinity))],
      ["negative infinity", ofLast((vector) => vector.with(3, -Infinity))],
      ["zeros", ofLast((vector) => vector.map(() => 0))],
      ["a number that overflows at 32 bits", ofLast((vector) => vector.with(0, 1e39))],
      ["a number whose square overflows at 32 bits", ofLast((vector) => vector.with(0, 1e20))],
      ["only numbers that vanish at 32 bits", ofLast((vector) => vector.map(() => 1e-50))],
      ["an undefined component", ofLast((vector) => [...vector.slice(1), undefined])],
      ["strings for components", ofLast((vector) => vector.map(String))],
    ])("is refused when it returns %s", async (_name, spoil) => {
      const test = await openWithOld(database);
      const original = test.embeddings.embedDocuments.bind(test.embeddings);
      test.embeddings.embedDocuments = async (texts) => spoil(await original(texts)) as number[][];
      const failure = await failureOf(test.index.upsertTraining(NEW));
      expect(failure).toBeInstanceOf(EmbeddingError);
      expect(failure).toMatchObject({ code: "EMBEDDING_INVALID", retryable: false });
      await expectOldVersion(test);
      test.embeddings.embedDocuments = original;
      await expectRepeatSucceeds(test);
    });
  });

  describe("when the call is aborted", () => {
    it("before it starts, it embeds nothing", async () => {
      const test = await openWithOld(database);
      const signal = AbortSignal.abort("chega");
      const failure = await failureOf(test.index.upsertTraining(NEW, { signal }));
      expect(failure).toBeInstanceOf(AbortError);
      expect(failure).toMatchObject({ name: "AbortError", code: "ABORTED", cause: "chega" });
      await expect(test.index.deleteTraining("a", { signal })).rejects.toBeInstanceOf(AbortError);
      expect(test.embeddings.calls).toBe(0);
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    });

    it("while it embeds, it ends immediately and ignores what the embedder returns later", async () => {
      const test = await openWithOld(database);
      const held = holdEmbedding(test.embeddings, "Pix");
      const controller = new AbortController();
      const upsert = failureOf(test.index.upsertTraining(NEW, { signal: controller.signal }));
      await held.reached;
      controller.abort();
      expect(await upsert).toBeInstanceOf(AbortError);
      await expectOldVersion(test);
      held.release();
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    });

    it("right before the swap, the swap does not run", async () => {
      const test = await openWithOld(database);
      const controller = new AbortController();
      const failure = await failureOf(
        test.index.upsertTraining(NEW, {
          signal: controller.signal,
          onProgress: ({ embedded }) => {
            expect(embedded).toBe(2); // both new chunks: the swap is next
            controller.abort();
          },
        }),
      );
      expect(failure).toBeInstanceOf(AbortError);
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    });

    it("between preparation and commit, the commit fails and changes nothing, in the host's transaction too", async () => {
      const test = await openWithOld(database);
      const controller = new AbortController();
      const prepared = await test.index.prepareTraining(NEW, { signal: controller.signal });
      controller.abort();
      await expect(prepared.commit()).rejects.toBeInstanceOf(AbortError);
      await inHostTransaction(test.pool, "COMMIT", async (client) => {
        await expect(prepared.commit(client)).rejects.toBeInstanceOf(AbortError);
      });
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    });
  });

  // Guards: BEGIN, and ROLLBACK before the client returns to the pool.
  describe("when Postgres refuses a statement", () => {
    it.each(["upsert", "delete"] as const)("any statement of the %s, the old version stays whole", async (call) => {
      const test = await openWithOld(database);
      for (let failAt = 2; ; failAt++) {
        const { work, statements } = await callThatBreaks(test, call, failAt, (client) => client.query("SELECT 1 / 0"));
        const failure = await work.then(
          () => undefined,
          (error: unknown) => error,
        );
        if (failure === undefined) {
          expect(statements.length).toBeGreaterThan(4);
          break;
        }
        expect(failure, statements.at(failAt - 1)).toMatchObject({
          code: "DATABASE_FAILED",
          sqlState: "22012",
        });
        await expectOldVersion(test);
      }
      expect(await wholeText(test)).toBe(call === "upsert" ? NEW.content : "");
    });
  });

  it.each(SWAP_PARTS)("the old version stays whole if Postgres refuses a part of a swap: %s, %s", async (...part) => {
    const test = await openWithOld(database);
    const repair = await onSwapPart(test, part, "PERFORM 1 / 0");
    const failure = await failureOf(test.index.upsertTraining(NEW));
    expect(failure).toMatchObject({ code: "DATABASE_FAILED", sqlState: "22012" });
    await expectOldVersion(test);
    await repair();
    await expectRepeatSucceeds(test);
  });

  describe("in the host's transaction", () => {
    it("a statement that fails after prepared.commit rolls the new version back", async () => {
      const test = await openWithOld(database);
      const prepared = await test.index.prepareTraining(NEW);
      // Postgres answers the COMMIT of a failed transaction with ROLLBACK.
      await inHostTransaction(test.pool, "COMMIT", async (client) => {
        expect(await prepared.commit(client)).toMatchObject({ status: "indexed" });
        await expect(client.query("SELECT 1 / 0")).rejects.toMatchObject({ code: "22012" });
      });
      await expectOldVersion(test);
      await inHostTransaction(test.pool, "COMMIT", (client) => prepared.commit(client));
      expect(await wholeText(test)).toBe(NEW.content);
    });

    it("a delete that is rolled back leaves the training as it was", async () => {
      const test = await openWithOld(database);
      await inHostTransaction(test.pool, "COMMIT", async (client) => {
        expect(await test.index.deleteTraining("a", { client })).toMatchObject({ status: "deleted" });
        await expect(client.query("SELECT 1 / 0")).rejects.toMatchObject({ code: "22012" });
      });
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    });
  });

  it("a failure in one of many trainings keeps the batches before it, whose results were yielded", async () => {
    const test = await openWithOld(database);
    const trainings = [...Array.from({ length: 130 }, (_, place) => smallTraining(`t${place}`)), NEW];
    test.embeddings.before = (texts) => {
      if (texts.some((text) => text.includes("Pix"))) throw new Error("the model crashed");
    };
    const done: UpsertResult[] = [];
    const work = (async () => {
      for await (const result of test.index.upsertTrainings(trainings)) done.push(result);
    })();
    expect(await failureOf(work)).toMatchObject({ code: "EMBEDDING_FAILED" });
    expect(done.map(({ id }) => id)).toEqual(trainings.slice(0, 100).map(({ id }) => id));
    for (const { id, status } of done) expect([id, status]).toEqual([id, "indexed"]);
    const hits = await test.index.similar("loja", { k: 1000 });
    const found = new Set(hits.map(({ trainingId }) => trainingId));
    expect(found).toEqual(new Set([...done.map(({ id }) => id), "a"]));
    expect(await wholeText(test)).toBe(OLD.content);

    test.embeddings.before = () => undefined;
    const statuses: string[] = [];
    for await (const { status } of test.index.upsertTrainings(trainings)) statuses.push(status);
    expect(statuses).toEqual(trainings.map((_, place) => (place < 100 ? "unchanged" : "indexed")));
    expect(await wholeText(test)).toBe(NEW.content);
  });
});

/** Replaces the last of several vectors. */
function ofLast(spoil: (vector: number[]) => unknown): (vectors: number[][]) => unknown {
  return (vectors) => vectors.map((vector, place) => (place === vectors.length - 1 ? spoil(vector) : vector));
}

/** Starts a call and runs `happen` before one of the statements of its transaction, counted from 1. */
async function callThatBreaks(
  test: TestIndex,
  call: "upsert" | "delete",
  breakAt: number,
  happen: (client: pg.PoolClient) => Promise<unknown>,
): Promise<{ work: Promise<unknown>; statements: string[] }> {
  const statements: string[] = [];
  const hooked = call === "delete" ? poolOfRetriedDeletes : hookedPool;
  const pool = hooked(test.pool, async (text, client) => {
    statements.push(text);
    if (statements.length === breakAt && text !== "ROLLBACK") await happen(client);
  });
  const index = await openAgain(test, pool);
  if (call === "delete") return { work: index.deleteTrainings({ ids: ["a"] }), statements };
  const prepared = await overtakenPreparation(index, NEW, [{ ...OLD, metadata: { versao: 0 } }, OLD]);
  return { work: prepared.commit(), statements };
}

describeOnServer("C4 All or nothing", (database) => {
  // Guards: one transaction, the error listener on its client, and that a broken client is discarded.
  it.each(["upsert", "delete"] as const)(
    "the old version stays whole if the backend is terminated before any statement of the transaction of an %s",
    async (call) => {
      const test = await openWithOld(database);
      for (let failAt = 2; ; failAt++) {
        const { work, statements } = await callThatBreaks(test, call, failAt, async (client) => {
          const { rows } = await client.query<{ pid: number }>("SELECT pg_catalog.pg_backend_pid() AS pid");
          await terminateSession(test, rows[0]?.pid ?? NaN);
        });
        const failure = await work.then(
          () => undefined,
          (error: unknown) => error,
        );
        if (failure === undefined) {
          expect(statements.length).toBeGreaterThan(4);
          break;
        }
        expect(failure, statements.at(failAt - 1)).toBeInstanceOf(DatabaseError);
        expect(failure).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
        await expectOldVersion(test);
      }
      expect(await wholeText(test)).toBe(call === "upsert" ? NEW.content : "");
    },
  );

  it.each(SWAP_PARTS)(
    "the old version stays whole if the backend is terminated during a swap, at %s, %s",
    async (...part) => {
      const test = await openWithOld(database);
      const repair = await onSwapPart(
        test,
        part,
        "PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); PERFORM pg_catalog.pg_sleep(5)",
      );
      const failure = await failureOf(test.index.upsertTraining(NEW));
      expect(failure).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
      await repair();
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    },
  );

  it.each(["upsert", "delete"] as const)(
    "the old version stays whole if the backend is terminated while the %s waits for a lock; the error is retryable",
    async (call) => {
      const test = await openWithOld(database);
      let outcome: Promise<unknown> | undefined;
      await inHostTransaction(test.pool, "ROLLBACK", async (client) => {
        await client.query(`SELECT FROM ${test.schema}.training WHERE id = 'a' FOR UPDATE`);
        const work = call === "upsert" ? test.index.upsertTraining(NEW) : test.index.deleteTraining("a");
        outcome = failureOf(work);
        await untilWaiting(test, "INSERT INTO");
        for (const pid of await waitingProcesses(test, "INSERT INTO")) await terminateSession(test, pid);
        await outcome;
      });
      expect(await outcome).toMatchObject({ code: "CONNECTION_FAILED", sqlState: "57P01", retryable: true });
      await expectOldVersion(test);
      await expectRepeatSucceeds(test);
    },
  );
});
