import { TrainingIndex } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { freshDatabase } from "../support/contract.js";
import { describeOnServer, grantRights } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, openTestIndex, type TestIndex } from "../support/index.js";

/** Opens a test's index again. */
function openAgain({ pool, schema }: TestIndex): Promise<TrainingIndex> {
  return TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
}

describeOnServer("a schema with a missing part", (database) => {
  it.each([
    ["sequence ticket", "DROP SEQUENCE {}.ticket", true],
    ["index training_deleted", "DROP INDEX {}.training_deleted", false],
    ["index chunk_1_id", "DROP INDEX {}.chunk_1_id", false],
    ["index chunk_1_metadata", "DROP INDEX {}.chunk_1_metadata", false],
    ["table word", "DROP TABLE {}.word", true],
    ["column word.fragments, index word_fragments", "ALTER TABLE {}.word DROP COLUMN fragments", true],
    ["index word_fragments", "DROP INDEX {}.word_fragments", false],
    ["column profile.words_filled_at", "ALTER TABLE {}.profile DROP COLUMN words_filled_at", true],
    ["index chunk_1_lexemes", "DROP INDEX {}.chunk_1_lexemes", false],
    ["column chunk_1.lexemes, index chunk_1_lexemes", "ALTER TABLE {}.chunk_1 DROP COLUMN lexemes CASCADE", true],
    ["column training.replaced_ticket", "ALTER TABLE {}.training DROP COLUMN replaced_ticket", true],
    ["column profile.vector_index_next", "ALTER TABLE {}.profile DROP COLUMN vector_index_next", true],
    [
      "primary key training, foreign key indexed_1, foreign key chunk_1",
      "ALTER TABLE {}.training DROP CONSTRAINT training_pkey CASCADE",
      true,
    ],
    ["primary key chunk_1", "ALTER TABLE {}.chunk_1 DROP CONSTRAINT chunk_1_pkey", true],
  ])("gets %s recreated", async (parts, statement, refused) => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const { index, owner, schema } = test;
    await index.upsertTraining({ id: "a", content: "As garantias valem por dois anos." });
    const before = await migrationStatus(owner, { schema });
    expect(before.damaged).toEqual([]);
    await owner.query(statement.replaceAll("{}", schema));
    expect((await migrationStatus(owner, { schema })).damaged).toEqual(parts.split(", "));
    const open = openAgain(test);
    if (refused) await expect(open).rejects.toMatchObject({ code: "SCHEMA_DAMAGED" });
    else await open;
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [], repaired: parts.split(", ") });
    expect(await migrationStatus(owner, { schema })).toEqual(before);
    await grantRights(database, schema);
    const again = await openAgain(test);
    expect(await again.upsertTraining({ id: "a", content: "A loja abre." })).toMatchObject({
      status: "indexed",
    });
    expect(await again.similar("a loja", { mode: "text" })).toHaveLength(1);
  });

  it.each([
    ["column chunk_1.embedding", "ALTER TABLE {}.chunk_1 DROP COLUMN embedding"],
    ["column training.barrier", "ALTER TABLE {}.training DROP COLUMN barrier"],
    ["column profile.model", "ALTER TABLE {}.profile DROP COLUMN model"],
    ["table chunk_1", "DROP TABLE {}.chunk_1"],
    ["table training", "DROP TABLE {}.training CASCADE"],
    ["table profile", "DROP TABLE {}.profile"],
    ["table migration", "DROP TABLE {}.migration"],
    ["rows of migration", "DELETE FROM {}.migration"],
    ["rows of profile", "DELETE FROM {}.profile"],
  ])("is reported if %s cannot be recreated, with what to do", async (part, statement) => {
    const test = await openTestIndex(database);
    const { index, owner, schema } = test;
    await index.upsertTraining({ id: "a", content: "A loja abre." });
    await owner.query(statement.replaceAll("{}", schema));
    expect((await migrationStatus(owner, { schema })).damaged).toContain(part);
    for (const call of [() => migrate(owner, { schema }), () => openAgain(test)]) {
      const failure = call();
      await expect(failure).rejects.toMatchObject({ code: "SCHEMA_DAMAGED" });
      await expect(failure).rejects.toThrow(part);
    }
    await expect(migrate(owner, { schema })).rejects.toThrow(/backup|INSERT INTO/);
  });

  it("gets its profile row recreated if there are no vectors", async () => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const { owner, schema } = test;
    await owner.query(`DELETE FROM ${schema}.profile`);
    expect(await migrate(owner, { schema, textSearch: "english" })).toMatchObject({
      repaired: ["rows of profile"],
    });
    const index = await openAgain(test);
    await index.upsertTraining({ id: "a", content: "A loja abre." });
    expect(await index.similar("loja", { mode: "hybrid" })).toHaveLength(1);
  });

  it("gets a ticket sequence that continues above all used tickets", async () => {
    const test = await openTestIndex(database);
    const { index, owner, schema } = test;
    await index.upsertTraining({ id: "a", content: "A loja abre." });
    await owner.query(`UPDATE ${schema}.training SET ticket = 5000, content_ticket = 5000`);
    await owner.query(`DROP SEQUENCE ${schema}.ticket`);
    await migrate(owner, { schema });
    await grantRights(database, schema);
    expect(await index.upsertTraining({ id: "a", content: "A loja fecha." })).toMatchObject({
      status: "indexed",
    });
  });
});

describeOnServer("a schema whose extension was dropped", () => {
  it("is reported as damaged, with how to start over", async () => {
    const { pool } = await freshDatabase();
    await migrate(pool, { dimensions: DIMENSIONS });
    await pool.query("DROP EXTENSION vector CASCADE");
    expect((await migrationStatus(pool)).damaged).toEqual(["extension vector", "column chunk_1.embedding"]);
    await expect(migrate(pool)).rejects.toMatchObject({ code: "SCHEMA_DAMAGED" });
    await expect(migrate(pool)).rejects.toThrow('run DROP SCHEMA "training_index" CASCADE');
    await expect(TrainingIndex.initialize(new CountingEmbeddings(), { pool })).rejects.toMatchObject({
      code: "SCHEMA_DAMAGED",
    });
  });
});
