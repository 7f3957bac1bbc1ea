import { InvalidArgumentError } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach } from "./support/databases.js";
import {
  FIVE_PARAGRAPHS,
  gateOf,
  openTestIndex,
  paragraph,
  smallTraining,
  storedRows,
  until,
} from "./support/index.js";

describeOnEach("the order of calls", (database) => {
  it("follows revisions where they are given: a lower one is superseded", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "versão dois da loja", revision: 2 });
    embeddings.calls = 0;
    expect(await index.upsertTraining({ id: "a", content: "versão um da loja", revision: 1 })).toMatchObject({
      status: "superseded",
      embedded: 0,
      reused: 0,
    });
    expect(embeddings.calls).toBe(0);
    expect(
      await index.upsertTraining({ id: "a", content: "outra dois da loja", revision: 2n }),
    ).toMatchObject({ status: "indexed" });
    expect(await index.similar("loja")).toMatchObject([{ content: "outra dois da loja" }]);
    const dated = await index.upsertTraining({ id: "a", content: "versão de hoje", revision: new Date() });
    expect(dated.status).toBe("indexed");
  });

  it("follows the start of calls otherwise: the one that started later wins", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const gate = gateOf();
    embeddings.before = (texts) => (texts[0]?.includes("primeira") ? gate.promise : undefined);
    const first = index.upsertTraining({ id: "a", content: "a primeira versão" });
    await until(() => embeddings.calls === 1);
    expect(await index.upsertTraining({ id: "a", content: "a segunda versão" })).toMatchObject({
      status: "indexed",
    });
    gate.resolve();
    expect(await first).toMatchObject({ status: "superseded", chunks: 1, embedded: 1 });
    expect(await index.similar("versão")).toMatchObject([{ content: "a segunda versão" }]);
  });

  it("keeps a delete against an upsert that was embedding meanwhile", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const gate = gateOf();
    embeddings.before = () => gate.promise;
    const upsert = index.upsertTraining({ id: "a", content: "a primeira versão" });
    await until(() => embeddings.calls === 1);
    expect(await index.deleteTraining("a")).toEqual({ id: "a", status: "absent", removed: 0 });
    gate.resolve();
    expect(await upsert).toMatchObject({ status: "superseded" });
    expect(await index.similar("versão")).toEqual([]);
    embeddings.before = () => undefined;
    expect(await index.upsertTraining({ id: "a", content: "a segunda versão" })).toMatchObject({
      status: "indexed",
    });
  });

  it("lets an unchanged training count as the later call", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "a versão de sempre" });
    const gate = gateOf();
    embeddings.before = () => gate.promise;
    const older = index.upsertTraining({ id: "a", content: "uma versão atrasada" });
    await until(() => embeddings.calls === 2);
    expect(await index.upsertTraining({ id: "a", content: "a versão de sempre" })).toMatchObject({
      status: "unchanged",
    });
    gate.resolve();
    expect(await older).toMatchObject({ status: "superseded" });
    expect(await index.similar("versão")).toMatchObject([{ content: "a versão de sempre" }]);
  });

  it("leaves one whole version of twenty that come at once", async () => {
    const test = await openTestIndex(database);
    const versions = Array.from(
      { length: 20 },
      (_, place) => `${paragraph(`versão ${place}`)}\n\n${paragraph(`fim ${place}`)}`,
    );
    const results = await Promise.all(
      versions.map((content) => test.index.upsertTraining({ id: "a", content })),
    );
    expect(results.filter(({ status }) => status === "indexed").length).toBeGreaterThan(0);
    const stored = (await storedRows(test)).map(({ content }) => content).join("\n\n");
    expect(versions).toContain(stored);
  });
});

describeOnEach("deleting", (database) => {
  it("removes the chunks, and is absent the second time", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    expect(await test.index.deleteTraining("a")).toEqual({ id: "a", status: "deleted", removed: 5 });
    expect(await storedRows(test)).toEqual([]);
    expect(await test.index.deleteTraining("a")).toEqual({ id: "a", status: "absent", removed: 0 });
  });

  it("does not touch a revision above its own, and stays against one below", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "loja", revision: 5 });
    expect(await index.deleteTraining("a", { revision: 4 })).toEqual({
      id: "a",
      status: "superseded",
      removed: 0,
    });
    expect(await index.deleteTraining("a", { revision: 6 })).toMatchObject({ status: "deleted" });
    expect(await index.upsertTraining({ id: "a", content: "loja", revision: 5 })).toMatchObject({
      status: "superseded",
    });
    expect(await index.upsertTraining({ id: "a", content: "loja", revision: 7 })).toMatchObject({
      status: "indexed",
    });
  });

  it("takes several ids, also the same one twice", async () => {
    const { index } = await openTestIndex(database);
    for await (const { status } of index.upsertTrainings([
      smallTraining("a"),
      smallTraining("b"),
      smallTraining("c"),
    ])) {
      expect(status).toBe("indexed");
    }
    expect(await index.deleteTrainings({ ids: ["a", "x", "b", "a"] })).toEqual([
      { id: "a", status: "deleted", removed: 1 },
      { id: "x", status: "absent", removed: 0 },
      { id: "b", status: "deleted", removed: 1 },
      { id: "a", status: "deleted", removed: 1 },
    ]);
    expect(await index.similar("loja")).toMatchObject([{ trainingId: "c" }]);
    expect(await index.deleteTrainings({ ids: [] })).toEqual([]);
  });

  it("finds trainings by their metadata", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ ...smallTraining("a"), metadata: { grupo: "loja" } });
    await index.upsertTraining({ ...smallTraining("b"), metadata: { grupo: "site" } });
    expect(await index.deleteTrainings({ filter: { grupo: "loja" } })).toEqual([
      { id: "a", status: "deleted", removed: 1 },
    ]);
    expect(await index.deleteTrainings({ filter: { grupo: "loja" } })).toEqual([]);
    expect(await index.similar("loja")).toMatchObject([{ trainingId: "b" }]);
  });

  it.each([
    {},
    { filter: {} },
    { filter: { grupo: { eq: "loja" } } },
    { filter: { grupo: ["loja"] } },
    { filter: { grupo: null } },
    { ids: ["a"], filter: { grupo: "loja" } },
  ])("refuses the selection %j, and deletes nothing", async (selection) => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ ...smallTraining("a"), metadata: { grupo: "loja" } });
    await expect(index.deleteTrainings(selection as never)).rejects.toBeInstanceOf(InvalidArgumentError);
    expect(await index.similar("loja")).toHaveLength(1);
  });
});
