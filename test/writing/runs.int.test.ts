import type { RunProgress, UpsertManyOptions } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect, failureOf } from "../support/contract.js";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { openTestIndex, smallTraining } from "../support/index.js";

const THREE = ["a", "b", "c"].map(smallTraining);

describeOnServerOrEmbedded("a run over many trainings", (database) => {
  it.each(["upsertTrainings", "bulkLoad"] as const)("of %s can be awaited any number of times", async (method) => {
    if (method === "bulkLoad" && database.owner !== database.pool) return;
    const { index, embeddings } = await openTestIndex(database);
    const run = method === "bulkLoad" ? index.bulkLoad(THREE) : index.upsertTrainings(THREE);
    const [summary, again] = await Promise.all([run, run]);
    expect(summary).toEqual({ indexed: 3, unchanged: 0, superseded: 0, failed: { count: 0, first: [] } });
    expect(again).toBe(summary);
    expect(embeddings.texts).toHaveLength(3);
    expect(await index.upsertTrainings(THREE)).toMatchObject({ unchanged: 3 });
  });

  it("does nothing before its first use, which decides between iterating and awaiting", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const iterated = index.upsertTrainings(THREE);
    const awaited = index.upsertTrainings([]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(embeddings.texts).toEqual([]);
    expect(await collect(iterated)).toHaveLength(3);
    expect(await failureOf(Promise.resolve(iterated))).toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "run",
    });
    await awaited;
    expect(await failureOf(collect(awaited))).toMatchObject({ code: "INVALID_ARGUMENT", option: "run" });
    expect(await failureOf(awaited.next())).toMatchObject({ code: "INVALID_ARGUMENT", option: "run" });
  });

  it("has the methods of a generator and of a promise", async () => {
    const { index } = await openTestIndex(database);
    const run = index.upsertTrainings(THREE);
    expect((await run.next()).value).toMatchObject({ id: "a", status: "indexed" });
    expect(await run.return()).toMatchObject({ done: true });
    expect(await run.next()).toMatchObject({ done: true });
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    await index.upsertTrainings([]).finally(over);
    expect(isOver).toBe(true);
    const failing = index.upsertTrainings([{ id: "", content: "x" }]);
    expect(await failing.catch((error: unknown) => error)).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it.each<[string, UpsertManyOptions]>([
    ["concurrency", { concurrency: 0 }],
    ["onFailure", { onFailure: "ignore" as never }],
    ["onProgress", { onProgress: 5 as never }],
    ["signal", { signal: {} as never }],
  ])("refuses an invalid %s synchronously", async (option, options) => {
    const { index } = await openTestIndex(database);
    expect(() => index.upsertTrainings([], options)).toThrow(expect.objectContaining({ option }) as Error);
    expect(() => index.bulkLoad([], options)).toThrow(expect.objectContaining({ option }) as Error);
  });

  it("continues after trainings that cannot be indexed; the others keep the tickets taken at the start", async () => {
    const { index, embeddings, pool, schema } = await openTestIndex(database);
    embeddings.before = (texts) => {
      if (texts.some((text) => text.includes("veneno"))) throw new Error("cannot read that");
    };
    const trainings = [
      ...Array.from({ length: 40 }, (_, place) => smallTraining(`t${place}`)),
      { id: "veneno", content: "veneno" },
      { id: "x", content: 5 as never },
      null as never,
      smallTraining("z"),
    ];
    const seen: RunProgress[] = [];
    const results = await collect(
      index.upsertTrainings(trainings, {
        onFailure: "continue",
        onProgress: (progress) => seen.push(progress),
      }),
    );
    expect(results.map(({ id, status }) => `${String(id)} ${status}`)).toEqual([
      ...Array.from({ length: 40 }, (_, place) => `t${place} indexed`),
      "veneno failed",
      "x failed",
      "undefined failed",
      "z indexed",
    ]);
    expect(results[40]).toMatchObject({ error: { code: "EMBEDDING_FAILED" } });
    expect(results[41]).toMatchObject({
      error: { code: "INVALID_ARGUMENT", option: "trainings[41].content" },
    });
    expect(seen.at(-1)).toEqual({ trainings: 44, failed: 3, embedded: 41, reused: 0, total: 41 });
    const { rows } = await pool.query<{ last: string }>(`SELECT max(ticket)::text AS last FROM ${schema}.training`);
    expect(Number(rows[0]?.last)).toBe(42);
    const summary = await index.upsertTrainings(trainings, { onFailure: "continue" });
    expect(summary).toMatchObject({ indexed: 0, unchanged: 41, failed: { count: 3 } });
    expect(summary.failed.first.map(({ id }) => id)).toEqual(["veneno", "x", undefined]);
  });

  it("still fails when the embedder is down, when the signal fires, and when the source throws", async () => {
    const { index, embeddings } = await openTestIndex(database);
    embeddings.before = () => {
      throw new Error("down");
    };
    const down = index.upsertTrainings(THREE, { onFailure: "continue" });
    expect(await failureOf(Promise.resolve(down))).toMatchObject({ code: "EMBEDDING_FAILED" });
    embeddings.before = () => undefined;
    const controller = new AbortController();
    controller.abort();
    const aborted = index.upsertTrainings(THREE, { onFailure: "continue", signal: controller.signal });
    expect(await failureOf(Promise.resolve(aborted))).toMatchObject({ code: "ABORTED" });
    const source = function* (): Generator<{ id: string; content: string }> {
      yield smallTraining("a");
      throw new Error("the source broke");
    };
    const broken = index.upsertTrainings(source(), { onFailure: "continue" });
    await expect(broken).rejects.toThrow("the source broke");
  });

  it("reports the first 100 failures, and the number of all", async () => {
    const { index } = await openTestIndex(database);
    const wrong = Array.from({ length: 250 }, () => ({ id: "", content: "x" }));
    const { failed } = await index.upsertTrainings(wrong, { onFailure: "continue" });
    expect(failed.count).toBe(250);
    expect(failed.first).toHaveLength(100);
  });
});
