import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";
import { openWith, towards } from "../support/placed-vectors.js";
import { recordingPool } from "../support/recording-pool.js";
import { TrainingIndex } from "langchain-training-index";

describeOnServer("strategy trainings", (database) => {
  it("returns one hit per training, ranked by the mean of its vectors, with its best chunks", async () => {
    const { index } = await openWith(database, {
      // One perfect chunk among others about something else, against four that all nearly match.
      disperso: [towards(0), towards(5), towards(6), towards(7)],
      coeso: [towards(0, 0.1), towards(0, 0.2), towards(0, 0.3), towards(0, 0.25)],
      outro: [towards(9), towards(10)],
    });
    const hits = await index.similar(towards(0), { strategy: "trainings", k: 2 });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(["coeso", "disperso"]);
    const [first, second] = hits;
    expect(first?.chunks.map(({ content }) => content)).toEqual(["coeso 0", "coeso 1", "coeso 3"]);
    expect(second?.chunks[0]).toMatchObject({ content: "disperso 0", distance: 0, score: 1, position: 0 });
    // The mean of four orthogonal unit vectors has cosine 1/2 with each of them.
    expect(second?.score).toBeCloseTo(0.5, 5);
    expect(second?.distance).toBeCloseTo(0.5, 5);
    expect(first?.metadata).toEqual({ grupo: "c" });
    expect((await index.similar(towards(0), { k: 1 }))[0]?.trainingId).toBe("disperso");
  });

  it("applies the filters of the search and of the index", async () => {
    const test = await openWith(database, { a1: [towards(0)], b1: [towards(1)], b2: [towards(2)] });
    const hits = await test.index.similar(towards(0), { strategy: "trainings", filter: { grupo: "b" } });
    expect(hits.map(({ trainingId }) => trainingId).sort()).toEqual(["b1", "b2"]);
    const { embeddings, pool, schema } = test;
    const scoped = await TrainingIndex.initialize(embeddings, { pool, schema, filter: { grupo: "a" } });
    expect(await scoped.similar(towards(1), { strategy: "trainings" })).toMatchObject([{ trainingId: "a1" }]);
  });

  it("takes one round trip, and accepts a text", async () => {
    const { embeddings, pool, schema } = await openWith(database, { a: [towards(0)], b: [towards(1)] });
    const recording = recordingPool(pool);
    const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
    recording.statements.length = 0;
    expect(await index.similar("girassol", { strategy: "trainings" })).toHaveLength(2);
    expect(recording.statements).toHaveLength(1);
  });

  it("refuses an unknown strategy, and other modes than vector", async () => {
    const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const strategy = "documents" as "trainings";
    await expect(index.similar("girassol", { strategy })).rejects.toMatchObject({ option: "strategy" });
    for (const mode of ["text", "hybrid"] as const) {
      await expect(index.similar("girassol", { strategy: "trainings", mode })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        option: "strategy",
      });
    }
  });
});
