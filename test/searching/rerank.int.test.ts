import { BaseDocumentCompressor } from "@langchain/core/retrievers/document_compressors";
import type { DocumentInterface } from "@langchain/core/documents";
import { TrainingIndex, type Hit, type Notice, type Reranker, type SearchMode } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, openTestIndex, type TestIndex } from "../support/index.js";

const PORTUGUESE = { textSearch: "portuguese" } as const;
const QUESTION = "prazo de entrega";

async function openFilled(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, PORTUGUESE);
  const documents = Array.from({ length: 40 }, (_, place) => ({
    pageContent: `prazo de entrega ${place}`,
    metadata: { place, par: place % 2 === 0 },
  }));
  await test.index.upsertTraining({ id: "a", documents, split: false });
  return test;
}

const reversed: Reranker = (_question, hits) => hits.toReversed();
const placeOf = ({ metadata }: Hit): unknown => metadata["place"];

class OnlyEven extends BaseDocumentCompressor {
  queries: string[] = [];

  compressDocuments(documents: DocumentInterface[], query: string): Promise<DocumentInterface[]> {
    this.queries.push(query);
    // As compressors do: copies, with a score in the metadata.
    const kept = documents.filter(({ metadata }) => metadata["par"] === true);
    return Promise.resolve(
      kept.map((document, place) => ({
        ...document,
        metadata: { ...document.metadata, relevanceScore: 1 - place / 100 },
      })),
    );
  }
}

describeOnServerOrEmbedded("rerank", (database) => {
  it.each<SearchMode>(["vector", "text", "hybrid"])("returns the k best of 30 candidates in mode %s", async (mode) => {
    const { index } = await openFilled(database);
    const candidates = await index.similar<SearchMode>(QUESTION, { mode, k: 30 });
    const seen: unknown[] = [];
    const hits = await index.similar<SearchMode>(QUESTION, {
      mode,
      k: 3,
      rerank: (question, found, { signal }) => {
        seen.push(question, found.length, signal);
        return reversed(question, found, { signal });
      },
    });
    expect(seen).toEqual([QUESTION, 30, expect.any(AbortSignal)]);
    expect(hits).toEqual(candidates.toReversed().slice(0, 3));
  });

  it("takes as many candidates as `from` says, and never fewer than k", async () => {
    const { index } = await openFilled(database);
    const counts: number[] = [];
    const by: Reranker = (_question, hits) => {
      counts.push(hits.length);
      return hits;
    };
    await index.similar(QUESTION, { k: 2, rerank: { by, from: 7 } });
    await index.similar(QUESTION, { k: 20, rerank: { by, from: 7 } });
    expect(counts).toEqual([7, 20]);
  });

  it("takes a document compressor, which may drop hits and give scores", async () => {
    const { index } = await openFilled(database);
    const rerank = new OnlyEven();
    const hits = await index.similar(QUESTION, { k: 40, rerank });
    expect(rerank.queries).toEqual([QUESTION]);
    expect(hits).toHaveLength(20);
    expect(hits.map(({ rerankScore }) => rerankScore)).toEqual(hits.map((_, place) => 1 - place / 100));
    for (const { metadata } of hits) expect(metadata).not.toHaveProperty("relevanceScore");
  });

  it("sees only what meets filter and threshold, and returns the library's hits, whatever it does to its copies", async () => {
    const { index } = await openFilled(database);
    const rerank: Reranker = (_question, hits) => {
      for (const hit of hits) {
        expect(hit.metadata["par"]).toBe(true);
        expect(hit.score).toBeGreaterThanOrEqual(0.1);
        hit.content = "changed";
      }
      return hits.map((hit) => ({ ...hit, rerankScore: 2 }));
    };
    const hits = await index.similar(QUESTION, { filter: { par: true }, minScore: 0.1, rerank });
    for (const hit of hits)
      expect(hit).toMatchObject({ content: `prazo de entrega ${String(placeOf(hit))}`, rerankScore: 2 });
  });

  it("is the retriever's, and not of a call", async () => {
    const { index } = await openFilled(database);
    const candidates = await index.similar(QUESTION, { k: 30 });
    const retriever = index.asRetriever({ k: 2, rerank: reversed });
    const documents = await retriever.invoke(QUESTION);
    expect(documents.map(({ id }) => id)).toEqual(
      candidates
        .toReversed()
        .slice(0, 2)
        .map(({ chunkId }) => chunkId),
    );
    const call = { configurable: { trainings: { rerank: reversed } } };
    await expect(retriever.invoke(QUESTION, call as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("fails the call if it fails, or leaves the order of the search and says so", async () => {
    const test = await openFilled(database);
    const notices: Notice[] = [];
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool: test.pool,
      schema: test.schema,
      onNotice: (notice) => notices.push(notice),
    });
    const cause = new Error("503");
    const by: Reranker = () => Promise.reject(cause);
    const failed = { code: "RERANK_FAILED", retryable: true, cause };
    await expect(index.similar(QUESTION, { rerank: by })).rejects.toMatchObject(failed);
    const own = (await index.similar(QUESTION, { k: 30 })).slice(0, 4);
    expect(await index.similar(QUESTION, { k: 4, rerank: { by, onFailure: "continue" } })).toEqual(own);
    expect(notices).toEqual([{ code: "NOT_RERANKED", message: expect.any(String) as string, cause }]);
    const never: Reranker = () => new Promise(() => undefined);
    await expect(index.similar(QUESTION, { rerank: { by: never, timeoutMs: 20 } })).rejects.toMatchObject({
      code: "RERANK_FAILED",
      cause: { code: "TIMEOUT" },
    });
    const controller = new AbortController();
    const aborted = index.similar(QUESTION, {
      signal: controller.signal,
      rerank: { by: () => (controller.abort(), never("", [], { signal: undefined })), onFailure: "continue" },
    });
    await expect(aborted).rejects.toMatchObject({ code: "ABORTED" });
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["no list", {}],
    ["a hit of its own", [{ trainingId: "b", chunkId: "x" }]],
    ["null", [null]],
  ])("is refused if it returns %s", async (_name, returned) => {
    const { index } = await openFilled(database);
    const rerank = (() => returned) as Reranker;
    await expect(index.similar(QUESTION, { rerank })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "rerank",
    });
    const twice: Reranker = (_question, [hit]) => (hit ? [hit, hit] : []);
    await expect(index.similar(QUESTION, { rerank: twice })).rejects.toMatchObject({ option: "rerank" });
  });

  it("checks its options before anything is embedded", async () => {
    const { index, embeddings } = await openTestIndex(database, {}, PORTUGUESE);
    for (const [option, search] of [
      ["rerank", { rerank: "cohere" }],
      ["rerank", { rerank: {} }],
      ["rerank.form", { rerank: { by: reversed, form: 3 } }],
      ["rerank.from", { rerank: { by: reversed, from: 0 } }],
      ["rerank.onFailure", { rerank: { by: reversed, onFailure: "ignore" } }],
      ["rerank.timeoutMs", { rerank: { by: reversed, timeoutMs: -1 } }],
      ["rerank", { rerank: reversed, mmr: {} }],
      ["rerank", { rerank: reversed, strategy: "trainings" }],
    ] as const) {
      await expect(index.similar(QUESTION, search as never), option).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        option,
      });
    }
    await expect(index.similar([1, 2, 3, 4, 5, 6, 7, 8], { rerank: reversed })).rejects.toMatchObject({
      option: "query",
    });
    expect(embeddings.texts).toEqual([]);
  });
});
