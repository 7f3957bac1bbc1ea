/**
 * The cases of the tests of LangChain's indexing API, `index()` with a `RecordManager` (langchain-core, Python and
 * JavaScript), by what they mean here. A source id is the id of a training, its documents are the training's. `numAdded`
 * is what was embedded, `numSkipped` what was reused, `numDeleted` what was removed. Clean-up is never a mode: the version
 * of a training that stands is the one that was given last, and nothing of another training is touched.
 */
import type { TrainingIndex, Training, UpsertResult } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

/** A training of one ready chunk for each text. */
function trainingOf(id: string, texts: readonly string[], metadata = {}): Training {
  return { id, metadata, documents: texts.map((pageContent) => ({ pageContent })), split: false };
}

/** The texts that an index holds, in order of the alphabet. */
async function textsIn(index: TrainingIndex): Promise<string[]> {
  return (await index.similar("loja", { k: 1_000 })).map(({ content }) => content).sort();
}

/** What `index()` would call added, skipped and deleted, of several trainings. */
function sumOf(results: readonly UpsertResult[]): { added: number; skipped: number; deleted: number } {
  const sum = { added: 0, skipped: 0, deleted: 0 };
  for (const { embedded, reused, removed } of results) {
    sum.added += embedded;
    sum.skipped += reused;
    sum.deleted += removed;
  }
  return sum;
}

