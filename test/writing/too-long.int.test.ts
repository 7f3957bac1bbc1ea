import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { EmbeddingError, TrainingIndex, type IndexingProgress } from "langchain-training-index";
import { expect, it } from "vitest";
import { failureOf, chunksWithOffsets } from "../support/contract.js";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, migratedSchema, storedRows, type TestIndex } from "../support/index.js";

/** An embedder that reports each text that is too long for it. */
class NarrowEmbeddings extends CountingEmbeddings {
  readonly reads: (text: string) => boolean;

  constructor(reads: (text: string) => boolean) {
    super(DIMENSIONS);
    this.reads = reads;
  }

  async embedEach(texts: readonly string[]): Promise<(number[] | EmbeddingError)[]> {
    const vectors = await this.embedDocuments([...texts]);
    return vectors.map((vector, place) =>
      this.reads(texts[place] ?? "")
        ? vector
        : new EmbeddingError("TEXT_TOO_LONG", "A text is longer than the model reads", false),
    );
  }
}

interface NarrowIndex extends TestIndex {
  embeddings: NarrowEmbeddings;
}

async function openNarrow(
  database: TestDatabase,
  reads: (text: string) => boolean,
  options: { chunkSize?: number; chunkOverlap?: number; header?: () => string } = {},
): Promise<NarrowIndex> {
  const { chunkSize = 1000, chunkOverlap = 0, header } = options;
  const schema = await migratedSchema(database);
  const embeddings = new NarrowEmbeddings(reads);
  const splitter = new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap });
  const { pool, owner } = database;
  const index = await TrainingIndex.initialize(embeddings, {
    pool,
    schema,
    splitter,
    ...(header && { header }),
  });
  return { index, embeddings, pool, owner, schema };
}

const SENTENCES = Array.from({ length: 60 }, (_, place) => `${place}. A loja ${place} atende no dia ${place}.`);
const CONTENT = SENTENCES.join(" ");

describeOnServerOrEmbedded("a chunk that is too long for the model", (database) => {
  it("is halved until it fits, without loss, and a repeat is unchanged", async () => {
    const test = await openNarrow(database, (text) => text.length <= 150);
    const result = await test.index.upsertTraining({ id: "a", content: CONTENT });
    const chunks = await chunksWithOffsets(test);
    expect(result).toMatchObject({ status: "indexed", chunks: chunks.length, embedded: chunks.length });
    expect(chunks.map(({ content }) => content).join(" ")).toBe(CONTENT);
    for (const { start, end, content } of chunks) {
      expect(CONTENT.slice(start, end)).toBe(content);
      expect(content.length).toBeLessThanOrEqual(150);
    }
    test.embeddings.calls = 0;
    expect(await test.index.upsertTraining({ id: "a", content: CONTENT })).toMatchObject({
      status: "unchanged",
    });
    expect(test.embeddings.calls).toBe(0);
  });

  it("does not affect other chunks, each of which is embedded once", async () => {
    const test = await openNarrow(database, (text) => !(text.includes("30.") && text.length > 100), {
      chunkSize: 200,
    });
    await test.index.upsertTraining({ id: "a", content: CONTENT });
    const long = test.embeddings.texts.filter((text) => !test.embeddings.reads(text));
    expect(long.length).toBeGreaterThan(0);
    const stored = (await chunksWithOffsets(test)).map(({ content }) => content);
    expect(new Set(test.embeddings.texts).size).toBe(test.embeddings.texts.length);
    expect(test.embeddings.texts.toSorted()).toEqual([...stored, ...long].toSorted());
  });

  it("is split into halves that have the header too", async () => {
    const test = await openNarrow(database, (text) => text.length <= 150, { header: () => "Loja" });
    await test.index.upsertTraining({ id: "a", content: CONTENT });
    expect(test.embeddings.texts.every((text) => text.startsWith("Loja\n"))).toBe(true);
    for (const { content } of await chunksWithOffsets(test)) {
      expect(test.embeddings.texts).toContain(`Loja\n${content}`);
      expect(`Loja\n${content}`.length).toBeLessThanOrEqual(150);
    }
  });

  it("is split into halves that are in order, even if chunks overlap", async () => {
    const test = await openNarrow(database, (text) => text.length <= 60, {
      chunkSize: 400,
      chunkOverlap: 200,
    });
    await test.index.upsertTraining({ id: "a", content: CONTENT });
    const chunks = await chunksWithOffsets(test);
    const starts = chunks.map(({ start }) => start);
    expect(starts).toEqual(starts.toSorted((left, right) => left - right));
    let covered = 0;
    for (const { start, end, content } of chunks) {
      expect(CONTENT.slice(covered, start).trim()).toBe("");
      expect(CONTENT.slice(start, end)).toBe(content);
      covered = Math.max(covered, end);
    }
    expect(CONTENT.slice(covered)).toBe("");
  });

  it("has its halves kept by an edit elsewhere: only the edited place is embedded again", async () => {
    const test = await openNarrow(database, (text) => text.length <= 150);
    await test.index.upsertTraining({ id: "a", content: CONTENT });
    const edited = CONTENT.replace("A loja 30 atende", "A loja 30 fecha");
    const { chunks, embedded, reused } = await test.index.upsertTraining({ id: "a", content: edited });
    expect(embedded).toBeLessThanOrEqual(3);
    expect(reused).toBe(chunks - embedded);
    const placed = await chunksWithOffsets(test);
    for (const { start, end, content } of placed) expect(edited.slice(start, end)).toBe(content);
  });

  it("is counted in the progress, which never decreases", async () => {
    const test = await openNarrow(database, (text) => !(text.includes("30.") && text.length > 100), {
      chunkSize: 200,
    });
    const seen: IndexingProgress[] = [];
    const result = await test.index.upsertTraining(
      { id: "a", content: CONTENT },
      { onProgress: (progress) => seen.push(progress) },
    );
    expect(seen.length).toBeGreaterThan(1);
    for (const { embedded, reused, total } of seen) {
      expect(reused).toBe(0);
      expect(embedded).toBeLessThanOrEqual(total);
    }
    const counts = seen.map(({ embedded }) => embedded);
    expect(counts).toEqual(counts.toSorted((left, right) => left - right));
    expect(seen.at(-1)).toEqual({ embedded: result.embedded, reused: 0, total: result.chunks });
  });

  it.each([
    ["split: false keeps it whole", { documents: [{ pageContent: CONTENT }], split: false }, 500],
    ["cannot be cut", { content: "😀" }, 1],
  ])("fails the call when it %s, and stores nothing", async (why, training, limit) => {
    const test = await openNarrow(database, (text) => text.length <= limit);
    const failure = await failureOf(test.index.upsertTraining({ id: "a", ...training }));
    expect(failure).toBeInstanceOf(EmbeddingError);
    expect(failure).toMatchObject({ code: "TEXT_TOO_LONG", retryable: false });
    expect(failure.message).toContain(why);
    expect(failure.message).toContain("chunk 0 of training a");
    expect(await storedRows(test)).toEqual([]);
  });
});
