/**
 * The cases of the tests of LangChain's indexing API, `index()` with a `RecordManager` (langchain-core, Python and
 * JavaScript), translated: a source id is a training's id, and its documents are the training's. `numAdded` is `embedded`,
 * `numSkipped` is `reused`, `numDeleted` is `removed`. There are no cleanup modes: the stored version of a training is the
 * one given last, and other trainings are not touched.
 */
import type { TrainingIndex, Training, UpsertResult } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

/** A training with one chunk for each text. */
function trainingOf(id: string, texts: readonly string[], metadata = {}): Training {
  return { id, metadata, documents: texts.map((pageContent) => ({ pageContent })), split: false };
}

/** The texts in an index, in alphabetical order. */
async function textsIn(index: TrainingIndex): Promise<string[]> {
  return (await index.similar("loja", { k: 1_000 })).map(({ content }) => content).sort();
}

/** The results of several trainings, in the terms of `index()`. */
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
  it("adds all documents at first and skips them all on a repeat", async () => {
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

  it("skips the same content in another call and another order", async () => {
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

  it("deletes all documents of a source that becomes empty", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois", "loja três"]));
    expect(await index.upsertTraining(trainingOf("a", []))).toMatchObject({ embedded: 0, removed: 3 });
    expect(await textsIn(index)).toEqual([]);
  });

  it("deletes all documents of a deleted source, and adds them all when it returns", async () => {
    const { index } = await openTestIndex(database);
    const training = trainingOf("a", ["loja um", "loja dois"]);
    await index.upsertTraining(training);
    expect(await index.deleteTraining("a")).toEqual({ id: "a", status: "deleted", removed: 2 });
    expect(await textsIn(index)).toEqual([]);
    expect(await index.upsertTraining(training)).toMatchObject({ status: "indexed", embedded: 2 });
    expect(await textsIn(index)).toHaveLength(2);
  });

  it("replaces only the content that changed", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"]));
    const result = await index.upsertTraining(trainingOf("a", ["loja mudada", "loja dois"]));
    expect(result).toMatchObject({ status: "indexed", embedded: 1, reused: 1, removed: 1 });
    expect(await textsIn(index)).toEqual(["loja dois", "loja mudada"]);
  });

  it("replaces changed metadata without embedding", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"], { ano: 2025 }));
    const result = await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"], { ano: 2026 }));
    expect(result).toMatchObject({ status: "indexed", embedded: 0, reused: 2 });
    expect((await index.similar("loja")).map(({ metadata }) => metadata)).toEqual([{ ano: 2026 }, { ano: 2026 }]);
    expect(await index.similar("loja", { filter: { ano: 2025 } })).toEqual([]);
  });

  it("detects a change inside nested metadata, which the JavaScript index() does not hash", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um"], { loc: { linhas: { de: 1 } } }));
    const result = await index.upsertTraining(trainingOf("a", ["loja um"], { loc: { linhas: { de: 2 } } }));
    expect(result.status).toBe("indexed");
    expect((await index.similar("loja"))[0]?.metadata).toEqual({ loc: { linhas: { de: 2 } } });
  });

  it("a failed write keeps the old version, and a repeat completes it", async () => {
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
    ["a number although ids are strings", 7],
  ])("refuses a source id that is %s before anything is written", async (_name, id) => {
    const { index, embeddings } = await openTestIndex(database);
    const training = { ...trainingOf("a", ["loja um"]), id: id as never };
    await expect(index.upsertTraining(training)).rejects.toMatchObject({ option: "training.id" });
    await expect(index.deleteTraining(id as never)).rejects.toMatchObject({ option: "id" });
    expect(embeddings.calls).toBe(0);
    expect(await textsIn(index)).toEqual([]);
  });

  it("does not touch sources that are not in the call", async () => {
    const { index } = await openTestIndex(database);
    const all = ["a", "b", "c"].map((id) => trainingOf(id, [`loja ${id} um`, `loja ${id} dois`]));
    await collect(index.upsertTrainings(all));
    const results = await collect(
      index.upsertTrainings([trainingOf("a", ["loja a mudada"]), trainingOf("b", ["loja b um", "loja b dois"])]),
    );
    expect(sumOf(results)).toMatchObject({ added: 1, deleted: 2 });
    expect(await textsIn(index)).toEqual(["loja a mudada", "loja b dois", "loja b um", "loja c dois", "loja c um"]);
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

  it("deletes a removed document of a source and skips the remaining one", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um", "loja dois"]));
    const result = await index.upsertTraining(trainingOf("a", ["loja um"]));
    expect(result).toMatchObject({ embedded: 0, reused: 1, removed: 1 });
    expect(await textsIn(index)).toEqual(["loja um"]);
  });

  it("adds and deletes nothing when a source of several batches is repeated, which index() rewrites", async () => {
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

  it("deletes only the removed documents of a source of several batches", async () => {
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

  it("does nothing for an empty list", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining(trainingOf("a", ["loja um"]));
    expect(await collect(index.upsertTrainings([]))).toEqual([]);
    expect(await index.deleteTrainings({ ids: [] })).toEqual([]);
    expect(embeddings.calls).toBe(1);
    expect(await textsIn(index)).toEqual(["loja um"]);
  });

  it("embeds a repeated text of a source once, and keeps each position", async () => {
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

  it("keeps the last version of a source that is twice in one list", async () => {
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

  it("keeps the same text of two sources apart: deleting one source leaves the other", async () => {
    const { index } = await openTestIndex(database);
    await collect(index.upsertTrainings([trainingOf("a", ["loja um"]), trainingOf("b", ["loja um"])]));
    expect(await index.similar("loja")).toHaveLength(2);
    await index.deleteTraining("a");
    expect(await index.similar("loja")).toMatchObject([{ trainingId: "b", content: "loja um" }]);
  });

  it("adds only the new document to a source of 1000", async () => {
    const { index, embeddings } = await openTestIndex(database, {}, { hnsw: { m: 2, efConstruction: 4 } });
    const texts = Array.from({ length: 1_001 }, (_, place) => `loja ${place}`);
    await index.upsertTraining(trainingOf("a", texts.slice(0, 1_000)));
    embeddings.texts = [];
    const result = await index.upsertTraining(trainingOf("a", texts));
    expect(result).toMatchObject({ chunks: 1_001, embedded: 1, reused: 1_000, removed: 0 });
    expect(embeddings.texts).toEqual(["loja 1000"]);
  });

  it("accepts sources from an async iterable", async () => {
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

  it("rewrites everything after a delete, as index() does with forceUpdate", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const training = trainingOf("a", ["loja um", "loja dois"]);
    await index.upsertTraining(training);
    await index.deleteTraining("a");
    expect(await index.upsertTraining(training)).toMatchObject({ embedded: 2, reused: 0 });
    expect(embeddings.texts).toHaveLength(4);
  });

  it("documents added through the vector store are indexed too: repeats are skipped, upserts replace them", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const documents = [{ pageContent: "loja um", metadata: {} }];
    await index.vectorStore.addDocuments(documents, { ids: ["a"] });
    await index.vectorStore.addDocuments(documents, { ids: ["a"] });
    expect(embeddings.texts).toEqual(["loja um"]);
    await index.upsertTraining(trainingOf("a", ["loja mudada"]));
    expect(await textsIn(index)).toEqual(["loja mudada"]);
  });

  it("does not depend on a clock: concurrent calls delete nothing of each other", async () => {
    const { index } = await openTestIndex(database);
    const results = await Promise.all(
      ["a", "b", "c", "d"].map((id) => index.upsertTraining(trainingOf(id, [`loja ${id}`]))),
    );
    expect(sumOf(results)).toEqual({ added: 4, skipped: 0, deleted: 0 });
    expect(await textsIn(index)).toHaveLength(4);
  });
});
