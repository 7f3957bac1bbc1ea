import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import {
  TrainingIndex,
  type DatabaseClient,
  type DatabasePool,
  type Queryable,
  type Revision,
  type Training,
} from "langchain-training-index";
import { describe, expect, it } from "vitest";
import {
  allVersions,
  collect,
  countRows,
  holdEmbedding,
  observedPool,
  openAgain,
  openServerPool,
  wholeText,
} from "../support/contract.js";
import { describeOnEach, describeOnServer } from "../support/databases.js";
import {
  CountingEmbeddings,
  FIVE_PARAGRAPHS,
  gateOf,
  inHostTransaction,
  openTestIndex,
  paragraph,
  smallTraining,
  storedRows,
} from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

const TRAINING = {
  id: "a",
  content: FIVE_PARAGRAPHS,
  metadata: { grupo: "loja", ano: 2026, lugar: { cidade: "Recife", uf: "PE" } },
};
const UNCHANGED = { id: "a", status: "unchanged", chunks: 5, embedded: 0, reused: 5, removed: 0 };

/** A training whose documents are stored as chunks, without splitting. */
function ready(...documents: { id?: string; pageContent: string; metadata?: object }[]): Training {
  return { id: "a", documents: documents as { pageContent: string }[], split: false };
}

// Guards: the fingerprint covers everything that decides the chunks; `touch` writes only the training's row.
describeOnEach("C5 Idempotent", (database) => {
  it("a duplicate delivery embeds nothing and touches no chunk row", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    const before = await allVersions(test);
    test.embeddings.calls = 0;
    for (let delivery = 0; delivery < 3; delivery++) {
      expect(await test.index.upsertTraining(TRAINING)).toEqual(UNCHANGED);
    }
    expect(test.embeddings.calls).toBe(0);
    expect(await allVersions(test)).toEqual(before);
    expect(before).toHaveLength(6);
  });

  it("the order of metadata keys does not matter", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    const before = await allVersions(test);
    const metadata = { lugar: { uf: "PE", cidade: "Recife" }, ano: 2026, grupo: "loja" };
    expect(await test.index.upsertTraining({ ...TRAINING, metadata })).toEqual(UNCHANGED);
    expect(await allVersions(test)).toEqual(before);
  });

  it.each<[string, Training]>([
    ["documents", { id: "a", documents: [paragraph("Pix"), paragraph("Clube")].map(asDocument) }],
    ["ready chunks", ready({ id: "um", pageContent: "A loja abre às oito." }, { pageContent: "E fecha às seis." })],
    ["a text that repeats", { id: "a", content: [paragraph("Pix"), paragraph("Pix")].join("\n\n") }],
    ["no chunks", { id: "a", content: " \n " }],
    ["NUL and lone surrogates", { id: "a", content: "A loja\0 abre \ud800.", metadata: { "a\0": "\udc00" } }],
  ])("a training of %s again is unchanged, too", async (_name, training) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(training);
    const before = await allVersions(test);
    test.embeddings.calls = 0;
    const again = await test.index.upsertTraining(training);
    expect(again).toMatchObject({ status: "unchanged", embedded: 0, removed: 0 });
    expect(test.embeddings.calls).toBe(0);
    expect(await allVersions(test)).toEqual(before);
  });

  it("of several repeated trainings only the new one is stored", async () => {
    const test = await openTestIndex(database);
    const trainings = ["a", "b", "c"].map(smallTraining);
    await collect(test.index.upsertTrainings(trainings));
    const before = await allVersions(test);
    test.embeddings.texts = [];
    const again = [...trainings, smallTraining("d")];
    const results = await collect(test.index.upsertTrainings(again));
    expect(results.map(({ status }) => status)).toEqual(["unchanged", "unchanged", "unchanged", "indexed"]);
    expect(test.embeddings.texts).toEqual(["a loja d"]);
    expect(await allVersions(test)).toEqual(expect.arrayContaining(before));
  });

  describe("a change of anything that decides the chunks is indexed:", () => {
    const [um, dois] = [{ pageContent: "A loja abre às oito." }, { pageContent: "E fecha às seis." }];
    it.each<[string, Training, Training]>([
      ["the text", TRAINING, { ...TRAINING, content: `${FIVE_PARAGRAPHS} Fim.` }],
      ["white space that moves chunks", TRAINING, { ...TRAINING, content: `\n${FIVE_PARAGRAPHS}` }],
      ["a metadata value", TRAINING, { ...TRAINING, metadata: { ...TRAINING.metadata, ano: 2027 } }],
      ["the type of a metadata value", TRAINING, { ...TRAINING, metadata: { ...TRAINING.metadata, ano: "2026" } }],
      ["an additional metadata key", TRAINING, { ...TRAINING, metadata: { ...TRAINING.metadata, tag: "x" } }],
      ["removed metadata", TRAINING, { id: "a", content: FIVE_PARAGRAPHS }],
      ["the id of a ready chunk", ready({ id: "um", ...um }), ready({ id: "dois", ...um })],
      ["an id for a chunk without one", ready(um), ready({ id: "dois", ...um })],
      ["the order of documents", ready(um, dois), ready(dois, um)],
      ["the metadata of one document", ready(um), ready({ ...um, metadata: { pagina: 2 } })],
      [
        "split: false",
        { id: "a", documents: [FIVE_PARAGRAPHS].map(asDocument) },
        ready({ pageContent: FIVE_PARAGRAPHS }),
      ],
      ["metadata of a training without chunks", { id: "a", content: "" }, { id: "a", content: "", metadata: { a: 1 } }],
    ])("%s", async (_name, first, second) => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining(first);
      expect(await test.index.upsertTraining(second)).toMatchObject({ status: "indexed" });
      expect(await test.index.upsertTraining(second)).toMatchObject({ status: "unchanged" });
      expect(await test.index.upsertTraining(first)).toMatchObject({ status: "indexed" });
    });

    it("another splitter, and back again", async () => {
      const test = await openTestIndex(database);
      const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 300, chunkOverlap: 0 });
      const { pool, schema } = test;
      const small = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema, splitter });
      await test.index.upsertTraining(TRAINING);
      expect(await small.upsertTraining(TRAINING)).toMatchObject({ status: "indexed", chunks: 15 });
      expect(await small.upsertTraining(TRAINING)).toMatchObject({ status: "unchanged", chunks: 15 });
      expect(await test.index.upsertTraining(TRAINING)).toMatchObject({ status: "indexed", chunks: 5 });
    });
  });

  // Guards: `touch` writes the newer ticket and barrier to the training's row.
  it.each<[string, Revision | undefined]>([
    ["without revisions", undefined],
    ["with equal revisions", 7],
  ])("a repeat while an older call embeds supersedes that call, %s", async (_title, revision) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ ...TRAINING, revision });
    const before = await allVersions(test);
    const held = holdEmbedding(test.embeddings, "atrasada");
    const older = test.index.upsertTraining({ id: "a", content: "uma versão atrasada", revision });
    await held.reached;
    test.embeddings.calls = 0;
    expect(await test.index.upsertTraining({ ...TRAINING, revision })).toEqual(UNCHANGED);
    expect(test.embeddings.calls).toBe(0);
    held.release();
    expect(await older).toMatchObject({ status: "superseded" });
    expect(await allVersions(test)).toEqual(before);
    expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
  });

  it("a repeat with a higher revision is unchanged and records the revision", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ ...TRAINING, revision: 1 });
    const before = await allVersions(test);
    expect(await test.index.upsertTraining({ ...TRAINING, revision: 9 })).toEqual(UNCHANGED);
    const between = await test.index.upsertTraining({ id: "a", content: "a versão do meio", revision: 5 });
    expect(between).toMatchObject({ status: "superseded", embedded: 0 });
    expect(await test.index.deleteTraining("a", { revision: 5 })).toMatchObject({ status: "superseded" });
    expect(await allVersions(test)).toEqual(before);
  });

  it("a repeat takes two statements and no transaction", async () => {
    const test = await openTestIndex(database);
    const recorded = recordingPool(test.pool);
    const index = await openAgain(test, recorded.pool);
    await index.upsertTraining(TRAINING);
    recorded.statements.length = 0;
    expect(await index.upsertTraining(TRAINING)).toEqual(UNCHANGED);
    const names = recorded.statements.map(({ text }) => /langchain-training-index:([\w-]+)/.exec(text)?.[1]);
    expect(names).toEqual(["take-tickets", "touch"]);
  });

  it("a repeat writes only the training's own row, by Postgres' statistics", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      // One transaction for all: its own statistics do not include the writes of other sessions.
      const one: DatabasePool = {
        query: (text, values) => client.query(text, values),
        connect: () => Promise.resolve(neverReleased(client as DatabaseClient)),
      };
      const index = await openAgain(test, one);
      const before = await writesIn(client, test.schema);
      expect(await index.upsertTraining(TRAINING)).toEqual(UNCHANGED);
      const after = await writesIn(client, test.schema);
      expect(after.map(({ name, count }, place) => [name, count - (before[place]?.count ?? 0)])).toEqual([
        ["chunk_1", 0],
        ["indexed_1", 0],
        ["migration", 0],
        ["profile", 0],
        ["training", 1],
        ["word", 0],
      ]);
    });
  });

  it("twenty concurrent duplicates leave one version without doubled rows", async () => {
    const test = await openTestIndex(database);
    waitForAll(test.embeddings, 20);
    const results = await Promise.all(Array.from({ length: 20 }, () => test.index.upsertTraining(TRAINING)));
    expect(results.map(({ status }) => status)).toContain("indexed");
    expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
    expect(await countRows(test)).toEqual({ training: 1, indexed: 1, chunks: 5 });
    expect(await test.index.upsertTraining(TRAINING)).toEqual(UNCHANGED);
  });
});

