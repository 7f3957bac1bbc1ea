import { SchemaError, type DatabasePool } from "langchain-training-index";
import {
  migrate,
  migrationSql,
  migrationStatus,
  type MigrateResult,
  type VectorIndexType,
} from "langchain-training-index/migrations";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { subscribeNotices } from "../support/channels.js";
import { freshDatabase } from "../support/contract.js";
import { describeOnEach, describeOnServer, uniqueName } from "../support/databases.js";
import { DIMENSIONS, dropAtEnd, gateOf, migratedSchema, until } from "../support/index.js";
import { schemaAtVersionOne } from "../support/earlier-schema.js";
import { recordingPool, withoutName } from "../support/recording-pool.js";

const NAMES: Record<VectorIndexType, string> = {
  vector: "chunk_1_embedding",
  halfvec: "chunk_1_embedding_halfvec",
  bit: "chunk_1_embedding_bit",
};

/** The definition of each index; Postgres leaves out the extension's schema if that is on the search_path. */
const DEFINITIONS: Record<VectorIndexType, RegExp> = {
  vector: /USING hnsw \(embedding (public\.)?vector_cosine_ops\)/,
  halfvec: /USING hnsw \(\(\(embedding\)::(public\.)?halfvec\(64\)\) (public\.)?halfvec_cosine_ops\)/,
  bit: /USING hnsw \(\(\((public\.)?binary_quantize\(embedding\)\)::bit\(64\)\) (public\.)?bit_hamming_ops\)/,
};

/** The definitions of a schema's vector indexes; invalid ones are marked INVALID. */
async function vectorIndexes(pool: pg.Pool, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ definition: string }>(
    `SELECT pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END AS definition
      FROM pg_index WHERE indrelid = $1::regclass ORDER BY 1`,
    [`${schema}.chunk_1`],
  );
  return rows.map(({ definition }) => definition).filter((definition) => definition.includes("hnsw"));
}

/** The recorded settings of the vector index. */
async function recordOf(pool: pg.Pool, schema: string): Promise<unknown> {
  const { rows } = await pool.query(
    `SELECT vector_index AS type, vector_index_next AS next, hnsw_m AS m, hnsw_ef_construction AS "efConstruction"
      FROM ${schema}.profile`,
  );
  return rows[0];
}

/** The storage parameters of the chunk table. */
async function tableOptions(pool: pg.Pool, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ option: string }>(
    "SELECT unnest(reloptions) AS option FROM pg_class WHERE oid = $1::regclass ORDER BY 1",
    [`${schema}.chunk_1`],
  );
  return rows.map(({ option }) => option);
}

/** Marks an index as invalid, as an interrupted build leaves it. */
async function invalidate(pool: pg.Pool, schema: string, type: VectorIndexType): Promise<void> {
  await pool.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", [
    `${schema}.${NAMES[type]}`,
  ]);
}

const TYPES: VectorIndexType[] = ["vector", "halfvec", "bit"];
const OTHER_HNSW = { m: 8, efConstruction: 40 };

