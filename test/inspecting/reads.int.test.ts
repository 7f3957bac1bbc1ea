import { InvalidArgumentError, TrainingIndex, type Filter, type StoredTraining } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect, failureOf } from "../support/contract.js";
import { describeOnServerOrEmbedded, describeOnServer } from "../support/databases.js";
import { matches } from "../support/filter-model.js";
import {
  FIVE_PARAGRAPHS,
  inHostTransaction,
  openTestIndex,
  sharedIndex,
  smallTraining,
  type TestIndex,
} from "../support/index.js";

const UUIDS = ["00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000001"];

async function idsOf(list: AsyncIterable<StoredTraining>): Promise<unknown[]> {
  return (await collect(list)).map(({ id }) => id);
}

describeOnServerOrEmbedded("Reads by id", (database) => {
  const shared = sharedIndex(database);

  it("get returns what is stored, and nothing of a training that is absent or deleted", async () => {
    const { index } = shared();
    const before = Date.now();
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "x" }, revision: 7 });
    const chunks = (await index.chunks("a")).length;
    expect(chunks).toBeGreaterThan(1);
    const training = await index.get("a");
    expect(training).toEqual({
      id: "a",
      metadata: { grupo: "x" },
      revision: 7,
      chunks,
      updatedAt: expect.any(Date) as Date,
    });
    expect(Math.abs((training?.updatedAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
    expect(await index.get("b")).toBeUndefined();
    await index.deleteTraining("a");
    expect(await index.get("a")).toBeUndefined();
    expect(await index.chunks("a")).toEqual([]);
    expect(await index.chunks("b")).toEqual([]);
    expect(await index.count()).toEqual({ trainings: 0, chunks: 0 });
    expect(await collect(index.list())).toEqual([]);
  });

  it("a blank training is stored, with no chunks", async () => {
    const { index } = shared();
    await index.upsertTraining({ id: "vazia", content: " \n" });
    expect(await index.get("vazia")).toMatchObject({ chunks: 0, metadata: {}, revision: undefined });
    expect(await index.chunks("vazia")).toEqual([]);
    expect(await index.count()).toEqual({ trainings: 1, chunks: 0 });
  });

  it("chunks come in reading order, and their offsets are those of the text", async () => {
    const { index } = shared();
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "x" } });
    const chunks = await index.chunks("a");
    expect(chunks.map(({ position }) => position)).toEqual(chunks.map((_, place) => place));
    for (const { start, end, content, trainingId, metadata } of chunks) {
      expect(FIVE_PARAGRAPHS.slice(start, end)).toBe(content);
      expect({ trainingId, metadata }).toEqual({ trainingId: "a", metadata: { grupo: "x" } });
    }
    const hits = await index.similar("loja", { k: 100 });
    const found = new Set(hits.map(({ chunkId }) => chunkId));
    expect(new Set(chunks.map(({ chunkId }) => chunkId))).toEqual(found);
  });

  it("list goes by id, from after an id that need not exist, up to a limit", async () => {
    const { index } = shared();
    const ids = ["b", "a", "é", "Z", "ab", "😀", "%", "a'b"];
    for (const id of ids) await index.upsertTraining(smallTraining(id));
    const sorted = ids.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
    const all = index.list();
    expect(await idsOf(all)).toEqual(sorted);
    expect(await idsOf(all), "each iteration reads again").toEqual(sorted);
    expect(await idsOf(index.list({ after: "aa", limit: 2 }))).toEqual(["ab", "b"]);
    expect(await idsOf(index.list({ after: "b" }))).toEqual(sorted.slice(sorted.indexOf("b") + 1));
    await index.deleteTraining("b");
    expect(await idsOf(index.list({ after: "b" }))).toEqual(sorted.slice(sorted.indexOf("b") + 1));
    expect(await index.count()).toEqual({ trainings: ids.length - 1, chunks: ids.length - 1 });
  });
});

