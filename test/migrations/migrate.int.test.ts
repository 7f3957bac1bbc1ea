import { SchemaError, TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate, migrationSql, migrationStatus } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { expect, inject, it, onTestFinished } from "vitest";
import { describeOnEach, describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { schemaAtVersionOne } from "../support/earlier-schema.js";
import { DIMENSIONS, dropAtEnd, migratedSchema } from "../support/index.js";

/** Everything in a schema as the catalogs describe it, without the schema's own name. */
async function describeSchema(pool: pg.Pool, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `SELECT format('column %s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull, a.attstorage, array_to_string(c.reloptions, ',')) AS line
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'S')
    UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE c.relnamespace = $1::regnamespace
    UNION ALL SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.connamespace = $1::regnamespace
    ORDER BY 1`,
    [`"${schema}"`],
  );
  return rows.map(({ line }) => line.replaceAll(schema, "schema"));
}

describeOnEach("migrate", (database) => {
  it("creates the schema, and has nothing to do on a repeat", async () => {
    const { owner: pool } = database;
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    expect(await migrate(pool, { schema })).toEqual({
      schema,
      version: 6,
      applied: [1, 2, 3, 4, 5, 6],
      vectorIndex: "built",
    });
    const made = await describeSchema(pool, schema);
    expect(await migrate(pool, { schema })).toEqual({ schema, version: 6, applied: [], vectorIndex: "kept" });
    expect(await describeSchema(pool, schema)).toEqual(made);
    // Postgres prints the type with its schema if that is not on the search_path.
    expect(made.map((line) => line.replace("public.vector", "vector"))).toContain(
      "column chunk_1.embedding vector(1024) t m toast_tuple_target=8160",
    );
  });

  it("builds the HNSW index for cosine distance with the given parameters", async () => {
    const { owner: pool } = database;
    const schema = await migratedSchema(database, { hnsw: { m: 8, efConstruction: 32 } });
    const { rows } = await pool.query<{ definition: string }>("SELECT pg_get_indexdef($1::regclass) AS definition", [
      `${schema}.chunk_1_embedding`,
    ]);
    expect(rows[0]?.definition).toMatch(/USING hnsw \(embedding (public\.)?vector_cosine_ops\)/);
    expect(rows[0]?.definition).toMatch(/m='?8'?, ef_construction='?32'?/);
  });

  it("creates one schema if 20 calls start at the same time", async () => {
    const { owner: pool } = database;
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    const results = await Promise.all(Array.from({ length: 20 }, () => migrate(pool, { schema })));
    expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    const { rows } = await pool.query(`SELECT version FROM ${schema}.migration ORDER BY version`);
    expect(rows).toEqual([
      { version: 1 },
      { version: 2 },
      { version: 3 },
      { version: 4 },
      { version: 5 },
      { version: 6 },
    ]);
  });

  it("prints the SQL that it runs", async () => {
    const { owner: pool } = database;
    const migrated = await migratedSchema(database, { dimensions: 8, idType: "bigint" });
    const printed = uniqueName();
    dropAtEnd(database.owner, printed);
    await pool.query(migrationSql({ schema: printed, dimensions: 8, idType: "bigint" }));
    expect(await describeSchema(pool, printed)).toEqual(await describeSchema(pool, migrated));
    expect(await migrate(pool, { schema: printed })).toMatchObject({ applied: [], vectorIndex: "kept" });
  });

  it("changes ids to byte order, and rewrites only the indexes on ids", async () => {
    const { owner: pool } = database;
    const files = async (schema: string): Promise<Map<string, string>> => {
      const { rows } = await pool.query<{ name: string; file: string }>(
        `SELECT relname AS name, relfilenode::text AS file FROM pg_class
          WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'i')`,
        [schema],
      );
      return new Map(rows.map(({ name, file }) => [name, file]));
    };
    for (const [idType, expected] of [
      ["text", ["chunk_1.id", "chunk_1.training_id", "indexed_1.training_id", "training.id", "word.word"]],
      ["uuid", ["chunk_1.id", "word.word"]],
    ] as const) {
      const schema = await schemaAtVersionOne(database, { idType });
      const before = await files(schema);
      expect(await migrate(pool, { schema })).toMatchObject({ applied: [2, 3, 4, 5, 6] });
      const { rows } = await pool.query<{ name: string }>(
        `SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND a.attcollation = '"C"'::regcollation ORDER BY 1`,
        [schema],
      );
      expect(rows.map(({ name }) => name)).toEqual(expected);
      const after = await files(schema);
      for (const kept of ["training", "chunk_1", "indexed_1", "chunk_1_embedding", "chunk_1_metadata"]) {
        expect(after.get(kept)).toBe(before.get(kept));
      }
      expect(after.get("chunk_1_id")).not.toBe(before.get("chunk_1_id"));
    }
  });

  it("changes nothing if its printed statements are for another id type", async () => {
    const { owner: pool } = database;
    const schema = await schemaAtVersionOne(database, { idType: "bigint" });
    const made = await describeSchema(pool, schema);
    await expect(pool.query(migrationSql({ schema, from: 1 }))).rejects.toMatchObject({ code: "42804" });
    expect(await describeSchema(pool, schema)).toEqual(made);
    await pool.query(migrationSql({ schema, from: 1, idType: "bigint" }));
    expect(await migrate(pool, { schema })).toMatchObject({ applied: [] });
  });

  it("refuses dimensions, an id type or parameters that differ from the existing ones", async () => {
    const { owner: pool } = database;
    const schema = await migratedSchema(database, { dimensions: 8 });
    await pool.query(
      `INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata) VALUES ('a', 1, 1, 1, '{}');
      INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
        VALUES ('a', 'a', 'loja', '{}', '', '[1,0,0,0,0,0,0,0]')`,
    );
    for (const options of [{ dimensions: 16 }, { idType: "uuid" as const }, { hnsw: { m: 32 } }]) {
      const failure = await migrate(pool, { schema, ...options }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SchemaError);
      expect(failure).toMatchObject({ code: "SCHEMA_CONFLICT" });
    }
    // Omitted options keep their recorded values.
    expect(await migrate(pool, { schema })).toMatchObject({ applied: [] });
  });

  it.each(["schema", "tables"] as const)("refuses citus %j without Citus, and creates nothing", async (citus) => {
    const { owner: pool } = database;
    const schema = uniqueName();
    await expect(migrate(pool, { schema, citus })).rejects.toMatchObject({
      code: "EXTENSION_MISSING",
      message:
        `citus is "${citus}", but this database has no Citus: ` +
        "run CREATE EXTENSION citus on all nodes and add the workers, or leave citus out",
    });
    const { rows } = await pool.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema]);
    expect(rows).toEqual([]);
  });

  it.each([
    [{ citus: "rows" }, "citus"],
    [{ citus: true }, "citus"],
    [{ citus: "tables", textSearch: "portuguese" }, "textSearch"],
  ])("refuses %j before it asks the database", async (options, option) => {
    const pool = { connect: expect.unreachable, query: expect.unreachable };
    await expect(migrate(pool, options as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", option });
  });

  it("rebuilds a vector index that was dropped", async () => {
    const { owner: pool } = database;
    const schema = await migratedSchema(database);
    for (const options of [{ hnsw: { m: 4, efConstruction: 16 } }, {}]) {
      await pool.query(`DROP INDEX ${schema}.chunk_1_embedding`);
      expect((await migrationStatus(pool, { schema })).vectorIndex).toBe("missing");
      expect(await migrate(pool, { schema, ...options })).toMatchObject({
        applied: [],
        vectorIndex: "built",
      });
      expect((await migrationStatus(pool, { schema })).vectorIndex).toBe("valid");
      // The parameters of the first rebuild are recorded and used by the second.
      const described = await describeSchema(pool, schema);
      expect(described.find((line) => line.includes("chunk_1_embedding"))).toMatch(/m='?4'?, ef_construction='?16'?/);
    }
  });

  it("replaces a vector index that a failed build left invalid", async () => {
    const { owner: pool } = database;
    const schema = await migratedSchema(database);
    await pool.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", [
      `${schema}.chunk_1_embedding`,
    ]);
    expect((await migrationStatus(pool, { schema })).vectorIndex).toBe("invalid");
    expect(await migrate(pool, { schema })).toMatchObject({ vectorIndex: "built" });
    expect((await migrationStatus(pool, { schema })).vectorIndex).toBe("valid");
  });

  it("refuses to touch a schema that is newer than the library", async () => {
    const { owner: pool } = database;
    const schema = await migratedSchema(database);
    await pool.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (99, 'later', true)`);
    await expect(migrate(pool, { schema })).rejects.toMatchObject({ code: "SCHEMA_NEWER" });
    const open = TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
      pool,
      schema,
    });
    await expect(open).rejects.toMatchObject({ code: "SCHEMA_NEWER" });
  });

  it("accepts a newer schema whose changes are not breaking", async () => {
    const { owner: pool } = database;
    const schema = await migratedSchema(database);
    await pool.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (99, 'later', false)`);
    expect(await migrate(pool, { schema })).toMatchObject({ applied: [] });
    const open = TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
      pool,
      schema,
    });
    await expect(open).resolves.toBeInstanceOf(TrainingIndex);
  });
});

