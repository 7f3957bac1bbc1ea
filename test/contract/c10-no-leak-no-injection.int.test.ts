import { InvalidArgumentError, TrainingIndex, type EqualityFilter } from "langchain-training-index";
import { migrate, migrationSql, migrationStatus } from "langchain-training-index/migrations";
import pg from "pg";
import { expect, it } from "vitest";
import { countRows, failureOf, freshDatabase, openAgain, TOMBSTONE_ONLY } from "../support/contract.js";
import { describeOnServer, uniqueName } from "../support/databases.js";
import {
  CountingEmbeddings,
  DIMENSIONS,
  dropAtEnd,
  migratedSchema,
  openTestIndex,
  smallTraining,
} from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

const HOSTILE_NAMES = [
  'with "quotes"',
  '"; DROP TABLE training; --',
  "x'; DROP SCHEMA public; --",
  "select",
  "user",
  "MixedCase",
  "with space",
  "dots.in.it",
  "back\\slash",
  "$1 %s %I {}",
  "日本語 🙂 ção",
  "x".repeat(63),
  "é".repeat(31),
];
/** A unique name like this one, at most as long as Postgres allows. */
function uniqueLike(name: string): string {
  const suffix = uniqueName("");
  const characters = Array.from(name);
  while (Buffer.byteLength(characters.join("") + suffix) > 63) characters.pop();
  return characters.join("") + suffix;
}

const UNUSABLE_NAMES = ["", "x".repeat(64), "é".repeat(32), "nul\0", "lone \ud800"];

// Guards: `quoteIdentifier`; names reach a statement only through it.
describeOnServer("C10 No leak, no injection", (database) => {
  it.each(HOSTILE_NAMES)("accepts the schema name %j as a mere name", async (hostile) => {
    const name = uniqueLike(hostile);
    await migratedSchema(database, { schema: name });
    const index = await openAgain({ schema: name }, database.pool);
    await index.upsertTraining({ id: "a", content: "O prazo é de três dias." });
    await index.upsertTraining({ id: "a", content: "O prazo é de dois dias.", metadata: { ano: 2026 } });
    expect(await index.upsertTraining({ id: "b", content: "Pix" })).toMatchObject({ status: "indexed" });
    expect(await index.similar("prazo", { filter: { ano: 2026 } })).toHaveLength(1);
    expect(await index.vectorStore.getByIds(["b"])).toEqual([]);
    expect(await index.vectorStore.maxMarginalRelevanceSearch("prazo", { k: 2 })).toHaveLength(2);
    expect(await index.deleteTrainings({ filter: { ano: 2026 } })).toMatchObject([{ status: "deleted" }]);
    expect((await index.deleteTraining("b")).status).toBe("deleted");
    expect(await countRows({ pool: database.pool, schema: name })).toEqual(TOMBSTONE_ONLY);
    expect(await migrate(database.owner, { schema: name })).toMatchObject({
      applied: [],
      vectorIndex: "kept",
    });
    expect((await migrationStatus(database.pool, { schema: name })).pending).toEqual([]);
  });

  it.each(HOSTILE_NAMES)("accepts %j as the name of the host's schema, table and column", async (name) => {
    const { owner } = database;
    const id = pg.escapeIdentifier(name);
    const host = pg.escapeIdentifier(`${name.slice(0, 20)} ${uniqueName("h")}`);
    const hostSchema = host.slice(1, -1).replaceAll('""', '"');
    dropAtEnd(owner, hostSchema);
    await owner.query(`CREATE SCHEMA ${host}; CREATE TABLE ${host}.${id} (${id} bigint PRIMARY KEY)`);
    await owner.query(`INSERT INTO ${host}.${id} VALUES (1), (2)`);
    const trainings = { schema: hostSchema, table: name, column: name };
    const schema = await migratedSchema(database, { trainings });
    const index = await openAgain({ schema }, database.pool);
    for (const key of [1, 2]) await index.upsertTraining({ id: key, content: `a loja ${key}` });
    await owner.query(`DELETE FROM ${host}.${id} WHERE ${id} = 1`);
    expect(await index.similar("loja")).toMatchObject([{ trainingId: 2 }]);
    expect(await migrate(owner, { schema, trainings })).toMatchObject({ applied: [] });
    const printed = uniqueName();
    dropAtEnd(owner, printed);
    await owner.query(migrationSql({ schema: printed, trainings, idType: "bigint", dimensions: DIMENSIONS }));
    expect((await migrationStatus(owner, { schema: printed })).idType).toBe("bigint");
  });

  it.each(UNUSABLE_NAMES)("refuses the name %j before it queries the database", async (name) => {
    const pool = { connect: expect.unreachable, query: expect.unreachable };
    for (const [option, options] of [
      ["schema", { schema: name }],
      ["extensionSchema", { extensionSchema: name }],
      ["trainings.schema", { trainings: { schema: name, table: "host" } }],
      ["trainings.table", { trainings: { table: name } }],
      ["trainings.column", { trainings: { table: "host", column: name } }],
    ] as const) {
      const failure = await failureOf(migrate(pool, options));
      expect(failure).toBeInstanceOf(InvalidArgumentError);
      expect(failure).toMatchObject({ option, code: "INVALID_ARGUMENT" });
    }
    const open = TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema: name });
    expect(await failureOf(open)).toMatchObject({ option: "schema" });
    expect(await failureOf(migrationStatus(pool, { schema: name }))).toMatchObject({ option: "schema" });
  });
});