describeOnServer("Reads by id", (database) => {
  const shared = sharedIndex(database);

  it.each([
    ["a number", 3, 3],
    ["a fraction", -1.25, -1.25],
    ["a bigint", 2n ** 60n, 2n ** 60n],
    ["a small bigint", 5n, 5],
    ["a Date", new Date(1_700_000_000_123), 1_700_000_000_123],
  ])("a revision that is %s is read back", async (_name, revision, stored) => {
    const { index } = shared();
    await index.upsertTraining({ ...smallTraining("a"), revision });
    expect((await index.get("a"))?.revision).toBe(stored);
  });

  it.each([
    ["integer", [10, 9, -3]],
    ["bigint", [10, 9, 2n ** 60n, -3]],
    ["uuid", UUIDS],
  ] as const)("ids of type %s are listed in their own order", async (idType, ids) => {
    const { index } = await openTestIndex(database, {}, { idType });
    for (const id of ids) await index.upsertTraining({ id, content: "loja" });
    const sorted = [...ids].sort((left, right) => (left < right ? -1 : 1));
    expect(await idsOf(index.list())).toEqual(sorted);
    expect(await idsOf(index.list({ after: sorted[0] as never }))).toEqual(sorted.slice(1));
    for (const id of ids) {
      expect(await index.get(id)).toMatchObject({ id, chunks: 1 });
      expect(await index.chunks(id.toString())).toMatchObject([{ trainingId: id, content: "loja" }]);
    }
  });

  it("take ids with any characters as they are", async () => {
    const { index } = shared();
    const ids = [
      "'; DROP TABLE training --",
      '"',
      "\\",
      "$1",
      "a\nb",
      "%_",
      "{}",
      "\u{10FFFF}",
      "x".repeat(1000),
      "NULL",
    ];
    for (const id of ids) await index.upsertTraining({ id, content: `loja ${ids.indexOf(id)}` });
    for (const id of ids) {
      expect(await index.get(id)).toMatchObject({ id });
      expect(await index.chunks(id)).toMatchObject([{ trainingId: id, content: `loja ${ids.indexOf(id)}` }]);
      expect(await idsOf(index.list({ after: id }))).not.toContain(id);
    }
    expect(new Set(await idsOf(index.list()))).toEqual(new Set(ids));
  });

  it("see what the host's transaction has written, and leave it usable", async () => {
    const { index, pool } = shared();
    await inHostTransaction(pool, "ROLLBACK", async (client) => {
      await index.upsertTraining(smallTraining("a"), { client });
      expect(await index.get("a", { client })).toMatchObject({ id: "a" });
      expect(await index.get("a")).toBeUndefined();
      expect(await idsOf(index.list({ client }))).toEqual(["a"]);
      expect(await index.count({ client })).toEqual({ trainings: 1, chunks: 1 });
      expect(await index.chunks("a", { client })).toHaveLength(1);
    });
    expect(await index.get("a")).toBeUndefined();
  });

  it("list holds no client between pages, and a break ends it", async () => {
    const { index, pool } = shared();
    for (const id of ["a", "b", "c"]) await index.upsertTraining(smallTraining(id));
    for await (const { id } of index.list()) {
      expect(pool.idleCount).toBe(pool.totalCount);
      expect(await index.get(id)).toMatchObject({ id });
      if (id === "b") break;
    }
  });

  it("a signal ends a list between two trainings of a page", async () => {
    const { index } = shared();
    for (const id of ["a", "b", "c"]) await index.upsertTraining(smallTraining(id));
    const controller = new AbortController();
    const listed: unknown[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const { id } of index.list({ signal: controller.signal })) {
          listed.push(id);
          controller.abort();
        }
      })(),
    );
    expect(failure).toMatchObject({ code: "ABORTED" });
    expect(listed).toEqual(["a"]);
  });

  it.each([
    ["after", (index: TrainingIndex) => index.list({ after: 7 })],
    ["after", (index: TrainingIndex) => index.list({ after: "" })],
    ["limit", (index: TrainingIndex) => index.list({ limit: 0 })],
    ["limit", (index: TrainingIndex) => index.list({ limit: 1.5 })],
    ["filter", (index: TrainingIndex) => index.list({ filter: {} })],
    ["filter.ano.gt", (index: TrainingIndex) => index.list({ filter: { ano: { gt: null } } as never })],
    ["filters", (index: TrainingIndex) => index.list({ filters: { ano: 1 } } as never)],
  ])("list refuses a wrong %s at the call", (option, call) => {
    const { index } = shared();
    let failure: unknown;
    try {
      call(index);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(InvalidArgumentError);
    expect(failure).toMatchObject({ option });
  });
});

