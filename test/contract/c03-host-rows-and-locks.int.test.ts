import type { UpsertResult } from "langchain-training-index";
import type { Queryable, TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { expect, it } from "vitest";
import {
  collect,
  countRows,
  holdEmbedding,
  observedPool,
  hostTable,
  openAgain,
  openServerPool,
  untilWaiting,
  wholeText,
} from "../support/contract.js";
import { describeOnServer, requireConnectionSetup, type TestDatabase } from "../support/databases.js";
import {
  FIVE_PARAGRAPHS,
  gateOf,
  inHostTransaction,
  openTestIndex,
  smallTraining,
  type TestIndex,
} from "../support/index.js";

const NOTHING = { training: 0, indexed: 0, chunks: 0 };

/** An index whose trainings reference a host table that holds these ids. */
async function openWithHost(database: TestDatabase, ids: string[]): Promise<TestIndex & { host: string }> {
  const host = `public.${await hostTable(database.owner)}`;
  const test = await openTestIndex(database, {}, { trainings: { table: host.slice("public.".length) } });
  await database.owner.query(`INSERT INTO ${host} (id) SELECT unnest($1::text[])`, [ids]);
  return { ...test, host };
}

// Guards: the foreign key's cascade, and `superseded` for a training whose host row is gone.
describeOnServer("C3 Deletes stay", (database) => {
  it("deleting the host's row removes its chunks", async () => {
    const test = await openWithHost(database, ["a", "b"]);
    await collect(test.index.upsertTrainings(["a", "b"].map(smallTraining)));
    await test.owner.query(`DELETE FROM ${test.host} WHERE id = 'a'`);
    expect(await countRows(test)).toEqual(NOTHING);
    expect(await test.index.similar("loja")).toMatchObject([{ trainingId: "b" }]);
  });

  it.each(["stored", "new"])(
    "a %s training leaves nothing if the host's row is deleted while it is embedded",
    async (kind) => {
      const test = await openWithHost(database, ["a", "b"]);
      if (kind === "stored") await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      const held = holdEmbedding(test.embeddings, "a loja a");
      const upserts = collect(test.index.upsertTrainings(["a", "b"].map(smallTraining)));
      await held.reached;
      await test.owner.query(`DELETE FROM ${test.host} WHERE id = 'a'`);
      held.release();
      expect((await upserts).map(({ status }) => status)).toEqual(["superseded", "indexed"]);
      expect(await countRows(test)).toEqual(NOTHING);
      expect(await wholeText(test, "b")).toBe("a loja b");
    },
  );

  it("a commit without a host row stores nothing, and the host's transaction stays usable", async () => {
    const test = await openWithHost(database, ["b"]);
    const prepared = await test.index.prepareTraining(smallTraining("a"));
    const other = await test.index.prepareTraining(smallTraining("b"));
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      expect(await prepared.commit(client)).toMatchObject({ status: "superseded" });
      expect(await other.commit(client)).toMatchObject({ status: "indexed" });
    });
    expect(await countRows(test)).toEqual(NOTHING);
    expect(await wholeText(test, "b")).toBe("a loja b");
  });
});

/** An index on its own connections, with a list of its failed statements and transactions. */
async function openWatched(test: TestIndex): Promise<{ index: TrainingIndex; failed: string[] }> {
  const failed: string[] = [];
  // Rows in the order in which they are given, unless a statement orders its locks. PgBouncer refuses such options.
  const isDirect = requireConnectionSetup().name === "server database";
  const nestedLoops = { options: "-c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off" };
  const pool = observedPool(openServerPool(isDirect ? nestedLoops : {}), {
    before: (text) => {
      if (text === "ROLLBACK") failed.push(text);
    },
    onFailure: (error) => failed.push(String(error)),
  });
  return { index: await openAgain(test, pool), failed };
}

/** Runs a host transaction, which rolls back if it fails. @returns "committed" or the error */
async function hostAttempt(pool: pg.Pool, body: (client: Queryable) => Promise<unknown>): Promise<unknown> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await body(client);
    await client.query("COMMIT");
    return "committed";
  } catch (error) {
    await client.query("ROLLBACK");
    return error;
  } finally {
    client.release();
  }
}

