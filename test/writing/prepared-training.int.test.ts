import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { FIVE_PARAGRAPHS, inHostTransaction, openTestIndex, smallTraining } from "../support/index.js";

describeOnServer("a prepared training", (database) => {
  it("commits or rolls back with the host's transaction", async () => {
    const { index, pool } = await openTestIndex(database);
    const prepared = await index.prepareTraining(smallTraining("a"));
    await inHostTransaction(pool, "ROLLBACK", async (client) => {
      expect(await prepared.commit(client)).toMatchObject({ status: "indexed", embedded: 1 });
    });
    expect(await index.similar("loja")).toEqual([]);
    await inHostTransaction(pool, "COMMIT", async (client) => {
      expect(await prepared.commit(client)).toMatchObject({ status: "indexed" });
    });
    expect(await index.similar("loja")).toHaveLength(1);
    expect(await prepared.commit()).toMatchObject({ status: "indexed" });
    expect(await index.similar("loja")).toHaveLength(1);
  });

  it("embeds before the transaction, and not in it", async () => {
    const { index, embeddings, pool } = await openTestIndex(database);
    const prepared = await index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
    expect(embeddings.calls).toBe(1);
    embeddings.before = () => {
      throw new Error("no call is expected any more");
    };
    await inHostTransaction(pool, "COMMIT", (client) => prepared.commit(client));
    expect(await index.similar("loja")).toHaveLength(5);
  });

  it("is refused on a client without an open transaction", async () => {
    const { index, pool } = await openTestIndex(database);
    const prepared = await index.prepareTraining(smallTraining("a"));
    const client = await pool.connect();
    try {
      await expect(prepared.commit(client)).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        option: "client",
        message: expect.stringContaining("BEGIN first") as string,
      });
    } finally {
      client.release();
    }
    expect(await index.similar("loja")).toEqual([]);
  });

  it("has an equivalent in upsertTraining and deleteTraining with client, even with a pool of one", async () => {
    const { index, pool } = await openTestIndex(database);
    await inHostTransaction(pool, "ROLLBACK", async (client) => {
      expect(await index.upsertTraining(smallTraining("a"), { client })).toMatchObject({ status: "indexed" });
      expect(await index.deleteTraining("a", { client })).toMatchObject({ status: "deleted" });
      expect(await index.deleteTrainings({ ids: ["a"] }, { client })).toMatchObject([{ status: "absent" }]);
    });
    const { rows } = await pool.query("SELECT 1 AS one");
    expect(rows).toEqual([{ one: 1 }]);
  });
});
