import { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { expect, it } from "vitest";
import { failureOf, openServerPool } from "../support/contract.js";
import { describeOnServer, requireServerUrl, type TestDatabase } from "../support/databases.js";
import { explain } from "../support/recording-pool.js";
import { CountingEmbeddings, openTestIndex, type TestIndex } from "../support/index.js";

/** An index with a chunk table large enough for plans to be kept. */
async function openFilled(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, { dimensions: 1024 });
  const content = Array.from({ length: 150 }, (_, place) => ({ pageContent: `a loja ${place}` }));
  await test.index.upsertTraining({ id: "a", documents: content, split: false });
  return { ...test, index: await openWith(test, test.pool) };
}

/** Opens an index, which checks the table's size; afterwards it does so once a minute. */
async function openWith({ schema }: Pick<TestIndex, "schema">, pool: pg.Pool): Promise<TrainingIndex> {
  return TrainingIndex.initialize(new CountingEmbeddings(1024), { pool, schema });
}

interface Prepared {
  name: string;
  statement: string;
  generic_plans: string;
}

async function preparedOn(pool: pg.Pool, schema: string): Promise<Prepared[]> {
  const { rows } = await pool.query<Prepared>(
    "SELECT name, statement, generic_plans FROM pg_prepared_statements WHERE statement LIKE $1",
    [`%${schema}%`],
  );
  return rows;
}

describeOnServer("a repeated search", (database) => {
  it("finds the same on one connection and on many concurrent ones", async () => {
    const { index } = await openFilled(database);
    const first = await index.similar("a loja 7", { k: 3 });
    expect(first).toHaveLength(3);
    for (let round = 0; round < 10; round++) expect(await index.similar("a loja 7", { k: 3 })).toEqual(first);
    const together = await Promise.all(Array.from({ length: 40 }, () => index.similar("a loja 7", { k: 3 })));
    for (const hits of together) expect(hits).toEqual(first);
  });
});

// Directly on the server: behind PgBouncer a connection has no session of its own to inspect.
describeOnServer("the statement of a search", (database) => {
  const openSession = (): pg.Pool => openServerPool({ connectionString: requireServerUrl(), max: 1 });

  it("is parsed and planned once per connection, and its plan uses the vector index", async () => {
    const test = await openFilled(database);
    const pool = openSession();
    const index = await openWith(test, pool);
    for (let round = 0; round < 12; round++) await index.similar("a loja 7");
    const [prepared, ...others] = await preparedOn(pool, test.schema);
    expect(others).toEqual([]);
    expect(Number(prepared?.generic_plans)).toBeGreaterThan(0);
    const vector = JSON.stringify(await new CountingEmbeddings(1024).embedQuery("a loja 7"));
    const plan = await explain(pool, { text: `EXECUTE ${prepared?.name ?? ""}('${vector}', '40', '{}')` });
    expect(plan).toContain("Index Scan using chunk_1_embedding on chunk_1");
    expect(plan).toContain("(embedding <=> $1)");
  });

  it.each(["text", "hybrid"] as const)("is planned once in mode %s, too, unless it has a filter", async (mode) => {
    const test = await openTestIndex(database, {}, { dimensions: 1024, textSearch: "portuguese" });
    const documents = Array.from({ length: 150 }, (_, place) => ({ pageContent: `a loja ${place}` }));
    await test.index.upsertTraining({ id: "a", documents, split: false });
    const pool = openSession();
    const index = await openWith(test, pool);
    for (let round = 0; round < 12; round++) await index.similar(`a loja ${round}`, { mode });
    const [prepared, ...others] = await preparedOn(pool, test.schema);
    expect(others).toEqual([]);
    expect(Number(prepared?.generic_plans)).toBeGreaterThan(0);
    // A prepared plan would not know how many chunks the filter's values match.
    await index.similar("a loja", { mode, filter: { lugar: 1 } });
    expect(await preparedOn(pool, test.schema)).toHaveLength(1);
  });

  it("is prepared with a filter, too; a narrow one uses the metadata index (search-plans tests a wide one)", async () => {
    const filter = { lugar: 7 };
    const test = await openTestIndex(database, {}, { dimensions: 1024 });
    const documents = Array.from({ length: 200 }, (_, lugar) => ({
      pageContent: `a loja ${lugar}`,
      metadata: { lugar },
    }));
    await test.index.upsertTraining({ id: "a", documents, split: false });
    await test.owner.query(`VACUUM ANALYZE ${test.schema}.chunk_1`);
    const pool = openSession();
    const index = await openWith(test, pool);
    const hits = await index.similar("a loja 7", { filter });
    expect(hits).toHaveLength(1);
    for (let round = 0; round < 12; round++) expect(await index.similar("a loja 7", { filter })).toEqual(hits);
    const [prepared, ...others] = await preparedOn(pool, test.schema);
    expect(others).toEqual([]);
    expect(Number(prepared?.generic_plans)).toBeGreaterThan(0);
    const vector = JSON.stringify(await new CountingEmbeddings(1024).embedQuery("a loja 7"));
    const call = `EXECUTE ${prepared?.name ?? ""}('${vector}', '40', '${JSON.stringify(filter)}', '{}')`;
    const plan = await explain(pool, { text: call });
    expect(plan).toContain("Bitmap Index Scan on chunk_1_metadata");
  });

  it("is not prepared while the table is small, when a kept plan would soon be wrong", async () => {
    const test = await openTestIndex(database, {}, { dimensions: 1024 });
    await test.index.upsertTraining({ id: "a", content: "a loja" });
    const pool = openSession();
    const index = await openWith(test, pool);
    expect(await index.similar("a loja")).toHaveLength(1);
    expect(await preparedOn(pool, test.schema)).toEqual([]);
  });

  // This happens behind a pooler in transaction mode that does not support prepared statements.
  it("continues unprepared if the session has lost it", async () => {
    const test = await openFilled(database);
    const pool = openSession();
    const index = await openWith(test, pool);
    const hits = await index.similar("a loja 7");
    expect(await preparedOn(pool, test.schema)).toHaveLength(1);
    await pool.query("DEALLOCATE ALL");
    expect(await index.similar("a loja 7")).toEqual(hits);
    expect(await index.similar("a loja 7")).toEqual(hits);
    expect(await preparedOn(pool, test.schema)).toEqual([]);
  });

  it("continues unprepared if another client's statement has its name in the session", async () => {
    const test = await openFilled(database);
    const first = openSession();
    const hits = await (await openWith(test, first)).similar("a loja 7");
    const [prepared] = await preparedOn(first, test.schema);
    const second = openSession();
    await second.query(`PREPARE ${prepared?.name ?? ""} AS SELECT 'de outro'`);
    const index = await openWith(test, second);
    expect(await index.similar("a loja 7")).toEqual(hits);
    expect(await index.similar("a loja 7")).toEqual(hits);
  });

  it("still reports other failures", async () => {
    const test = await openFilled(database);
    const pool = openSession();
    const index = await openWith(test, pool);
    await index.similar("a loja 7");
    await test.owner.query(`ALTER TABLE ${test.schema}.indexed_1 RENAME TO perdida`);
    expect(await failureOf(index.similar("a loja 7"))).toMatchObject({ code: "SCHEMA_MISSING" });
  });
});
