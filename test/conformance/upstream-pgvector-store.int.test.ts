/**
 * The cases of the integration tests of `PGVectorStore` (@langchain/community). Where it demands uuids as ids, creates tables
 * at run time or returns a distance as the score, the case states this library's behaviour.
 */
import { Document } from "@langchain/core/documents";
import { InvalidArgumentError, TrainingIndex, type TrainingVectorStore } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { migratedSchema, openTestIndex, CountingEmbeddings } from "../support/index.js";

const PRECOS = [10, 20, 30];

function document(pageContent: string, fields: { id?: string; metadata?: object } = {}): Document {
  return new Document({ pageContent, metadata: {}, ...fields });
}

describeOnServer("LangChain.js PGVectorStore", (database) => {
  async function openStore(): Promise<TrainingVectorStore> {
    return (await openTestIndex(database)).index.vectorStore;
  }

  /** A store with a document for each price. */
  async function openPriced(): Promise<TrainingVectorStore> {
    const store = await openStore();
    await store.addDocuments(
      PRECOS.map((preco) =>
        document(`O frete custa ${preco} reais.`, {
          id: `p${preco}`,
          metadata: { preco, tipo: "frete", tags: ["a", `p${preco}`] },
        }),
      ),
    );
    return store;
  }

  it("embeds an added document and finds it unchanged", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const store = index.vectorStore;
    const metadata = { dentro: { lista: [1, "dois", null], verdade: true } };
    await store.addDocuments([document("A loja abre às nove.", { metadata }), document("O frete é grátis.")]);
    expect(embeddings.texts.sort()).toEqual(["A loja abre às nove.", "O frete é grátis."]);
    const [found] = await store.similaritySearch("A loja abre", 1);
    expect(found).toMatchObject({ pageContent: "A loja abre às nove.", metadata });
  });

  it("searches by maximal marginal relevance", async () => {
    const store = await openStore();
    await store.addDocuments(["prazo de entrega", "prazo de entrega!", "prazo de troca"].map((text) => document(text)));
    const found = await store.maxMarginalRelevanceSearch("prazo de entrega", {
      k: 2,
      fetchK: 3,
      lambda: 0.2,
    });
    expect(found.map(({ pageContent }) => pageContent)).toEqual([expect.stringContaining("entrega"), "prazo de troca"]);
    expect(await store.maxMarginalRelevanceSearch("prazo", { k: 5, fetchK: 1 })).toHaveLength(3);
  });

  it("saves more documents in one call than one statement writes", async () => {
    const store = await openStore();
    const ids = Array.from({ length: 1_100 }, (_, place) => `d${place}`);
    expect(await store.addDocuments(ids.map((id) => document(`loja ${id}`, { id })))).toEqual(ids);
    expect(await store.getByIds(ids)).toHaveLength(1_100);
    expect(await store.similaritySearch("loja", 1_000)).toHaveLength(1_000);
  });

  it("saves documents under ids that need not be uuids", async () => {
    const store = await openStore();
    const ids = ["doc1", "6b1f3c5e-0d0a-4c5b-9d3a-1f2e3d4c5b6a"];
    expect(await store.addDocuments([document("um"), document("dois")], { ids })).toEqual(ids);
    expect((await store.similaritySearch("dois", 2)).map(({ id }) => id)).toEqual([ids[1], ids[0]]);
  });

  it("overwrites a document with the same id, where the original throws", async () => {
    const store = await openStore();
    await store.addDocuments([document("um")], { ids: ["doc1"] });
    await store.addDocuments([document("um outro")], { ids: ["doc1"] });
    expect(await store.similaritySearch("um", 5)).toEqual([document("um outro", { id: "doc1" })]);
  });

  it.each([
    ["a string", { tipo: "frete" }, ["p10", "p20", "p30"]],
    ["a string that no document has", { tipo: "loja" }, []],
    ["a number", { preco: 20 }, ["p20"]],
    ["a number as a string", { preco: "20" }, []],
    ["several keys", { tipo: "frete", preco: 30 }, ["p30"]],
    ["several keys, one of which does not match", { tipo: "loja", preco: 30 }, []],
    ["a key that no document has", { cor: "azul" }, []],
    ["in", { preco: { in: [10, 30, 50] } }, ["p10", "p30"]],
    ["in with strings", { tipo: { in: ["frete", "loja"] } }, ["p10", "p20", "p30"]],
    ["in with values of other types", { preco: { in: ["10", true] } }, []],
    ["notIn", { preco: { notIn: [10, 30] } }, ["p20"]],
    ["neq", { preco: { neq: 20 } }, ["p10", "p30"]],
    ["lt", { preco: { lt: 20 } }, ["p10"]],
    ["lte", { preco: { lte: 20 } }, ["p10", "p20"]],
    ["gt", { preco: { gt: 20 } }, ["p30"]],
    ["gte", { preco: { gte: 20 } }, ["p20", "p30"]],
    ["gte and lte", { preco: { gte: 15, lte: 25 } }, ["p20"]],
    ["gt and lt with nothing between", { preco: { gt: 20, lt: 30 } }, []],
    ["an operator and a value", { tipo: "frete", preco: { gt: 10 } }, ["p20", "p30"]],
    ["arrayContains", { tags: { arrayContains: ["a"] } }, ["p10", "p20", "p30"]],
    ["arrayContains with one of several", { tags: { arrayContains: ["p10", "p30", "b"] } }, ["p10", "p30"]],
    ["arrayContains with a value that no list has", { tags: { arrayContains: ["b"] } }, []],
  ])("finds by %s in a filter", async (_name, filter, ids) => {
    const store = await openPriced();
    const byWords = await store.similaritySearch("frete", 10, filter);
    expect(byWords.map(({ id }) => id).sort()).toEqual(ids);
    const vector = await store.embeddings.embedQuery("frete");
    const byVector = await store.similaritySearchVectorWithScore(vector, 10, filter);
    expect(byVector.map(([{ id }]) => id).sort()).toEqual(ids);
    const diverse = await store.maxMarginalRelevanceSearch("frete", { k: 10, filter: filter });
    expect(diverse.map(({ id }) => id).sort()).toEqual(ids);
  });

  it("refuses an unknown operator, where the original ignores the filter", async () => {
    const store = await openPriced();
    for (const filter of [{ preco: { igual: 20 } }, { preco: {} }, { preco: { "eq' OR 1=1": 1 } }]) {
      await expect(store.similaritySearch("frete", 10, filter as never)).rejects.toBeInstanceOf(InvalidArgumentError);
    }
  });

  it("deletes by ids", async () => {
    const store = await openPriced();
    await store.delete({ ids: ["p10", "p30"] });
    expect((await store.similaritySearch("frete", 10)).map(({ id }) => id)).toEqual(["p20"]);
  });

  it("deletes by metadata", async () => {
    const store = await openPriced();
    await store.delete({ filter: { preco: 10 } });
    expect((await store.similaritySearch("frete", 10)).map(({ id }) => id).sort()).toEqual(["p20", "p30"]);
    await store.delete({ filter: { tipo: "frete" } });
    expect(await store.similaritySearch("frete", 10)).toEqual([]);
  });

  it("refuses to delete by an empty or unknown filter, where the original empties the table", async () => {
    const store = await openPriced();
    for (const filter of [{}, { preco: { igual: 20 } }, { preco: { "eq' OR 1=1": 1 } }]) {
      await expect(store.delete({ filter: filter as never })).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    expect(await store.similaritySearch("frete", 10)).toHaveLength(3);
  });

  it("keeps two schemas apart, like collections", async () => {
    const [one, other] = [await openStore(), await openStore()];
    await one.addDocuments([document("um", { id: "a" })]);
    await other.addDocuments([document("outro", { id: "a" })]);
    await one.delete({ ids: ["a"] });
    expect(await one.similaritySearch("um", 5)).toEqual([]);
    expect(await other.similaritySearch("um", 5)).toEqual([document("outro", { id: "a" })]);
  });

  it("keeps two index filters apart, like collections", async () => {
    const schema = await migratedSchema(database);
    const storeOf = async (bot: string): Promise<TrainingVectorStore> => {
      const options = { pool: database.pool, schema, filter: { bot } };
      return (await TrainingIndex.initialize(new CountingEmbeddings(), options)).vectorStore;
    };
    const [one, other] = [await storeOf("um"), await storeOf("outro")];
    await one.addDocuments([document("um", { id: "a", metadata: { bot: "um" } })]);
    await other.addDocuments([document("outro", { id: "b", metadata: { bot: "outro" } })]);
    await one.delete({ ids: ["b"] });
    expect((await one.similaritySearch("um", 5)).map(({ id }) => id)).toEqual(["a"]);
    expect((await other.similaritySearch("um", 5)).map(({ id }) => id)).toEqual(["b"]);
    expect(await one.getByIds(["a", "b"])).toHaveLength(1);
  });

  it("does not check or create tables at run time", async () => {
    const store = await openStore();
    await expect(store.ensureTableInDatabase()).rejects.toMatchObject({ option: "ensureTableInDatabase" });
    await store.addDocuments([document("um")]);
    expect(await store.similaritySearch("um", 1)).toHaveLength(1);
  });

  it("has an HNSW index on the vectors, created with the schema", async () => {
    const { index, pool, schema } = await openTestIndex(database);
    const { rows } = await pool.query<{ indexdef: string }>(
      "SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename = $2",
      [schema, index.vectorStore.tableName],
    );
    expect(rows.filter(({ indexdef }) => indexdef.includes("USING hnsw (embedding "))).toHaveLength(1);
    await expect(index.vectorStore.createHnswIndex()).rejects.toMatchObject({ option: "createHnswIndex" });
  });

  it("scores an exact match with 1 and others with less, and score and distance agree", async () => {
    const store = await openPriced();
    const [[exact, best] = [], ...others] = await store.similaritySearchWithScore("O frete custa 20 reais.", 3);
    expect(exact?.id).toBe("p20");
    expect(best).toBeCloseTo(1, 5);
    for (const [, score] of others) expect(score).toBeLessThan(best ?? 0);
    const vector = await store.embeddings.embedQuery("O frete custa 20 reais.");
    const [[, both] = []] = await store.similaritySearchVectorWithScores(vector, 1);
    expect(both?.similarity).toBeCloseTo(1, 5);
    expect(both?.distance).toBeCloseTo(0, 5);
  });

  it("leaves the host's pool open after end()", async () => {
    const { index, pool } = await openTestIndex(database);
    await index.vectorStore.end();
    expect((await pool.query("SELECT 1 AS um")).rows).toEqual([{ um: 1 }]);
    expect(await index.vectorStore.similaritySearch("um", 1)).toEqual([]);
  });
});
