/**
 * Injection, in the spirit of the suites of Spring AI's `PgVectorStore` (quotes and backslashes of filter values, control
 * characters, lists, names of tables and schemas) and of Haystack's `PgvectorDocumentStore` (fields of metadata): every payload
 * is stored and found literally, no other row matches it, and no table is created or dropped.
 */
import { Document } from "@langchain/core/documents";
import { InvalidArgumentError, TrainingIndex, type DatabasePool } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { failureOf } from "../support/contract.js";
import { describeOnServer, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, migratedSchema, openTestIndex, type TestIndex } from "../support/index.js";

/** Payloads that would do harm or have a meaning in SQL, jsonpath, arrays or JSON, for the schema of a test. */
const PAYLOADS: [string, (schema: string) => string][] = [
  ["a statement after a quote", (schema) => `'; DROP TABLE ${schema}.training CASCADE; --`],
  ["a statement after a bracket", (schema) => `')); DELETE FROM ${schema}.chunk_1; --`],
  ["a statement that creates a table", (schema) => `'; CREATE TABLE ${schema}.invadida (); --`],
  ["a statement after dollar quotes", (schema) => `$$; TRUNCATE ${schema}.training CASCADE; $$`],
  ["a condition that is always true", () => "' OR '1'='1"],
  ["a condition before a comment", () => "x' OR 1=1 /*"],
  ["a union", () => "' UNION SELECT id, content FROM pg_shadow --"],
  ["a single quote", () => "'"],
  ["two single quotes", () => "''"],
  ["a double quote and a jsonpath condition", () => '" || $.grupo == "b'],
  ["an escaped double quote", () => '\\" || $.grupo == \\"b'],
  ["a backslash at the end", () => "loja\\"],
  ["a backslash and a quote", () => "\\'; SELECT pg_sleep(5); --"],
  ["an escape string", () => "E'\\047 OR 1=1'"],
  ["control characters", () => "loja\b\f\n\r\t\u0001\u001b\u007f'"],
  ["a list of values", () => "a', 'b"],
  ["a Postgres array", () => '{a,"b",NULL}'],
  ["an operator in JSON", () => '{"$ne": ""}'],
  ["a jsonpath expression", () => '@ ? (@.* == "b")'],
  ["a key after an arrow", () => "grupo' ->> 'x"],
  ["a cast", () => "1::text"],
  ["parameters and formats", () => "x $1 ? :nome %s %I {0}"],
  ["patterns", () => "%_*.?"],
  ["quotes that look alike", () => "ʼ＇ʹ′ OR 1=1"],
  ["the end of a COPY", () => "\\.\nloja"],
];

/** The tables and their row counts. */
async function tablesOf({ pool, schema }: TestIndex): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 ORDER BY 1",
    [schema],
  );
  const counts: Record<string, number> = {};
  for (const { name } of rows) {
    const counted = await pool.query<{ count: number }>(`SELECT count(*)::integer AS count FROM ${schema}."${name}"`);
    counts[name] = counted.rows[0]?.count ?? -1;
  }
  return counts;
}

/** Checks that the tables are the same as before, by name: the test itself changes their rows. */
async function expectSameTables(test: TestIndex, before: Record<string, number>): Promise<void> {
  expect(Object.keys(await tablesOf(test))).toEqual(Object.keys(before));
}

function document(id: string, pageContent: string, metadata: object = {}): Document {
  return new Document({ id, pageContent, metadata });
}

describeOnServer("Injection through ids", (database) => {
  it.each(PAYLOADS)("stores, finds and deletes a training whose id is %s", async (_name, payloadIn) => {
    const test = await openTestIndex(database);
    const { index, schema } = test;
    const id = payloadIn(schema);
    await index.upsertTraining({ id: "outra", content: "outra loja" });
    const before = await tablesOf(test);
    expect(await index.upsertTraining({ id, content: "loja" })).toMatchObject({ id, status: "indexed" });
    expect(await index.upsertTraining({ id, content: "loja nova" })).toMatchObject({ id, removed: 1 });
    expect(await index.similar("loja nova", { k: 1 })).toMatchObject([{ trainingId: id, content: "loja nova" }]);
    const missing = `${id}x`;
    expect(await index.deleteTrainings({ ids: [missing] })).toEqual([{ id: missing, status: "absent", removed: 0 }]);
    expect(await index.deleteTraining(id)).toEqual({ id, status: "deleted", removed: 1 });
    expect(await index.similar("loja", { k: 10 })).toMatchObject([{ trainingId: "outra" }]);
    await expectSameTables(test, before);
  });

  it.each(PAYLOADS)("gets and deletes a document whose id is %s", async (_name, payloadIn) => {
    const test = await openTestIndex(database);
    const store = test.index.vectorStore;
    const id = payloadIn(test.schema);
    const before = await tablesOf(test);
    await store.addDocuments([document(id, "loja"), document("outro", "outra loja")]);
    expect(await store.getByIds([id])).toEqual([document(id, "loja")]);
    expect(await store.getByIds([`${id}x`])).toEqual([]);
    await store.delete({ ids: [`${id}x`] });
    expect(await store.getByIds([id, "outro"])).toHaveLength(2);
    await store.delete({ ids: [id] });
    expect(await store.getByIds([id, "outro"])).toEqual([document("outro", "outra loja")]);
    await expectSameTables(test, before);
  });
});

