/** Processes that were opened before a switch: with the old model only, or with both and not aware of it yet. */
import { TrainingIndex, type TrainingIndexError } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect } from "../support/contract.js";
import { describeOnServerOrEmbedded, describeOnServer, type TestDatabase } from "../support/databases.js";
import { inHostTransaction, smallTraining } from "../support/index.js";
import { otherModel } from "../support/other-model.js";
import { openSwitching, rowsIn, type Switching } from "../support/switching.js";

const document = { pageContent: "Novo.", metadata: {} } as never;

type Call = (index: TrainingIndex) => Promise<unknown>;

/** What is refused to a process with the old model alone. */
const REFUSED: Record<string, Call> = {
  similar: (index) => index.similar("loja"),
  "similar with a vector": (index) => index.similar(new Array<number>(64).fill(0.1)),
  retriever: (index) => index.asRetriever().invoke("loja"),
  get: (index) => index.get("a"),
  list: (index) => collect(index.list()),
  count: (index) => index.count(),
  chunks: (index) => index.chunks("a"),
  status: (index) => index.status(),
  verify: (index) => index.verify(),
  reconcile: (index) => index.reconcile([smallTraining("a")]),
  recall: (index) => index.recall({ sample: 1 }),
  upsertTraining: (index) => index.upsertTraining(smallTraining("z")),
  "upsertTraining, unchanged": (index) => index.upsertTraining(smallTraining("a")),
  upsertTrainings: async (index) => index.upsertTrainings([smallTraining("z")], { onFailure: "continue" }),
  prepareTraining: async (index) => (await index.prepareTraining(smallTraining("z"))).commit(),
  bulkLoad: async (index) => index.bulkLoad([smallTraining("z")], { rebuild: true }),
  deleteTraining: (index) => index.deleteTraining("a"),
  "deleteTrainings by ids": (index) => index.deleteTrainings({ ids: ["a"] }),
  "deleteTrainings by a filter": (index) => index.deleteTrainings({ filter: { grupo: "x" } }),
  prune: (index) => index.prune({ olderThanMs: 0.001 }),
  "vectorStore.addDocuments": (index) => index.vectorStore.addDocuments([document], { ids: ["z"] }),
  "vectorStore.addVectors": (index) =>
    index.vectorStore.addVectors([new Array<number>(64).fill(0.1)], [document], { ids: ["z"] }),
  "vectorStore.similaritySearch": (index) => index.vectorStore.similaritySearch("loja"),
  "vectorStore.delete": (index) => index.vectorStore.delete({ ids: ["a"] }),
  "vectorStore.getByIds": (index) => index.vectorStore.getByIds(["a"]),
  importTrainings: async (index) => index.importTrainings(await exported(index)),
  switchModel: (index) => index.switchModel(otherModel(16, "third")),
  retireModel: (index) => index.retireModel(),
};

/** What needs no model. */
const WORKING: Record<string, Call> = {
  exportTrainings: (index) => exported(index),
  token: (index) => index.token(),
};

/** The lines of an export, which embeds nothing and names the model of its vectors. */
async function exported(index: TrainingIndex): Promise<string[]> {
  return collect(index.exportTrainings());
}

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => "works",
    (error: unknown) => (error as TrainingIndexError).code,
  );
}

/** What is stored, in every table of the index. */
async function stored({ owner, schema }: Switching): Promise<unknown> {
  const tables = ["training", "chunk_1", "chunk_2", "indexed_1", "indexed_2", "behind"];
  return Promise.all(
    tables.map(
      async (table) => (await owner.query<object>(`SELECT t::text FROM ${schema}.${table} t ORDER BY 1`)).rows,
    ),
  );
}

/** A switched index with a tombstone, and processes that do not know of the switch. */
async function openSwitched(
  database: TestDatabase,
  names: readonly string[],
): Promise<{ test: Switching; outdated: Map<string, TrainingIndex> }> {
  const test = await openSwitching(database);
  const { both, switching, next, owner, schema, embeddings } = test;
  await both.upsertTraining({ ...smallTraining("x"), metadata: { grupo: "x" } });
  const outdated = new Map<string, TrainingIndex>();
  for (const name of names) outdated.set(name, await TrainingIndex.initialize(embeddings, { pool: owner, schema }));
  await switching.switchModel(next, { sample: 0 });
  await both.deleteTraining("c");
  return { test, outdated };
}

function processOf(outdated: ReadonlyMap<string, TrainingIndex>, name: string): TrainingIndex {
  const index = outdated.get(name);
  if (!index) throw new Error("each call has a process of its own");
  return index;
}

