import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

// Guards: `admitDeletes`: how a delete changes the stored revision.
describeOnServer("C3 Deletes stay", (database) => {
  it("a delete without a revision ends the revision history", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "sete", revision: 7 });
    const early = await index.prepareTraining({ id: "a", content: "nove", revision: 9 });
    expect(await index.deleteTraining("a")).toMatchObject({ status: "deleted" });
    expect(await early.commit()).toMatchObject({ status: "superseded", reason: "deleted" });
    expect(await index.upsertTraining({ id: "a", content: "um", revision: 1 })).toMatchObject({
      status: "indexed",
    });
    expect(await index.upsertTraining({ id: "a", content: "zero", revision: 0 })).toMatchObject({
      status: "superseded",
      reason: "newer",
    });
  });

  it("the next call may start before such a delete has ended", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "sete", revision: 7 });
    const [, result] = await Promise.all([
      index.deleteTraining("a"),
      index.upsertTraining({ id: "a", content: "um", revision: 1 }),
    ]);
    expect(result).toMatchObject({ status: "indexed" });
  });

  it("a delete with a revision is ordered by its revision, not by its start, until it is pruned", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "sete", revision: 7 });
    await index.deleteTraining("a", { revision: 8 });
    expect(await index.upsertTraining({ id: "a", content: "sete", revision: 7 })).toMatchObject({
      status: "superseded",
      reason: "deleted",
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await index.prune({ olderThanMs: 1 })).toBe(1);
    expect(await index.upsertTraining({ id: "a", content: "sete", revision: 7 })).toMatchObject({
      status: "indexed",
    });
  });
});