describeOnServer("Injection through contents and questions", (database) => {
  it.each(PAYLOADS)("stores and finds a text that is %s, also as the question", async (_name, payloadIn) => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const { index, schema } = test;
    const text = payloadIn(schema);
    await index.upsertTraining({
      id: "a",
      documents: [{ pageContent: text }, { pageContent: "loja" }],
      split: false,
    });
    await index.upsertTraining({ id: "b", content: `A loja responde: ${text}` });
    const before = await tablesOf(test);
    const hits = await index.similar(text, { k: 10 });
    expect(hits.map(({ content }) => content).sort()).toEqual(["loja", text, `A loja responde: ${text}`.trim()].sort());
    // In text search too: operators of tsquery in a question have no meaning.
    for (const mode of ["text", "hybrid"] as const) {
      const found = await index.similar(`loja ${text}`, { mode, k: 10 });
      expect(
        found.map(({ trainingId }) => trainingId),
        mode,
      ).toEqual(expect.arrayContaining(["a", "b"]));
    }
    expect(await index.asRetriever({ k: 10 }).invoke(text)).toHaveLength(3);
    expect(await tablesOf(test)).toEqual(before);
  });
});

describeOnServer("Injection through metadata and filters", (database) => {
  it.each(PAYLOADS)("a filter value that is %s matches only rows with that value", async (_name, payloadIn) => {
    const test = await openTestIndex(database);
    const { index, schema } = test;
    const grupo = payloadIn(schema);
    await index.upsertTraining({ id: "a", content: "loja a", metadata: { grupo, lista: [grupo] } });
    await index.upsertTraining({ id: "b", content: "loja b", metadata: { grupo: "b" } });
    await index.upsertTraining({ id: "c", content: "loja c" });
    const before = await tablesOf(test);
    const store = index.vectorStore;
    const found = await index.similar("loja", { k: 10, filter: { grupo } });
    expect(found).toMatchObject([{ trainingId: "a", metadata: { grupo, lista: [grupo] } }]);
    expect(await store.similaritySearch("loja", 10, { grupo })).toHaveLength(1);
    expect(await store.maxMarginalRelevanceSearch("loja", { k: 10, filter: { grupo } })).toHaveLength(1);
    expect(await index.asRetriever({ k: 10, filter: { grupo } }).invoke("loja")).toHaveLength(1);
    const narrowed = index.asRetriever({ k: 10, filter: { grupo: "b" } });
    expect(await narrowed.invoke("loja", { configurable: { trainings: { filter: { grupo } } } })).toEqual([]);
    expect(await index.similar("loja", { filter: { grupo: `${grupo}x` } })).toEqual([]);
    expect(await index.deleteTrainings({ filter: { grupo: `${grupo}x` } })).toEqual([]);
    expect(await tablesOf(test)).toEqual(before);
    expect(await index.deleteTrainings({ filter: { grupo } })).toMatchObject([{ id: "a", status: "deleted" }]);
    expect(await index.similar("loja", { k: 10 })).toHaveLength(2);
    await expectSameTables(test, before);
  });

  it.each(PAYLOADS)("a filter key that is %s matches only rows with that key", async (_name, payloadIn) => {
    const test = await openTestIndex(database);
    const { index, schema } = test;
    // A key that starts with $ would be read as an operator.
    const key = payloadIn(schema).replace(/^\$/, "x$");
    await index.upsertTraining({
      id: "a",
      content: "loja a",
      metadata: { [key]: "x", dentro: { [key]: [key] } },
    });
    await index.upsertTraining({ id: "b", content: "loja b", metadata: { grupo: "x", dentro: "x" } });
    const before = await tablesOf(test);
    const filter = { [key]: "x" };
    const found = await index.similar("loja", { k: 10, filter });
    expect(found).toMatchObject([{ trainingId: "a", metadata: { [key]: "x", dentro: { [key]: [key] } } }]);
    expect(await index.vectorStore.similaritySearch("loja", 10, filter)).toHaveLength(1);
    expect(await index.similar("loja", { filter: { [key]: "b" } })).toEqual([]);
    expect(await index.similar("loja", { filter: { [`${key}x`]: "x" } })).toEqual([]);
    await index.vectorStore.delete({ filter: { [`${key}x`]: "x" } });
    expect(await tablesOf(test)).toEqual(before);
    await index.vectorStore.delete({ filter });
    expect(await index.similar("loja", { k: 10 })).toMatchObject([{ trainingId: "b" }]);
    await expectSameTables(test, before);
  });

  it.each(PAYLOADS)("applies an index filter whose key and value are %s", async (_name, payloadIn) => {
    const test = await openTestIndex(database);
    const { index, pool, schema } = test;
    const payload = payloadIn(schema);
    const key = payload.replace(/^\$/, "x$");
    await index.upsertTraining({ id: "b", content: "loja b", metadata: { [key]: "b" } });
    const scoped = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool,
      schema,
      filter: { [key]: payload },
    });
    await scoped.upsertTraining({ id: "a", content: "loja a", metadata: { [key]: payload } });
    expect(await scoped.similar("loja", { k: 10 })).toMatchObject([{ trainingId: "a" }]);
    const outside = scoped.upsertTraining({ id: "c", content: "loja c", metadata: { [key]: "b" } });
    expect(await failureOf(outside)).toBeInstanceOf(InvalidArgumentError);
    expect(await scoped.deleteTrainings({ filter: { [key]: "b" } })).toEqual([]);
    expect((await scoped.deleteTraining("b")).status).not.toBe("deleted");
    expect(await index.similar("loja", { k: 10 })).toHaveLength(2);
  });
});