describeOnServerOrEmbedded("After a switch, a process with the old model alone", (database) => {
  it("is refused in each of its calls, before it knows of the switch and afterwards, and changes nothing", async () => {
    const { test, outdated } = await openSwitched(database, Object.keys({ ...REFUSED, ...WORKING }));
    const before = await stored(test);
    const outcomes = async (calls: Record<string, Call>): Promise<Record<string, string[]>> => {
      const found: Record<string, string[]> = {};
      for (const [name, call] of Object.entries(calls)) {
        const index = processOf(outdated, name);
        found[name] = [await codeOf(() => call(index)), await codeOf(() => call(index))];
      }
      return found;
    };
    const twice = (calls: Record<string, Call>, outcome: string): Record<string, string[]> =>
      Object.fromEntries(Object.keys(calls).map((name) => [name, [outcome, outcome]]));
    expect(await outcomes(REFUSED)).toEqual(twice(REFUSED, "PROFILE_RETIRED"));
    expect(await outcomes(WORKING)).toEqual(twice(WORKING, "works"));
    expect(await stored(test)).toEqual(before);
    expect(await test.both.status()).toMatchObject({ vectorIndex: { valid: true } });
  });

  it("exports the vectors of the new model under its name", async () => {
    const { test, outdated } = await openSwitched(database, ["a"]);
    const [header = "", ...lines] = await exported(processOf(outdated, "a"));
    expect(JSON.parse(header)).toMatchObject({ profile: { model: "other-1", dimensions: 32 }, trainings: 3 });
    expect(lines.length).toBeGreaterThan(3);
    expect(await test.both.importTrainings([header, ...lines])).toMatchObject({ unchanged: 3, indexed: 0 });
  });
});

describeOnServerOrEmbedded("After a switch, a process with both models that has not noticed it", (database) => {
  it("reads, prunes, imports and loads with the new model", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, owner, schema, embeddings } = test;
    const open = (): Promise<TrainingIndex> => TrainingIndex.initialize([embeddings, next], { pool: owner, schema });
    const [reader, remover, pruner, importer, loader] = [
      await open(),
      await open(),
      await open(),
      await open(),
      await open(),
    ];
    await switching.switchModel(next, { sample: 0 });
    await both.upsertTraining({ id: "a", content: "Depois." });
    await both.vectorStore.addDocuments([{ pageContent: "Do store.", metadata: {} } as never], { ids: ["s"] });
    expect(await reader.vectorStore.getByIds(["s"])).toMatchObject([{ pageContent: "Do store." }]);
    await remover.vectorStore.delete({ ids: ["s"] });
    expect(await both.get("s")).toBeUndefined();
    expect(await pruner.prune({ olderThanMs: 0.001 })).toBe(1);
    expect(await importer.importTrainings(await exported(both))).toMatchObject({ unchanged: 3 });
    const loaded = await loader.bulkLoad([smallTraining("z")], { rebuild: true });
    expect(loaded).toMatchObject({ indexed: 1 });
    expect(await rowsIn(test, `pg_indexes WHERE schemaname = '${schema}' AND indexname LIKE '%_embedding'`)).toBe(2);
    expect(await both.status()).toMatchObject({ vectorIndex: { valid: true }, model: { name: "other-1" } });
    expect((await both.similar("Depois.", { k: 1 }))[0]).toMatchObject({ trainingId: "a" });
  });
});

describeOnServer("After a switch, a process with the old model alone and a transaction of the host", (database) => {
  it("is refused in it, and the transaction can go on", async () => {
    const { test, outdated } = await openSwitched(database, ["upsert", "delete", "prune", "search"]);
    const before = await stored(test);
    const refused = async (
      name: string,
      call: (index: TrainingIndex, client: never) => Promise<unknown>,
    ): Promise<void> => {
      await inHostTransaction(test.pool, "COMMIT", async (client) => {
        expect(await codeOf(() => call(processOf(outdated, name), client as never))).toBe("PROFILE_RETIRED");
        expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
      });
    };
    await refused("upsert", (index, client) => index.upsertTraining(smallTraining("z"), { client }));
    await refused("delete", (index, client) => index.deleteTraining("a", { client }));
    await refused("prune", (index, client) => index.prune({ olderThanMs: 0.001, client }));
    await refused("search", (index, client) => index.similar("loja", { client }));
    expect(await stored(test)).toEqual(before);
  });
});
