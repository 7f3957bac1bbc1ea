import { InvalidArgumentError, type Training, type TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect, failureOf, TOMBSTONE_ONLY, countRows } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { sharedIndex, smallTraining, type TestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

function trainingOf(tenant: string): Training {
  return { id: tenant, content: `A loja ${tenant}.`, metadata: { tenant, ano: 1 } };
}

const WRITES: [string, (index: TrainingIndex) => unknown][] = [
  ["upsertTraining", (index) => index.upsertTraining(smallTraining("x"))],
  ["prepareTraining", (index) => index.prepareTraining(smallTraining("x"))],
  ["upsertTrainings", (index) => index.upsertTrainings([])],
  ["bulkLoad", (index) => index.bulkLoad([])],
  ["deleteTraining", (index) => index.deleteTraining("a")],
  ["deleteTrainings by id", (index) => index.deleteTrainings({ ids: ["a"] })],
  ["deleteTrainings by filter", (index) => index.deleteTrainings({ filter: { ano: 1 } })],
  ["reconcile", (index) => index.reconcile([])],
  ["a dry run of reconcile", (index) => index.reconcile([], { dryRun: true })],
  ["prune", (index) => index.prune({ olderThanMs: 1 })],
  ["addDocuments", ({ vectorStore }) => vectorStore.addDocuments([{ pageContent: "x", metadata: {} }], { ids: ["x"] })],
  ["delete of the vector store", ({ vectorStore }) => vectorStore.delete({ ids: ["a"] })],
];

/** Makes a synchronous throw a rejection, too. */
function failing(call: () => unknown): Promise<unknown> {
  return Promise.resolve().then(call);
}

describeOnServer("withFilter", (database) => {
  const shared = sharedIndex(database);
  const openTenants = async (): Promise<TestIndex> => {
    await shared().index.upsertTrainings([trainingOf("a"), trainingOf("b")]);
    return shared();
  };

  it("asks the database nothing", async () => {
    const { embeddings, pool, schema, index } = shared();
    const recorded = recordingPool(pool);
    const opened = await (index.constructor as typeof TrainingIndex).initialize(embeddings, {
      pool: recorded.pool,
      schema,
    });
    recorded.statements.length = 0;
    opened.withFilter({ tenant: "a" }).withFilter({ ano: { gt: 1 } });
    expect(recorded.statements).toEqual([]);
  });

  it("narrows every read", async () => {
    const { index } = await openTenants();
    const tenant = index.withFilter({ tenant: "a" });
    for (const narrowed of [tenant, index.withFilter({ tenant: { in: ["a"] } }), tenant.withFilter({ ano: 1 })]) {
      expect(await narrowed.similar("loja", { k: 10 })).toMatchObject([{ trainingId: "a" }]);
      expect(await narrowed.similar("loja", { filter: { tenant: "b" } })).toEqual([]);
      expect(await narrowed.asRetriever().invoke("loja")).toMatchObject([{ metadata: { tenant: "a" } }]);
      expect(await narrowed.vectorStore.similaritySearch("loja", 10)).toMatchObject([{ metadata: { tenant: "a" } }]);
      const [own, other] = await Promise.all(["a", "b"].map((id) => narrowed.chunks(id)));
      expect(own).toHaveLength(1);
      expect(other).toEqual([]);
      const chunkIds = (await Promise.all(["a", "b"].map((id) => index.chunks(id))))
        .flat()
        .map(({ chunkId }) => chunkId);
      expect(await narrowed.vectorStore.getByIds(chunkIds)).toMatchObject([{ metadata: { tenant: "a" } }]);
      expect(await collect(narrowed.list())).toMatchObject([{ id: "a" }]);
    }
    expect(await tenant.withFilter({ tenant: "b" }).similar("loja")).toEqual([]);
    expect(await index.count(), "the index itself stays as it is").toEqual({ trainings: 2, chunks: 2 });
  });

  it("by equality narrows writes and deletes, and tombstones too", async () => {
    const test = await openTenants();
    const tenant = test.index.withFilter({ tenant: "a" }).withFilter({ ano: 1 });
    const metadata = { tenant: "a", ano: 1 };
    expect(await tenant.upsertTraining({ id: "c", content: "Nova.", metadata })).toMatchObject({ status: "indexed" });
    for (const wrong of [{ tenant: "a" }, { ...metadata, ano: 2 }, { ...metadata, tenant: "b" }]) {
      const failure = await failureOf(tenant.upsertTraining({ id: "d", content: "Outra.", metadata: wrong }));
      expect(failure).toMatchObject({ option: "training.metadata" });
    }
    expect(await tenant.deleteTraining("b")).toMatchObject({ status: "absent" });
    expect(await tenant.deleteTraining("a")).toMatchObject({ status: "deleted" });
    expect(await tenant.deleteTraining("nova")).toMatchObject({ status: "absent" });
    expect(await countRows(test, "nova")).toEqual(TOMBSTONE_ONLY);
    const { rows } = await test.pool.query(`SELECT metadata FROM ${test.schema}.training WHERE id = 'nova'`);
    expect(rows, "so that the same index finds and prunes it").toEqual([{ metadata }]);
    expect((await collect(test.index.list())).map(({ id }) => id)).toEqual(["b", "c"]);
  });

  it("orders its calls with those of the index that it was made from", async () => {
    const { index, embeddings } = shared();
    const tenant = index.withFilter({ tenant: "a" });
    const metadata = { tenant: "a" };
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? index : tenant).upsertTraining({ id: "x", content: `Versão ${n}.`, metadata }),
      ),
    );
    expect(results.at(-1)).toMatchObject({ status: "indexed" });
    expect(await index.chunks("x")).toMatchObject([{ content: "Versão 19." }]);
    expect(embeddings.calls).toBeGreaterThan(0);
  });

  it("narrows verify, with any filter", async () => {
    const { index, owner, schema } = await openTenants();
    await index.deleteTraining("c");
    for (const filter of [{ tenant: "a" }, { tenant: { in: ["a"] } }, { $not: { tenant: "b" } }]) {
      const narrowed = index.withFilter(filter);
      const nothing = { count: 0 };
      const sound = { missing: nothing, stale: nothing, orphaned: nothing, damaged: nothing };
      for (const source of [undefined, [{ id: "a" }], [trainingOf("a")]]) {
        expect(await narrowed.verify(source), JSON.stringify(filter)).toMatchObject({ ...sound, checked: 1 });
      }
      expect(await narrowed.verify([{ id: "b" }])).toMatchObject({ missing: { ids: ["b"] }, orphaned: { ids: ["a"] } });
      const changed = { id: "a", content: "Outra loja.", metadata: { tenant: "a", ano: 1 } };
      expect(await narrowed.verify([changed])).toMatchObject({ stale: { ids: ["a"] } });
    }
    await owner.query(`DELETE FROM ${schema}.chunk_1`);
    expect(await index.withFilter({ tenant: { ne: "a" } }).verify()).toMatchObject({ damaged: { ids: ["b"] } });
    expect((await index.verify()).damaged.ids).toEqual(["a", "b"]);
  });

  it("narrows what a deleted training has left behind", async () => {
    const { index, owner, schema } = await openTenants();
    await owner.query(`UPDATE ${schema}.training SET deleted_at = now()`);
    const leftover = { damaged: { ids: ["b"], problems: [{ id: "b", kinds: ["leftover"] }] } };
    for (const filter of [{ tenant: "b" }, { tenant: { gt: "a" } }]) {
      expect(await index.withFilter(filter).verify()).toMatchObject(leftover);
    }
    expect(await index.withFilter({ tenant: "b" }).reconcile([])).toMatchObject(leftover);
    expect(await index.verify()).toMatchObject({ damaged: { ids: ["a"] } });
  });

  it("by equality narrows reconcile: trainings of others are neither repaired nor deleted", async () => {
    const { index } = await openTenants();
    const tenant = index.withFilter({ tenant: "a" });
    const changed = { id: "a", content: "Outra loja.", metadata: { tenant: "a", ano: 1 } };
    expect(await tenant.reconcile([changed])).toMatchObject({ stale: { ids: ["a"] }, repaired: 1, deleted: 0 });
    expect(await tenant.reconcile([{ ...changed, id: "c" }], { maxDeletes: 1 })).toMatchObject({
      missing: { ids: ["c"] },
      deleted: 1,
    });
    expect(await failureOf(tenant.reconcile([trainingOf("b")]))).toMatchObject({ option: "source[0].metadata" });
    expect((await collect(index.list())).map(({ id }) => id)).toEqual(["b", "c"]);
  });

  it("narrows recall, with any filter", async () => {
    const { index } = await openTenants();
    await index.upsertTraining({ ...trainingOf("a"), id: "c" });
    for (const [filter, questions] of [
      [{ tenant: "a" }, 2],
      [{ tenant: { in: ["a", "b"] } }, 3],
    ] as const) {
      const report = await index.withFilter(filter).recall({ efSearch: [40] });
      expect(report).toMatchObject({ questions, rows: [{ recall: 1 }] });
    }
    expect(await index.withFilter({ tenant: "a" }).recall({ filter: { tenant: "b" } })).toMatchObject({ questions: 0 });
  });

  it.each(WRITES)("by anything but equality refuses %s, and says why", async (_name, write) => {
    const { index, embeddings } = await openTenants();
    const calls = embeddings.calls;
    for (const [filter, reason] of [
      [{ ano: { gte: 1 } }, "more than the equality"],
      [{ "autor.nome": "Ana" }, "more than the equality"],
    ] as const) {
      const narrowed = index.withFilter(filter);
      const failure = await failureOf(failing(() => write(narrowed)));
      expect(failure).toBeInstanceOf(InvalidArgumentError);
      expect(failure).toMatchObject({ option: "filter", message: expect.stringContaining(reason) as string });
      expect(failure.message).toContain("withFilter");
    }
    const contradictory = index.withFilter({ tenant: "a" }).withFilter({ tenant: "b" });
    expect((await failureOf(failing(() => write(contradictory)))).message).toContain("contradicts");
    expect(embeddings.calls).toBe(calls);
    expect(await index.count()).toEqual({ trainings: 2, chunks: 2 });
  });
});
