import { AbortError, DatabaseError, EmbeddingError } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach, describeOnServer } from "./support/databases.js";
import {
  FIVE_PARAGRAPHS,
  type TestIndex,
  openTestIndex,
  paragraph,
  smallTraining,
  storedRows,
  until,
} from "./support/index.js";

describeOnEach("an embedder that fails", (database) => {
  const good = { id: "a", content: paragraph("Entregas") };

  async function expectOldVersion(test: TestIndex): Promise<void> {
    expect(await test.index.similar("loja", { k: 1000 })).toMatchObject([
      { content: good.content, position: 0 },
    ]);
    expect(test.pool.idleCount).toBe(test.pool.totalCount);
  }

  it("leaves the old version whole when the third of five requests throws", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(good);
    test.embeddings.calls = 0;
    test.embeddings.before = () => {
      if (test.embeddings.calls === 3) throw new Error("model crashed on: secret text");
    };
    const content = Array.from({ length: 300 }, (_, place) => `${place} ${paragraph("Novo")}`).join("\n\n");
    const failure = await test.index.upsertTraining({ id: "a", content }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EmbeddingError);
    expect(failure).toMatchObject({ code: "EMBEDDING_FAILED", retryable: true });
    expect((failure as Error).message).not.toContain("secret");
    expect((failure as Error).cause).toBeInstanceOf(Error);
    await expectOldVersion(test);
  });

  it.each([
    ["too few vectors", (vectors: number[][]) => vectors.slice(1)],
    ["no list", () => undefined as never],
    ["empty vectors", (vectors: number[][]) => vectors.map(() => [])],
    ["another number of dimensions", (vectors: number[][]) => vectors.map((vector) => vector.slice(1))],
    ["NaN", (vectors: number[][]) => vectors.map((vector) => vector.with(0, NaN))],
    ["infinity", (vectors: number[][]) => vectors.map((vector) => vector.with(0, -Infinity))],
    [
      "a number that overflows at 32 bits",
      (vectors: number[][]) => vectors.map((vector) => vector.with(0, 1e300)),
    ],
    ["zeros", (vectors: number[][]) => vectors.map((vector) => vector.map(() => 0))],
    [
      "undefined components",
      (vectors: number[][]) => vectors.map((vector) => vector.map(() => undefined as never)),
    ],
  ])("is refused when it returns %s", async (_name, spoil) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(good);
    const original = test.embeddings.embedDocuments.bind(test.embeddings);
    test.embeddings.embedDocuments = async (texts) => spoil(await original(texts));
    const failure = await test.index
      .upsertTraining({ id: "a", content: FIVE_PARAGRAPHS })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EmbeddingError);
    expect(failure).toMatchObject({ code: "EMBEDDING_INVALID", retryable: false });
    await expectOldVersion(test);
  });

  it("ends at once when the call is aborted, before, while embedding, and before the swap", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(good);
    const update = { id: "a", content: FIVE_PARAGRAPHS };
    const before = test.index.upsertTraining(update, { signal: AbortSignal.abort("enough") });
    await expect(before).rejects.toMatchObject({ name: "AbortError", code: "ABORTED", cause: "enough" });

    const controller = new AbortController();
    test.embeddings.before = () => new Promise(() => undefined);
    const during = test.index.upsertTraining(update, { signal: controller.signal });
    await until(() => test.embeddings.calls === 2);
    controller.abort();
    await expect(during).rejects.toBeInstanceOf(AbortError);

    const late = new AbortController();
    test.embeddings.before = () => undefined;
    const prepared = await test.index.prepareTraining(update, { signal: late.signal });
    late.abort();
    await expect(prepared.commit()).rejects.toBeInstanceOf(AbortError);
    await expectOldVersion(test);
  });
});

describeOnServer("a connection that breaks", (database) => {
  it("in the middle of a swap leaves the old version, and says that a retry can help", async () => {
    const test = await openTestIndex(database);
    const { index, pool, schema } = test;
    await index.upsertTraining(smallTraining("a"));
    const host = await pool.connect();
    await host.query("BEGIN");
    await host.query(`SELECT FROM ${schema}.training WHERE id = 'a' FOR UPDATE`);
    const upsert = index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const outcome = upsert.catch((error: unknown) => error);
    await until(async () => {
      const { rowCount } = await pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE $1`,
        [`%INSERT INTO "${schema}".training%`],
      );
      return rowCount === 1;
    });
    const failure = await outcome;
    await host.query("ROLLBACK");
    host.release();

    expect(failure).toBeInstanceOf(DatabaseError);
    expect(failure).toMatchObject({ code: "CONNECTION_FAILED", sqlState: "57P01", retryable: true });
    expect(await storedRows(test)).toMatchObject([{ content: "a loja a" }]);
    expect(await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS })).toMatchObject({
      status: "indexed",
    });
  });
});
