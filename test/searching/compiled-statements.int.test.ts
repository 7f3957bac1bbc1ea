import { TrainingIndex, type SearchMode, type SearchStrategy, type SimilarOptions } from "langchain-training-index";
import { expect, it } from "vitest";
import { openServerPool } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { CountingEmbeddings, openTestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

/** Postgres compiles whatever it thinks is not for free, and tells the session how it ran each statement. */
const COMPILES = [
  "jit=on",
  "jit_above_cost=0.1",
  "jit_inline_above_cost=-1",
  "jit_optimize_above_cost=-1",
  "session_preload_libraries=auto_explain",
  "auto_explain.log_min_duration=0",
  "auto_explain.log_analyze=on",
  "client_min_messages=log",
];

const SEARCHES: [name: string, options: SimilarOptions<SearchMode, SearchStrategy>][] = [
  ["by words", { mode: "text" }],
  ["by words with a filter", { mode: "text", filter: { lugar: { lt: 20 } } }],
  ["by words for trainings", { mode: "text", strategy: "trainings" }],
  ["by vector and words", { mode: "hybrid" }],
  ["by vector and words, with neighbors", { mode: "hybrid", neighbors: { before: 1, after: 1 } }],
  ["by vector, of all chunks", { mode: "vector", perTraining: 1, k: 50 }],
];

describeOnServer("searches that look expensive to Postgres", (database) => {
  it("are not compiled, which would take longer than to run them", async () => {
    const { schema, index: writer } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const trainings = Array.from({ length: 40 }, (_, place) => ({
      id: `t${place}`,
      content: `O frete da loja ${place} custa doze reais.`,
      metadata: { lugar: place },
    }));
    for await (const { status } of writer.upsertTrainings(trainings)) expect(status).toBe("indexed");

    const pool = openServerPool({ options: COMPILES.map((setting) => `-c ${setting}`).join(" ") });
    const plans: string[] = [];
    pool.on("connect", (client) => client.on("notice", ({ message = "" }) => plans.push(message)));
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    await pool.query(`SELECT sum(length(content)) FROM ${schema}.chunk_1`);
    expect(plans.filter((plan) => plan.includes("JIT:"))).not.toEqual([]); // the settings have an effect

    for (const [name, options] of SEARCHES) {
      plans.length = 0;
      expect(await index.similar("Quanto custa o frete?", options), name).not.toEqual([]);
      const searches = plans.filter((plan) => plan.includes("langchain-training-index:search"));
      expect(searches, name).not.toEqual([]);
      expect(
        searches.filter((plan) => plan.includes("JIT:")),
        name,
      ).toEqual([]);
    }
    expect((await pool.query<{ jit: string }>("SHOW jit")).rows).toEqual([{ jit: "on" }]);
  });
});

describeOnServer("a connection", (database) => {
  it("gets no compiler, which takes longer to load than to open an index and search it", async () => {
    const { schema, index: writer } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    await writer.upsertTraining({ id: "frete", content: "O frete custa doze reais." });
    const pool = openServerPool({ max: 1, options: "-c jit=on" });
    const hasCompiler = async (): Promise<boolean> => {
      const { rows } = await pool.query<{ maps: string }>(
        "SELECT pg_read_file('/proc/self/maps', 0, 10000000) AS maps",
      );
      return rows[0]?.maps.includes("llvm") ?? false;
    };
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    for (const mode of ["vector", "text", "hybrid"] as const)
      expect(await index.similar("frete", { mode })).toHaveLength(1);
    expect(await hasCompiler()).toBe(false);
    await pool.query("SELECT pg_jit_available()");
    expect(await hasCompiler()).toBe(true); // it can be seen
  });
});

describeOnServer("a search with neighbors", (database) => {
  it("looks as cheap to Postgres as it is", async () => {
    const { pool, statements } = recordingPool(database.pool);
    const { schema, index: writer } = await openTestIndex(database);
    await writer.upsertTraining({ id: "frete", content: "O frete custa doze reais." });
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    statements.length = 0;
    expect(await index.similar("frete", { k: 10, neighbors: { before: 2, after: 2 } })).toHaveLength(1);
    const [search] = statements.filter(({ text }) => text.includes("<=>"));
    const { rows } = await database.pool.query<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }>(
      `EXPLAIN (FORMAT JSON) ${search?.text ?? ""}`,
      search?.values,
    );
    expect(rows[0]?.["QUERY PLAN"][0].Plan["Total Cost"]).toBeLessThan(5000); // from 100,000 on Postgres would compile it
  });
});