describeOnServer("LangChain index()", (database) => {
  it("adds all documents at first, and skips them all when they come again", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const training = trainingOf("a", ["loja um", "loja dois", "loja três"]);
    expect(await index.upsertTraining(training)).toMatchObject({
      status: "indexed",
      embedded: 3,
      removed: 0,
    });
    expect(await index.upsertTraining(training)).toMatchObject({
      status: "unchanged",
      embedded: 0,
      removed: 0,
    });
    expect(embeddings.texts).toHaveLength(3);
    expect(await textsIn(index)).toEqual(["loja dois", "loja três", "loja um"]);
  });

  it("skips the same content when it comes in another call, through another list", async () => {
    const { index } = await openTestIndex(database);
    await collect(index.upsertTrainings([trainingOf("a", ["loja um"]), trainingOf("b", ["loja dois"])]));
    const results = await collect(
      index.upsertTrainings([trainingOf("b", ["loja dois"]), trainingOf("a", ["loja um"])]),
    );
    expect(results.map(({ id, status }) => [id, status])).toEqual([
      ["b", "unchanged"],
      ["a", "unchanged"],
    ]);
  });

  it("deletes all that was there when a source comes back empty", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois", "loja três"]));
    expect(await index.upsertTraining(trainingOf("a", []))).toMatchObject({ embedded: 0, removed: 3 });
    expect(await textsIn(index)).toEqual([]);
  });

  it("deletes all documents of a source that is deleted, and adds them all when it is back", async () => {
    const { index } = await openTestIndex(database);
    const training = trainingOf("a", ["loja um", "loja dois"]);
    await index.upsertTraining(training);
    expect(await index.deleteTraining("a")).toEqual({ id: "a", status: "deleted", removed: 2 });
    expect(await textsIn(index)).toEqual([]);
    expect(await index.upsertTraining(training)).toMatchObject({ status: "indexed", embedded: 2 });
    expect(await textsIn(index)).toHaveLength(2);
  });

  it("replaces the content that changed, and only that", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"]));
    const result = await index.upsertTraining(trainingOf("a", ["loja mudada", "loja dois"]));
    expect(result).toMatchObject({ status: "indexed", embedded: 1, reused: 1, removed: 1 });
    expect(await textsIn(index)).toEqual(["loja dois", "loja mudada"]);
  });

  it("replaces metadata that changed without a request to the embedder", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"], { ano: 2025 }));
    const result = await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"], { ano: 2026 }));
    expect(result).toMatchObject({ status: "indexed", embedded: 0, reused: 2 });
    expect((await index.similar("loja")).map(({ metadata }) => metadata)).toEqual([
      { ano: 2026 },
      { ano: 2026 },
    ]);
    expect(await index.similar("loja", { filter: { ano: 2025 } })).toEqual([]);
  });

  it("sees a change inside nested metadata, which index() of JavaScript does not hash", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um"], { loc: { linhas: { de: 1 } } }));
    const result = await index.upsertTraining(trainingOf("a", ["loja um"], { loc: { linhas: { de: 2 } } }));
    expect(result.status).toBe("indexed");
    expect((await index.similar("loja"))[0]?.metadata).toEqual({ loc: { linhas: { de: 2 } } });
  });

  it("recovers from a write that failed: the old version stands, and the same call again completes it", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"]));
    const changed = trainingOf("a", ["loja um", "loja mudada"]);
    embeddings.before = () => Promise.reject(new Error("down"));
    await expect(index.upsertTraining(changed)).rejects.toMatchObject({ code: "EMBEDDING_FAILED" });
    expect(await textsIn(index)).toEqual(["loja dois", "loja um"]);
    embeddings.before = () => undefined;
    expect(await index.upsertTraining(changed)).toMatchObject({ embedded: 1, reused: 1, removed: 1 });
    expect(await textsIn(index)).toEqual(["loja mudada", "loja um"]);
  });

  it.each([
    ["missing", undefined],
    ["null", null],
    ["empty", ""],
    ["a number where ids are texts", 7],
  ])("refuses a source id that is %s before anything is written", async (_name, id) => {
    const { index, embeddings } = await openTestIndex(database);
    const training = { ...trainingOf("a", ["loja um"]), id: id as never };
    await expect(index.upsertTraining(training)).rejects.toMatchObject({ option: "training.id" });
    await expect(index.deleteTraining(id as never)).rejects.toMatchObject({ option: "id" });
    expect(embeddings.calls).toBe(0);
    expect(await textsIn(index)).toEqual([]);
  });

  it("leaves the sources alone that a call does not speak of", async () => {
    const { index } = await openTestIndex(database);
    const all = ["a", "b", "c"].map((id) => trainingOf(id, [`loja ${id} um`, `loja ${id} dois`]));
    await collect(index.upsertTrainings(all));
    const results = await collect(
      index.upsertTrainings([
        trainingOf("a", ["loja a mudada"]),
        trainingOf("b", ["loja b um", "loja b dois"]),
      ]),
    );
    expect(sumOf(results)).toMatchObject({ added: 1, deleted: 2 });
    expect(await textsIn(index)).toEqual([
      "loja a mudada",
      "loja b dois",
      "loja b um",
      "loja c dois",
      "loja c um",
    ]);
  });

  it("deletes nothing when documents of new sources are added", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"]));
    expect(await index.upsertTraining(trainingOf("b", ["loja mudada"]))).toMatchObject({
      embedded: 1,
      removed: 0,
    });
    expect(await textsIn(index)).toEqual(["loja dois", "loja mudada", "loja um"]);
  });

  it("deletes the one of two documents of a source that is gone, and skips the other", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"]));
    const result = await index.upsertTraining(trainingOf("a", ["loja um"]));
    expect(result).toMatchObject({ embedded: 0, reused: 1, removed: 1 });
    expect(await textsIn(index)).toEqual(["loja um"]);
  });

  it("adds and deletes nothing when a source of several batches comes again, which index() writes anew each time", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const training = trainingOf(
      "a",
      Array.from({ length: 300 }, (_, place) => `loja ${place}`),
    );
    await index.upsertTraining(training);
    const calls = embeddings.calls;
    const results = await collect(index.upsertTrainings([training]));
    expect(results).toMatchObject([{ status: "unchanged", embedded: 0, removed: 0 }]);
    expect(embeddings.calls).toBe(calls);
    expect(await textsIn(index)).toHaveLength(300);
  });

  it("deletes what is gone from a source of several batches, and nothing else", async () => {
    const { index } = await openTestIndex(database);
    const texts = Array.from({ length: 300 }, (_, place) => `loja ${place}`);
    await index.upsertTraining(trainingOf("a", texts));
    const result = await index.upsertTraining(
      trainingOf(
        "a",
        texts.filter((_, place) => place % 100 !== 0),
      ),
    );
    expect(result).toMatchObject({ embedded: 0, reused: 297, removed: 3 });
  });

  it("does nothing for a list without documents", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um"]));
    expect(await collect(index.upsertTrainings([]))).toEqual([]);
    expect(await index.deleteTrainings({ ids: [] })).toEqual([]);
    expect(embeddings.calls).toBe(1);
    expect(await textsIn(index)).toEqual(["loja um"]);
  });

  it("embeds a text once that a source has several times, and keeps each at its place", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const result = await index.upsertTraining(trainingOf("a", ["loja um", "loja um", "loja dois"]));
    expect(result).toMatchObject({ chunks: 3, embedded: 2, reused: 1 });
    expect(embeddings.texts.sort()).toEqual(["loja dois", "loja um"]);
    const places = (await index.similar("loja")).map(({ position, content }) => [position, content]).sort();
    expect(places).toEqual([
      [0, "loja um"],
      [1, "loja um"],
      [2, "loja dois"],
    ]);
  });

  it("keeps the last version of a source that comes twice in one list", async () => {
    const { index } = await openTestIndex(database);
    const results = await collect(
      index.upsertTrainings([
        trainingOf("a", ["loja velha"]),
        trainingOf("b", ["loja b"]),
        trainingOf("a", ["loja nova"]),
      ]),
    );
    expect(results.map(({ id }) => id)).toEqual(["a", "b", "a"]);
    expect(await textsIn(index)).toEqual(["loja b", "loja nova"]);
  });

  it("keeps the same text of two sources apart, so that the delete of one leaves that of the other", async () => {
    const { index } = await openTestIndex(database);
    await collect(index.upsertTrainings([trainingOf("a", ["loja um"]), trainingOf("b", ["loja um"])]));
    expect(await index.similar("loja")).toHaveLength(2);
    await index.deleteTraining("a");
    expect(await index.similar("loja")).toMatchObject([{ trainingId: "b", content: "loja um" }]);
  });

  it("adds the one new document of 1001 when 1000 were there", async () => {
    const { index, embeddings } = await openTestIndex(database, {}, { hnsw: { m: 2, efConstruction: 4 } });
    const texts = Array.from({ length: 1_001 }, (_, place) => `loja ${place}`);
    await index.upsertTraining(trainingOf("a", texts.slice(0, 1_000)));
    embeddings.texts = [];
    const result = await index.upsertTraining(trainingOf("a", texts));
    expect(result).toMatchObject({ chunks: 1_001, embedded: 1, reused: 1_000, removed: 0 });
    expect(embeddings.texts).toEqual(["loja 1000"]);
  });

  it("takes sources from an iterable that is asynchronous", async () => {
    const { index } = await openTestIndex(database);
    async function* loader(): AsyncGenerator<Training> {
      for (const id of ["a", "b", "c"]) yield await Promise.resolve(trainingOf(id, [`loja ${id}`]));
    }
    expect(sumOf(await collect(index.upsertTrainings(loader())))).toEqual({
      added: 3,
      skipped: 0,
      deleted: 0,
    });
    const again = await collect(index.upsertTrainings(loader()));
    expect(again.map(({ status }) => status)).toEqual(["unchanged", "unchanged", "unchanged"]);
  });

  it("writes all anew when it is told to: a delete and an upsert, which index() calls forceUpdate", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const training = trainingOf("a", ["loja um", "loja dois"]);
    await index.upsertTraining(training);
    await index.deleteTraining("a");
    expect(await index.upsertTraining(training)).toMatchObject({ embedded: 2, reused: 0 });
    expect(embeddings.texts).toHaveLength(4);
  });

  it("indexes documents that were added to the vector store as any other, and skips them when they come again", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const documents = [{ pageContent: "loja um", metadata: {} }];
    await index.vectorStore.addDocuments(documents, { ids: ["a"] });
    await index.vectorStore.addDocuments(documents, { ids: ["a"] });
    expect(embeddings.texts).toEqual(["loja um"]);
    await index.upsertTraining(trainingOf("a", ["loja mudada"]));
    expect(await textsIn(index)).toEqual(["loja mudada"]);
  });

  it("needs no clock: calls in one instant delete nothing that is fresh", async () => {
    const { index } = await openTestIndex(database);
    const results = await Promise.all(
      ["a", "b", "c", "d"].map((id) => index.upsertTraining(trainingOf(id, [`loja ${id}`]))),
    );
    expect(sumOf(results)).toEqual({ added: 4, skipped: 0, deleted: 0 });
    expect(await textsIn(index)).toHaveLength(4);
  });
});
