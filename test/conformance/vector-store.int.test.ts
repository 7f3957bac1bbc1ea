/** The cases of Python's `VectorStoreIntegrationTests` (langchain-tests), one test for each, in its order. */
import { Document } from "@langchain/core/documents";
import type { TrainingVectorStore } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

const LOJA = "A loja abre às nove.";
const FRETE = "O frete é grátis.";
const PIX = "No Pix há desconto.";

function document(pageContent: string, fields: { id?: string; metadata?: object } = {}): Document {
  return new Document({ pageContent, metadata: {}, ...fields });
}

/** The fields of documents, as plain objects. */
function partsOf(documents: readonly Document[]): object[] {
  return structuredClone(documents.map(({ id, pageContent, metadata }) => ({ id, pageContent, metadata })));
}

describeOnServer("LangChain VectorStoreIntegrationTests", (database) => {
  async function openStore(): Promise<TrainingVectorStore> {
    return (await openTestIndex(database)).index.vectorStore;
  }

  it("finds nothing in an empty store", async () => {
    const store = await openStore();
    expect(await store.similaritySearch(LOJA, 1)).toEqual([]);
    expect(await store.similaritySearchWithScore(LOJA, 1)).toEqual([]);
    expect(await store.maxMarginalRelevanceSearch(LOJA, { k: 1 })).toEqual([]);
  });

  it("adds documents, returns their ids and does not mutate them", async () => {
    const store = await openStore();
    const originals = [document(LOJA, { metadata: { id: 1 } }), document(FRETE, { metadata: { id: 2 } })];
    const before = partsOf(originals);
    const ids = await store.addDocuments(originals);
    const [first = "", second = ""] = ids;
    expect(new Set(ids).size).toBe(2);
    expect(await store.similaritySearch(FRETE, 2)).toEqual([
      document(FRETE, { id: second, metadata: { id: 2 } }),
      document(LOJA, { id: first, metadata: { id: 1 } }),
    ]);
    expect(partsOf(originals)).toEqual(before);
    expect(originals.every((original) => original.id === undefined)).toBe(true);
  });

  it("adding documents to one store leaves another empty", async () => {
    const [one, other] = [await openStore(), await openStore()];
    await one.addDocuments([document(LOJA), document(FRETE)]);
    expect(await other.similaritySearch(LOJA, 1)).toEqual([]);
    expect(await one.similaritySearch(LOJA, 5)).toHaveLength(2);
  });

  it("deletes a document by its id and keeps the others", async () => {
    const store = await openStore();
    const ids = await store.addDocuments([document(LOJA), document(FRETE)], { ids: ["1", "2"] });
    expect(ids).toEqual(["1", "2"]);
    await store.delete({ ids: ["1"] });
    expect(await store.similaritySearch(LOJA, 1)).toEqual([document(FRETE, { id: "2" })]);
    expect(await store.similaritySearch(LOJA, 5)).toHaveLength(1);
  });

  it("deletes several documents in one call", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA), document(FRETE), document(PIX)], { ids: ["1", "2", "3"] });
    await store.delete({ ids: ["1", "2"] });
    expect(await store.similaritySearch(LOJA, 3)).toEqual([document(PIX, { id: "3" })]);
  });

  it("deletes missing content without an error", async () => {
    const store = await openStore();
    await expect(store.delete({ ids: ["1"] })).resolves.toBeUndefined();
    await expect(store.delete({ ids: ["1", "2", "3"] })).resolves.toBeUndefined();
    await store.addDocuments([document(LOJA)], { ids: ["4"] });
    await store.delete({ ids: ["1", "2", "3"] });
    expect(await store.similaritySearch(LOJA, 5)).toEqual([document(LOJA, { id: "4" })]);
  });

  it("keeps one document for each id when the same documents are added twice", async () => {
    const store = await openStore();
    const originals = [document(LOJA, { metadata: { id: 1 } }), document(FRETE, { metadata: { id: 2 } })];
    expect(await store.addDocuments(originals, { ids: ["1", "2"] })).toEqual(["1", "2"]);
    expect(await store.addDocuments(originals, { ids: ["1", "2"] })).toEqual(["1", "2"]);
    expect(await store.similaritySearch(FRETE, 4)).toEqual([
      document(FRETE, { id: "2", metadata: { id: 2 } }),
      document(LOJA, { id: "1", metadata: { id: 1 } }),
    ]);
    expect(originals.every((original) => original.id === undefined)).toBe(true);
  });

  it("overwrites text and metadata of an existing id when added with other documents", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { metadata: { id: 1 } }), document(FRETE, { metadata: { id: 2 } })], {
      ids: ["1", "2"],
    });
    const replaced = document("A loja abre às dez.", { metadata: { id: 1, hora: "dez" } });
    expect(await store.addDocuments([replaced], { ids: ["1"] })).toEqual(["1"]);
    expect(await store.similaritySearch("A loja abre às dez.", 3)).toEqual([
      document("A loja abre às dez.", { id: "1", metadata: { id: 1, hora: "dez" } }),
      document(FRETE, { id: "2", metadata: { id: 2 } }),
    ]);
    expect(await store.getByIds(["1"])).toMatchObject([{ pageContent: "A loja abre às dez." }]);
  });

  it("gets documents by their ids", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { metadata: { id: 1 } }), document(FRETE, { metadata: { id: 2 } })], {
      ids: ["1", "2"],
    });
    expect(await store.getByIds(["1", "2"])).toEqual([
      document(LOJA, { id: "1", metadata: { id: 1 } }),
      document(FRETE, { id: "2", metadata: { id: 2 } }),
    ]);
  });

  it("gets nothing for missing ids", async () => {
    const store = await openStore();
    expect(await store.getByIds(["1", "2", "3"])).toEqual([]);
    await store.addDocuments([document(LOJA)], { ids: ["2"] });
    expect(await store.getByIds(["1", "2", "3"])).toEqual([document(LOJA, { id: "2" })]);
    expect(await store.getByIds([])).toEqual([]);
  });

  it("gets documents by generated ids", async () => {
    const store = await openStore();
    const ids = await store.addDocuments([document(LOJA, { metadata: { id: 1 } }), document(FRETE)]);
    const [first = "", second = ""] = ids;
    expect(await store.getByIds(ids)).toEqual([
      document(LOJA, { id: first, metadata: { id: 1 } }),
      document(FRETE, { id: second }),
    ]);
  });

  it("keeps the id of a document and generates one for a document without", async () => {
    const store = await openStore();
    const originals = [document(LOJA, { id: "foo" }), document(FRETE)];
    const before = partsOf(originals);
    const ids = await store.addDocuments(originals);
    const [, made = ""] = ids;
    expect(ids[0]).toBe("foo");
    expect(made).not.toBe("");
    expect(await store.getByIds(ids)).toEqual([document(LOJA, { id: "foo" }), document(FRETE, { id: made })]);
    expect(partsOf(originals)).toEqual(before);
  });
});