const HOSTILE_VALUES = [
  "'; DROP TABLE training CASCADE; --",
  "' OR 1=1 --",
  '"quotes" \\"and\\" back\\slashes\\',
  "{a,b}",
  "NULL",
  "$1",
  '{"grupo": "x"}',
  "grupo.nome",
  "a'->>'b",
  "%_*?",
  "linha\nnova\u2028e\ttab",
  "ção 🙂 שלום",
  "__proto__",
  "constructor",
  "toString",
];

// Guards: bound values, `arrayLiteral`, JSON built from own keys only.
describeOnServer("C10 No leak, no injection", (database) => {
  it.each(HOSTILE_VALUES)("treats %j as a mere value in ids, texts, metadata and filters", async (hostile) => {
    const { index } = await openTestIndex(database, {
      filter: { [hostile]: hostile },
    });
    const metadata = { [hostile]: hostile, ["dentro"]: { [hostile]: [hostile] } };
    const filter = { [hostile]: hostile };
    const documents = [hostile, "outro"].map((id) => ({ id, pageContent: hostile }));
    const training = { id: hostile, metadata, documents, split: false };
    expect(await index.upsertTraining(training)).toMatchObject({ status: "indexed", chunks: 2 });
    expect(await index.upsertTraining(training)).toMatchObject({ status: "unchanged" });
    const other = { id: "outro", content: "outra loja", metadata: { [hostile]: hostile, ano: 1 } };
    await index.upsertTraining(other);

    // In a search filter a key that starts with $ is read as an unknown operator. The filter of the index accepts it as a key.
    const isOperator = hostile.startsWith("$");
    if (isOperator)
      expect(await failureOf(index.similar(hostile, { filter }))).toMatchObject({
        option: `filter.${hostile}`,
      });
    const narrowed = isOperator ? {} : { filter };
    expect(await index.similar(hostile, { ...narrowed, k: 10 })).toHaveLength(3);
    const hits = await index.similar(hostile, { k: 2 });
    for (const hit of hits) {
      expect(hit).toMatchObject({ trainingId: hostile, content: hostile });
      expect(Object.hasOwn(hit.metadata, hostile)).toBe(true);
      expect(JSON.parse(JSON.stringify(hit.metadata))).toEqual(JSON.parse(JSON.stringify(metadata)));
    }
    expect(hits.map(({ chunkId }) => chunkId).sort()).toEqual([hostile, "outro"].sort());
    if (!isOperator) expect(await index.similar(hostile, { filter: { [hostile]: "x" } })).toEqual([]);
    expect(await index.vectorStore.getByIds([hostile])).toMatchObject([{ pageContent: hostile }]);
    if (!isOperator) expect(await index.deleteTrainings({ filter: { [hostile]: `${hostile}x` } })).toEqual([]);
    expect(await index.deleteTrainings({ ids: [hostile] })).toMatchObject([{ id: hostile, removed: 2 }]);
    const deleted = await index.deleteTrainings(isOperator ? { ids: ["outro"] } : { filter });
    expect(deleted).toMatchObject([{ id: "outro", status: "deleted" }]);
  });

  it("treats prototype keys in metadata and filters as plain keys", async () => {
    const { index } = await openTestIndex(database);
    const parse = (json: string): Record<string, never> => JSON.parse(json) as Record<string, never>;
    const metadata = parse('{"__proto__": {"admin": true}, "constructor": {"prototype": {"admin": true}}}');
    await index.upsertTraining({ id: "a", metadata, documents: [{ pageContent: "loja", metadata }] });
    const [hit] = await index.similar("loja");
    expect(JSON.stringify(hit?.metadata)).toContain('"__proto__":{"admin":true}');
    expect((hit?.metadata as { admin?: unknown }).admin).toBeUndefined();
    const [found] = await index.asRetriever().invoke("loja");
    expect((found?.metadata as { admin?: unknown }).admin).toBeUndefined();
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
    for (const json of ['{"__proto__": {"admin": true}}', '{"constructor": {}}', '{"toString": null}'])
      expect(await failureOf(index.similar("loja", { filter: parse(json) }))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    expect(await index.similar("loja", { filter: parse('{"__proto__": "x"}') })).toEqual([]);
    const inherited = Object.create({ grupo: "x" }) as EqualityFilter;
    expect(await failureOf(index.deleteTrainings({ filter: inherited }))).toMatchObject({ option: "filter" });
  });

  it.each(["5; DROP TABLE training", "5", "1 OFFSET 3", "(SELECT 5)"])(
    "refuses the string %j where a statement needs a number",
    async (text) => {
      const { index } = await openTestIndex(database);
      const number = text as unknown as number;
      for (const call of [
        () => index.similar("loja", { k: number }),
        () => index.similar("loja", { efSearch: number }),
        () => index.vectorStore.similaritySearch("loja", number),
        () => index.vectorStore.similaritySearchVectorWithScore(new Array<number>(DIMENSIONS).fill(1), number),
        () => index.vectorStore.maxMarginalRelevanceSearch("loja", { k: 1, fetchK: `${text} --` as never }),
      ]) {
        expect(await failureOf(call())).toBeInstanceOf(InvalidArgumentError);
      }
    },
  );

  it("accepts more values than a statement can have parameters: 22,500 chunks, 70,000 ids", async () => {
    const hnsw = { m: 2, efConstruction: 4 };
    const { index, ...test } = await openTestIndex(database, {}, { dimensions: 8, hnsw });
    const documents = Array.from({ length: 22_500 }, (_, place) => ({
      id: `c${place}`,
      pageContent: `loja ${place}`,
    }));
    expect(await index.upsertTraining({ id: "a", documents, split: false })).toMatchObject({
      chunks: 22_500,
    });
    const metadata = { ano: 2026 };
    const again = await index.upsertTraining({ id: "a", documents, split: false, metadata });
    expect(again).toMatchObject({ status: "indexed", embedded: 0, reused: 22_500 });
    const ids = Array.from({ length: 70_000 }, (_, place) => `c${place}`);
    expect(await index.vectorStore.getByIds(ids)).toHaveLength(22_500);
    const deleted = await index.deleteTrainings({ ids: [...ids, "a"] });
    expect(deleted).toHaveLength(70_001);
    expect(deleted.at(-1)).toEqual({ id: "a", status: "deleted", removed: 22_500 });
    expect(await countRows(test)).toEqual(TOMBSTONE_ONLY);
  }, 120_000);
});

const MALFORMED: [string, unknown][] = [
  ["no keys", {}],
  ["null", null],
  ["a list", []],
  ["a list of filters", [{ grupo: "x" }]],
  ["a string", "grupo = 'x'"],
  ["a number", 1],
  ["a function", () => true],
  ["a Map", new Map([["grupo", "x"]])],
  ["a Date", new Date()],
  ["an operator of another dialect", { grupo: { $regex: "" } }],
  ["nested keys", { grupo: { nome: "x" } }],
  ["an empty object as a value", { grupo: {} }],
  ["a list as a value", { grupo: ["x"] }],
  ["null as a value", { grupo: null }],
  ["undefined as a value", { grupo: undefined }],
  ["NaN", { ano: NaN }],
  ["infinity", { ano: Infinity }],
  ["a bigint", { ano: 1n }],
  ["a valid and an invalid key", { grupo: "x", ano: { gt: null } }],
  ["a symbol as a key", { [Symbol("grupo")]: "x" }],
  ["a toJSON that returns an empty filter", { grupo: "x", toJSON: () => ({}) }],
];

/** Valid filters of searches and deletes, but not of an index. */
const BEYOND_EQUALITY: [string, unknown][] = [
  ["an operator", { grupo: { eq: "x" } }],
  ["an operator with a $", { grupo: { $ne: "" } }],
  ["a logical operator", { $or: [{ grupo: "x" }, { grupo: "y" }] }],
  ["a Date as a value", { ano: new Date() }],
  ["equality and an operator", { grupo: "x", ano: { gt: 1 } }],
];

// Guards: `compileFilter` and `searchCondition`: a filter that is not understood must never match all rows.
describeOnServer("C10 No leak, no injection", (database) => {
  it.each(MALFORMED)("refuses a filter with %s everywhere; nothing is read or deleted", async (_name, given) => {
    const schema = await migratedSchema(database);
    const { pool, statements } = recordingPool(database.pool);
    const index = await openAgain({ schema }, pool);
    await index.upsertTraining({ ...smallTraining("a"), metadata: { grupo: "x" } });
    const store = index.vectorStore;
    const vector = new Array<number>(DIMENSIONS).fill(1);
    const filter = given as EqualityFilter;
    statements.length = 0;
    for (const call of [
      () => TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema, filter }),
      () => index.similar("loja", { filter }),
      () => index.deleteTrainings({ filter }),
      () => store.similaritySearch("loja", 1, filter),
      () => store.similaritySearchWithScore("loja", 1, filter),
      () => store.similaritySearchVectorWithScore(vector, 1, filter),
      () => store.similaritySearchVectorWithScores(vector, 1, filter),
      () => store.maxMarginalRelevanceSearch("loja", { k: 1, filter }),
      () => store.delete({ filter }),
    ]) {
      expect(await failureOf(call())).toBeInstanceOf(InvalidArgumentError);
    }
    expect(() => index.asRetriever({ filter })).toThrow(InvalidArgumentError);
    expect(statements).toEqual([]);
    expect(await index.similar("loja")).toHaveLength(1);
  });

  it.each(BEYOND_EQUALITY)("refuses an index whose filter has %s", async (_name, given) => {
    const { pool, schema, embeddings } = await openTestIndex(database);
    const filter = given as EqualityFilter;
    const opening = TrainingIndex.initialize(embeddings, { pool, schema, filter });
    expect(await failureOf(opening)).toBeInstanceOf(InvalidArgumentError);
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["an empty object", {}],
    ["ids that are undefined", { ids: undefined }],
    ["a filter that is undefined", { filter: undefined }],
    ["both ids and a filter", { ids: ["a"], filter: { grupo: "x" } }],
  ])("deletes nothing for %s", async (_name, selection) => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ ...smallTraining("a"), metadata: { grupo: "x" } });
    const failure = await failureOf(index.vectorStore.delete(selection as never));
    expect(failure).toBeInstanceOf(InvalidArgumentError);
    if (selection !== undefined)
      expect(await failureOf(index.deleteTrainings(selection as never))).toMatchObject({
        option: "selection",
      });
    expect(await index.similar("loja")).toHaveLength(1);
  });
});