describeOnServer("C5 Idempotent", (database) => {
  // Guards: a repeat whose version changes meanwhile goes through the fence, where no other call can intervene.
  it("a repeat succeeds while ten duplicates of it are stored", async () => {
    const test = await openTestIndex(database);
    const duplicates = await Promise.all(Array.from({ length: 10 }, () => test.index.prepareTraining(TRAINING)));
    await duplicates.shift()?.commit();
    const before = (await storedRows(test)).map(({ version }) => version);
    const pool = observedPool(test.pool, {
      before: async (text, { isInTransaction }) => {
        // A duplicate would wait for the locks of a transaction.
        if (text.includes("UPDATE") && !isInTransaction) await duplicates.shift()?.commit();
      },
    });
    const index = await openAgain(test, pool);
    expect(await index.upsertTraining(TRAINING)).toMatchObject({ chunks: 5, embedded: 0, removed: 0 });
    expect((await storedRows(test)).map(({ version }) => version)).toEqual(before);
  });

  it("twenty concurrent duplicates through twenty indexes leave one version and keep the rows that were stored", async () => {
    const test = await openTestIndex(database);
    const pool = openServerPool({ max: 20 });
    const embeddings = new CountingEmbeddings();
    const indexes = await Promise.all(Array.from({ length: 20 }, () => openAgain(test, pool, embeddings)));
    for (let round = 0; round < 5; round++) {
      waitForAll(embeddings, 20);
      const training = { ...TRAINING, content: `${paragraph(`Rodada ${round}`)}\n\n${FIVE_PARAGRAPHS}` };
      const kept = (await storedRows(test)).slice(-5);
      await Promise.all(indexes.map((index) => index.upsertTraining(training)));
      expect(await wholeText(test)).toBe(training.content);
      expect(await countRows(test)).toEqual({ training: 1, indexed: 1, chunks: 6 });
      if (round > 0) expect((await storedRows(test)).slice(-5)).toEqual(kept);
    }
  });

  it("twenty concurrent repeats of the stored version embed nothing and touch no chunk row", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    const before = await allVersions(test);
    const embeddings = new CountingEmbeddings();
    const pool = openServerPool({ max: 20 });
    const indexes = await Promise.all(Array.from({ length: 20 }, () => openAgain(test, pool, embeddings)));
    const results = await Promise.all(indexes.map((index) => index.upsertTraining(TRAINING)));
    const statuses = new Set(results.map(({ status }) => status));
    expect(statuses).toContain("unchanged");
    expect(["unchanged", "superseded"]).toEqual(expect.arrayContaining([...statuses]));
    expect(embeddings.calls).toBe(0);
    expect(await allVersions(test)).toEqual(before);
  });
});

/** Holds requests to the embedder until `count` have arrived, so that all calls overlap. */
function waitForAll(embeddings: CountingEmbeddings, count: number): void {
  const all = gateOf();
  embeddings.calls = 0;
  embeddings.before = () => {
    if (embeddings.calls === count) all.resolve();
    return all.promise;
  };
}

/** The number of rows that the current transaction has inserted, updated and deleted in each table. */
async function writesIn(client: Queryable, schema: string): Promise<{ name: string; count: number }[]> {
  const { rows } = await client.query(
    `SELECT relname AS name, (n_tup_ins + n_tup_upd + n_tup_del)::integer AS count
      FROM pg_catalog.pg_stat_xact_user_tables WHERE schemaname = $1 ORDER BY relname`,
    [schema],
  );
  return rows as { name: string; count: number }[];
}

function asDocument(pageContent: string): { pageContent: string } {
  return { pageContent };
}

/** The host's client with a `release` that does nothing, so that a pool can hand it out repeatedly. */
function neverReleased(client: DatabaseClient): DatabaseClient {
  return new Proxy(client, {
    get: (target, property) => {
      if (property === "release") return () => undefined;
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
