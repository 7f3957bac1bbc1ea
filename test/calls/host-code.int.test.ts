import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { InvalidArgumentError, type Notice, type Training } from "langchain-training-index";
import { ollamaEmbeddings } from "langchain-training-index/ollama";
import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { allVersions, collect, failureOf } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { DIMENSIONS, FIVE_PARAGRAPHS, openTestIndex, paragraph, storedRows } from "../support/index.js";

const TRAINING: Training = { id: "a", content: FIVE_PARAGRAPHS };
const failure = new TypeError("x is not a function");
const throwing = (): never => {
  throw failure;
};

// Guards `runHostCode`, which wraps each call of a host's function.
describeOnServer("host code that throws", (database) => {
  it("is named in the error if it is onProgress, and the stored version stays", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    const before = await allVersions(test);
    const edited = { ...TRAINING, content: paragraph("Novo") };
    const error = await failureOf(test.index.upsertTraining(edited, { onProgress: throwing }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ option: "onProgress", cause: failure });
    expect(await allVersions(test)).toEqual(before);
  });

  it("is named in the error if it is the splitter, even when an edit is split", async () => {
    let fails = false;
    const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 200, chunkOverlap: 0 });
    const split = splitter.splitText.bind(splitter);
    splitter.splitText = (text) => (fails ? throwing() : split(text));
    const test = await openTestIndex(database, { splitter });
    await test.index.upsertTraining(TRAINING);
    fails = true;
    const edited = { ...TRAINING, content: `${paragraph("Novo")}\n\n${FIVE_PARAGRAPHS}` };
    expect(await failureOf(test.index.upsertTraining(edited))).toMatchObject({
      option: "splitter",
      cause: failure,
    });
  });

  it("has its error passed on unchanged if it is the iterable of trainings", async () => {
    const test = await openTestIndex(database);
    async function* source(): AsyncGenerator<Training> {
      yield await Promise.resolve(TRAINING);
      throw failure;
    }
    await expect(collect(test.index.upsertTrainings(source()))).rejects.toBe(failure);
  });

  it("does not block an abort: a splitter that never answers", async () => {
    const test = await openTestIndex(database, {
      splitter: { splitText: () => new Promise(() => undefined) },
    });
    const signal = AbortSignal.timeout(100);
    expect(await failureOf(test.index.upsertTraining(TRAINING, { signal }))).toMatchObject({
      code: "ABORTED",
    });
  });
});

describeOnServer("the stored description of a splitter", (database) => {
  const keyed = (chunkSize: number): RecursiveCharacterTextSplitter =>
    Object.assign(new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap: 0 }), {
      apiKey: "sk-segredo",
    });
  const stored = async ({ pool, schema }: Awaited<ReturnType<typeof openTestIndex>>): Promise<unknown[]> => {
    const { rows } = await pool.query(`SELECT splitter FROM ${schema}.indexed_1`);
    return rows as unknown[];
  };

  it("is a digest, the same for every index with an equal splitter", async () => {
    const test = await openTestIndex(database, { splitter: keyed(500) });
    await test.index.upsertTraining(TRAINING);
    const { embeddings, pool, schema } = test;
    const again = await TrainingIndex.initialize(embeddings, { pool, schema, splitter: keyed(500) });
    await again.upsertTraining({ ...TRAINING, id: "b" });
    const rows = await stored(test);
    expect(rows).toEqual([rows[0], rows[0]]);
    expect(rows[0]).toEqual({ splitter: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  });

  it("may be in an earlier version's format: a repeat is unchanged, and an edit re-embeds only the new chunk", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    await test.pool.query(`UPDATE ${test.schema}.indexed_1 SET splitter = '["RecursiveCharacterTextSplitter",[]] 510'`);
    const rows = await storedRows(test);
    test.embeddings.calls = 0;
    expect(await test.index.upsertTraining(TRAINING)).toMatchObject({ status: "unchanged" });
    expect(test.embeddings.calls).toBe(0);
    expect(await storedRows(test)).toEqual(rows);
    const edited = { ...TRAINING, content: `${FIVE_PARAGRAPHS}\n\n${paragraph("Novo")}` };
    expect(await test.index.upsertTraining(edited)).toMatchObject({ status: "indexed", embedded: 1 });
    expect(await stored(test)).toEqual([{ splitter: expect.stringMatching(/^[0-9a-f]{64}$/) as string }]);
  });
});

describeOnServer("an Ollama that is not running", (database) => {
  it("is reported within 3 s for writes and for vector and hybrid searches, with RETRY notices", async () => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    await test.index.upsertTraining(TRAINING);
    const { pool, schema, embeddings } = test;
    const away = ollamaEmbeddings({ baseUrl: "http://127.0.0.1:9", dimensions: DIMENSIONS });
    const notices: Notice[] = [];
    const index = await TrainingIndex.initialize(away, {
      pool,
      schema,
      profile: embeddings.profile,
      onNotice: (notice) => notices.push(notice),
    });
    const start = performance.now();
    const told: unknown[] = [];
    const hits = await index.similar("loja", { mode: "hybrid", onTextOnly: (error) => told.push(error) });
    expect(performance.now() - start).toBeLessThan(3_000);
    expect(hits.length).toBeGreaterThan(0);
    expect(told).toMatchObject([{ code: "EMBEDDING_FAILED" }]);
    expect(notices.filter(({ code }) => code === "RETRY").length).toBeGreaterThan(0);
    const again = performance.now();
    expect(await failureOf(index.similar("loja"))).toMatchObject({ retryable: true });
    expect(await failureOf(index.upsertTraining({ id: "b", content: "Frete" }))).toMatchObject({
      retryable: true,
    });
    expect(performance.now() - again).toBeLessThan(3_000);
  });
});
