import { PGVectorStore } from "@langchain/community/vectorstores/pgvector";
import { Document } from "@langchain/core/documents";
import { InvalidArgumentError, TrainingVectorStore } from "langchain-training-index";
import { expect, it } from "vitest";
import { openServerPool } from "../support/contract.js";
import { describeOnEach, requireServerUrl } from "../support/databases.js";
import { FIVE_PARAGRAPHS, openTestIndex } from "../support/index.js";

function document(pageContent: string, fields: { id?: string; metadata?: Record<string, unknown> } = {}): Document {
  return new Document({ pageContent, metadata: {}, ...fields });
}

// These are the cases of LangChain's own test suite for vector stores (Python, `VectorStoreIntegrationTests`).
describeOnEach("the vector store, in LangChain's standard tests", (database) => {
  it("is empty at first", async () => {
    const { index } = await openTestIndex(database);
    expect(await index.vectorStore.similaritySearch("foo", 1)).toEqual([]);
  });

  it("adds documents, returns their ids, and does not change its arguments", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    const originals = [document("foo", { metadata: { id: 1 } }), document("bar", { metadata: { id: 2 } })];
    const given = structuredClone(originals.map(({ id, pageContent, metadata }) => ({ id, pageContent, metadata })));
    const ids = await vectorStore.addDocuments(originals);
    expect(ids).toHaveLength(2);
    expect(await vectorStore.similaritySearch("bar", 2)).toEqual([
      document("bar", { id: ids[1] ?? "", metadata: { id: 2 } }),
      document("foo", { id: ids[0] ?? "", metadata: { id: 1 } }),
    ]);
    expect(originals.map(({ id, pageContent, metadata }) => ({ id, pageContent, metadata }))).toEqual(given);
  });

  it("deletes one document, several, and ignores unknown ids", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    const ids = ["1", "2", "3"];
    expect(await vectorStore.addDocuments([document("foo"), document("bar"), document("baz")], { ids })).toEqual(ids);
    await vectorStore.delete({ ids: ["1"] });
    expect((await vectorStore.similaritySearch("foo", 3)).map(({ id }) => id).sort()).toEqual(["2", "3"]);
    await vectorStore.delete({ ids: ["1", "2", "4"] });
    expect(await vectorStore.similaritySearch("foo", 3)).toEqual([document("baz", { id: "3" })]);
    await vectorStore.delete({ ids: [] });
    expect(await vectorStore.similaritySearch("foo", 3)).toHaveLength(1);
  });

  it("keeps one document for an id that is added again", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    const documents = [document("foo"), document("bar")];
    await vectorStore.addDocuments(documents, { ids: ["1", "2"] });
    await vectorStore.addDocuments(documents, { ids: ["1", "2"] });
    expect(await vectorStore.similaritySearch("bar", 4)).toHaveLength(2);
  });

  it("replaces text and metadata of an id that is added again", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    await vectorStore.addDocuments([document("foo"), document("bar")], { ids: ["1", "2"] });
    await vectorStore.addDocuments([document("new foo", { metadata: { some: "metadata" } })], { ids: ["1"] });
    expect(await vectorStore.similaritySearch("new foo", 2)).toEqual([
      document("new foo", { id: "1", metadata: { some: "metadata" } }),
      document("bar", { id: "2" }),
    ]);
  });

  it("returns documents by id, in the order of the ids, without missing ones", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    const [first, second] = await vectorStore.addDocuments([document("foo"), document("bar", { id: "zwei" })]);
    expect(second).toBe("zwei");
    expect(await vectorStore.getByIds(["zwei", "missing", first ?? ""])).toEqual([
      document("bar", { id: "zwei" }),
      document("foo", { id: first ?? "" }),
    ]);
    expect(await vectorStore.getByIds(["1", "2"])).toEqual([]);
  });
});