/** Metadata of trainings with one document each, so that both have the same. */
const METADATA = [
  { grupo: "a", ano: 2020, ativo: true, tags: ["x", "y"] },
  { grupo: "b", ano: 2021, ativo: false, autor: { nome: "Ana" } },
  { grupo: "A%", ano: "2020" },
  { tags: [] },
  {},
];
const FILTERS: Filter[] = [
  { grupo: "a" },
  { grupo: { eq: "b" } },
  { grupo: { ne: "a" } },
  { grupo: { neq: "a" } },
  { ano: { gt: 2020 } },
  { ano: { gte: 2020 } },
  { ano: { lt: 2021 } },
  { ano: { lte: 2020 } },
  { ano: { in: [2020, "2020"] } },
  { ano: { notIn: [2020] } },
  { ano: { nin: [2021] } },
  { ano: { between: [2020, 2021] } },
  { ativo: { exists: true } },
  { ativo: { exists: false } },
  { grupo: { like: "A\\%" } },
  { grupo: { $ilike: "a%" } },
  { tags: { arrayContains: ["x"] } },
  { "autor.nome": "Ana" },
  { $or: [{ grupo: "a" }, { ano: 2021 }] },
  { and: [{ ano: { gte: 2020 } }, { ativo: true }] },
  { not: { grupo: "a" } },
  { $not: [{ grupo: "a" }, { grupo: "b" }] },
];

async function openFiltered(test: TestIndex): Promise<TestIndex> {
  await collect(test.index.upsertTrainings(METADATA.map((metadata, n) => ({ id: `${n}`, content: "loja", metadata }))));
  await test.index.upsertTraining({ id: "9", content: "apagada", metadata: METADATA[0] });
  await test.index.deleteTraining("9");
  return test;
}

describeOnServer("The filter of a read", (database) => {
  const shared = sharedIndex(database);

  it("selects the same trainings in list, count, get and chunks, for every operator", async () => {
    const { index } = await openFiltered(shared());
    for (const filter of FILTERS) {
      const name = JSON.stringify(filter);
      const expected = METADATA.flatMap((metadata, n) => (matches(metadata, filter) ? [`${n}`] : []));
      expect(await idsOf(index.list({ filter })), name).toEqual(expected);
      expect(await index.count({ filter }), name).toEqual({ trainings: expected.length, chunks: expected.length });
      const narrowed = index.withFilter(filter);
      expect(await idsOf(narrowed.list()), name).toEqual(expected);
      for (const n of METADATA.keys()) {
        const isSeen = expected.includes(`${n}`);
        expect((await narrowed.get(`${n}`))?.chunks, name).toBe(isSeen ? 1 : undefined);
        expect(await narrowed.chunks(`${n}`), name).toHaveLength(isSeen ? 1 : 0);
      }
    }
  });

  it("is ANDed with that of the index, and never widens it", async () => {
    const { embeddings, pool, schema } = await openFiltered(shared());
    const index = await TrainingIndex.initialize(embeddings, { pool, schema, filter: { grupo: "a" } });
    for (const filter of FILTERS) {
      const isSeen = matches(METADATA[0] ?? {}, filter);
      expect(await idsOf(index.list({ filter })), JSON.stringify(filter)).toEqual(isSeen ? ["0"] : []);
      expect(await index.count({ filter })).toEqual({ trainings: isSeen ? 1 : 0, chunks: isSeen ? 1 : 0 });
    }
    expect(await index.get("1")).toBeUndefined();
    expect(await index.chunks("1")).toEqual([]);
    expect(await index.count()).toEqual({ trainings: 1, chunks: 1 });
  });

  it("selects chunks by their own metadata, where documents differ from their training", async () => {
    const { index } = shared();
    const page = (pagina: number): { pageContent: string; metadata: object } => ({
      pageContent: `Página ${pagina}.`,
      metadata: { pagina, segredo: pagina === 2 },
    });
    await index.upsertTraining({
      id: "manual",
      split: false,
      metadata: { grupo: "x", segredo: false },
      documents: [page(1), page(2), page(3)],
    });
    const open = index.withFilter({ segredo: false });
    expect(await open.get("manual")).toMatchObject({ chunks: 2 });
    expect((await open.chunks("manual")).map(({ position, content }) => [position, content])).toEqual([
      [0, "Página 1."],
      [2, "Página 3."],
    ]);
    expect(await open.count()).toEqual({ trainings: 1, chunks: 2 });
    const secret = index.withFilter({ segredo: true });
    expect(await secret.get("manual")).toBeUndefined();
    expect((await secret.chunks("manual")).map(({ content }) => content)).toEqual(["Página 2."]);
    expect(await secret.count()).toEqual({ trainings: 0, chunks: 1 });
  });
});