describeOnEach("the type of the vector index", (database) => {
  it.each(TYPES)("is %s in a fresh schema, and is recorded there", async (vectorIndex) => {
    const { owner } = database;
    const schema = await migratedSchema(database, { vectorIndex, hnsw: OTHER_HNSW });
    expect(await recordOf(owner, schema)).toEqual({ type: vectorIndex, next: null, ...OTHER_HNSW });
    expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(DEFINITIONS[vectorIndex])]);
    expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(/m='8', ef_construction='40'/)]);
    expect(await migrationStatus(owner, { schema })).toMatchObject({
      vectorIndex: "valid",
      vectorIndexType: vectorIndex,
    });
    // Omitted options keep their recorded values, even if the index was dropped.
    const made = await vectorIndexes(owner, schema);
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [], vectorIndex: "kept" });
    await owner.query(`DROP INDEX ${schema}.${NAMES[vectorIndex]}`);
    expect(await migrationStatus(owner, { schema })).toMatchObject({
      vectorIndex: "missing",
      vectorIndexType: vectorIndex,
    });
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [], vectorIndex: "built" });
    expect(await vectorIndexes(owner, schema)).toEqual(made);
  });

  it.each<[VectorIndexType, number]>([
    ["halfvec", 3072],
    ["bit", 8192],
  ])("can be %s for vectors with too many dimensions for type vector: %d", async (vectorIndex, dimensions) => {
    const { owner } = database;
    const schema = await migratedSchema(database, { vectorIndex, dimensions });
    await owner.query(
      `INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata) VALUES ('a', 1, 1, 1, '{}')`,
    );
    await owner.query(
      `INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
        SELECT 'a', 'a', 'A garantia é de um ano.', '{}', '', array_agg(1)::public.vector FROM generate_series(1, $1)`,
      [dimensions],
    );
    expect(await migrate(owner, { schema })).toMatchObject({ vectorIndex: "kept" });
    const refused = await migrate(owner, { schema, vectorIndex: "vector" }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "INVALID_ARGUMENT", option: "vectorIndex" });
    expect((refused as Error).message).toContain(`has ${dimensions}: ${vectorIndex} can hold them`);
    expect(await vectorIndexes(owner, schema)).toHaveLength(1);
  });

  it("is recorded in a schema of version 1, with the parameters of the existing index", async () => {
    const { owner } = database;
    const schema = await schemaAtVersionOne(database, { hnsw: OTHER_HNSW });
    expect(await migrationStatus(owner, { schema })).toMatchObject({
      version: 1,
      pending: ["recorded index", "replaced version", "text search", "ids in byte order", "words"],
      vectorIndex: "valid",
      vectorIndexType: "vector",
    });
    const made = await vectorIndexes(owner, schema);
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [2, 3, 4, 5, 6], vectorIndex: "kept" });
    expect(await recordOf(owner, schema)).toEqual({ type: "vector", next: null, ...OTHER_HNSW });
    expect(await vectorIndexes(owner, schema)).toEqual(made);
  });

  it("is recorded with the given parameters, or the defaults, if a schema of version 1 has lost its index", async () => {
    const { owner } = database;
    for (const [hnsw, recorded] of [
      [OTHER_HNSW, OTHER_HNSW],
      [undefined, { m: 16, efConstruction: 64 }],
    ] as const) {
      const schema = await schemaAtVersionOne(database);
      await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
      expect(await migrate(owner, { schema, hnsw })).toMatchObject({
        applied: [2, 3, 4, 5, 6],
        vectorIndex: "built",
      });
      expect(await recordOf(owner, schema)).toEqual({ type: "vector", next: null, ...recorded });
    }
  });

  it("is changed together with the upgrade from version 1", async () => {
    const { owner } = database;
    const schema = await schemaAtVersionOne(database, { hnsw: OTHER_HNSW });
    const options = { schema, vectorIndex: "halfvec" } as const;
    expect(await migrate(owner, options)).toMatchObject({ applied: [2, 3, 4, 5, 6], vectorIndex: "built" });
    expect(await recordOf(owner, schema)).toEqual({ type: "halfvec", next: null, ...OTHER_HNSW });
    expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(DEFINITIONS.halfvec)]);
  });

  it("is set and recorded by the printed statements, on a fresh schema and from version 1", async () => {
    const { owner } = database;
    const printed = uniqueName();
    dropAtEnd(owner, printed);
    await owner.query(migrationSql({ schema: printed, dimensions: DIMENSIONS, vectorIndex: "bit" }));
    expect(await migrate(owner, { schema: printed })).toMatchObject({ applied: [], vectorIndex: "kept" });
    expect(await vectorIndexes(owner, printed)).toEqual([expect.stringMatching(DEFINITIONS.bit)]);

    const upgraded = await schemaAtVersionOne(database, { hnsw: OTHER_HNSW });
    await owner.query(migrationSql({ schema: upgraded, from: 1, hnsw: OTHER_HNSW }));
    expect(await recordOf(owner, upgraded)).toEqual({ type: "vector", next: null, ...OTHER_HNSW });
    expect(await migrate(owner, { schema: upgraded })).toMatchObject({ applied: [], vectorIndex: "kept" });
  });
});

