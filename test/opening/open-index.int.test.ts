import { FakeEmbeddings } from "@langchain/core/utils/testing";
import { SchemaError, TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { describeOnServer, uniqueName } from "../support/databases.js";
import { dropAtEnd, migratedSchema, openTestIndex } from "../support/index.js";

describeOnServer("opening an index", (database) => {
  it("reports a missing migration, with the call to run", async () => {
    const { pool } = database;
    await migratedSchema(database); // installs pgvector
    const schema = uniqueName();
    const failure = await TrainingIndex.initialize(new HashingEmbeddings(), { pool, schema }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(SchemaError);
    expect(failure).toMatchObject({ code: "SCHEMA_MISSING", retryable: false });
    expect((failure as Error).message).toContain(`run migrate(pool, { schema: "${schema}" })`);
  });

  it("reports a missing migration in someone else's schema, too", async () => {
    const { pool } = database;
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    await database.owner.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.training (id integer)`);
    await expect(TrainingIndex.initialize(new HashingEmbeddings(), { pool, schema })).rejects.toMatchObject({
      code: "SCHEMA_MISSING",
    });
  });

  it("leads to typed errors if the schema is dropped later", async () => {
    const { index, owner, schema } = await openTestIndex(database);
    await owner.query(`DROP SCHEMA ${schema} CASCADE`);
    for (const call of [
      () => index.similar("loja"),
      () => index.upsertTraining({ id: "a", content: "loja" }),
      () => index.deleteTraining("a"),
      () => index.vectorStore.getByIds(["a"]),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
    }
  });

  it.each([
    ["pool", { pool: undefined }],
    ["pool", { pool: {} }],
    ["schema", { schema: "" }],
    ["schema", { schema: "x".repeat(64) }],
    ["filter", { filter: {} }],
    ["hnsw.efSearch", { hnsw: { efSearch: 0 } }],
    ["embeddings", { embeddings: {} }],
    ["embeddings", { embeddings: new FakeEmbeddings() }],
  ])("refuses an invalid %s", async (option, wrong) => {
    const { pool } = database;
    const { embeddings = new HashingEmbeddings(), ...options } = wrong as { embeddings?: never };
    const schema = option === "embeddings" ? await migratedSchema(database) : "unused";
    const open = TrainingIndex.initialize(embeddings, { pool, schema, ...options });
    await expect(open).rejects.toMatchObject({ code: "INVALID_ARGUMENT", option });
  });
});