describeOnEach("the foreign key to the host's table", (database) => {
  it.each([
    { hostType: "serial", idType: "integer", id: 1 },
    { hostType: "bigserial", idType: "bigint", id: 1 },
    { hostType: "text", idType: "text", id: "um" },
    { hostType: "varchar(40)", idType: "text", id: "um" },
    { hostType: "uuid", idType: "uuid", id: "6f1c7a52-0f4d-4d39-9d3b-0d2c1a7f9f10" },
  ])(
    "sets the id type for a $hostType column, and deletes chunks with the host's row",
    async ({ hostType, idType, id }) => {
      const { pool, owner } = database;
      const host = await hostTable(owner, hostType);
      await owner.query(`INSERT INTO public.${host} (id) VALUES ($1)`, [id]);
      const schema = await migratedSchema(database, { trainings: { table: host } });
      expect((await migrationStatus(pool, { schema })).idType).toBe(idType);

      const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
        pool,
        schema,
      });
      await index.upsertTraining({ id, content: "A garantia é de um ano." });
      expect(await index.similar("garantia")).toMatchObject([{ trainingId: id }]);
      await owner.query(`DELETE FROM public.${host}`);
      expect(await index.similar("garantia")).toEqual([]);
      const { rows } = await pool.query(`SELECT FROM ${schema}.training`);
      expect(rows).toEqual([]);
    },
  );

  it("makes an upsert superseded and a delete absent if the host has no such row", async () => {
    const { pool, owner } = database;
    const host = await hostTable(owner, "serial");
    const schema = await migratedSchema(database, { trainings: { table: host } });
    const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
      pool,
      schema,
    });
    expect(await index.upsertTraining({ id: 7, content: "nada" })).toMatchObject({ status: "superseded" });
    expect(await index.deleteTraining(7)).toEqual({ id: 7, status: "absent", removed: 0 });
  });

  it("is added once to a schema that was migrated without it", async () => {
    const { pool, owner } = database;
    const host = await hostTable(owner, "serial");
    const schema = await migratedSchema(database, { idType: "integer" });
    await migrate(owner, { schema, trainings: { table: host } });
    await migrate(owner, { schema, trainings: { table: host } });
    const { rows } = await pool.query("SELECT FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'f'", [
      `${schema}.training`,
    ]);
    expect(rows).toHaveLength(1);
  });

  it("cannot be on a missing table, an unsupported id type, or a second table", async () => {
    const { owner } = database;
    const host = await hostTable(owner, "serial");
    const other = await hostTable(owner, "serial");
    const dated = await hostTable(owner, "date");
    const schema = await migratedSchema(database, { trainings: { table: host } });
    await expect(migrate(owner, { schema: uniqueName(), trainings: { table: "nowhere" } })).rejects.toThrow(
      /"public"."nowhere" \("id"\) does not exist/,
    );
    await expect(migrate(owner, { schema: uniqueName(), trainings: { table: dated } })).rejects.toThrow(
      /has the type date/,
    );
    await expect(migrate(owner, { schema, trainings: { table: other } })).rejects.toMatchObject({
      code: "SCHEMA_CONFLICT",
    });
    await expect(
      migrate(owner, { schema: uniqueName(), idType: "text", trainings: { table: host } }),
    ).rejects.toMatchObject({ option: "idType" });
  });
});

