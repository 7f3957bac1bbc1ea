import type { Training, UpsertResult } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach } from "../support/databases.js";
import { FIVE_PARAGRAPHS, chunksOf, openTestIndex, paragraph, smallTraining, storedRows } from "../support/index.js";

describeOnEach("upsertTraining", (database) => {
  it("stores one chunk for each part, with its place in the text", async () => {
    const test = await openTestIndex(database);
    const result = await test.index.upsertTraining({
      id: "a",
      content: FIVE_PARAGRAPHS,
      metadata: { grupo: "loja" },
    });
    expect(result).toEqual({ id: "a", status: "indexed", chunks: 5, embedded: 5, reused: 0, removed: 0 });
    const chunks = await chunksOf(test);
    expect(chunks.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4]);
    for (const { start, end, content, metadata, score, distance } of chunks) {
      expect(FIVE_PARAGRAPHS.slice(start, end)).toBe(content);
      expect(metadata).toEqual({ grupo: "loja" });
      expect(score).toBe(1 - distance);
    }
  });

  it("accepts documents of LangChain.js and LangChain for Python, and counts offsets in their joined text", async () => {
    const test = await openTestIndex(database);
    const training: Training = {
      id: "a",
      metadata: { grupo: "loja", origem: "treinamento" },
      documents: [
        { pageContent: "A loja abre às oito.", metadata: { pagina: 1 } },
        { page_content: "A loja fecha às seis.", metadata: { pagina: 2, origem: "documento" }, id: null },
        JSON.stringify({ page_content: "A loja não abre aos domingos.", metadata: {}, type: "Document" }),
        { pageContent: "  " },
      ],
    };
    expect(await test.index.upsertTraining(training)).toMatchObject({ chunks: 3, embedded: 3 });
    const joined = "A loja abre às oito.\n\nA loja fecha às seis.\n\nA loja não abre aos domingos.\n\n  ";
    const chunks = await chunksOf(test);
    expect(chunks.map(({ start, end }) => joined.slice(start, end))).toEqual(chunks.map(({ content }) => content));
    expect(chunks.map(({ metadata }) => metadata)).toEqual([
      { grupo: "loja", origem: "treinamento", pagina: 1 },
      { grupo: "loja", origem: "documento", pagina: 2 },
      { grupo: "loja", origem: "treinamento" },
    ]);
  });

  it("keeps ready chunks whole and under their own ids", async () => {
    const test = await openTestIndex(database);
    const long = `${paragraph("Entregas")}\n\n${paragraph("Trocas")}`;
    const documents = [{ id: "um", pageContent: long }, { pageContent: "A loja abre às oito." }];
    expect(await test.index.upsertTraining({ id: "a", documents, split: false })).toMatchObject({
      chunks: 2,
    });
    expect((await chunksOf(test))[0]).toMatchObject({ chunkId: "um", content: long });
    // The first id gets another text, and the old text another id.
    const changed = [
      { id: "um", pageContent: "A loja abre às nove." },
      { id: "dois", pageContent: long },
    ];
    expect(await test.index.upsertTraining({ id: "a", documents: changed, split: false })).toMatchObject({
      chunks: 2,
      embedded: 1,
      reused: 1,
    });
    expect((await chunksOf(test)).map(({ chunkId, content }) => [chunkId, content])).toEqual([
      ["um", "A loja abre às nove."],
      ["dois", long],
    ]);
  });

  it("keeps the vectors of ready chunks whose ids shift by one, even of more than one statement can write", async () => {
    const test = await openTestIndex(database);
    const texts = Array.from({ length: 1500 }, (_, place) => `pergunta ${place} da loja`);
    const numbered = (some: string[]): Training => ({
      id: "a",
      documents: some.map((pageContent, place) => ({ id: `faq-${place}`, pageContent })),
      split: false,
    });
    await test.index.upsertTraining(numbered(texts));
    test.embeddings.calls = 0;
    const moved = texts.slice(1).concat("uma pergunta nova");
    expect(await test.index.upsertTraining(numbered(moved))).toMatchObject({
      chunks: 1500,
      embedded: 1,
      reused: 1499,
    });
    const rows = await storedRows(test);
    expect(rows.map(({ id }) => id)).toEqual(moved.map((_, place) => `faq-${place}`));
    expect(rows.map(({ content }) => content)).toEqual(moved);
    const [nearest] = await test.index.similar("pergunta 77 da loja", { k: 1 });
    expect(nearest).toMatchObject({ content: "pergunta 77 da loja", chunkId: "faq-76" });
    expect(nearest?.distance).toBeCloseTo(0, 5);
  });

  it("keeps the vectors of two ready chunks that swap their ids", async () => {
    const test = await openTestIndex(database);
    const pair = (first: string, second: string): Training => ({
      id: "a",
      documents: [
        { id: "um", pageContent: first },
        { id: "dois", pageContent: second },
      ],
      split: false,
    });
    await test.index.upsertTraining(pair("a loja abre às oito", "a loja fecha às seis"));
    const swapped = await test.index.upsertTraining(pair("a loja fecha às seis", "a loja abre às oito"));
    expect(swapped).toMatchObject({ embedded: 0, reused: 2, removed: 0 });
    for (const { content, chunkId } of await chunksOf(test)) {
      const [hit] = await test.index.similar(content, { k: 1 });
      expect(hit).toMatchObject({ content, chunkId });
      expect(hit?.distance).toBeCloseTo(0, 5);
    }
  });

  it("stores NUL and lone surrogates as U+FFFD, in text and metadata, and finds them by the original text and filter", async () => {
    const test = await openTestIndex(database);
    const content = "A loja\0 abre \ud800às oito. 🌻";
    await test.index.upsertTraining({ id: "a", content, metadata: { "no\0me": "val\udc00or" } });
    const [chunk] = await chunksOf(test);
    expect(chunk?.content).toBe("A loja\ufffd abre \ufffdàs oito. 🌻");
    expect(content.slice(chunk?.start, chunk?.end)).toBe(content);
    expect(chunk?.metadata).toEqual({ "no\ufffdme": "val\ufffdor" });
    expect(await test.index.similar("loja \0\ud800", { filter: { "no\0me": "val\udc00or" } })).toHaveLength(1);
  });

  it("reports its progress in chunks", async () => {
    const { index } = await openTestIndex(database);
    const seen: unknown[] = [];
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const edited = `${FIVE_PARAGRAPHS}\n\n${paragraph("Clube")}`;
    await index.upsertTraining({ id: "a", content: edited }, { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([{ embedded: 1, reused: 5, total: 6 }]);
  });

  it("stores a text of a megabyte", async () => {
    const test = await openTestIndex(database);
    const content = Array.from({ length: 1100 }, (_, place) => `${place} ${paragraph("Entregas")}`).join("\n\n");
    expect(content.length).toBeGreaterThan(700_000);
    expect(await test.index.upsertTraining({ id: "a", content })).toMatchObject({
      chunks: 1100,
      embedded: 1100,
    });
    expect(await storedRows(test)).toHaveLength(1100);
  });

  it("leaves the pool open, with all clients released", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    await test.index.similar("loja");
    await test.index.deleteTraining("a");
    expect(test.pool.idleCount).toBe(test.pool.totalCount);
    expect(test.pool.ended).toBe(false);
  });
});

