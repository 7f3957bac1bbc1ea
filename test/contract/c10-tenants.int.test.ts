import { Document } from "@langchain/core/documents";
import { TrainingIndex, type Filter, type Training } from "langchain-training-index";
import { expect, it } from "vitest";
import { allVersions, collect, countRows, failureOf, TOMBSTONE_ONLY } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { CountingEmbeddings, openTestIndex, smallTraining, type TestIndex } from "../support/index.js";

/** Trainings of two tenants in one schema; `own` sees those of `a`, `other` those of `b`. */
interface Tenants extends TestIndex {
  own: TrainingIndex;
  other: TrainingIndex;
}

async function openTenants(test: TestIndex): Promise<Tenants> {
  const [own, other] = await Promise.all(
    ["a", "b"].map((bot) => {
      const { pool, schema } = test;
      return TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema, filter: { bot } });
    }),
  );
  if (!own || !other) throw new Error("there are two tenants");
  for (const [index, bot, count] of [
    [own, "a", 3],
    [other, "b", 30],
  ] as const) {
    const trainings = Array.from({ length: count }, (_, place) => trainingOf(bot, `${bot}${place}`, place));
    for (const { status } of await collect(index.upsertTrainings(trainings))) expect(status).toBe("indexed");
  }
  return { ...test, own, other };
}

/** A training of one chunk with the same id. */
function trainingOf(bot: string, id: string, ano = 0): Training & { id: string } {
  const metadata = { bot, grupo: "x", ano };
  return { id, metadata, documents: [{ id, pageContent: `a loja ${id}` }], split: false };
}

const READS: [string, (index: TrainingIndex, filter?: Filter) => Promise<{ metadata: object }[]>][] = [
  ["similar", (index, filter) => index.similar("loja", { k: 100, filter })],
  ["list", (index, filter) => collect(index.list({ filter }))],
  ["a retriever", (index, filter) => index.asRetriever({ k: 100, filter }).invoke("loja")],
  ["similaritySearch", ({ vectorStore }, filter) => vectorStore.similaritySearch("loja", 100, filter)],
  [
    "similaritySearchWithScore",
    async ({ vectorStore }, filter) =>
      (await vectorStore.similaritySearchWithScore("loja", 100, filter)).map(([document]) => document),
  ],
  [
    "similaritySearchVectorWithScore",
    async ({ vectorStore }, filter) => {
      const vector = await vectorStore.embeddings.embedQuery("loja");
      const found = await vectorStore.similaritySearchVectorWithScore(vector, 100, filter);
      return found.map(([document]) => document);
    },
  ],
  [
    "similaritySearchVectorWithScores",
    async ({ vectorStore }, filter) => {
      const vector = await vectorStore.embeddings.embedQuery("loja");
      const found = await vectorStore.similaritySearchVectorWithScores(vector, 100, filter);
      return found.map(([document]) => document);
    },
  ],
  [
    "an MMR search",
    ({ vectorStore }, filter) =>
      vectorStore.maxMarginalRelevanceSearch("loja", { k: 100, fetchK: 100, ...(filter && { filter }) }),
  ],
  [
    "a retriever of the vector store",
    ({ vectorStore }, filter) => vectorStore.asRetriever({ k: 100, ...(filter && { filter }) }).invoke("loja"),
  ],
];

