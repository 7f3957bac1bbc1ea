import type { Queryable } from "langchain-training-index";
import { expect, it } from "vitest";
import { openAgain } from "../support/contract.js";
import { describeOnServer, isOnCluster } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

/** Postgres compiles statements that it expects to cost more than this (JIT). @see https://www.postgresql.org/docs/current/jit-decision.html */
const JIT_ABOVE_COST = 100_000;

describeOnServer("the statements of an upsert", (database) => {
  it("are expected to cost little in a large table that was never analyzed, or Postgres compiles each", async () => {
    const test = await openTestIndex(database, {}, { dimensions: 1024 });
    const trainings = (from: number, count: number): { id: string; content: string }[] =>
      Array.from({ length: count }, (_, place) => ({ id: `t${from + place}`, content: `a loja ${from + place}` }));
    await test.owner.query(`DROP INDEX ${test.schema}.chunk_1_embedding`);
    await test.index.upsertTrainings(trainings(0, 8000));
    const { pool, statements } = recordingPool(test.pool);
    const index = await openAgain(test, pool, test.embeddings);
    statements.length = 0;
    await index.upsertTrainings(trainings(7900, 200));
    const costs = [];
    for (const { text, values } of statements) {
      if (!/^\s*(SELECT|WITH)/.test(text)) continue;
      const { rows } = await test.owner.query<{ "QUERY PLAN": [{ Plan: { "Total Cost": number } }] }>(
        `EXPLAIN (FORMAT JSON) ${text}`,
        values,
      );
      costs.push(rows[0]?.["QUERY PLAN"][0].Plan["Total Cost"] ?? Infinity);
    }
    expect(costs.length).toBeGreaterThan(2);
    expect(Math.max(...costs)).toBeLessThan(JIT_ABOVE_COST);
  });

  it("are planned without their vectors if they are many, but not in a host's transaction", async () => {
    const test = await openTestIndex(database);
    const documents = Array.from({ length: 1001 }, (_, place) => ({ pageContent: `a loja ${place}` }));
    const settings: string[] = [];
    const { pool, statements } = recordingPool(test.pool);
    const index = await openAgain(test, pool, test.embeddings);
    const isSet = (): boolean => statements.some(({ text }) => text.includes("plan_cache_mode = force_generic_plan"));
    const settingOf = async (asked: Queryable): Promise<void> => {
      const { rows } = await asked.query("SHOW plan_cache_mode");
      settings.push((rows as { plan_cache_mode: string }[])[0]?.plan_cache_mode ?? "");
    };

    await index.upsertTraining({ id: "poucos", documents: documents.slice(0, 500), split: false });
    expect(isSet()).toBe(false);
    await index.upsertTraining({ id: "muitos", documents, split: false });
    expect(isSet()).toBe(!isOnCluster());
    const client = await test.pool.connect();
    try {
      await settingOf(client);
      await client.query("BEGIN");
      await index.upsertTraining({ id: "do host", documents, split: false }, { client });
      await settingOf(client);
      await client.query("COMMIT");
    } finally {
      client.release();
    }
    expect(settings).toEqual(["auto", "auto"]);
    const { rows } = await test.owner.query(`SELECT count(*)::int AS chunks FROM ${test.schema}.chunk_1`);
    expect(rows).toEqual([{ chunks: 2502 }]);
  });
});