describeOnServer("Injection through names", (database) => {
  it.each(PAYLOADS)("accepts a schema name that is %s as a mere name", async (_name, payloadIn) => {
    const victim = await openTestIndex(database);
    await victim.index.upsertTraining({ id: "a", content: "loja" });
    const before = await tablesOf(victim);
    // The payload plus a unique suffix, within the 63 bytes that Postgres allows.
    const characters = Array.from(payloadIn(victim.schema));
    const suffix = uniqueName(" ");
    while (Buffer.byteLength(characters.join("") + suffix) > 63) characters.pop();
    const schema = await migratedSchema(database, { schema: characters.join("") + suffix });
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: database.pool, schema });
    await index.upsertTraining({ id: "a", content: "outra loja", metadata: { grupo: "a" } });
    expect(await index.similar("loja", { filter: { grupo: "a" } })).toMatchObject([{ content: "outra loja" }]);
    expect(await index.deleteTrainings({ filter: { grupo: "a" } })).toMatchObject([{ status: "deleted" }]);
    expect((await migrationStatus(database.pool, { schema })).pending).toEqual([]);
    expect(await tablesOf(victim)).toEqual(before);
    expect(await victim.index.similar("loja")).toMatchObject([{ content: "loja" }]);
  });

  it.each([
    ["too long", "a".repeat(64)],
    ["empty", ""],
    ["ended by NUL", "loja\0"],
    ["half a character", "loja\ud800"],
    ["not a string", 1],
    ["a list", ["loja"]],
  ])("refuses a name that is %s before it queries the database", async (_name, given) => {
    const schema = given as string;
    const pool: DatabasePool = {
      query: () => expect.unreachable(),
      connect: () => expect.unreachable(),
    };
    expect(await failureOf(migrate(pool, { schema }))).toMatchObject({ option: "schema" });
    const opened = TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    expect(await failureOf(opened)).toMatchObject({ option: "schema" });
  });

  it("does not truncate names: two that differ in the last character are two schemas", async () => {
    const name = uniqueName("longo").padEnd(62, "x");
    for (const end of ["a", "b"]) {
      const schema = await migratedSchema(database, { schema: name + end });
      const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: database.pool, schema });
      await index.upsertTraining({ id: end, content: "loja" });
      expect(await index.similar("loja")).toMatchObject([{ trainingId: end }]);
    }
  });
});