// Guards: the index filter in searches, reads by id, the fence, deletes by filter, and `prune`.
describeOnServer("C10 No leak, no injection", (database) => {
  const openAll = async (): Promise<Tenants> => openTenants(await openTestIndex(database));
  const OTHERS = Array.from({ length: 30 }, (_, place) => `b${place}`);

  it.each(READS)("the filter of an index applies to %s", async (_name, read) => {
    const { index, own, other } = await openAll();
    const botsOf = async (found: Promise<{ metadata: object }[]>): Promise<unknown[]> =>
      (await found).map(({ metadata }) => (metadata as { bot?: unknown }).bot).sort();
    expect(await botsOf(read(own))).toEqual(["a", "a", "a"]);
    expect(await botsOf(read(own, { grupo: "x" }))).toEqual(["a", "a", "a"]);
    expect(await botsOf(read(own, { ano: 1 }))).toEqual(["a"]);
    expect(await botsOf(read(own, { ano: 20 }))).toEqual([]);
    expect(await botsOf(read(own, { bot: "b" }))).toEqual([]);
    expect(await botsOf(read(other))).toHaveLength(30);
    expect(await botsOf(read(index))).toHaveLength(33);
  });

  it("the filter of an index applies to reads by id", async () => {
    const { index, own, other } = await openAll();
    const ids = ["a0", ...OTHERS, "a1"];
    expect((await own.vectorStore.getByIds(ids)).map(({ id }) => id)).toEqual(["a0", "a1"]);
    expect((await other.vectorStore.getByIds(ids)).map(({ id }) => id)).toEqual(OTHERS);
    expect(await index.vectorStore.getByIds(ids)).toHaveLength(32);
    for (const id of ids) {
      const isOwn = id.startsWith("a");
      expect((await own.get(id)) !== undefined, id).toBe(isOwn);
      expect(await own.chunks(id), id).toHaveLength(isOwn ? 1 : 0);
    }
  });

  it("the filter of an index applies to counts", async () => {
    const { index, own, other } = await openAll();
    for (const [counted, trainings] of [
      [own, 3],
      [other, 30],
      [index, 33],
    ] as const) {
      expect(await counted.count()).toEqual({ trainings, chunks: trainings });
      expect(await counted.count({ filter: { bot: { exists: true } } })).toEqual({ trainings, chunks: trainings });
      expect((await counted.status()).counts).toMatchObject({ trainings, chunks: trainings });
    }
    expect(await own.count({ filter: { bot: "b" } })).toEqual({ trainings: 0, chunks: 0 });
  });

  it("the filter of an index applies to verify, reconcile and recall", async () => {
    const { index, own, other } = await openAll();
    expect(await own.verify()).toMatchObject({ checked: 3 });
    expect(await own.verify([{ id: "a0" }, { id: "b0" }])).toMatchObject({
      missing: { ids: ["b0"] },
      orphaned: { ids: ["a1", "a2"] },
    });
    expect((await own.withFilter({ ano: { gte: 1 } }).verify([])).orphaned.ids).toEqual(["a1", "a2"]);
    expect(await own.recall({ efSearch: [40] })).toMatchObject({ questions: 3 });
    expect(await own.recall({ filter: { bot: "b" } })).toMatchObject({ questions: 0 });
    await own.reconcile([trainingOf("a", "a0")], { maxDeletes: 100 });
    expect(await other.count()).toMatchObject({ trainings: 30 });
    expect(await index.count()).toMatchObject({ trainings: 31 });
  });

  it("the filter of an index applies to everything that an index narrowed from it does", async () => {
    const { index, own } = await openAll();
    for (const narrowed of [own.withFilter({ grupo: "x" }), own.withFilter({ ano: { gte: 0 } })]) {
      expect(await narrowed.count()).toEqual({ trainings: 3, chunks: 3 });
      expect(await narrowed.get("b0")).toBeUndefined();
      expect(await narrowed.similar("loja", { k: 100 })).toHaveLength(3);
    }
    expect(await own.withFilter({ grupo: "x" }).deleteTraining("b0")).toMatchObject({ status: "absent" });
    expect(await index.get("b0")).toMatchObject({ id: "b0" });
    expect((await own.withFilter({ grupo: "x" }).verify([])).orphaned.ids).toEqual(["a0", "a1", "a2"]);
    for (const filter of [{ bot: "b" }, { $or: [{ bot: "b" }, { ano: 1 }] }, { not: { bot: "a" } }]) {
      const found = await collect(own.withFilter(filter).list());
      expect(found.every(({ metadata }) => metadata["bot"] === "a")).toBe(true);
    }
  });

  it.each<[string, (index: TrainingIndex) => Promise<unknown>, unknown]>([
    ["by id", (index) => index.deleteTraining("b0"), { id: "b0", status: "absent", removed: 0 }],
    ["by id and revision", (index) => index.deleteTraining("b0", { revision: 9 }), { status: "absent" }],
    ["by ids", (index) => index.deleteTrainings({ ids: OTHERS }), OTHERS.map(() => ({ status: "absent" }))],
    ["by a filter that matches only the other tenant", (index) => index.deleteTrainings({ filter: { ano: 20 } }), []],
    ["by the other's filter", (index) => index.deleteTrainings({ filter: { bot: "b" } }), []],
    [
      "by a filter that matches both tenants",
      (index) => index.deleteTrainings({ filter: { grupo: "x" } }),
      ["a0", "a1", "a2"].map((id) => ({ id, status: "deleted", removed: 1 })),
    ],
    ["by ids in the vector store", (index) => index.vectorStore.delete({ ids: OTHERS }), undefined],
    ["by filter in the vector store", (index) => index.vectorStore.delete({ filter: { bot: "b" } }), undefined],
    ["of old deletes", (index) => index.prune({ olderThanMs: 1e-9 }), 0],
  ])("the filter of an index applies to a delete %s", async (_name, remove, outcome) => {
    const tenants = await openAll();
    const rowsOf = async (): Promise<string[]> => (await allVersions(tenants)).filter((line) => !/ a\d /.test(line));
    const before = await rowsOf();
    expect(before).toHaveLength(60);
    const result = await remove(tenants.own);
    if (typeof outcome === "object") expect(result).toMatchObject(outcome ?? {});
    else expect(result).toBe(outcome);
    expect(await rowsOf()).toEqual(before);
    expect(await tenants.other.upsertTraining(trainingOf("b", "b0"))).toMatchObject({ status: "unchanged" });
  });

  it.each<[string, string, (index: TrainingIndex) => Promise<unknown>]>([
    ["of another tenant's id", "training.id", (index) => index.upsertTraining(trainingOf("a", "b0"))],
    [
      "of another tenant's id among others",
      "training.id",
      (index) => collect(index.upsertTrainings([trainingOf("a", "novo"), trainingOf("a", "b0")])),
    ],
    [
      "of another tenant's id in the vector store",
      "training.id",
      ({ vectorStore }) =>
        vectorStore.addDocuments([new Document({ id: "b0", pageContent: "x", metadata: { bot: "a" } })]),
    ],
    ["for another tenant", "training.metadata", (index) => index.upsertTraining(trainingOf("b", "novo"))],
    ["without a tenant", "training.metadata", (index) => index.upsertTraining(smallTraining("novo"))],
    [
      "whose document is another tenant's",
      "training.documents[0].metadata",
      (index) =>
        index.upsertTraining({
          id: "novo",
          metadata: { bot: "a" },
          documents: [{ pageContent: "loja", metadata: { bot: "b" } }],
        }),
    ],
    [
      "for another tenant in the vector store",
      "trainings[0].metadata",
      ({ vectorStore }) => vectorStore.addDocuments([new Document({ pageContent: "x", metadata: { bot: "b" } })]),
    ],
  ])("the filter of an index refuses an upsert %s", async (_name, option, upsert) => {
    const tenants = await openAll();
    const before = await allVersions(tenants);
    expect(await failureOf(upsert(tenants.own))).toMatchObject({ code: "INVALID_ARGUMENT", option });
    expect(await allVersions(tenants)).toEqual(before);
  });

  it("a running upsert or a delete does not affect a training that another tenant stored first", async () => {
    const { own, other } = await openAll();
    const first = await other.prepareTraining(trainingOf("b", "novo"));
    const later = await own.prepareTraining(trainingOf("a", "novo"));
    expect(await first.commit()).toMatchObject({ status: "indexed" });
    expect(await later.commit()).toMatchObject({ status: "superseded" });
    expect(await own.deleteTraining("novo")).toMatchObject({ status: "absent" });
    expect(await other.vectorStore.getByIds(["novo"])).toMatchObject([{ metadata: { bot: "b" } }]);
  });

  it("a repeat is superseded if the training became another tenant's meanwhile", async () => {
    const { index, own, other } = await openAll();
    const change = await index.prepareTraining(trainingOf("b", "a0"));
    const repeat = await own.prepareTraining(trainingOf("a", "a0"));
    expect(await change.commit()).toMatchObject({ status: "indexed" });
    expect(await repeat.commit()).toMatchObject({ status: "superseded" });
    expect(await other.vectorStore.getByIds(["a0"])).toMatchObject([{ metadata: { bot: "b" } }]);
  });

  // Guards: the fence does not compare with a tombstone outside the index filter.
  it("a delete by one tenant does not supersede an upsert by another", async () => {
    const { own, other } = await openAll();
    // The delete runs before the other tenant starts, with a higher revision.
    expect(await own.deleteTraining("z", { revision: 100 })).toMatchObject({ status: "absent" });
    expect(await other.upsertTraining({ ...trainingOf("b", "z"), revision: 5 })).toMatchObject({
      status: "indexed",
    });
    // The delete runs while the other tenant's upsert is running.
    const first = await other.prepareTraining(trainingOf("b", "w"));
    expect(await own.deleteTraining("w")).toMatchObject({ status: "absent" });
    expect(await first.commit()).toMatchObject({ status: "indexed" });
    // The delete runs over the other tenant's tombstone.
    await other.deleteTraining("w");
    const again = await other.prepareTraining(trainingOf("b", "w"));
    expect(await own.deleteTraining("w")).toMatchObject({ status: "absent" });
    expect(await again.commit()).toMatchObject({ status: "indexed" });
    // The other tenant's own delete still supersedes its upsert.
    const late = await other.prepareTraining(trainingOf("b", "v"));
    await other.deleteTraining("v");
    expect(await late.commit()).toMatchObject({ status: "superseded" });
  });

  it("a vector store delete is not affected by chunks of another tenant's trainings", async () => {
    const { own, other } = await openAll();
    const documents = ["x", "y"].map((id) => ({ id, pageContent: `parte ${id}` }));
    await other.upsertTraining({ id: "longo", documents, split: false, metadata: { bot: "b" } });
    await own.upsertTraining(trainingOf("a", "x"));
    await own.vectorStore.delete({ ids: ["x", "y"] });
    expect(await own.vectorStore.getByIds(["x", "y"])).toEqual([]);
    expect(await other.vectorStore.getByIds(["x", "y"])).toHaveLength(2);
    await expect(other.vectorStore.delete({ ids: ["y"] })).rejects.toMatchObject({ option: "ids[0]" });
  });

  it("an id deleted by another tenant can be used, and only that tenant prunes its deletes", async () => {
    const { own, other, ...test } = await openAll();
    await other.deleteTrainings({ ids: ["b0", "b1"] });
    expect(await own.upsertTraining(trainingOf("a", "b0"))).toMatchObject({ status: "indexed" });
    expect(await other.similar("a loja b0", { k: 100 })).toHaveLength(28);
    expect(await own.similar("a loja b0", { k: 1 })).toMatchObject([{ trainingId: "b0" }]);
    expect(await own.prune({ olderThanMs: 1e-9 })).toBe(0);
    expect(await countRows(test, "b1")).toEqual(TOMBSTONE_ONLY);
    expect(await other.prune({ olderThanMs: 1e-9 })).toBe(1);
    expect(await countRows(test, "b1")).toEqual({ training: 0, indexed: 0, chunks: 0 });
  });
});
