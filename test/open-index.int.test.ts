import { FakeEmbeddings } from "@langchain/core/utils/testing";
import { SchemaError, TrainingIndex } from "langchain-training-index";
import { migrationStatus } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { describeOnEach, uniqueName } from "./support/databases.js";
import { CountingEmbeddings, dropAtEnd, migratedSchema, openTestIndex } from "./support/index.js";

describeOnEach("opening an index", (database) => {
  it("says what to run when no migration has", async () => {
    const { pool } = database;
    await migratedSchema(database); // so that pgvector is there
    const schema = uniqueName();
    const failure = await TrainingIndex.initialize(new HashingEmbeddings(), { pool, schema }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(SchemaError);
    expect(failure).toMatchObject({ code: "SCHEMA_MISSING", retryable: false });
    expect((failure as Error).message).toContain(`run migrate(pool, { schema: "${schema}" })`);
  });

  it("says so too when the schema is somebody else's", async () => {
    const { pool } = database;
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    await database.owner.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.training (id integer)`);
    await expect(TrainingIndex.initialize(new HashingEmbeddings(), { pool, schema })).rejects.toMatchObject({
      code: "SCHEMA_MISSING",
    });
  });

  it("is a typed error when the schema is dropped later", async () => {
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

  it("records the model, and refuses another one with what differs and what to do", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: 4 });
    const profile = { model: "fake", queryPrefix: "query: " };
    const first = await TrainingIndex.initialize(new FakeEmbeddings(), { pool, schema, profile });
    await first.upsertTraining({ id: "a", content: "loja" });
    expect((await migrationStatus(pool, { schema })).model).toBe("fake");
    await expect(
      TrainingIndex.initialize(new FakeEmbeddings(), { pool, schema, profile }),
    ).resolves.toBeInstanceOf(TrainingIndex);

    const others = [
      [{ ...profile, model: "other" }, 'model "fake" is recorded, "other" was opened'],
      [{ ...profile, queryPrefix: "" }, 'query prefix "query: " is recorded, "" was opened'],
      [{ ...profile, documentPrefix: "x" }, 'document prefix "" is recorded, "x" was opened'],
      [{ ...profile, dimensions: 8 }, "dimensions 4 is recorded, 8 was opened"],
    ] as const;
    for (const [other, difference] of others) {
      const failure = await TrainingIndex.initialize(new FakeEmbeddings(), {
        pool,
        schema,
        profile: other,
      }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SchemaError);
      expect(failure).toMatchObject({ code: "PROFILE_MISMATCH" });
      expect((failure as Error).message).toContain(difference);
      expect((failure as Error).message).toContain("migrate a new schema");
    }
  });

  it("does not record a model whose dimensions do not fit", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: 16 });
    const open = TrainingIndex.initialize(new CountingEmbeddings(8), { pool, schema });
    await expect(open).rejects.toMatchObject({ code: "PROFILE_MISMATCH" });
    expect((await migrationStatus(pool, { schema })).model).toBeUndefined();
  });

  it("records one model when two are opened at once", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: 4 });
    const outcomes = await Promise.allSettled(
      ["one", "two", "three"].map((model) =>
        TrainingIndex.initialize(new FakeEmbeddings(), { pool, schema, profile: { model } }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("finds the wrong dimensions of an embedder that does not say them at the first text", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: 16 });
    const index = await TrainingIndex.initialize(new FakeEmbeddings(), {
      pool,
      schema,
      profile: { model: "fake" },
    });
    for (const call of [
      () => index.upsertTraining({ id: "a", content: "loja" }),
      () => index.similar("loja"),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "EMBEDDING_INVALID",
        message: "The embedder of model fake returned 4 dimensions; this index stores 16",
      });
    }
  });

  it("puts the prefixes of a profile given by hand before the texts", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database);
    const hashing = new CountingEmbeddings();
    const seen: string[] = [];
    const plain = {
      embedDocuments: (texts: string[]) => hashing.embedDocuments(texts),
      embedQuery: (text: string) => {
        seen.push(text);
        return hashing.embedQuery(text);
      },
    };
    const profile = { model: "plain", queryPrefix: "pergunta: ", documentPrefix: "passagem: " };
    const index = await TrainingIndex.initialize(plain, { pool, schema, profile });
    await index.upsertTraining({ id: "a", content: "a loja abre às oito" });
    const [hit] = await index.similar("quando abre?");
    await index.vectorStore.maxMarginalRelevanceSearch("e quando fecha?", { k: 1 });
    expect(hashing.texts).toEqual(["passagem: a loja abre às oito"]);
    expect(seen).toEqual(["pergunta: quando abre?", "pergunta: e quando fecha?"]);
    expect(hit?.content).toBe("a loja abre às oito");
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
  ])("refuses a wrong %s", async (option, wrong) => {
    const { pool } = database;
    const { embeddings = new HashingEmbeddings(), ...options } = wrong as { embeddings?: never };
    const schema = option === "embeddings" ? await migratedSchema(database) : "unused";
    const open = TrainingIndex.initialize(embeddings, { pool, schema, ...options });
    await expect(open).rejects.toMatchObject({ code: "INVALID_ARGUMENT", option });
  });
});