// Guards: pgvector's types and operators are qualified with its schema.
describeOnServer("C10 No leak, no injection", () => {
  it.each(["extensions", 'my "extensions"; --', "select"])(
    "works with pgvector in the schema %j, which is not on the search_path",
    async (extensionSchema) => {
      const { pool } = await freshDatabase();
      const name = pg.escapeIdentifier(extensionSchema);
      await pool.query(`CREATE SCHEMA ${name}; CREATE EXTENSION vector SCHEMA ${name}`);
      await migrate(pool, { dimensions: DIMENSIONS });
      const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool });
      await index.upsertTraining({ id: "a", content: "O prazo é de três dias.", metadata: { ano: 2026 } });
      await index.upsertTraining({ id: "a", content: "O prazo é de dois dias.", metadata: { ano: 2026 } });
      expect(await index.similar("prazo", { filter: { ano: 2026 } })).toHaveLength(1);
      expect(await index.vectorStore.maxMarginalRelevanceSearch("prazo", { k: 1 })).toHaveLength(1);
      expect((await index.deleteTraining("a")).status).toBe("deleted");
      expect((await migrationStatus(pool)).extension?.schema).toBe(extensionSchema);
    },
  );

  it("creates pgvector in the schema of `extensionSchema`", async () => {
    const { pool } = await freshDatabase();
    await migrate(pool, { extensionSchema: 'my "extensions"; --' });
    expect((await migrationStatus(pool)).extension?.schema).toBe('my "extensions"; --');
  });
});
