import { SchemaError, TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { addTextSearch, removeTextSearch } from "../../src/migrations/text-search.js";
import { namesOf } from "../../src/schema/layout.js";
import { freshDatabase, hostTable } from "../support/contract.js";
import { describeOnServer, grantRights, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, openTestIndex, type TestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

/** Enough chunks for the vector index, kept plans and prepared statements to be used. */
const MANY = Array.from({ length: 150 }, (_, place) => ({
  pageContent: `${place} ${"a loja abre ".repeat(400)}`,
}));

/** The statements that `migrate` runs for another language; a host may run them in its own transaction. */
function changeLanguage(schema: string): string[] {
  const names = namesOf({ schema, extensionSchema: "public", profileId: 1 });
  return [
    ...removeTextSearch(names),
    ...addTextSearch(names, "portuguese"),
    `UPDATE ${names.chunk} SET lexemes = to_tsvector('portuguese', content)`,
  ];
}

/** Drops the schema and migrates it again. */
async function recreate(
  database: TestDatabase,
  { owner, schema }: TestIndex,
  options: Parameters<typeof migrate>[1] = {},
): Promise<void> {
  await owner.query(`DROP SCHEMA ${schema} CASCADE`);
  await migrate(owner, { dimensions: DIMENSIONS, ...options, schema });
  await grantRights(database, schema);
}

describeOnServer("a process that keeps running while its schema changes", (database) => {
  it("searches in the schema's new language immediately", async () => {
    const { index, owner, schema } = await openTestIndex(database, {}, { textSearch: "simple" });
    await index.upsertTraining({ id: "a", content: "As garantias valem por dois anos." });
    expect(await index.similar("garantia", { mode: "text", typos: false })).toEqual([]);
    await migrate(owner, { schema, textSearch: "portuguese" });
    for (const mode of ["text", "hybrid"] as const) {
      expect(await index.similar("garantia", { mode })).toMatchObject([{ trainingId: "a" }]);
    }
    await migrate(owner, { schema, textSearch: false });
    await expect(index.similar("garantia", { mode: "text" })).rejects.toMatchObject({ option: "mode" });
    await migrate(owner, { schema, textSearch: "portuguese" });
    expect(await index.similar("garantia", { mode: "text" })).toMatchObject([{ trainingId: "a" }]);
  });

  it("finds a full page in the new language too, with a single statement while nothing changes", async () => {
    const { schema, owner, index: writer } = await openTestIndex(database, {}, { textSearch: "simple" });
    await writer.upsertTraining({ id: "a", content: "garantia" });
    await writer.upsertTraining({ id: "b", content: "garantias da loja" });
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    const find = async (): Promise<unknown[]> => {
      const hits = await index.similar("garantias loja", { mode: "text", k: 1 });
      return hits.map(({ trainingId }) => trainingId);
    };
    statements.length = 0;
    expect(await find()).toEqual(["b"]);
    expect(statements).toHaveLength(1);
    await migrate(owner, { schema, textSearch: "portuguese" });
    expect(await index.similar("garantia", { mode: "text", k: 2 })).toHaveLength(2);
    statements.length = 0;
    expect(await find()).toEqual(["b"]);
    expect(statements).toHaveLength(1);
  });

  it("answers with nothing in a single statement, too, in all modes", async () => {
    const { schema, index: writer } = await openTestIndex(database, {}, { textSearch: "simple" });
    await writer.upsertTraining({ id: "a", content: "garantia" });
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    for (const mode of ["vector", "text"] as const) {
      statements.length = 0;
      expect(await index.similar("garantia", { mode, filter: { grupo: "nenhum" }, typos: false })).toEqual([]);
      expect(statements).toHaveLength(1);
    }
  });

  it("reports a profile row that is gone, whether or not something would be found", async () => {
    const { index, owner, schema } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "a loja" });
    await owner.query(`DELETE FROM ${schema}.profile`);
    for (const filter of [undefined, { grupo: "nenhum" }]) {
      await expect(index.similar("a loja", { filter })).rejects.toMatchObject({ code: "SCHEMA_DAMAGED" });
    }
  });

  it("searches the recreated schema in a host's transaction, which stays usable", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: "a loja" });
    const client = await database.pool.connect();
    try {
      await client.query("BEGIN");
      expect(await test.index.similar("a loja", { client })).toMatchObject([{ trainingId: "a" }]);
      await client.query("COMMIT; BEGIN");
      await recreate(database, test);
      expect(await test.index.similar("a loja", { client })).toEqual([]);
      expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  });

  it("finds what is stored after TRUNCATE, in all modes", async () => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const { index, owner, schema } = test;
    await index.upsertTraining({ id: "a", documents: MANY, split: false });
    expect(await index.similar("a loja", { k: 3 })).toHaveLength(3);
    await owner.query(`TRUNCATE ${schema}.training CASCADE`);
    expect(await index.similar("a loja", { k: 3 })).toEqual([]);
    await index.upsertTraining({ id: "b", content: "a loja" });
    for (const mode of ["vector", "text", "hybrid"] as const) {
      expect(await index.similar("a loja", { k: 3, mode })).toMatchObject([{ trainingId: "b" }]);
    }
  });

  it("keeps working in a schema that was dropped and recreated", async () => {
    const test = await openTestIndex(database);
    const { index } = test;
    await index.upsertTraining({ id: "a", documents: MANY, split: false });
    await index.similar("a loja", { k: 3 });
    await recreate(database, test, { textSearch: "portuguese" });
    expect(await index.similar("a loja", { k: 3 })).toEqual([]);
    expect(await index.upsertTraining({ id: "b", content: "a loja" })).toMatchObject({ status: "indexed" });
    expect(await index.similar("a loja", { mode: "text" })).toMatchObject([{ trainingId: "b" }]);
    await recreate(database, test);
    expect(await index.upsertTraining({ id: "c", content: "a loja" })).toMatchObject({ status: "indexed" });
    expect(await index.deleteTraining("c")).toMatchObject({ status: "deleted" });
  });

  it("reports a recreated schema with another id type, other dimensions or another model", async () => {
    const test = await openTestIndex(database);
    const { index, pool, schema } = test;
    await index.upsertTraining({ id: "a", content: "a loja" });
    await recreate(database, test, { idType: "bigint" });
    const failure = await index.upsertTraining({ id: "a", content: "a loja" }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SchemaError);
    expect((failure as Error).message).toContain("its ids are bigint now, and were text");
    expect(await index.upsertTraining({ id: 1, content: "a loja" })).toMatchObject({ status: "indexed" });
    expect(await index.similar("a loja")).toMatchObject([{ trainingId: 1 }]);

    await recreate(database, test, { dimensions: 32 });
    for (const call of [() => index.similar("a loja"), () => index.upsertTraining({ id: 1, content: "a loja" })]) {
      await expect(call()).rejects.toBeInstanceOf(SchemaError);
    }
    await recreate(database, test);
    const other = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool,
      schema,
      profile: { model: "outro" },
    });
    await other.upsertTraining({ id: "a", content: "a loja" });
    await expect(index.similar("a loja")).rejects.toMatchObject({ code: "PROFILE_MISMATCH" });
  });

  it("does not apply what a host's transaction sees, or its failure, to other calls", async () => {
    const test = await openTestIndex(database, {}, { textSearch: "simple" });
    const { owner, schema } = test;
    await test.index.upsertTraining({ id: "a", content: "As garantias valem." });
    // An index of its own, which has only just read the schema.
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: database.pool, schema });
    const client = await owner.connect();
    try {
      await client.query("BEGIN");
      await client.query("SELECT 1 / 0").catch(() => undefined);
      await expect(index.similar("garantia", { client })).rejects.toMatchObject({ code: "DATABASE_FAILED" });
      await client.query("ROLLBACK");
      await client.query("BEGIN");
      for (const statement of changeLanguage(schema)) await client.query(statement);
      expect(await index.similar("garantia", { client, mode: "text" })).toHaveLength(1);
      await client.query("ROLLBACK");
      expect(await index.similar("garantia", { client, mode: "text", typos: false })).toEqual([]);
    } finally {
      client.release();
    }
    expect(await index.similar("garantias", { mode: "text" })).toHaveLength(1);
    expect(await index.similar("garantia", { mode: "text", typos: false })).toEqual([]);
  });
});

