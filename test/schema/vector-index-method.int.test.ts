import { TrainingIndex, type VectorIndexMethod } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { describeOnServer, grantRights, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, dropAtEnd, smallTraining } from "../support/index.js";

/** An index of pgvector that the library does not know, in the place of one of another extension. */
const ivfflat: VectorIndexMethod = {
  method: "ivfflat",
  create: ({ column, extensionSchema }) =>
    `USING ivfflat (${column} ${extensionSchema}.vector_cosine_ops) WITH (lists = 4)`,
  settings: { "ivfflat.probes": "$efSearch", "ivfflat.iterative_scan": "relaxed_order" },
};

describeOnServer("A vector index by another method", (database) => {
  async function methodOf(schema: string): Promise<unknown> {
    const { rows } = await database.owner.query<{ amname: string }>(
      `SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = '${schema}.chunk_1_embedding'::regclass`,
    );
    return rows[0]?.amname;
  }

  it("is created by migrate, used by searches, measured by recall, and built again by loads", async () => {
    const { owner } = database;
    const schema = uniqueName();
    dropAtEnd(owner, schema);
    const options = { schema, dimensions: DIMENSIONS, textSearch: "portuguese", vectorIndex: ivfflat } as const;
    await migrate(owner, options);
    await grantRights(database, schema);
    expect(await methodOf(schema)).toBe("ivfflat");
    expect(await migrate(owner, options)).toMatchObject({ vectorIndex: "kept" });
    expect(await migrate(owner, { schema })).toMatchObject({ vectorIndex: "kept" });
    expect(await migrationStatus(owner, { schema })).toMatchObject({ vectorIndex: "valid" });

    const index = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool: owner,
      schema,
      vectorIndex: ivfflat,
    });
    await index.bulkLoad(Array.from({ length: 4000 }, (_, number) => smallTraining(`t${number}`)));
    expect(await methodOf(schema)).toBe("ivfflat");
    expect(await index.status()).toMatchObject({ vectorIndex: { type: "vector", valid: true, use: "used" } });
    for (const mode of ["vector", "hybrid"] as const) {
      expect(await index.similar("t7", { mode, k: 3, efSearch: 4 })).toHaveLength(3);
    }
    const { rows } = await index.recall({ k: 5, efSearch: [4], sample: 3 });
    expect(rows).toMatchObject([{ efSearch: 4, recall: 1 }]);
    // The settings end with the statement.
    const { rows: after } = await owner.query(`SELECT current_setting('ivfflat.probes', true) AS probes`);
    expect(after).not.toContainEqual({ probes: "4" });
  });

  it("a schema with another one is refused, with the statement to run", async () => {
    const { owner } = database;
    const schema = uniqueName();
    dropAtEnd(owner, schema);
    await migrate(owner, { schema, dimensions: DIMENSIONS });
    await expect(migrate(owner, { schema, vectorIndex: ivfflat })).rejects.toThrow(
      expect.objectContaining({
        code: "SCHEMA_CONFLICT",
        message: `vectorIndex asks for an index by ivfflat, but that of the schema is by hnsw: run DROP INDEX CONCURRENTLY "${schema}".chunk_1_embedding, then migrate again`,
      }),
    );
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    expect(await migrate(owner, { schema, vectorIndex: ivfflat })).toMatchObject({ vectorIndex: "built" });
    expect(await methodOf(schema)).toBe("ivfflat");
  });
});
