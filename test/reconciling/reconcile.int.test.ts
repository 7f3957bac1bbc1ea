import { TrainingIndex, type Training } from "langchain-training-index";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { describeOnServerOrEmbedded, describeOnServer } from "../support/databases.js";
import { gateOf, inHostTransaction, openTestIndex, sharedIndex } from "../support/index.js";

const FIRST = 1;

/** Trainings `0`, `1`, ... of revision 1. */
function trainings(count: number, revision = FIRST): Training[] {
  return Array.from({ length: count }, (_, number) => ({
    id: `${number}`,
    content: `O frete número ${number} custa ${revision} reais.`,
    revision,
  }));
}

const references = (count: number): { id: string; revision: number }[] =>
  Array.from({ length: count }, (_, number) => ({ id: `${number}`, revision: FIRST }));

describeOnServerOrEmbedded("verify and reconcile", (database) => {
  const shared = sharedIndex(database);

  it("find and repair what is missing, stale and orphaned, in any order of the source", async () => {
    const { index, embeddings } = shared();
    await index.upsertTrainings(trainings(40));
    await index.deleteTraining("3", { revision: 0 });
    await index.deleteTraining("3");
    const source = trainings(40).reverse();
    const changed = { id: "5", content: "O frete agora é grátis.", revision: 2 };
    source[34] = changed;
    source.pop(); // the training 0
    const expected = {
      checked: 39,
      missing: { count: 1, ids: ["3"] },
      stale: { count: 1, ids: ["5"] },
      orphaned: { count: 1, ids: ["0"] },
      damaged: { count: 0, ids: [], problems: [] },
      schema: [],
    };
    expect(await index.verify(source)).toEqual(expected);
    expect(await index.verify(source.map(({ id, revision }) => ({ id, revision })))).toEqual(expected);
    expect(await index.reconcile(source, { dryRun: true })).toEqual({ ...expected, repaired: 0, deleted: 0 });
    embeddings.texts = [];
    expect(await index.reconcile(source)).toEqual({ ...expected, repaired: 2, deleted: 1 });
    expect(embeddings.texts).toHaveLength(2);
    const sound = { missing: { count: 0 }, stale: { count: 0 }, orphaned: { count: 0 }, damaged: { count: 0 } };
    expect(await index.verify(source)).toMatchObject(sound);
    expect(await index.reconcile(source)).toMatchObject({ ...sound, repaired: 0, deleted: 0 });
    expect(embeddings.texts).toHaveLength(2);
  });

  it("without a revision compare the content of whole trainings, and only the presence of references", async () => {
    const { index } = shared();
    await index.upsertTraining({ id: "a", content: "Frete." });
    expect((await index.verify([{ id: "a" }])).stale.count).toBe(0);
    expect((await index.verify([{ id: "a", revision: 7 }])).stale.ids).toEqual(["a"]);
    expect((await index.verify([{ id: "a", content: "Frete grátis." }])).stale.ids).toEqual(["a"]);
    expect((await index.verify([{ id: "a", content: "Frete.", revision: 7 }])).stale.ids).toEqual(["a"]);
    // The content is the same, so only the revision is recorded.
    const content = { id: "a", revision: 7, load: () => ({ id: "a", content: "Frete." }) };
    expect(await index.reconcile([content])).toMatchObject({ stale: { count: 1 }, repaired: 1 });
    expect((await index.verify([{ id: "a", revision: 7 }])).stale.count).toBe(0);
    expect((await index.verify([{ id: "a", revision: 6 }])).stale.count).toBe(0);
  });

  it("see only the trainings in the filter of the index", async () => {
    const { index } = shared();
    const [ours, theirs] = [index.withFilter({ empresa: "a" }), index.withFilter({ empresa: "b" })];
    const of = (empresa: string): Training[] =>
      trainings(4).map(({ id }) => ({ id: `${empresa}${String(id)}`, content: "Frete.", metadata: { empresa } }));
    await ours.upsertTrainings(of("a"));
    await theirs.upsertTrainings(of("b"));
    expect(await ours.verify()).toMatchObject({ checked: 4 });
    expect(await ours.verify([{ id: "b0" }, { id: "a0" }])).toMatchObject({
      missing: { ids: ["b0"] },
      orphaned: { ids: ["a1", "a2", "a3"] },
    });
    expect(await ours.reconcile(of("a").slice(1), { maxDeletes: 9 })).toMatchObject({ deleted: 1 });
    expect(await theirs.verify(of("b"))).toMatchObject({ missing: { count: 0 }, orphaned: { count: 0 } });
    await expect(ours.reconcile(of("b"))).rejects.toMatchObject({ option: "source[0].metadata" });
  });
});