async function hostTable(owner: pg.Pool, idType: string): Promise<string> {
  const table = uniqueName("host");
  await owner.query(`CREATE TABLE public.${table} (id ${idType} PRIMARY KEY)`);
  onTestFinished(async () => {
    await owner.query(`DROP TABLE public.${table} CASCADE`);
  });
  return table;
}

describeOnServer("a fresh database", () => {
  it("gets pgvector once if 8 schemas are migrated at the same time", async () => {
    const pool = await freshDatabase();
    const schemas = Array.from({ length: 8 }, () => uniqueName());
    const results = await Promise.all(schemas.map((schema) => migrate(pool, { schema })));
    expect(results.map(({ applied }) => applied)).toEqual(schemas.map(() => [1, 2, 3, 4, 5, 6]));
  });

  it("has a status before the first migration, and cannot be opened", async () => {
    const pool = await freshDatabase();
    expect(await migrationStatus(pool)).toEqual({
      schema: "training_index",
      version: 0,
      latest: 6,
      damaged: [],
      pending: [
        "trainings and chunks",
        "recorded index",
        "replaced version",
        "text search",
        "ids in byte order",
        "words",
      ],
      extension: undefined,
      idType: undefined,
      dimensions: undefined,
      model: undefined,
      vectorIndex: "missing",
      vectorIndexType: undefined,
      textSearch: undefined,
    });
    const open = TrainingIndex.initialize(new HashingEmbeddings(), { pool });
    await expect(open).rejects.toMatchObject({ code: "EXTENSION_MISSING" });
  });

  it("reports which privilege a role lacks, with the statement to run", async () => {
    const owner = await freshDatabase();
    const role = uniqueName("role");
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const { database } =
      (await owner.query<{ database: string }>("SELECT current_database() AS database")).rows[0] ?? {};
    const url = new URL(requireServerUrl());
    Object.assign(url, { username: role, password: "x", pathname: `/${database ?? ""}` });
    const pool = openPool(url.href);
    const withoutExtension = await migrate(pool).catch((error: unknown) => error);
    expect(withoutExtension).toBeInstanceOf(SchemaError);
    expect(withoutExtension).toMatchObject({ code: "INSUFFICIENT_PRIVILEGE" });
    expect((withoutExtension as Error).message).toContain('CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA "public"');

    await owner.query("CREATE EXTENSION vector");
    const withoutSchema = await migrate(pool).catch((error: unknown) => error);
    expect((withoutSchema as Error).message).toContain('CREATE SCHEMA IF NOT EXISTS "training_index"');

    await migrate(owner, { dimensions: DIMENSIONS });
    const open = TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), { pool });
    await expect(open).rejects.toMatchObject({ code: "INSUFFICIENT_PRIVILEGE" });
  });
});

/** A database that is dropped when the test ends. */
async function freshDatabase(): Promise<pg.Pool> {
  const name = uniqueName("database");
  const admin = openPool(requireServerUrl());
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(requireServerUrl());
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href });
  pool.on("error", () => undefined);
  onTestFinished(async () => {
    await pool.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  return pool;
}

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString });
  pool.on("error", () => undefined);
  onTestFinished(() => pool.end());
  return pool;
}

it.skipIf(inject("isServerOnly"))("migrates an embedded database in a folder, and reopens it", async () => {
  const { mkdtemp, rm } = await import("node:fs/promises");
  const folder = await mkdtemp("/tmp/training-index-");
  onTestFinished(() => rm(folder, { recursive: true }));
  const first = embeddedPool(folder);
  await migrate(first, { dimensions: DIMENSIONS });
  const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
    pool: first,
  });
  await index.upsertTraining({ id: "a", content: "A garantia é de um ano." });
  await first.end();

  const second = embeddedPool(folder);
  onTestFinished(() => second.end());
  expect(await migrate(second)).toMatchObject({ applied: [], vectorIndex: "kept" });
  const again = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
    pool: second,
  });
  expect(await again.similar("garantia")).toMatchObject([{ trainingId: "a" }]);
});