describeOnEach("the vector store", (database) => {
  it("gives nearer documents higher scores, consistent with the distance", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    await vectorStore.addDocuments([document("o prazo de entrega", { id: "1" }), document("pagamento", { id: "2" })]);
    const scored = await vectorStore.similaritySearchWithScore("o prazo de entrega", 2);
    expect(scored.map(([{ id }]) => id)).toEqual(["1", "2"]);
    expect(scored[0]?.[1]).toBeCloseTo(1, 5);
    expect(scored[1]?.[1]).toBeLessThan(0.5);
    const vector = await vectorStore.embeddings.embedQuery("o prazo de entrega");
    expect(await vectorStore.similaritySearchVectorWithScore(vector, 2)).toEqual(scored);
    for (const [, { similarity, distance }] of await vectorStore.similaritySearchVectorWithScores(vector, 2)) {
      expect(similarity).toBe(1 - distance);
    }
  });

  it("stores given vectors, embeds nothing, and replaces a vector for the same text", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const [one, other] = await embeddings.embedDocuments(["um", "outro"]);
    embeddings.calls = 0;
    const store = index.vectorStore;
    await store.addVectors(
      [one ?? [], other ?? []],
      [document("same text", { id: "a" }), document("same text", { id: "b" })],
    );
    expect((await store.similaritySearch("outro", 1))[0]?.id).toBe("b");
    await store.addVectors([other ?? []], [document("same text", { id: "a" })]);
    await store.addVectors([one ?? []], [document("same text", { id: "b" })]);
    expect((await store.similaritySearch("outro", 1))[0]?.id).toBe("a");
    expect(embeddings.calls).toBe(0);
    await expect(store.addVectors([[1, 2]], [document("x")])).rejects.toMatchObject({ option: "vectors[0]" });
    await expect(store.addVectors([], [document("x")])).rejects.toMatchObject({ option: "vectors" });
  });

  it("prefers dissimilar documents in an MMR search", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    const texts = ["prazo de entrega", "prazo de entrega.", "prazo de entrega!", "prazo de troca"];
    await vectorStore.addDocuments(texts.map((text, place) => document(text, { id: `${place}` })));
    const found = await vectorStore.maxMarginalRelevanceSearch("prazo de entrega", { k: 2, lambda: 0.3 });
    expect(found.map(({ pageContent }) => pageContent)).toEqual([expect.stringContaining("entrega"), "prazo de troca"]);
    expect(found[0]?.metadata).toEqual({});
    const retriever = vectorStore.asRetriever({ k: 2, searchType: "mmr", searchKwargs: { lambda: 0.3 } });
    expect(await retriever.invoke("prazo de entrega")).toEqual(found);
  });

  it("applies filters in its retriever too", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    await vectorStore.addDocuments([
      document("foo", { metadata: { bot: 1 } }),
      document("foo", { metadata: { bot: 2 } }),
    ]);
    const retriever = vectorStore.asRetriever({ k: 5, filter: { bot: 2 } });
    expect((await retriever.invoke("foo")).map(({ metadata }) => metadata)).toEqual([{ bot: 2 }]);
    expect(await vectorStore.similaritySearch("foo", 5, { bot: { eq: 1 } })).toHaveLength(1);
    await expect(vectorStore.similaritySearch("foo", 1, { bot: { is: 1 } } as never)).rejects.toBeInstanceOf(
      InvalidArgumentError,
    );
  });

  it("deletes by filter", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    await vectorStore.addDocuments([
      document("foo", { metadata: { bot: 1 } }),
      document("foo", { metadata: { bot: 2 } }),
    ]);
    await vectorStore.delete({ filter: { bot: 1 } });
    expect((await vectorStore.similaritySearch("foo", 5)).map(({ metadata }) => metadata)).toEqual([{ bot: 2 }]);
  });

  it("reads the chunks of all trainings, and refuses to delete one out of a longer training", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const [chunk] = await index.vectorStore.similaritySearch("loja", 1);
    expect(await index.vectorStore.getByIds([chunk?.id ?? ""])).toEqual([chunk]);
    await expect(index.vectorStore.delete({ ids: ["x", chunk?.id ?? ""] })).rejects.toMatchObject({
      option: "ids[1]",
    });
    expect(await index.similar("loja", { k: 10 })).toHaveLength(5);
  });

  it("refuses a repeated id in one call, and a wrong number of ids", async () => {
    const { vectorStore } = (await openTestIndex(database)).index;
    const two = [document("foo"), document("bar")];
    await expect(vectorStore.addDocuments(two, { ids: ["1", "1"] })).rejects.toMatchObject({
      option: "ids[1]",
    });
    await expect(vectorStore.addDocuments(two, { ids: ["1"] })).rejects.toMatchObject({ option: "ids" });
    expect(await vectorStore.similaritySearch("foo", 5)).toEqual([]);
  });

  it("creates no tables, ends no pool, and is created by an index only", async () => {
    const { index, pool } = await openTestIndex(database);
    const store = index.vectorStore;
    expect(store).toBe(index.vectorStore);
    expect(store).toBeInstanceOf(TrainingVectorStore);
    for (const method of ["ensureTableInDatabase", "ensureCollectionTableInDatabase", "createHnswIndex"] as const) {
      await expect(store[method]()).rejects.toMatchObject({ option: method });
    }
    for (const method of ["initialize", "fromTexts", "fromDocuments"] as const) {
      await expect(TrainingVectorStore[method]()).rejects.toMatchObject({ option: method });
    }
    await store.end();
    expect((await pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });
});

describeOnEach("an unmodified PGVectorStore of @langchain/community", (database) => {
  it("reads the chunk table", async () => {
    const { index, embeddings, schema } = await openTestIndex(database);
    // PGVectorStore needs pgvector on the search_path, and a role that may read the tables.
    const pool = database.name === "server" ? openServerPool({ connectionString: requireServerUrl() }) : database.pool;
    await index.upsertTraining({
      id: "a",
      content: "O prazo de entrega é de três dias.",
      metadata: { grupo: "logistica" },
    });
    await index.upsertTraining({
      id: "b",
      content: "No Pix há desconto.",
      metadata: { grupo: "financeiro" },
    });
    const store = new PGVectorStore(embeddings, {
      pool,
      schemaName: schema,
      tableName: "chunk_1",
      columns: { contentColumnName: "content" },
      distanceStrategy: "cosine",
      skipInitializationCheck: true,
    });
    const [found] = await store.similaritySearchWithScore("prazo de entrega", 1);
    const [hit] = await index.similar("prazo de entrega", { k: 1 });
    expect(found?.[0]).toMatchObject({
      id: hit?.chunkId,
      pageContent: hit?.content,
      metadata: hit?.metadata,
    });
    expect(found?.[1]).toBeCloseTo(hit?.distance ?? NaN, 6);
    expect(await store.similaritySearch("prazo", 5, { grupo: "financeiro" })).toMatchObject([
      { pageContent: "No Pix há desconto." },
    ]);
    const diverse = await store.maxMarginalRelevanceSearch("prazo", { k: 2 });
    expect(diverse).toHaveLength(2);
  });
});