describeOnServer("C3 Deletes stay", (database) => {
  it.each([
    { end: "COMMIT", status: "superseded", rows: NOTHING },
    { end: "ROLLBACK", status: "indexed", rows: { training: 1, indexed: 1, chunks: 1 } },
  ] as const)(
    "a swap waits for the host's delete of its row, and is $status after its $end",
    async ({ end, status, rows }) => {
      const test = await openWithHost(database, ["a"]);
      const prepared = await test.index.prepareTraining(smallTraining("a"));
      let outcome: Promise<unknown> | undefined;
      await inHostTransaction(test.owner, end, async (client) => {
        await client.query(`DELETE FROM ${test.host} WHERE id = 'a'`);
        outcome = prepared.commit();
        await untilWaiting(test, "INSERT INTO");
      });
      expect(await outcome).toMatchObject({ status });
      expect(await countRows(test)).toEqual(rows);
    },
  );

  // Guards: the order in which the fence takes its locks. Without it each call waits for a lock of the other.
  it.each<["upsert" | "delete", "upsert" | "delete"]>([
    ["upsert", "upsert"],
    ["upsert", "delete"],
    ["delete", "upsert"],
    ["delete", "delete"],
  ])("%s and %s of the same trainings in opposite order do not deadlock", async (first, second) => {
    const test = await openTestIndex(database);
    const ids = ["a", "b", "c", "d", "e"];
    await collect(test.index.upsertTrainings(ids.map(smallTraining)));
    const [one, other] = [await openWatched(test), await openWatched(test)];
    const start = ({ index }: typeof one, kind: string, order: string[]): Promise<unknown> =>
      kind === "delete"
        ? index.deleteTrainings({ ids: order })
        : collect(index.upsertTrainings(order.map((id) => ({ id, content: `${kind} ${order.join()}` }))));
    const calls: Promise<unknown>[] = [];
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      // The row in the middle is locked, so both calls stop halfway and hold the locks they have taken.
      await client.query(`SELECT FROM ${test.schema}.training WHERE id = 'c' FOR UPDATE`);
      calls.push(start(one, first, ids));
      await untilWaiting(test, "INSERT INTO", 1);
      calls.push(start(other, second, ids.toReversed()));
      await untilWaiting(test, "INSERT INTO", 2);
    });
    await Promise.all(calls);
    expect([...one.failed, ...other.failed]).toEqual([]);
    const texts = await Promise.all(ids.map((id) => wholeText(test, id)));
    expect(new Set(texts)).toEqual(new Set([second === "delete" ? "" : `upsert ${ids.toReversed().join()}`]));
  });

  // Guards: the order in which `touch` takes its locks. Without it the order depends on the plan.
  it("two repeats of the same trainings in opposite order do not deadlock", async () => {
    const test = await openTestIndex(database);
    const ids = Array.from({ length: 100 }, (_, place) => `t${String(place).padStart(3, "0")}`);
    await collect(test.index.upsertTrainings(ids.map(smallTraining)));
    const [one, other] = [await openWatched(test), await openWatched(test)];
    const repeats: Promise<UpsertResult[]>[] = [];
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      await client.query(`SELECT FROM ${test.schema}.training WHERE id = 't050' FOR UPDATE`);
      repeats.push(collect(one.index.upsertTrainings(ids.map(smallTraining))));
      await untilWaiting(test, "UPDATE", 1);
      repeats.push(collect(other.index.upsertTrainings(ids.toReversed().map(smallTraining))));
      await untilWaiting(test, "UPDATE", 2);
    });
    for (const results of await Promise.all(repeats)) {
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set(["unchanged"]));
    }
    expect([...one.failed, ...other.failed]).toEqual([]);
  });

  it("concurrent upserts and deletes of the same trainings in varying order do not deadlock", async () => {
    const test = await openTestIndex(database);
    const ids = Array.from({ length: 40 }, (_, place) => `t${place}`);
    const watched = await Promise.all(Array.from({ length: 4 }, () => openWatched(test)));
    for (let round = 0; round < 25; round++) {
      await Promise.all(
        watched.map(({ index }, place) => {
          const order = place % 2 === 0 ? ids : ids.toReversed();
          return (round + place) % 4 === 0
            ? index.deleteTrainings({ ids: order })
            : collect(index.upsertTrainings(order.map((id) => ({ id, content: `${id} ${round} ${place}` }))));
        }),
      );
    }
    expect(watched.flatMap(({ failed }) => failed)).toEqual([]);
    await test.index.deleteTrainings({ ids });
    expect(await test.index.similar("t1")).toEqual([]);
  });

  it("two host transactions in opposite order do not hang: one ends with a retryable conflict", async () => {
    const test = await openTestIndex(database);
    await collect(test.index.upsertTrainings(["a", "b"].map(smallTraining)));
    const prepare = (id: string, name: string) =>
      test.index.prepareTraining({ id, content: `a ${name} versão de ${id}` });
    const bothHalfway = [gateOf(), gateOf()];
    const attempts = ["primeira", "segunda"].map(async (name, place) => {
      const order = place === 0 ? ["a", "b"] : ["b", "a"];
      const run = () =>
        hostAttempt(test.pool, async (client) => {
          for (const prepared of await Promise.all(order.map((id) => prepare(id, name)))) {
            await prepared.commit(client);
            bothHalfway[place]?.resolve();
            await Promise.all(bothHalfway.map(({ promise }) => promise));
          }
        });
      const outcome = await run();
      return { outcome, again: outcome === "committed" ? outcome : await run() };
    });
    const ended = await Promise.all(attempts);
    const failures = ended.map(({ outcome }) => outcome).filter((outcome) => outcome !== "committed");
    // The one that fails begins again at once, and may be in the way of the other a second time.
    expect([1, 2]).toContain(failures.length);
    for (const failure of failures)
      expect(failure).toMatchObject({ code: "CONFLICT", sqlState: "40P01", retryable: true });
    expect(ended.map(({ again }) => again)).toEqual(["committed", "committed"]);
    const texts = await Promise.all(["a", "b"].map((id) => wholeText(test, id)));
    expect(texts[0]?.replace(/a$/, "b")).toBe(texts[1]);
  });
});