describeOnServer("verify and reconcile", (database) => {
  const shared = sharedIndex(database);

  it("load only what has to be repaired, and skip what was deleted meanwhile", async () => {
    const { index } = shared();
    await index.upsertTrainings(trainings(3));
    const loaded: string[] = [];
    const source = ["0", "1", "2", "3", "4"].map((id) => ({
      id,
      revision: FIRST,
      load: async () => {
        loaded.push(id);
        return Promise.resolve(id === "4" ? undefined : { id, content: "Novo." });
      },
    }));
    expect(await index.reconcile(source)).toMatchObject({ missing: { ids: ["3", "4"] }, repaired: 1 });
    expect(loaded).toEqual(["3", "4"]);
  });

  it("an empty source deletes nothing", async () => {
    const { index } = shared();
    await index.upsertTrainings(trainings(3));
    const expected = { checked: 0, orphaned: { count: 3 }, deleted: 0 };
    expect(await index.reconcile([], { maxDeletes: 1000 })).toMatchObject(expected);
    expect(await index.verify(references(3))).toMatchObject({ missing: { count: 0 } });
  });

  it("never delete more than maxDeletes, by default 10 %", async () => {
    const { index } = shared();
    await index.upsertTrainings(trainings(20));
    const error: unknown = await index.reconcile(trainings(17)).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", option: "maxDeletes" });
    expect((error as Error).message).toContain("allows 2 deletes, but 3 of 20 stored trainings are not in the source");
    expect(await index.verify(references(20))).toMatchObject({ missing: { count: 0 } });
    await expect(index.reconcile(trainings(19), { maxDeletes: 0 })).rejects.toThrow("allows 0 deletes, but 1 of 20");
    expect((await index.reconcile(trainings(17), { dryRun: true })).orphaned.count).toBe(3);
    expect((await index.reconcile(trainings(17), { maxDeletes: 3 })).deleted).toBe(3);
    expect(await index.verify(references(20))).toMatchObject({ missing: { count: 3, ids: ["17", "18", "19"] } });
  });

  it("a source that fails halfway: what was repaired stays, no orphan is deleted, and the error is the source's", async () => {
    const { index } = shared();
    await index.upsertTrainings(trainings(2));
    const failure = new Error("the host's own");
    let closed = false;
    async function* source(): AsyncGenerator<Training> {
      try {
        for (const training of trainings(251).slice(2)) yield await Promise.resolve(training);
        throw failure;
      } finally {
        closed = true;
      }
    }
    await expect(index.reconcile(source(), { maxDeletes: 1000 })).rejects.toBe(failure);
    expect(closed).toBe(true);
    expect(await index.verify(references(251))).toMatchObject({ missing: { count: 49 }, orphaned: { count: 0 } });
    await expect(index.reconcile([{ id: "x", load: () => Promise.reject(failure) }])).rejects.toBe(failure);
  });

  it("refuse an id that occurs twice, and delete nothing then", async () => {
    const { index } = shared();
    await index.upsertTrainings(trainings(10));
    const twice = [...references(9), { id: "0", revision: FIRST }];
    await expect(index.verify(twice)).rejects.toMatchObject({ option: "source[9].id" });
    const loadable = twice.map((item) => ({ ...item, load: () => undefined }));
    await expect(index.reconcile(loadable)).rejects.toMatchObject({ option: "source[9].id" });
    expect(await index.verify(references(10))).toMatchObject({ missing: { count: 0 } });
  });

  it("report their progress", async () => {
    const { index } = shared();
    await index.upsertTrainings(trainings(150));
    const phases: string[] = [];
    let last: unknown;
    await index.reconcile(trainings(149), {
      onProgress: (progress) => {
        phases.push(progress.phase);
        last = progress;
      },
    });
    expect([...new Set(phases)]).toEqual(["listing", "comparing", "deleting"]);
    const counts = {
      stored: 150,
      checked: 149,
      missing: 0,
      stale: 0,
      orphaned: 1,
      damaged: 0,
      repaired: 0,
      deleted: 1,
    };
    expect(last).toEqual({ phase: "deleting", ...counts });
  });

  it("end when the signal fires, also while the source is silent", async () => {
    const { index } = shared();
    const controller = new AbortController();
    async function* silent(): AsyncGenerator<Training> {
      yield* trainings(1);
      controller.abort();
      await new Promise(() => undefined);
    }
    await expect(index.reconcile(silent(), { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED" });
    await expect(index.verify(silent(), { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("refuse bad arguments before anything is read", async () => {
    const { index } = shared();
    const wrong = [
      [() => index.verify(7 as never), "source"],
      [() => index.verify([], { dryRun: true } as never), "dryRun"],
      [() => index.reconcile([], { dryrun: true } as never), "dryrun"],
      [() => index.reconcile([], { dryRun: "yes" as never }), "dryRun"],
      [() => index.reconcile([], { maxDeletes: -1 }), "maxDeletes"],
      [() => index.verify([], { sample: 0.5 }), "sample"],
      [() => index.verify([], { onProgress: 7 as never }), "onProgress"],
      [() => index.verify(["a"] as never), "source[0]"],
      [() => index.verify([{ id: 7 }]), "source[0].id"],
      [() => index.verify([{ id: "a", revision: NaN }]), "source[0].revision"],
      [() => index.verify([{ id: "a", rev: 7 } as never]), "source[0].rev"],
      [() => index.reconcile([{ id: "a", revision: 7 } as never]), "source[0]"],
      [() => index.reconcile([{ id: "a", load: 7 as never }]), "source[0].load"],
      [() => index.reconcile([{ id: "a", load: () => ({ id: "b", content: "" }) }]), "source[0].load()"],
    ] as const;
    for (const [call, option] of wrong) await expect(call(), option).rejects.toMatchObject({ option });
  });

  it.each([
    ["bigint", [1, 2, 2n ** 60n], ["1", 2, 2n ** 60n]],
    ["uuid", ["A987FBC9-4BED-4078-8F07-9141BA07C9F3"], ["a987fbc9-4bed-4078-8f07-9141ba07c9f3"]],
  ] as const)("compare ids of type %s", async (idType, ids, again) => {
    const { index } = await openTestIndex(database, {}, { idType });
    await index.upsertTrainings(ids.map((id) => ({ id, content: `Frete ${id}.` })));
    const source = again.map((id) => ({ id, content: `Frete ${String(ids[again.indexOf(id as never)])}.` }));
    const sound = { checked: ids.length, missing: { count: 0 }, stale: { count: 0 }, orphaned: { count: 0 } };
    expect(await index.verify(source)).toMatchObject(sound);
    expect(await index.verify()).toMatchObject({ ...sound, damaged: { count: 0 } });
    const [first] = ids;
    expect((await index.verify([{ id: first }])).orphaned.ids).toEqual(ids.slice(1));
    expect((await index.reconcile(source.slice(1), { maxDeletes: 1 })).deleted).toBe(ids.length === 1 ? 0 : 1);
  });
});

describeOnServer("verify and recall", (database) => {
  const shared = sharedIndex(database);

  it("need no right to write", async () => {
    const { index, pool, schema, embeddings } = shared();
    await index.upsertTrainings(trainings(5));
    const { options } = pool as unknown as { options: pg.PoolConfig };
    const reading = new pg.Pool(options);
    reading.on("connect", (client) => void client.query("SET default_transaction_read_only = on"));
    onTestFinished(() => reading.end());
    const reader = await TrainingIndex.initialize(embeddings, { pool: reading, schema });
    await expect(reader.upsertTraining({ id: "9", content: "Frete." })).rejects.toMatchObject({ sqlState: "25006" });
    const source = trainings(6).slice(1);
    const found = { missing: { ids: ["5"] }, orphaned: { ids: ["0"] } };
    expect(await reader.verify(source, { sample: 5 })).toMatchObject(found);
    expect(await reader.reconcile(source, { dryRun: true })).toMatchObject({ ...found, repaired: 0, deleted: 0 });
    expect((await reader.recall({ k: 2 })).rows).toMatchObject([{ recall: 1 }, {}, {}, {}]);
  });
});

describeOnServer("reconcile beside other calls", (database) => {
  const shared = sharedIndex(database);

  it("never deletes a training that is stored while it runs, nor brings back one that is deleted", async () => {
    const test = shared();
    const { index } = test;
    await index.upsertTrainings(trainings(10));
    const prepared = await index.prepareTraining({ id: "prepared before", content: "Frete." });
    async function* source(): AsyncGenerator<Training> {
      yield* trainings(9); // without the training 9
      await inHostTransaction(test.pool, "COMMIT", (client) => prepared.commit(client));
      await index.upsertTraining({ id: "new", content: "Frete." });
      await index.upsertTraining({ id: "9", content: "Frete, de volta." });
      await index.deleteTraining("0");
      await index.upsertTraining({ id: "1", content: "Mais novo.", revision: 2 });
    }
    expect(await index.reconcile(source())).toMatchObject({ deleted: 0, repaired: 0, orphaned: { count: 0 } });
    const now = await index.verify([]);
    expect(now.orphaned.ids).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9", "new", "prepared before"]);
    expect((await index.similar("Mais novo.", { k: 1 }))[0]?.trainingId).toBe("1");
  });

  it("does not overwrite a version that is stored while its repair is being embedded", async () => {
    const { index, embeddings } = shared();
    await index.upsertTrainings(trainings(3));
    const [reached, gate] = [gateOf(), gateOf()];
    embeddings.before = () => {
      reached.resolve();
      return gate.promise;
    };
    const stale = { id: "0", content: "Da fonte." };
    const reconciling = index.reconcile([stale, ...trainings(3).slice(1), { id: "9", content: "Também." }]);
    await reached.promise;
    embeddings.before = () => undefined;
    await index.upsertTraining({ id: "0", content: "Escrito enquanto isso." });
    await index.deleteTraining("9");
    gate.resolve();
    expect(await reconciling).toMatchObject({ stale: { count: 1 }, missing: { count: 1 }, repaired: 0 });
    expect((await index.similar("Escrito enquanto isso.", { k: 1 }))[0]?.content).toBe("Escrito enquanto isso.");
    expect(await index.verify([{ id: "9" }])).toMatchObject({ missing: { count: 1 } });
  });

  it("loses and revives nothing in random schedules", async () => {
    const { index } = shared();
    const host = new Map<string, Training>();
    let revision = 1;
    const write = async (): Promise<void> => {
      const id = `${Math.floor(Math.random() * 12)}`;
      revision += 1;
      if (Math.random() < 0.4) {
        host.delete(id);
        await index.deleteTraining(id);
      } else {
        const training = { id, content: `Versão ${revision} do texto ${id}.` };
        host.set(id, training);
        await index.upsertTraining(training);
      }
    };
    async function* source(): AsyncGenerator<Training> {
      for (const training of [...host.values()]) {
        yield training;
        if (Math.random() < 0.3) await write();
      }
    }
    for (let round = 0; round < 12; round++) {
      const writing = (async () => {
        for (let step = 0; step < 4; step++) await write();
      })();
      await Promise.all([index.reconcile(source(), { maxDeletes: 100 }), writing]);
      expect(await index.verify(host.values()), `round ${round}`).toMatchObject({
        missing: { count: 0 },
        stale: { count: 0 },
        orphaned: { count: 0 },
        damaged: { count: 0 },
      });
    }
  });
});
