/**
 * The cases of Python's `DocumentIndexerTestSuite` (langchain-tests): `upsert` is `addDocuments`, `get` is `getByIds`.
 * There a call returns
 * which documents succeeded and which failed. Here a call is all or nothing: it returns, or throws and has changed nothing.
 */
import { Document } from "@langchain/core/documents";
import { InvalidArgumentError, type TrainingVectorStore } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

const LOJA = "A loja abre às nove.";
const FRETE = "O frete é grátis.";

function document(pageContent: string, fields: { id?: string; metadata?: object } = {}): Document {
  return new Document({ pageContent, metadata: {}, ...fields });
}

describeOnServer("LangChain DocumentIndexerTestSuite", (database) => {
  async function openStore(): Promise<TrainingVectorStore> {
    return (await openTestIndex(database)).index.vectorStore;
  }

  it("does not set ids on the given documents", async () => {
    const store = await openStore();
    const documents = [document(LOJA), document(FRETE)];
    const ids = await store.addDocuments(documents);
    expect(ids).toHaveLength(2);
    expect(documents.map(({ id }) => id)).toEqual([undefined, undefined]);
  });

  it("generates an id for each document without one", async () => {
    const store = await openStore();
    const ids = await store.addDocuments([
      document(LOJA, { metadata: { ordem: 1 } }),
      document(FRETE, { metadata: { ordem: 2 } }),
    ]);
    const [first = "", second = ""] = ids;
    expect(new Set(ids).size).toBe(2);
    expect(await store.getByIds(ids)).toEqual([
      document(LOJA, { id: first, metadata: { ordem: 1 } }),
      document(FRETE, { id: second, metadata: { ordem: 2 } }),
    ]);
  });

  it("generates ids only for documents without one", async () => {
    const store = await openStore();
    const given = "00000000-0000-0000-0000-000000000007";
    const ids = await store.addDocuments([document(LOJA, { id: given }), document(FRETE)]);
    const [first = "", second = ""] = ids;
    expect(first).toBe(given);
    expect(second).not.toBe("");
    expect(second).not.toBe(given);
    expect(await store.getByIds(ids)).toEqual([document(LOJA, { id: given }), document(FRETE, { id: second })]);
  });

  it("overwrites a document with the same id", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { id: "a", metadata: { ordem: 1 } })]);
    expect(await store.addDocuments([document(FRETE, { id: "a", metadata: { hora: 9 } })])).toEqual(["a"]);
    expect(await store.getByIds(["a"])).toEqual([document(FRETE, { id: "a", metadata: { hora: 9 } })]);
    expect(await store.similaritySearch(LOJA, 5)).toHaveLength(1);
  });

  it("deletes missing documents without an error", async () => {
    const store = await openStore();
    await store.delete({ ids: ["1"] });
    expect(await store.getByIds(["1"])).toEqual([]);
  });

  it("deletes the stored documents of a call and ignores missing ones", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { id: "a" }), document(FRETE, { id: "b" })]);
    await store.delete({ ids: ["missing", "a"] });
    expect(await store.getByIds(["a", "b"])).toEqual([document(FRETE, { id: "b" })]);
  });

  it("deletes many documents in one call", async () => {
    const store = await openStore();
    const ids = Array.from({ length: 120 }, (_, place) => `d${place}`);
    await store.addDocuments(ids.map((id) => document(`A loja ${id} abre às nove.`, { id })));
    await store.delete({ ids: ids.slice(0, 100) });
    expect((await store.getByIds(ids)).map(({ id }) => id)).toEqual(ids.slice(100));
  });

  it("refuses a delete without ids or filter", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { id: "a" })]);
    for (const selection of [undefined, {}, { ids: undefined }, { filter: {} }]) {
      await expect(store.delete(selection as never)).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    expect(await store.getByIds(["a"])).toHaveLength(1);
  });

  it("deletes the same document twice without an error", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { id: "a" }), document(FRETE, { id: "b" })]);
    await store.delete({ ids: ["a", "a"] });
    await store.delete({ ids: ["a"] });
    expect(await store.getByIds(["a", "b"])).toEqual([document(FRETE, { id: "b" })]);
  });

  it("gets the stored documents of a call and ignores missing ones", async () => {
    const store = await openStore();
    await store.addDocuments([document(LOJA, { id: "1" }), document(FRETE, { id: "2" })]);
    expect(await store.getByIds(["1", "2", "3", "4"])).toEqual([
      document(LOJA, { id: "1" }),
      document(FRETE, { id: "2" }),
    ]);
  });

  it("gets nothing if all documents are missing", async () => {
    const store = await openStore();
    expect(await store.getByIds(["1", "2", "3"])).toEqual([]);
  });
});
