import { EmbeddingError, TrainingIndex, AbortError } from "langchain-training-index";
import { expect, it } from "vitest";
import { countRows, failureOf, chunksWithOffsets } from "../support/contract.js";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { DIMENSIONS, migratedSchema, until } from "../support/index.js";
import { openOllama } from "../support/ollama.js";
import type { OllamaServer, OllamaServerOptions } from "../support/ollama-server.js";

/** The stand-in's window in tokens, two for each word: far fewer words than its profile promises. */
const SMALL_WINDOW = 100;

interface OllamaIndex {
  index: TrainingIndex;
  server: OllamaServer;
  pool: TestDatabase["pool"];
  schema: string;
}

/** An index in a schema of its own, embedded by a stand-in for Ollama. */
async function openOllamaIndex(database: TestDatabase, serverOptions: OllamaServerOptions = {}): Promise<OllamaIndex> {
  const schema = await migratedSchema(database);
  const { server, embeddings } = await openOllama(
    { dimensions: DIMENSIONS, ...serverOptions },
    { dimensions: DIMENSIONS },
  );
  const { pool } = database;
  return { index: await TrainingIndex.initialize(embeddings, { pool, schema }), server, pool, schema };
}

/** A paragraph that fills one chunk, with distinct sentences. */
function longParagraph(topic: string): string {
  const sentences = Array.from(
    { length: 9 },
    (_, index) => `${topic} de número ${index} fica pronta em ${index + 2} dias e tem garantia da loja.`,
  );
  return sentences.join(" ");
}

const PARAGRAPHS = ["A entrega", "A troca", "A compra", "A cobrança"].map(longParagraph);
const CONTENT = PARAGRAPHS.join("\n\n");

/** Checks that the stored chunks are at their places and cover every character that is not blank; returns their number. */
async function expectWhole(test: OllamaIndex, content: string): Promise<number> {
  const chunks = await chunksWithOffsets(test);
  for (const { start, end, content: text } of chunks) expect(content.slice(start, end)).toBe(text);
  const held = new Set(chunks.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, at) => start + at)));
  const lost = [...content.matchAll(/\S/g)].filter(({ index }) => !held.has(index));
  expect(lost).toEqual([]);
  return chunks.length;
}

describeOnServer("a training on Ollama", (database) => {
  it("is searched with the model's query prompt", async () => {
    const { index, server } = await openOllamaIndex(database);
    await index.upsertTraining({ id: "a", content: "A entrega leva três dias." });
    expect(await index.similar("entrega")).toMatchObject([{ trainingId: "a" }]);
    expect(server.inputs()).toEqual([
      ["A entrega leva três dias."],
      ["Represent this sentence for searching relevant passages: entrega"],
    ]);
  });

  it("has its chunks split if the model's window is smaller than expected", async () => {
    const test = await openOllamaIndex(database, { maxTokens: SMALL_WINDOW });
    const result = await test.index.upsertTraining({ id: "a", content: CONTENT });
    const count = await expectWhole(test, CONTENT);
    expect(count).toBeGreaterThan(PARAGRAPHS.length);
    expect(result).toMatchObject({ status: "indexed", chunks: count, embedded: count, reused: 0 });
    const accepted = test.server.inputs().flat();
    for (const { content } of await chunksWithOffsets(test)) expect(accepted).toContain(content);
  });

  it("with split chunks is unchanged on a repeat, which makes no request", async () => {
    const test = await openOllamaIndex(database, { maxTokens: SMALL_WINDOW });
    await test.index.upsertTraining({ id: "a", content: CONTENT });
    const before = await chunksWithOffsets(test);
    const requests = test.server.requests.length;
    const again = await test.index.upsertTraining({ id: "a", content: CONTENT });
    const chunks = before.length;
    expect(again).toMatchObject({ status: "unchanged", chunks, embedded: 0, reused: chunks, removed: 0 });
    expect(test.server.requests).toHaveLength(requests);
    expect(await chunksWithOffsets(test)).toEqual(before);
  });

  it("with split chunks keeps them if another place is edited", async () => {
    const test = await openOllamaIndex(database, { maxTokens: SMALL_WINDOW });
    await test.index.upsertTraining({ id: "a", content: CONTENT });
    const before = await chunksWithOffsets(test);
    const edited = CONTENT.replace("A cobrança de número 8", "A cobrança de número oito, a última,");
    const result = await test.index.upsertTraining({ id: "a", content: edited });
    await expectWhole(test, edited);
    const after = new Set((await chunksWithOffsets(test)).map(({ content }) => content));
    const kept = before.filter(({ content }) => after.has(content));
    const untouched = before.filter(({ end }) => end <= CONTENT.indexOf(PARAGRAPHS[3] ?? ""));
    expect(untouched.length).toBeGreaterThan(PARAGRAPHS.length);
    expect(kept).toEqual(expect.arrayContaining(untouched));
    expect(result.reused).toBeGreaterThanOrEqual(untouched.length);
    expect(result.embedded).toBeLessThanOrEqual(2);
  });

  it("of ready chunks fails if one is too long; the error names it, and nothing is stored", async () => {
    const test = await openOllamaIndex(database, { maxTokens: SMALL_WINDOW });
    const documents = ["O frete é grátis.", PARAGRAPHS[0] ?? ""].map((pageContent) => ({ pageContent }));
    const error = await failureOf(test.index.upsertTraining({ id: "a", documents, split: false }));
    expect(error).toBeInstanceOf(EmbeddingError);
    expect(error).toMatchObject({ code: "TEXT_TOO_LONG", retryable: false });
    expect(error.message).toContain("chunk 1 of training a");
    expect(await countRows(test)).toMatchObject({ indexed: 0, chunks: 0 });
    expect(await test.index.similar("frete")).toEqual([]);
  });

  it.each(["nan", "zeros"] as const)(
    "keeps its stored version if the model fails for one text, and the error names the text: %s",
    async (kind) => {
      const test = await openOllamaIndex(database, { faults: [{ kind, marker: "estranha" }] });
      await test.index.upsertTraining({ id: "a", content: CONTENT });
      const before = await chunksWithOffsets(test);
      const content = CONTENT.replace("A compra de número 4", "A compra estranha de número 4");
      const error = await failureOf(test.index.upsertTraining({ id: "a", content }));
      expect(error).toMatchObject({ name: "EmbeddingError", code: "EMBEDDING_INVALID", retryable: false });
      expect(error.message).toContain("chunk 2 of training a");
      expect(await chunksWithOffsets(test)).toEqual(before);
      test.server.heal();
      expect(await test.index.upsertTraining({ id: "a", content })).toMatchObject({
        status: "indexed",
        embedded: 1,
        reused: before.length - 1,
      });
    },
  );

  it("ends its HTTP request when it is aborted", async () => {
    const test = await openOllamaIndex(database, { faults: [{ kind: "hang" }] });
    const controller = new AbortController();
    const { signal } = controller;
    const outcome = failureOf(test.index.upsertTraining({ id: "a", content: CONTENT }, { signal }));
    await until(() => test.server.requests.length === 1);
    controller.abort("basta");
    const error = await outcome;
    expect(error).toBeInstanceOf(AbortError);
    expect(error.cause).toBe("basta");
    await until(() => test.server.requests[0]?.wasCut ?? false);
    expect(test.server.requests).toHaveLength(1);
    expect(await countRows(test)).toMatchObject({ indexed: 0, chunks: 0 });
  });
});
