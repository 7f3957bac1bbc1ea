import { TrainingIndex, type TrainingIndexError } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach } from "../support/databases.js";
import { openTestIndex, smallTraining } from "../support/index.js";
import { otherModel } from "../support/other-model.js";

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "succeeded",
    (error: unknown) => (error as TrainingIndexError).code,
  );
}

describeOnEach("A switch of the model", (database) => {
  it("builds, flips, and is followed by processes that have both models", async () => {
    const { index, pool, owner, schema, embeddings } = await openTestIndex(database);
    for (const id of ["a", "b", "c"]) await index.upsertTraining(smallTraining(id));
    const next = otherModel(32);
    const both = await TrainingIndex.initialize([embeddings, next], { pool, schema });
    const before = await both.similar("loja", { k: 10 });
    const switching = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
    const { status, report, from, to } = await switching.switchModel(next);
    expect({ status, from: from.dimensions, to: to.dimensions }).toEqual({ status: "switched", from: 64, to: 32 });
    expect(report).toMatchObject({ trainings: { stored: 3, built: 3 }, problems: [], vectorIndex: true });
    const after = await both.similar("loja", { k: 10 });
    expect(after.map(({ chunkId }) => chunkId).sort()).toEqual(before.map(({ chunkId }) => chunkId).sort());
    expect(await both.upsertTraining(smallTraining("d"))).toMatchObject({ status: "indexed" });
    expect(await both.upsertTraining(smallTraining("a"))).toMatchObject({ status: "unchanged", embedded: 0 });
    expect(await both.count()).toMatchObject({ trainings: 4 });
    expect(await codeOf(index.similar("loja"))).toBe("PROFILE_RETIRED");
    expect(await codeOf(index.upsertTraining(smallTraining("e")))).toBe("PROFILE_RETIRED");
    expect(await codeOf(index.upsertTraining(smallTraining("a")))).toBe("PROFILE_RETIRED");
    expect(await codeOf(index.deleteTraining("a"))).toBe("PROFILE_RETIRED");
    expect(await codeOf(TrainingIndex.initialize(embeddings, { pool, schema }))).toBe("PROFILE_RETIRED");
    expect(await both.deleteTraining("a")).toMatchObject({ status: "deleted" });
    const onlyNew = await TrainingIndex.initialize(next, { pool, schema });
    expect((await onlyNew.similar("loja", { k: 10 })).map(({ trainingId }) => trainingId).sort()).toEqual([
      "b",
      "c",
      "d",
    ]);
    expect(await onlyNew.verify()).toMatchObject({ schema: [], damaged: { count: 0 } });
  });
});
