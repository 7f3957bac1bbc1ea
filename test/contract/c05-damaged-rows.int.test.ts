import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { FIVE_PARAGRAPHS, openTestIndex, storedRows } from "../support/index.js";

// Guards: the count of chunk rows (`stored_chunks`) is compared with the recorded count (`chunks`).
describeOnServer("C5 Idempotent", (database) => {
  it("a repeat after a chunk row was deleted by hand is not `unchanged`: it embeds the missing chunk again", async () => {
    const test = await openTestIndex(database);
    const training = { id: "a", content: FIVE_PARAGRAPHS };
    const { chunks } = await test.index.upsertTraining(training);
    const before = await storedRows(test);
    await test.owner.query(`DELETE FROM ${test.schema}.chunk_1 WHERE id = $1`, [before[1]?.id]);
    test.embeddings.texts = [];
    expect(await test.index.upsertTraining(training)).toMatchObject({
      status: "indexed",
      chunks,
      embedded: 1,
    });
    expect(test.embeddings.texts).toHaveLength(1);
    const after = await storedRows(test);
    expect(after.map(({ content }) => content)).toEqual(before.map(({ content }) => content));
    expect(after.filter(({ version }) => before.some((row) => row.version === version))).toHaveLength(
      before.length - 1,
    );
    expect(await test.index.upsertTraining(training)).toMatchObject({ status: "unchanged" });
  });

  it.each(["chunk_1", "indexed_1"])(
    "a repeat after all rows of %s were deleted by hand is not `unchanged` either",
    async (table) => {
      const test = await openTestIndex(database);
      const training = { id: "a", content: FIVE_PARAGRAPHS };
      const { chunks } = await test.index.upsertTraining(training);
      await test.owner.query(`DELETE FROM ${test.schema}.${table}`);
      const embedded = table === "chunk_1" ? chunks : 0;
      expect(await test.index.upsertTraining(training)).toMatchObject({
        status: "indexed",
        chunks,
        embedded,
      });
      expect(await test.index.upsertTraining(training)).toMatchObject({ status: "unchanged" });
    },
  );
});
