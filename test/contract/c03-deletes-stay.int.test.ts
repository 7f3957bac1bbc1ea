import { InvalidArgumentError, type DeleteResult, type Queryable, type Revision } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { TOMBSTONE_ONLY, collect, countRows, holdEmbedding, untilWaiting, wholeText } from "../support/contract.js";
import { describeOnEach, describeOnServer } from "../support/databases.js";
import {
  FIVE_PARAGRAPHS,
  inHostTransaction,
  openTestIndex,
  smallTraining,
  until,
  type TestIndex,
} from "../support/index.js";

const NOTHING = { training: 0, indexed: 0, chunks: 0 };
const ABSENT = { id: "a", status: "absent", removed: 0 };

/** Backdates the delete of a training by an hour. */
async function backdateDelete({ owner, schema }: TestIndex, id: string): Promise<void> {
  await owner.query(`UPDATE ${schema}.training SET deleted_at = now() - interval '1 hour' WHERE id = $1`, [id]);
}

describeOnEach("C3 Deletes stay", (database) => {
  // Guards: the tombstone and its ticket.
  describe("against calls that started before them", () => {
    it.each([
      { what: "a stored training", stored: FIVE_PARAGRAPHS, status: "deleted", removed: 5 },
      { what: "an unknown id", stored: undefined, status: "absent", removed: 0 },
    ])("a delete of $what while an upsert embeds leaves only the tombstone", async ({ stored, status, removed }) => {
      const test = await openTestIndex(database);
      if (stored !== undefined) await test.index.upsertTraining({ id: "a", content: stored });
      const held = holdEmbedding(test.embeddings, "atrasada");
      const upsert = test.index.upsertTraining({ id: "a", content: "a versão atrasada" });
      await held.reached;
      expect(await test.index.deleteTraining("a")).toEqual({ id: "a", status, removed });
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
      held.release();
      expect(await upsert).toMatchObject({ status: "superseded" });
      expect(await test.index.similar("versão")).toEqual([]);
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
      const newer = await test.index.upsertTraining({ id: "a", content: "a segunda versão" });
      expect(newer).toMatchObject({ status: "indexed" });
    });

    it("a late upsert that started before the delete is superseded, however often it is committed", async () => {
      const test = await openTestIndex(database);
      const late = await test.index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
      expect(await test.index.deleteTraining("a")).toEqual(ABSENT);
      expect(await late.commit()).toMatchObject({ status: "superseded" });
      expect(await late.commit()).toMatchObject({ status: "superseded" });
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
    });

    it("an upsert that starts after the delete is stored", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, revision: 7 });
      await test.index.deleteTraining("a");
      expect(await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS })).toMatchObject({
        status: "indexed",
        embedded: 5,
      });
      expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
      expect(await test.index.similar("loja", { k: 10 })).toHaveLength(5);
    });

    it("a repeated delete is absent, and beats upserts that started before the repeat", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      expect(await test.index.deleteTraining("a")).toEqual({ id: "a", status: "deleted", removed: 5 });
      const between = await test.index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
      expect(await test.index.deleteTraining("a")).toEqual(ABSENT);
      expect(await between.commit()).toMatchObject({ status: "superseded" });
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
    });

    it("a repeat prepared before the delete does not bring the training back", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      const repeat = await test.index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
      await test.index.deleteTraining("a");
      expect(await repeat.commit()).toMatchObject({ status: "superseded" });
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
    });
  });

  // Guards: the fence compares revision and barrier for deletes as for upserts.
  describe("by revision", () => {
    it.each<[string, Revision | undefined, string]>([
      ["below the stored one is superseded", 4, "superseded"],
      ["equal to the stored one deletes", 5, "deleted"],
      ["above the stored one deletes", 6n, "deleted"],
    ])("a delete with a revision %s", async (_title, revision, status) => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, revision: 5 });
      const removed = status === "deleted" ? 5 : 0;
      expect(await test.index.deleteTraining("a", { revision })).toEqual({ id: "a", status, removed });
      expect(await wholeText(test)).toBe(status === "deleted" ? "" : FIVE_PARAGRAPHS);
    });

    it.each<[string, number | undefined, string]>([
      ["beats a later upsert with a lower revision", 4, "superseded"],
      ["yields to a later upsert with the same revision", 5, "indexed"],
      ["yields to a later upsert with a higher revision", 6, "indexed"],
      ["yields to a later upsert without a revision", undefined, "indexed"],
    ])("a delete with a revision %s", async (_title, revision, status) => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: "a primeira versão", revision: 3 });
      expect(await test.index.deleteTraining("a", { revision: 5 })).toMatchObject({ status: "deleted" });
      const upsert = test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, revision });
      expect(await upsert).toMatchObject({ status });
      expect(await wholeText(test)).toBe(status === "indexed" ? FIVE_PARAGRAPHS : "");
    });

    it.each<[string, Revision | undefined, string]>([
      ["with a lower revision does not affect it", 4, "indexed"],
      ["with its revision supersedes it", 5, "superseded"],
      ["with a higher revision supersedes it", 6, "superseded"],
      ["without a revision supersedes it", undefined, "superseded"],
    ])("a delete during the embedding of a version with a revision, %s", async (_title, revision, status) => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: "a primeira versão", revision: 3 });
      const held = holdEmbedding(test.embeddings, "Entregas");
      const upsert = test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, revision: 5 });
      await held.reached;
      await test.index.deleteTraining("a", { revision });
      held.release();
      expect(await upsert).toMatchObject({ status });
      expect(await wholeText(test)).toBe(status === "indexed" ? FIVE_PARAGRAPHS : "");
    });
  });

  describe("of several trainings", () => {
    it("deletes by ids, with repeated and unknown ones, and supersedes upserts that started before", async () => {
      const test = await openTestIndex(database);
      const { index } = test;
      await collect(index.upsertTrainings(["a", "b", "c"].map(smallTraining)));
      const held = holdEmbedding(test.embeddings, "atrasada");
      const late = ["a", "x"].map((id) => index.upsertTraining({ id, content: `a versão atrasada de ${id}` }));
      await until(() => test.embeddings.texts.filter((text) => text.includes("atrasada")).length === 2);
      expect(await index.deleteTrainings({ ids: ["a", "x", "b", "a"] })).toEqual([
        { id: "a", status: "deleted", removed: 1 },
        { id: "x", status: "absent", removed: 0 },
        { id: "b", status: "deleted", removed: 1 },
        { id: "a", status: "deleted", removed: 1 },
      ]);
      held.release();
      for (const upsert of late) expect(await upsert).toMatchObject({ status: "superseded" });
      expect(await index.similar("loja")).toMatchObject([{ trainingId: "c" }]);
      for (const id of ["a", "b", "x"]) expect(await countRows(test, id)).toEqual(TOMBSTONE_ONLY);
      expect(await index.deleteTrainings({ ids: [] })).toEqual([]);
    });

    it("deletes by metadata, and supersedes upserts that started before", async () => {
      const test = await openTestIndex(database);
      const { index } = test;
      await index.upsertTraining({ ...smallTraining("a"), metadata: { grupo: "loja" } });
      await index.upsertTraining({ ...smallTraining("b"), metadata: { grupo: "site" } });
      const late = await index.prepareTraining({ id: "a", content: "outra", metadata: { grupo: "loja" } });
      expect(await index.deleteTrainings({ filter: { grupo: "loja" } })).toEqual([
        { id: "a", status: "deleted", removed: 1 },
      ]);
      expect(await late.commit()).toMatchObject({ status: "superseded" });
      expect(await index.deleteTrainings({ filter: { grupo: "loja" } })).toEqual([]);
      expect(await index.similar("loja")).toMatchObject([{ trainingId: "b" }]);
    });

    it.each([
      {},
      { filter: {} },
      { filter: { grupo: { maior: "loja" } } },
      { filter: { $nor: [{ grupo: "loja" }] } },
      { filter: { grupo: ["loja"] } },
      { filter: { grupo: null } },
      { ids: ["a"], filter: { grupo: "loja" } },
    ])("refuses the selection %j, and deletes nothing", async (selection) => {
      const { index } = await openTestIndex(database);
      await index.upsertTraining({ ...smallTraining("a"), metadata: { grupo: "loja" } });
      await expect(index.deleteTrainings(selection as never)).rejects.toBeInstanceOf(InvalidArgumentError);
      expect(await index.similar("loja")).toHaveLength(1);
    });
  });

  describe("until they are pruned", () => {
    it("forgets only old deletes, and no stored training", async () => {
      const test = await openTestIndex(database);
      const { index } = test;
      await collect(index.upsertTrainings(["velho", "novo", "de volta", "vivo"].map(smallTraining)));
      await index.deleteTrainings({ ids: ["velho", "novo", "de volta", "nunca"] });
      for (const id of ["velho", "de volta", "nunca"]) await backdateDelete(test, id);
      await index.upsertTraining(smallTraining("de volta"));
      const late = await index.prepareTraining(smallTraining("novo"));
      await index.deleteTraining("novo");

      expect(await index.prune({ olderThanMs: 60_000 })).toBe(2);
      for (const id of ["velho", "nunca"]) expect(await countRows(test, id)).toEqual(NOTHING);
      expect(await countRows(test, "novo")).toEqual(TOMBSTONE_ONLY);
      expect(await late.commit()).toMatchObject({ status: "superseded" });
      for (const id of ["de volta", "vivo"]) expect(await wholeText(test, id)).toBe(`a loja ${id}`);
      expect(await index.prune({ olderThanMs: 60_000 })).toBe(0);
      expect(await index.upsertTraining(smallTraining("velho"))).toMatchObject({ status: "indexed" });
    });

    it.each([0, -1, NaN, Infinity, "60000", null, undefined])("refuses the age %s and forgets nothing", async (age) => {
      const test = await openTestIndex(database);
      await test.index.deleteTraining("a");
      await backdateDelete(test, "a");
      const pruned = test.index.prune({ olderThanMs: age as number });
      await expect(pruned).rejects.toMatchObject({ code: "INVALID_ARGUMENT", option: "olderThanMs" });
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
    });
  });

  describe("with the host's transactions", () => {
    it("an upsert leaves nothing if the transaction rolls back", async () => {
      const test = await openTestIndex(database);
      const prepared = await test.index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
      await inHostTransaction(test.pool, "ROLLBACK", async (client) => {
        expect(await prepared.commit(client)).toMatchObject({ status: "indexed" });
      });
      expect(await countRows(test)).toEqual(NOTHING);
    });

    it("a delete keeps the chunks if the transaction rolls back, and removes them if it commits", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      const remove = async (client: Queryable): Promise<void> => {
        const result = await test.index.deleteTraining("a", { client });
        expect(result).toEqual({ id: "a", status: "deleted", removed: 5 });
      };
      await inHostTransaction(test.pool, "ROLLBACK", remove);
      expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
      await inHostTransaction(test.pool, "COMMIT", remove);
      expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
    });
  });
});

