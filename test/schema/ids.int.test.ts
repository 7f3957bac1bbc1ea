import { expect, it } from "vitest";
import { collect, failureOf } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

const UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

describeOnServer("Ids", (database) => {
  it.each(["bigint", "integer"] as const)(
    "of type %s are accepted as numbers, bigints and digit strings",
    async (idType) => {
      const { index } = await openTestIndex(database, {}, { idType });
      expect(await index.upsertTraining({ id: "7", content: "loja" })).toMatchObject({
        id: "7",
        status: "indexed",
      });
      expect(await index.upsertTraining({ id: 7n, content: "loja" })).toMatchObject({
        id: 7n,
        status: "unchanged",
      });
      const results = await collect(
        index.upsertTrainings([
          { id: 7, content: "um" },
          { id: "7", content: "dois" },
        ]),
      );
      expect(results.map(({ id }) => id)).toEqual([7, "7"]);
      expect(await index.similar("loja")).toMatchObject([{ trainingId: 7, content: "dois" }]);
      expect(await index.deleteTrainings({ ids: ["7", 7, 7n] })).toMatchObject(
        [{ id: "7" }, { id: 7 }, { id: 7n }].map((result) => ({ ...result, status: "deleted" })),
      );
      for (const id of ["007", "+7", " 7", "1e1"]) {
        expect(await failureOf(index.deleteTraining(id))).toMatchObject({
          code: "INVALID_ARGUMENT",
          option: "id",
        });
      }
      const { vectorStore } = index;
      const document = { pageContent: "loja", metadata: {} };
      expect(await vectorStore.addDocuments([document], { ids: ["8"] })).toEqual(["8"]);
      expect(await vectorStore.getByIds(["8"])).toMatchObject([{ id: "8", pageContent: "loja" }]);
      await vectorStore.delete({ ids: ["8"] });
      expect(await vectorStore.getByIds(["8"])).toEqual([]);
      const failure = await failureOf(vectorStore.addDocuments([document]));
      expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option: "documents[0].id" });
      expect(failure.message).toContain("pass { ids:");
    },
  );

  it("of type uuid have one form, in upper or lower case", async () => {
    const { index } = await openTestIndex(database, {}, { idType: "uuid" });
    const capitals = UUID.toUpperCase();
    const { vectorStore } = index;
    const document = { pageContent: "loja", metadata: {} };
    expect(await vectorStore.addDocuments([document], { ids: [capitals] })).toEqual([UUID]);
    expect(await vectorStore.addDocuments([{ ...document, id: UUID }])).toEqual([UUID]);
    expect(await vectorStore.getByIds([capitals])).toMatchObject([{ id: UUID }]);
    expect(await vectorStore.getByIds([UUID])).toHaveLength(1);
    expect(await failureOf(vectorStore.addDocuments([document, document], { ids: [UUID, capitals] }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "ids[1]",
    });
    const documents = [{ ...document, id: capitals }];
    expect(await index.upsertTraining({ id: capitals, documents, split: false })).toMatchObject({
      id: capitals,
      status: "unchanged",
    });
    await vectorStore.delete({ ids: [capitals] });
    expect(await index.similar("loja")).toEqual([]);
  });

  it("of type text are not changed", async () => {
    const { index } = await openTestIndex(database);
    await index.vectorStore.addDocuments(
      [UUID, UUID.toUpperCase()].map((id) => ({ id, pageContent: id, metadata: {} })),
    );
    expect(await index.similar("loja")).toHaveLength(2);
  });
});
