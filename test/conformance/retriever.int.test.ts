/**
 * The cases of Python's `RetrieversIntegrationTests` (langchain-tests). There `k` is an argument of `invoke`; here it is
 * `configurable.trainings.k`, which can only lower the retriever's. Instead of Python's asynchronous calls, `batch` and
 * `stream` are tested: in JavaScript all calls are asynchronous.
 */
import { Document } from "@langchain/core/documents";
import type { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

const QUESTION = "Quando a loja abre?";

describeOnServer("LangChain RetrieversIntegrationTests", (database) => {
  async function openFilled(): Promise<TrainingIndex> {
    const { index } = await openTestIndex(database);
    const documents = [1, 2, 3, 4].map((place) => ({ pageContent: `A loja ${place} abre às nove.` }));
    await index.upsertTraining({ id: "lojas", documents, split: false });
    return index;
  }

  it("returns k documents if k is given to the retriever", async () => {
    const index = await openFilled();
    for (const k of [3, 1]) {
      const documents = await index.asRetriever({ k }).invoke(QUESTION);
      expect(documents).toHaveLength(k);
      expect(documents.every((document) => document instanceof Document)).toBe(true);
    }
  });

  it("returns k documents if k is given in the call, but no more than the retriever's k", async () => {
    const index = await openFilled();
    for (const retriever of [index.asRetriever(), index.asRetriever({ k: 3 })]) {
      for (const k of [1, 3]) {
        const documents = await retriever.invoke(QUESTION, { configurable: { trainings: { k } } });
        expect(documents).toHaveLength(k);
        expect(documents.every((document) => document instanceof Document)).toBe(true);
      }
    }
    const narrow = index.asRetriever({ k: 2 });
    expect(await narrow.invoke(QUESTION, { configurable: { trainings: { k: 3 } } })).toHaveLength(2);
    expect(await narrow.invoke(QUESTION)).toHaveLength(2);
  });

  it("returns documents from invoke", async () => {
    const documents = await (await openFilled()).asRetriever().invoke(QUESTION);
    expect(documents).toHaveLength(4);
    for (const document of documents) {
      expect(document).toBeInstanceOf(Document);
      expect(document.pageContent).toMatch(/^A loja \d abre às nove\.$/);
      expect(document.id).toBe(document.metadata.trainingIndex.chunkId);
    }
  });

  it("returns the same documents from batch and stream", async () => {
    const retriever = (await openFilled()).asRetriever();
    const documents = await retriever.invoke(QUESTION);
    expect(await retriever.batch([QUESTION, QUESTION])).toEqual([documents, documents]);
    for await (const piece of await retriever.stream(QUESTION)) expect(piece).toEqual(documents);
  });
});