describeOnServer("a process that keeps running while pgvector is recreated", () => {
  it("writes and searches with the new extension's types", async () => {
    const { pool } = await freshDatabase();
    await migrate(pool, { dimensions: DIMENSIONS });
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool });
    for (const id of ["a", "b"]) await index.upsertTraining({ id, documents: MANY, split: false });
    for (let times = 0; times < 20; times++) await index.similar("a loja", { k: 3 });
    await pool.query("DROP EXTENSION vector CASCADE; DROP SCHEMA training_index CASCADE");
    await migrate(pool, { dimensions: DIMENSIONS });
    await index.upsertTraining({ id: "c", documents: MANY, split: false });
    expect(await index.similar("a loja", { k: 3 })).toHaveLength(3);
    await index.upsertTraining({ id: "c", content: "a loja" });
    expect(await index.similar("a loja", { k: 3 })).toHaveLength(1);
  });
});

describeOnServer("a host's key that changes its type", (database) => {
  it("from integer to bigint is followed by a later migration and by open indexes", async () => {
    const { pool, owner } = database;
    const table = await hostTable(owner, undefined, "integer");
    await owner.query(`INSERT INTO public.${table} VALUES (1)`);
    const test = await openTestIndex(database, {}, { trainings: { table } });
    const { index, schema } = test;
    await index.upsertTraining({ id: 1, content: "a loja" });
    await owner.query(`ALTER TABLE public.${table} ALTER COLUMN id TYPE bigint`);
    expect(await migrate(owner, { schema, trainings: { table } })).toMatchObject({ vectorIndex: "built" });
    expect(await migrate(owner, { schema })).toMatchObject({ vectorIndex: "kept" });
    expect(await index.similar("a loja")).toMatchObject([{ trainingId: 1 }]);
    const large = 3_000_000_000;
    await owner.query(`INSERT INTO public.${table} VALUES (${large})`);
    expect(await index.upsertTraining({ id: large, content: "a casa" })).toMatchObject({ status: "indexed" });
    expect(await pool.query(`SELECT FROM ${schema}.chunk_1`)).toMatchObject({ rowCount: 2 });

    // Back to integer: ids of type bigint still hold all values.
    await owner.query(`DELETE FROM public.${table} WHERE id = ${large}`);
    await owner.query(`ALTER TABLE public.${table} ALTER COLUMN id TYPE integer`);
    expect(await migrate(owner, { schema, trainings: { table } })).toMatchObject({ vectorIndex: "kept" });
  });

  it("leads to an error with a way out if ids cannot be converted", async () => {
    const { owner } = database;
    const table = await hostTable(owner, undefined, "integer");
    const other = await hostTable(owner, undefined, "uuid");
    const { schema } = await openTestIndex(database, {}, { trainings: { table } });
    const failure = migrate(owner, { schema, trainings: { table: other } });
    await expect(failure).rejects.toMatchObject({ code: "SCHEMA_CONFLICT" });
    await expect(failure).rejects.toThrow(/index the trainings there/);
  });
});

describeOnServer("a schema with other dimensions", (database) => {
  it("can be changed to the model's with the call in the error, as long as it holds no vectors", async () => {
    const { pool, owner, schema, index } = await openTestIndex(database);
    const open = (): Promise<TrainingIndex> => TrainingIndex.initialize(new CountingEmbeddings(32), { pool, schema });
    await owner.query(`UPDATE ${schema}.profile SET model = NULL, query_prefix = NULL, document_prefix = NULL`);
    const failure = open();
    await expect(failure).rejects.toThrow(`run migrate(pool, { schema: "${schema}", dimensions: 32 })`);
    await expect(failure).rejects.not.toThrow(/holds vectors of another/);
    expect(await migrate(owner, { schema, dimensions: 32 })).toMatchObject({ vectorIndex: "built" });
    await (await open()).upsertTraining({ id: "a", content: "a loja" });
    await expect(index.similar("a loja")).rejects.toMatchObject({ code: "PROFILE_MISMATCH" });
    await expect(migrate(owner, { schema, dimensions: 64 })).rejects.toMatchObject({
      code: "SCHEMA_CONFLICT",
    });
  });
});