describeOnEach("many trainings", (database) => {
  it("have results in order, take few requests, and keep the later of two with the same id", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const trainings = [
      smallTraining("a"),
      smallTraining("b"),
      { ...smallTraining("c"), content: "" },
      { id: "a", content: "a loja mudou" },
    ];
    const results: UpsertResult[] = [];
    for await (const result of index.upsertTrainings(asyncList(trainings))) results.push(result);
    expect(results.map(({ id, status, chunks }) => [id, status, chunks])).toEqual([
      ["a", "indexed", 1],
      ["b", "indexed", 1],
      ["c", "indexed", 0],
      ["a", "indexed", 1],
    ]);
    expect(embeddings.calls).toBe(2);
    expect((await index.similar("a loja mudou", { k: 1 }))[0]).toMatchObject({
      trainingId: "a",
      content: "a loja mudou",
    });
  });

  it("are stored up to the first invalid one", async () => {
    const { index } = await openTestIndex(database);
    const trainings = [
      ...Array.from({ length: 100 }, (_, place) => smallTraining(`t${place}`)),
      { id: " ", content: "x" },
    ];
    const done: UpsertResult[] = [];
    await expect(
      (async () => {
        for await (const result of index.upsertTrainings(trainings)) done.push(result);
      })(),
    ).rejects.toMatchObject({ option: "trainings[100].id" });
    expect(done).toHaveLength(100);
    expect(await index.similar("loja", { k: 200 })).toHaveLength(100);
  });
});

describeOnEach("the ids of trainings", (database) => {
  it.each([
    { idType: "text" as const, id: "um' OR 1=1; --", other: "x" },
    { idType: "bigint" as const, id: 42, other: 2n ** 60n },
    { idType: "integer" as const, id: -7, other: 7 },
    {
      idType: "uuid" as const,
      id: "6f1c7a52-0f4d-4d39-9d3b-0d2c1a7f9f10",
      other: "00000000-0000-0000-0000-000000000000",
    },
  ])("are returned from a $idType column as they were given", async ({ idType, id, other }) => {
    const { index } = await openTestIndex(database, {}, { idType });
    expect((await index.upsertTraining({ id, content: "loja" })).id).toBe(id);
    await index.upsertTraining({ id: other, content: "outra" });
    expect((await index.similar("loja", { k: 1 }))[0]?.trainingId).toBe(id);
    expect((await index.similar("outra", { k: 1 }))[0]?.trainingId).toBe(other);
    expect(await index.deleteTraining(id)).toMatchObject({ id, status: "deleted" });
  });
});

async function* asyncList<T>(items: T[]): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}