describeOnServer("C3 Deletes stay", (database) => {
  it("a delete by filter spares a training that no longer matches when the delete gets its lock", async () => {
    const test = await openTestIndex(database);
    const { index, owner, schema } = test;
    const loja = { grupo: "loja", ano: 2024 };
    await index.upsertTraining({ ...smallTraining("a"), metadata: loja });
    await index.upsertTraining({ ...smallTraining("b"), metadata: loja });
    const moved = await index.prepareTraining({ ...smallTraining("a"), metadata: { ...loja, ano: 2020 } });
    const client = await database.pool.connect();
    await client.query("BEGIN");
    await moved.commit(client);
    const deleting = index.deleteTrainings({ filter: { grupo: { in: ["loja"] }, ano: { gte: 2024 } } });
    await untilWaiting({ owner, schema }, "INSERT INTO");
    await client.query("COMMIT");
    client.release();
    expect(await deleting).toEqual([
      { id: "a", status: "absent", removed: 0 },
      { id: "b", status: "deleted", removed: 1 },
    ]);
    expect(await wholeText(test, "a")).toBe("a loja a");
  });

  // Guards: the fence of a delete admits only the version whose chunks its statement sees.
  it("a delete that waits for a version that is just being stored deletes all chunks of that version", async () => {
    const test = await openTestIndex(database);
    const { index } = test;
    await index.upsertTraining({ id: "a", content: "a primeira versão" });
    const versions = await Promise.all(["a", "b"].map((id) => index.prepareTraining({ id, content: FIVE_PARAGRAPHS })));
    let deleting: Promise<DeleteResult[]> | undefined;
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      for (const version of versions) expect(await version.commit(client)).toMatchObject({ status: "indexed" });
      deleting = index.deleteTrainings({ ids: ["a", "b"] });
      await untilWaiting(test, "INSERT INTO");
    });
    expect(await deleting).toMatchObject([
      { status: "deleted", removed: 5 },
      { status: "deleted", removed: 5 },
    ]);
    for (const id of ["a", "b"]) expect(await countRows(test, id)).toEqual(TOMBSTONE_ONLY);
  });

  // Guards: the prune statement checks a row again after waiting for its lock.
  it("does not prune a training that is stored again at that moment", async () => {
    const test = await openTestIndex(database);
    await test.index.deleteTraining("a");
    await backdateDelete(test, "a");
    const prepared = await test.index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
    let pruned: Promise<number> | undefined;
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      expect(await prepared.commit(client)).toMatchObject({ status: "indexed" });
      pruned = test.index.prune({ olderThanMs: 60_000 });
      await untilWaiting(test, "DELETE FROM");
    });
    expect(await pruned).toBe(0);
    expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
  });
});
