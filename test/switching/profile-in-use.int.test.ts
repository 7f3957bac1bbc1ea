/** Which writes the fence refuses by itself, and which the triggers and the recorded model refuse: those of older versions of the library. */
import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { otherModel } from "../support/other-model.js";
import { hold, openSwitching, type Switching } from "../support/switching.js";

/** Versions of the library from before switches, in their SQL. They know the first profile only. */
const earlierVersion = {
  /** The fence of a delete: it compares no model. */
  fenceDelete: (schema: string) =>
    `UPDATE ${schema}.training SET deleted_at = now(), ticket = nextval('${schema}.ticket'), content_ticket = nextval('${schema}.ticket') WHERE id = $1`,
  deletePositions: (schema: string) => `DELETE FROM ${schema}.indexed_1 WHERE training_id = $1`,
  deleteChunks: (schema: string) => `DELETE FROM ${schema}.chunk_1 WHERE training_id = $1`,
  /** The fence of an upsert, and the check of a search: both compare the recorded model. */
  findClaim: (schema: string) =>
    `SELECT id FROM ${schema}.profile WHERE id = 1 AND ARRAY[model, query_prefix, document_prefix, dimensions::text] = $1::text[] FOR SHARE`,
};

async function deleteAsEarlierVersion({ owner, schema }: Switching, id: string): Promise<void> {
  const client = await owner.connect();
  try {
    await client.query("BEGIN");
    await client.query(earlierVersion.fenceDelete(schema), [id]);
    await client.query(earlierVersion.deletePositions(schema), [id]);
    await client.query(earlierVersion.deleteChunks(schema), [id]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

/** Processes that know the second profile as the active one, while a later switch builds tables of the same names. */
async function withOutdated(
  database: TestDatabase,
  work: (test: Switching, open: () => TrainingIndex) => Promise<void>,
): Promise<void> {
  const test = await openSwitching(database);
  const { switching, next, embeddings, pool, schema } = test;
  await switching.switchModel(next, { sample: 0 });
  const models = [embeddings, otherModel(32)]; // not the embedder that the test holds
  const outdated = [
    await TrainingIndex.initialize(models, { pool, schema }),
    await TrainingIndex.initialize(models, { pool, schema }),
    await TrainingIndex.initialize(models, { pool, schema }),
  ];
  await work(test, () => {
    const index = outdated.pop();
    if (!index) throw new Error("there are no more");
    return index;
  });
}

describeOnServerOrEmbedded("Writes to a profile that is not in use", (database) => {
  it(
    "are refused by their fence where a later switch builds a profile of the same number",
    { timeout: 90_000 },
    async () => {
      await withOutdated(database, async (test, open) => {
        const { switching, next, embeddings, schema, owner } = test;
        const [writer, remover, preparer] = [open(), open(), open()];
        const prepared = await preparer.prepareTraining({ id: "c", content: "Preparado." });
        await switching.switchModel(embeddings, { sample: 0 });
        await switching.retireModel();
        const held = hold(next);
        const running = switching.switchModel(next, { sample: 0 });
        await held.reached;
        expect(await writer.upsertTraining({ id: "a", content: "Escrito." })).toMatchObject({ status: "indexed" });
        expect(await remover.deleteTraining("b")).toMatchObject({ status: "deleted" });
        expect(await prepared.commit()).toMatchObject({ status: "indexed" });
        const { rows } = await owner.query(`SELECT training_id AS id, content FROM ${schema}.chunk_1 ORDER BY 1`);
        expect(rows).toEqual([
          { id: "a", content: "Escrito." },
          { id: "c", content: "Preparado." },
        ]);
        held.release();
        expect(await running).toMatchObject({ status: "switched", report: { trainings: { stored: 2, built: 2 } } });
        expect(await test.both.chunks("a")).toMatchObject([{ content: "Escrito." }]);
      });
    },
  );

  it("by an earlier version of the library are refused by triggers, also while a switch back builds", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, embeddings, owner, schema } = test;
    await deleteAsEarlierVersion(test, "c"); // before the switch it works
    await switching.switchModel(next, { sample: 0 });
    await expect(deleteAsEarlierVersion(test, "a")).rejects.toMatchObject({ code: "TIX01" });
    await both.upsertTraining({ id: "b", content: "Novo." }); // so that there is something to build
    const held = hold(embeddings);
    const back = switching.switchModel(embeddings, { sample: 0 });
    await held.reached;
    await expect(deleteAsEarlierVersion(test, "a")).rejects.toMatchObject({ code: "TIX01" });
    const { rows } = await owner.query(`SELECT DISTINCT training_id AS id FROM ${schema}.chunk_2 ORDER BY 1`);
    expect(rows).toEqual([{ id: "a" }, { id: "b" }]); // nothing was half deleted
    held.release();
    await back;
    await deleteAsEarlierVersion(test, "a"); // its model is in use again
    expect(await both.count()).toMatchObject({ trainings: 1 });
    expect(await both.verify()).toMatchObject({ damaged: { count: 0 } });
  });

  it("and searches by an earlier version are refused by the recorded model", async () => {
    const { switching, next, embeddings, owner, schema } = await openSwitching(database);
    const { model, queryPrefix, documentPrefix, dimensions } = embeddings.profile;
    const isClaimed = async (): Promise<boolean> => {
      const claim = [model, queryPrefix, documentPrefix, dimensions.toString()];
      return (await owner.query(earlierVersion.findClaim(schema), [claim])).rows.length > 0;
    };
    expect(await isClaimed()).toBe(true);
    await switching.switchModel(next, { sample: 0 });
    expect(await isClaimed()).toBe(false);
    await switching.switchModel(embeddings, { sample: 0 });
    expect(await isClaimed()).toBe(true);
  });
});