describeOnEach("a change of the vector index", (database) => {
  it("builds the new one, records it, and drops the old one, in every direction", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database, { hnsw: OTHER_HNSW });
    for (const vectorIndex of ["bit", "halfvec", "vector"] as const) {
      const { pool, statements } = recordingPool(owner);
      expect(await migrate(pool, { schema, vectorIndex })).toMatchObject({
        applied: [],
        vectorIndex: "built",
      });
      expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(DEFINITIONS[vectorIndex])]);
      expect(await recordOf(owner, schema)).toEqual({ type: vectorIndex, next: null, ...OTHER_HNSW });
      const changes = statements.map(
        ({ text }) => /CREATE INDEX \S+|DROP INDEX \S+|SET vector_index = /.exec(withoutName(text))?.[0],
      );
      expect(changes.filter((change) => change !== undefined)).toEqual([
        "CREATE INDEX CONCURRENTLY",
        "SET vector_index = ",
        "DROP INDEX CONCURRENTLY",
      ]);
      expect(await migrate(owner, { schema, vectorIndex })).toMatchObject({ vectorIndex: "kept" });
    }
    expect(await tableOptions(owner, schema)).toEqual(["toast_tuple_target=8160"]);
  });

  it.each<[string, (pool: pg.Pool, schema: string) => Promise<unknown>]>([
    ["before the new index was started", () => Promise.resolve()],
    [
      "while the new index was built",
      async (pool, schema) => {
        await pool.query(
          `CREATE INDEX ${NAMES.bit} ON ${schema}.chunk_1 USING hnsw (embedding public.vector_cosine_ops)`,
        );
        await invalidate(pool, schema, "bit");
        await pool.query(`ALTER TABLE ${schema}.chunk_1 SET (parallel_workers = 0)`);
      },
    ],
    [
      "when the new index was built, but not recorded",
      (pool, schema) =>
        pool.query(
          `CREATE INDEX ${NAMES.bit} ON ${schema}.chunk_1
            USING hnsw ((public.binary_quantize(embedding)::bit(${DIMENSIONS})) public.bit_hamming_ops)`,
        ),
    ],
    [
      "when the new index was recorded, and the old one not dropped",
      async (pool, schema) => {
        await pool.query(
          `CREATE INDEX ${NAMES.bit} ON ${schema}.chunk_1
            USING hnsw ((public.binary_quantize(embedding)::bit(${DIMENSIONS})) public.bit_hamming_ops)`,
        );
        await pool.query(`UPDATE ${schema}.profile SET vector_index = 'bit', vector_index_next = NULL`);
      },
    ],
    [
      "while the old index was dropped",
      async (pool, schema) => {
        await pool.query(
          `CREATE INDEX ${NAMES.bit} ON ${schema}.chunk_1
            USING hnsw ((public.binary_quantize(embedding)::bit(${DIMENSIONS})) public.bit_hamming_ops)`,
        );
        await pool.query(`UPDATE ${schema}.profile SET vector_index = 'bit', vector_index_next = NULL`);
        await invalidate(pool, schema, "vector");
      },
    ],
  ])("that was killed %s is completed by the next call, even without the option", async (_when, killAt) => {
    const { owner } = database;
    for (const options of [{}, { vectorIndex: "bit" }] as const) {
      const schema = await migratedSchema(database);
      await owner.query(`UPDATE ${schema}.profile SET vector_index_next = 'bit'`);
      await killAt(owner, schema);
      await migrate(owner, { schema, ...options });
      expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(DEFINITIONS.bit)]);
      expect(await vectorIndexes(owner, schema)).toEqual([expect.not.stringMatching("INVALID")]);
      expect(await recordOf(owner, schema)).toMatchObject({ type: "bit", next: null });
      expect(await tableOptions(owner, schema)).toEqual(["toast_tuple_target=8160"]);
    }
  });

  it("that was killed is cancelled if the current type is requested", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    await owner.query(`UPDATE ${schema}.profile SET vector_index_next = 'bit'`);
    await owner.query(
      `CREATE INDEX ${NAMES.bit} ON ${schema}.chunk_1
        USING hnsw ((public.binary_quantize(embedding)::bit(${DIMENSIONS})) public.bit_hamming_ops)`,
    );
    expect(await migrate(owner, { schema, vectorIndex: "vector" })).toMatchObject({ vectorIndex: "kept" });
    expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(DEFINITIONS.vector)]);
    expect(await recordOf(owner, schema)).toMatchObject({ type: "vector", next: null });
  });

  it("is started by the next process if the one that claimed it was killed", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    await owner.query(`UPDATE ${schema}.profile SET vector_index_claimed_at = clock_timestamp() - interval '4 s'`);
    expect(await migrate(owner, { schema, vectorIndex: "bit" })).toMatchObject({ vectorIndex: "built" });
    const { rows } = await owner.query(`SELECT vector_index_claimed_at AS claim FROM ${schema}.profile`);
    expect(rows).toEqual([{ claim: null }]);
  });

  it("does not change the parameters, and the error says what would", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database, { vectorIndex: "bit" });
    const refused = await migrate(owner, { schema, vectorIndex: "halfvec", hnsw: { m: 32 } }).catch(
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(SchemaError);
    expect(refused).toMatchObject({ code: "SCHEMA_CONFLICT" });
    expect((refused as Error).message).toContain(`DROP INDEX CONCURRENTLY "${schema}".chunk_1_embedding_bit`);
    expect(await recordOf(owner, schema)).toMatchObject({ type: "bit", next: null, m: 16 });
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding_bit`);
    await migrate(owner, { schema, hnsw: { m: 40 } });
    // An omitted efConstruction is raised to fit m.
    expect(await recordOf(owner, schema)).toMatchObject({ type: "bit", m: 40, efConstruction: 80 });
  });

  it("keeps parameters that were changed by hand", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    await owner.query(
      `ALTER INDEX ${schema}.chunk_1_embedding SET (m = 24); REINDEX INDEX ${schema}.chunk_1_embedding`,
    );
    await migrate(owner, { schema, vectorIndex: "bit" });
    expect(await recordOf(owner, schema)).toMatchObject({ type: "bit", m: 24 });
    expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(/m='24'/)]);
  });
});

describeOnServer("a build of the vector index", (database) => {
  it("uses no parallel workers on a pgvector version where they are unsafe, and restores the table's options", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    const writer = await holdWrite(owner, schema);
    const change = migrate(owner, { schema, vectorIndex: "bit" });
    await untilBuilding(owner, schema, "bit");
    expect(await tableOptions(owner, schema)).toContain("parallel_workers=0");
    await writer.release();
    expect(await change).toMatchObject({ vectorIndex: "built" });
    expect(await tableOptions(owner, schema)).toEqual(["toast_tuple_target=8160"]);
  });

  it("that is terminated leaves an invalid index, which the next call replaces", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    const writer = await holdWrite(owner, schema);
    const change = migrate(owner, { schema, vectorIndex: "bit" }).catch((error: unknown) => error);
    await untilBuilding(owner, schema, "bit");
    await owner.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index WHERE relid = $1::regclass",
      [`${schema}.chunk_1`],
    );
    expect(await change).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
    await writer.release();
    expect(await vectorIndexes(owner, schema)).toHaveLength(2);
    expect(await migrationStatus(owner, { schema })).toMatchObject({
      vectorIndex: "valid",
      vectorIndexType: "vector",
    });
    expect(await migrate(owner, { schema })).toMatchObject({ vectorIndex: "built" });
    expect(await vectorIndexes(owner, schema)).toEqual([expect.stringMatching(DEFINITIONS.bit)]);
    expect(await tableOptions(owner, schema)).toEqual(["toast_tuple_target=8160"]);
  });

  it("is repeated without workers if there is not enough shared memory for them", async () => {
    const { pool, url } = await freshDatabase();
    await migrate(pool, { dimensions: DIMENSIONS });
    // A version with safe workers, a table that asks for them, and more memory than any server has.
    await pool.query("UPDATE pg_extension SET extversion = '0.8.2' WHERE extname = 'vector'");
    await pool.query("ALTER TABLE training_index.chunk_1 SET (parallel_workers = 2)");
    await pool.query(`ALTER DATABASE ${url.pathname.slice(1)} SET maintenance_work_mem = '2047GB'`);
    const poor = new pg.Pool({ connectionString: url.href });
    onTestFinished(() => poor.end());
    const { pool: recorded, statements } = recordingPool(poor);
    const notices = subscribeNotices();
    expect(await migrate(recorded, { vectorIndex: "bit" })).toMatchObject({ vectorIndex: "built" });
    expect(notices).toMatchObject([
      { code: "SERIAL_BUILD", cause: { sqlState: expect.stringMatching(/^53[12]00$/) as string } },
    ]);
    expect(statements.filter(({ text }) => withoutName(text).startsWith("CREATE INDEX CONCURRENTLY"))).toHaveLength(2);
    expect(await vectorIndexes(pool, "training_index")).toEqual([
      expect.stringMatching(/^(?!.*INVALID)CREATE INDEX chunk_1_embedding_bit/),
    ]);
    // The host's own setting is restored.
    expect(await tableOptions(pool, "training_index")).toEqual(["parallel_workers=2", "toast_tuple_target=8160"]);
  });

  it("does not block searches and writes", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    const reader = await owner.connect();
    await reader.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM ${schema}.chunk_1`);
    const change = migrate(owner, { schema, vectorIndex: "bit" });
    await untilBuilding(owner, schema, "bit");
    await owner.query(
      `INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata) VALUES ('a', 1, 1, 1, '{}')`,
    );
    await owner.query(
      `INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
        SELECT 'a', 'a', 'A loja abre às nove.', '{}', '', array_agg(1)::public.vector FROM generate_series(1, 64)`,
    );
    const { rows } = await owner.query(`SELECT content FROM ${schema}.chunk_1`);
    expect(rows).toEqual([{ content: "A loja abre às nove." }]);
    expect((await migrationStatus(owner, { schema })).vectorIndexType).toBe("vector");
    await reader.query("COMMIT");
    reader.release();
    expect(await change).toMatchObject({ vectorIndex: "built" });
  });

  it("is started by only one of five calls that find the index missing at the same moment", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    const writer = await holdWrite(owner, schema);
    const count = 5;
    const everyoneLooked = gateOf();
    let looks = 0;
    const results: MigrateResult[] = [];
    const calls = Array.from({ length: count }, async () => {
      let hasLooked = false;
      const pool: DatabasePool = {
        connect: () => owner.connect(),
        query: async (text, values) => {
          const found = await owner.query(text, values);
          if (!hasLooked && text.includes("pg_stat_progress_create_index")) {
            hasLooked = true;
            looks += 1;
            if (looks === count) everyoneLooked.resolve();
            await everyoneLooked.promise;
          }
          return found;
        },
      };
      results.push(await migrate(pool, { schema }));
    });
    await until(() => results.length === count - 1);
    expect(new Set(results.map(({ vectorIndex }) => vectorIndex))).toEqual(new Set(["building"]));
    await writer.release();
    await Promise.all(calls);
    expect(results.at(-1)).toMatchObject({ vectorIndex: "built" });
    expect(await vectorIndexes(owner, schema)).toEqual([expect.not.stringMatching("INVALID")]);
  });

  it("is reported as building to concurrent calls of migrate", async () => {
    const { owner } = database;
    const schema = await migratedSchema(database);
    const writer = await holdWrite(owner, schema);
    const change = migrate(owner, { schema, vectorIndex: "bit" });
    await untilBuilding(owner, schema, "bit");
    for (const options of [{}, { vectorIndex: "bit" }] as const) {
      expect(await migrate(owner, { schema, ...options })).toMatchObject({ vectorIndex: "building" });
    }
    await writer.release();
    expect(await change).toMatchObject({ vectorIndex: "built" });
  });
});

/** An open write transaction, which a build waits for. */
async function holdWrite(owner: pg.Pool, schema: string): Promise<{ release: () => Promise<void> }> {
  const client = await owner.connect();
  await client.query(`BEGIN; LOCK TABLE ${schema}.chunk_1 IN ROW EXCLUSIVE MODE`);
  return {
    release: async () => {
      await client.query("COMMIT");
      client.release();
    },
  };
}

async function untilBuilding(owner: pg.Pool, schema: string, type: VectorIndexType): Promise<void> {
  await until(async () => {
    const { rowCount } = await owner.query(
      `SELECT FROM pg_stat_progress_create_index p JOIN pg_class c ON c.oid = p.index_relid
        WHERE p.relid = $1::regclass AND c.relname = $2`,
      [`${schema}.chunk_1`, NAMES[type]],
    );
    return rowCount === 1;
  });
}
