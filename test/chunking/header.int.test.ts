import { Document } from "@langchain/core/documents";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { InvalidArgumentError, TrainingIndex, type Training, type TrainingHeader } from "langchain-training-index";
import { expect, it } from "vitest";
import { failureOf, collect, chunksWithOffsets, wholeText } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import {
  CountingEmbeddings,
  FIVE_PARAGRAPHS,
  chunksOf,
  migratedSchema,
  openTestIndex,
  paragraph,
  storedRows,
} from "../support/index.js";

const PARAGRAPHS = FIVE_PARAGRAPHS.split("\n\n");

/** A header made of a metadata tag, as a host would write it. */
const byTag: TrainingHeader = ({ metadata }) => `Assunto: ${metadata?.["tag"] as string}`;

const tagged = (tag: string, more: Record<string, unknown> = {}): Training => ({
  id: "a",
  content: FIVE_PARAGRAPHS,
  metadata: { tag, ...more },
});

const under = (header: string, texts = PARAGRAPHS): string[] => texts.map((text) => `${header}\n${text}`);

describeOnServer("a header", (database) => {
  it("is embedded above each chunk, and neither stored nor shown", async () => {
    const test = await openTestIndex(database, { header: byTag });
    const result = await test.index.upsertTraining(tagged("loja"));
    expect(result).toMatchObject({ status: "indexed", chunks: 5, embedded: 5 });
    expect(test.embeddings.texts).toEqual(under("Assunto: loja"));
    expect((await storedRows(test)).map(({ content }) => content)).toEqual(PARAGRAPHS);
    const hits = await chunksOf(test);
    expect(hits.map(({ content }) => content)).toEqual(PARAGRAPHS);
    for (const { content, start, end, metadata } of hits) {
      expect(FIVE_PARAGRAPHS.slice(start, end)).toBe(content);
      expect(metadata).toEqual({ tag: "loja" });
    }
    expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
  });

  it("makes a chunk findable by its training's subject", async () => {
    const test = await openTestIndex(database, { header: byTag });
    const content = "O prazo é de trinta dias.";
    await test.index.upsertTraining({ id: "a", content, metadata: { tag: "devoluções" } });
    await test.index.upsertTraining({ id: "b", content, metadata: { tag: "garantia" } });
    const [hit] = await test.index.similar("Assunto: garantia", { k: 1 });
    expect(hit).toMatchObject({ trainingId: "b", content });
  });

  it("that stays the same leaves a repeated training unchanged", async () => {
    const test = await openTestIndex(database, { header: byTag });
    await test.index.upsertTraining(tagged("loja"));
    test.embeddings.calls = 0;
    expect(await test.index.upsertTraining(tagged("loja"))).toMatchObject({ status: "unchanged", reused: 5 });
    expect(test.embeddings.calls).toBe(0);
  });

  it("that changes makes all chunks be embedded again, each once", async () => {
    const test = await openTestIndex(database, { header: byTag });
    await test.index.upsertTraining(tagged("loja"));
    test.embeddings.texts = [];
    expect(await test.index.upsertTraining(tagged("site"))).toMatchObject({
      status: "indexed",
      chunks: 5,
      embedded: 5,
      reused: 0,
    });
    expect(test.embeddings.texts).toEqual(under("Assunto: site"));
    const [hit] = await test.index.similar(under("Assunto: site")[2] ?? "", { k: 1 });
    expect(hit).toMatchObject({ content: PARAGRAPHS[2], metadata: { tag: "site" } });
    expect(hit?.distance).toBeCloseTo(0, 5);
    expect(await wholeText(test)).toBe(FIVE_PARAGRAPHS);
  });

  it("that stays the same while metadata changes causes no embedding", async () => {
    const test = await openTestIndex(database, { header: byTag });
    await test.index.upsertTraining(tagged("loja", { grupo: "vendas" }));
    test.embeddings.calls = 0;
    expect(await test.index.upsertTraining(tagged("loja", { grupo: "suporte" }))).toMatchObject({
      status: "indexed",
      embedded: 0,
      reused: 5,
    });
    expect(test.embeddings.calls).toBe(0);
    expect(await test.index.similar("loja", { filter: { grupo: "suporte" } })).toHaveLength(5);
  });

  it("that the index gets later, or loses, makes all chunks be embedded again", async () => {
    const schema = await migratedSchema(database);
    const { pool } = database;
    const embeddings = new CountingEmbeddings();
    const without = await TrainingIndex.initialize(embeddings, { pool, schema });
    const headed = await TrainingIndex.initialize(embeddings, { pool, schema, header: byTag });
    const blank = await TrainingIndex.initialize(embeddings, { pool, schema, header: () => " \n" });
    const embedded: number[] = [];
    for (const index of [without, headed, without, blank]) {
      embedded.push((await index.upsertTraining(tagged("loja"))).embedded);
    }
    // A blank header counts as none.
    expect(embedded).toEqual([5, 5, 5, 0]);
    expect(embeddings.texts).toEqual([...PARAGRAPHS, ...under("Assunto: loja"), ...PARAGRAPHS]);
  });

  it("lets an edit keep the chunks around it", async () => {
    const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 120, chunkOverlap: 20 });
    const test = await openTestIndex(database, { header: byTag, splitter });
    const sentences = Array.from(
      { length: 200 },
      (_, place) => `${place}. A loja ${place % 7} atende de segunda a sexta, e no dia ${place} até mais tarde.`,
    );
    const content = sentences.join(" ");
    const metadata = { tag: "loja" };
    const first = await test.index.upsertTraining({ id: "a", content, metadata });
    expect(first.chunks).toBeGreaterThan(100);
    test.embeddings.texts = [];
    const edited = sentences.with(60, "Novo aviso da loja.").join(" ");
    const result = await test.index.upsertTraining({ id: "a", content: edited, metadata });
    expect(result.embedded).toBeGreaterThan(0);
    expect(result.embedded).toBeLessThanOrEqual(3);
    expect(test.embeddings.texts).toHaveLength(result.embedded);
    for (const text of test.embeddings.texts) expect(text).toMatch(/^Assunto: loja\n./);
    for (const { start, end, content: text } of await chunksWithOffsets(test)) {
      expect(edited.slice(start, end)).toBe(text);
    }
    // Under another header every chunk is embedded again, so the text is split as if it were new.
    const moved = { id: "a", content: edited, metadata: { tag: "site" } };
    const { chunks, embedded } = await test.index.upsertTraining(moved);
    expect(embedded).toBe(chunks);
    const fresh = await openTestIndex(database, { header: byTag, splitter });
    await fresh.index.upsertTraining(moved);
    expect(await chunksWithOffsets(test)).toEqual(await chunksWithOffsets(fresh));
  });

  it("is embedded above each of several documents, and does not change their places", async () => {
    const test = await openTestIndex(database, { header: byTag });
    const texts = ["A loja abre às oito.", "", "A loja fecha às seis. 🌻\r\n"];
    const documents = texts.map((pageContent) => ({ pageContent }));
    for (const split of [true, false]) {
      test.embeddings.texts = [];
      await test.index.upsertTraining({ id: `${split}`, documents, split, metadata: { tag: "loja" } });
      const joined = texts.join("\n\n");
      const placed = await chunksWithOffsets(test, `${split}`);
      expect(placed).toHaveLength(2);
      for (const { start, end, content } of placed) expect(joined.slice(start, end)).toBe(content);
      expect(test.embeddings.texts).toEqual(
        under(
          "Assunto: loja",
          placed.map(({ content }) => content.replace("\r\n", "\n")),
        ),
      );
    }
  });

  it("applies in `upsertTrainings` and `prepareTraining`, each training under its own", async () => {
    const test = await openTestIndex(database, { header: byTag });
    const small = (id: string, tag: string): Training => ({ id, content: "A loja abre.", metadata: { tag } });
    await collect(test.index.upsertTrainings([small("a", "loja"), small("b", "site"), small("c", "loja")]));
    // The same text under the same header is embedded once.
    expect(test.embeddings.texts).toEqual(["Assunto: loja\nA loja abre.", "Assunto: site\nA loja abre."]);
    const prepared = await test.index.prepareTraining(small("a", "site"));
    expect(await prepared.commit()).toMatchObject({ status: "indexed", embedded: 1 });
    expect(test.embeddings.texts.at(-1)).toBe("Assunto: site\nA loja abre.");
  });

  it("applies in `vectorStore.addDocuments`, but not to ready vectors", async () => {
    const test = await openTestIndex(database, { header: byTag });
    const { vectorStore } = test.index;
    const document = new Document({ pageContent: "A loja abre às oito.", metadata: { tag: "loja" } });
    await vectorStore.addDocuments([document], { ids: ["d1"] });
    expect(test.embeddings.texts).toEqual(["Assunto: loja\nA loja abre às oito."]);
    const [found] = await vectorStore.similaritySearch("Assunto: loja", 1);
    expect(found).toMatchObject({ pageContent: "A loja abre às oito.", metadata: { tag: "loja" } });
    test.embeddings.calls = 0;
    const vector = await test.embeddings.embedQuery("A loja fecha às seis.");
    const ready = new Document({ pageContent: "A loja fecha às seis.", metadata: { tag: "loja" } });
    await vectorStore.addVectors([vector], [ready], { ids: ["d2"] });
    expect(test.embeddings.calls).toBe(0);
    const [hit] = await test.index.similar("A loja fecha às seis.", { k: 1 });
    expect(hit?.distance).toBeCloseTo(0, 5);
  });

  it("with NUL and lone surrogates is embedded with U+FFFD for each", async () => {
    const test = await openTestIndex(database, { header: () => "Lo\0ja \ud800" });
    const training = { id: "a", content: "A loja abre às oito." };
    await test.index.upsertTraining(training);
    expect(test.embeddings.texts).toEqual(["Lo\uFFFDja \uFFFD\nA loja abre às oito."]);
    expect(await test.index.upsertTraining(training)).toMatchObject({ status: "unchanged" });
  });

  it.each<[string, TrainingHeader]>([
    [
      "throws",
      () => {
        throw new Error("sem assunto");
      },
    ],
    ["returns undefined", (() => undefined) as unknown as TrainingHeader],
    ["returns a promise", (() => Promise.resolve("Loja")) as unknown as TrainingHeader],
  ])("that %s fails the call before anything is embedded or stored", async (name, header) => {
    const test = await openTestIndex(database, { header });
    const cause = name === "throws" ? { cause: { message: "sem assunto" } } : {};
    const expected = { code: "INVALID_ARGUMENT", option: "header", ...cause };
    const training = { id: "a", content: "A loja abre às oito." };
    await expect(test.index.upsertTraining(training)).rejects.toMatchObject(expected);
    await expect(test.index.prepareTraining(training)).rejects.toMatchObject(expected);
    await expect(collect(test.index.upsertTrainings([training]))).rejects.toMatchObject(expected);
    const document = new Document({ pageContent: "A loja abre às oito." });
    await expect(test.index.vectorStore.addDocuments([document])).rejects.toMatchObject(expected);
    expect(test.embeddings.calls).toBe(0);
    expect(await storedRows(test)).toEqual([]);
  });

  it("that leaves no room for the text in the model's window is refused before anything is embedded", async () => {
    const header: TrainingHeader = () => paragraph("Assunto");
    const profile = { model: "modelo", maxTokens: 128 };
    const test = await openTestIndex(database, { header, profile });
    const failure = await failureOf(test.index.upsertTraining({ id: "a", content: "A loja abre às oito." }));
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option: "header" });
    expect(test.embeddings.calls).toBe(0);
  });

  it.each(["Assunto", 7, null, { header: "Loja" }])("that is %j instead of a function is refused", async (header) => {
    const schema = await migratedSchema(database);
    const options = { pool: database.pool, schema, header: header as never };
    const failure = await failureOf(TrainingIndex.initialize(new CountingEmbeddings(), options));
    expect(failure).toEqual(new InvalidArgumentError("header", "must be a function"));
  });
});
