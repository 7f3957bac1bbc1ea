import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { migrations } from "../../src/migrations/list.js";
import { migrationSql, type MigrationSqlOptions } from "../../src/migrations/print.js";
import { SCHEMA_VERSION } from "../../src/schema/layout.js";
import type { VectorIndexType } from "../../src/schema/vector-index.js";

const HOSTILE = `a"; DROP SCHEMA public; --'$$\n`;
const HOSTILE_QUOTED = `"a""; DROP SCHEMA public; --'$$\n"`;

/** The statements of an SQL text, without comments. */
function statementsOf(sql: string): string[] {
  return sql
    .replace(/ --.*$/gm, "")
    .split(";\n")
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}

describe("migrations", () => {
  it("have nothing to tell while they are written", () => {
    const options: object = { onNotice: () => undefined };
    expect(() => migrationSql(options)).toThrow(/onNotice/);
  });

  it("have versions from 1 on without gaps", () => {
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
  });

  it("end with the version that the library's statements require", () => {
    expect(migrations.at(-1)?.version).toBe(SCHEMA_VERSION);
  });

  it("have unique names that need no escaping in SQL", () => {
    const names = migrations.map(({ name }) => name);
    for (const name of names) expect(name).toMatch(/^[a-z0-9 ]+$/);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("migrationSql", () => {
  it("prints the statements in the order in which migrate runs them", () => {
    const heads = statementsOf(migrationSql()).map((statement) => statement.split(" (")[0]?.split("\n")[0]);
    expect(heads).toEqual([
      'CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA "public"',
      'CREATE SCHEMA IF NOT EXISTS "training_index"',
      'CREATE TABLE IF NOT EXISTS "training_index".migration',
      'CREATE SEQUENCE "training_index".ticket AS bigint',
      'CREATE TABLE "training_index".training',
      'CREATE INDEX training_deleted ON "training_index".training',
      'CREATE TABLE "training_index".profile',
      'CREATE UNIQUE INDEX profile_active ON "training_index".profile',
      'INSERT INTO "training_index".profile',
      'CREATE TABLE "training_index".indexed_1',
      'CREATE TABLE "training_index".chunk_1',
      'ALTER TABLE "training_index".chunk_1 ALTER COLUMN embedding SET STORAGE MAIN',
      'CREATE INDEX chunk_1_id ON "training_index".chunk_1',
      'CREATE INDEX chunk_1_metadata ON "training_index".chunk_1 USING gin',
      'CREATE INDEX chunk_1_embedding ON "training_index".chunk_1',
      'INSERT INTO "training_index".migration',
      'ALTER TABLE "training_index".profile',
      'ALTER TABLE "training_index".profile',
      'ALTER INDEX "training_index".chunk_1_metadata SET',
      'INSERT INTO "training_index".migration',
      'ALTER TABLE "training_index".training ADD COLUMN replaced_ticket bigint',
      'INSERT INTO "training_index".migration',
      'ALTER TABLE "training_index".profile ADD COLUMN text_search text',
      'INSERT INTO "training_index".migration',
      'ALTER TABLE "training_index".training ALTER COLUMN id TYPE text COLLATE "C"',
      'ALTER TABLE "training_index".indexed_1 ALTER COLUMN training_id TYPE text COLLATE "C"',
      'ALTER TABLE "training_index".chunk_1 ALTER COLUMN training_id TYPE text COLLATE "C", ALTER COLUMN id TYPE text COLLATE "C"',
      'INSERT INTO "training_index".migration',
      'CREATE TABLE "training_index".word',
      'CREATE INDEX word_word ON "training_index".word',
      'CREATE INDEX word_fragments ON "training_index".word USING gin',
      'ALTER TABLE "training_index".profile ADD COLUMN words_filled_at timestamptz',
      'INSERT INTO "training_index".migration',
    ]);
  });

  it("ends every statement with a semicolon, and separates them by a blank line", () => {
    const sql = migrationSql();
    expect(sql.endsWith(";\n")).toBe(true);
    expect(sql.split(";\n\n")).toHaveLength(statementsOf(sql).length);
  });

  it("records each migration that it prints", () => {
    const records = statementsOf(migrationSql()).filter((statement) => statement.includes("(version, name, breaking)"));
    expect(records).toEqual([
      `INSERT INTO "training_index".migration (version, name, breaking) VALUES (1, 'trainings and chunks', true)`,
      `INSERT INTO "training_index".migration (version, name, breaking) VALUES (2, 'recorded index', false)`,
      `INSERT INTO "training_index".migration (version, name, breaking) VALUES (3, 'replaced version', false)`,
      `INSERT INTO "training_index".migration (version, name, breaking) VALUES (4, 'text search', false)`,
      `INSERT INTO "training_index".migration (version, name, breaking) VALUES (5, 'ids in byte order', false)`,
      `INSERT INTO "training_index".migration (version, name, breaking) VALUES (6, 'words', false)`,
    ]);
  });

  it("qualifies and quotes every name", () => {
    const sql = migrationSql({
      schema: "treinos",
      extensionSchema: "ext",
      idType: "bigint",
      trainings: { schema: "app", table: "treino", column: "código" },
    });
    const statements = statementsOf(sql).join("\n");
    const named = /(?:TABLE|SEQUENCE|INTO|REFERENCES|INDEX \w+ ON|SCHEMA)(?: IF NOT EXISTS)? (\S+)/g;
    const names = [...statements.matchAll(named)].map(([, name]) => name);
    expect([...new Set(names)].sort()).toEqual([
      '"app"."treino"',
      '"ext"',
      '"treinos"',
      '"treinos".chunk_1',
      '"treinos".indexed_1',
      '"treinos".migration',
      '"treinos".profile',
      '"treinos".ticket',
      '"treinos".training',
      '"treinos".word',
    ]);
    // No table, type or operator class appears without its schema.
    expect(statements).not.toMatch(
      /(?<!"\.)\b(?:training|profile|migration|indexed_1|ticket|vector_cosine_ops)\b(?! bigint| text)/,
    );
    expect(statements).not.toMatch(/(?<!"ext"\.|')\bvector\b(?! WITH SCHEMA "ext")/);
    expect(statements).toContain('REFERENCES "app"."treino" ("código") ON DELETE CASCADE');
    expect(statements).toContain('embedding "ext".vector(1024) NOT NULL');
    expect(statements).toContain('(embedding "ext".vector_cosine_ops)');
  });

  it.each<[string, (name: string) => MigrationSqlOptions]>([
    ["schema", (name) => ({ schema: name })],
    ["extensionSchema", (name) => ({ extensionSchema: name })],
    ["trainings.schema", (name) => ({ idType: "text", trainings: { schema: name, table: "t" } })],
    ["trainings.table", (name) => ({ idType: "text", trainings: { table: name } })],
    ["trainings.column", (name) => ({ idType: "text", trainings: { table: "t", column: name } })],
  ])("quotes a hostile name wherever it is used: %s", (_option, withName) => {
    const sql = migrationSql(withName(HOSTILE));
    expect(sql).toContain(HOSTILE_QUOTED);
    expect(sql.replaceAll(HOSTILE_QUOTED, '"inocente"')).toBe(migrationSql(withName("inocente")));
  });

  it("applies the options", () => {
    const sql = migrationSql({ dimensions: 384, idType: "uuid", hnsw: { m: 24, efConstruction: 128 } });
    expect(sql).toContain("  id uuid PRIMARY KEY,");
    expect(sql.match(/training_id uuid /g)).toHaveLength(2);
    expect(sql).toContain(`VALUES (1, 'active', 384)`);
    expect(sql).toContain('embedding "public".vector(384) NOT NULL');
    expect(sql).toContain("WITH (m = 24, ef_construction = 128)");
    expect(sql).toContain("hnsw_m integer NOT NULL DEFAULT 24");
    expect(sql).toContain("hnsw_ef_construction integer NOT NULL DEFAULT 128");
  });

  it.each<[VectorIndexType, string, string]>([
    ["vector", "chunk_1_embedding", 'embedding "ext".vector_cosine_ops'],
    ["halfvec", "chunk_1_embedding_halfvec", '(embedding::"ext".halfvec(8)) "ext".halfvec_cosine_ops'],
    ["bit", "chunk_1_embedding_bit", '("ext".binary_quantize(embedding)::bit(8)) "ext".bit_hamming_ops'],
  ])("creates and records an index of type %s", (vectorIndex, name, indexed) => {
    const sql = migrationSql({ vectorIndex, dimensions: 8, extensionSchema: "ext" });
    expect(sql).toContain(
      `CREATE INDEX ${name} ON "training_index".chunk_1\n  USING hnsw (${indexed}) WITH (m = 16, ef_construction = 64)`,
    );
    expect(sql).toContain(`vector_index text NOT NULL DEFAULT '${vectorIndex}'`);
    expect(sql.match(/USING hnsw/g)).toHaveLength(1);
  });

  it("prints the statements that record the vector index of a schema at version 1", () => {
    const sql = migrationSql({ from: 1, hnsw: { m: 8 } });
    expect(sql).toContain("vector_index text NOT NULL DEFAULT 'vector'");
    expect(sql).toContain("hnsw_m integer NOT NULL DEFAULT 8");
    expect(sql).not.toContain("chunk_1_embedding");
  });

  it.each<VectorIndexType>(["halfvec", "bit"])("refuses to change the index into one of type %s", (vectorIndex) => {
    expect(() => migrationSql({ from: 1, vectorIndex })).toThrow(
      new InvalidArgumentError(
        "vectorIndex",
        'can only be "vector" with from: 1, because that version has such an index: print and run the statements without ' +
          "vectorIndex, then run migrate(pool, { vectorIndex }) to change it",
      ),
    );
  });

  it("creates a foreign key only for a host's table", () => {
    expect(migrationSql({ idType: "integer", trainings: { table: "treino" } })).toContain(
      '  id integer PRIMARY KEY REFERENCES "public"."treino" ("id") ON DELETE CASCADE,',
    );
    expect(migrationSql({ idType: "integer" })).toContain("  id integer PRIMARY KEY,");
  });

  it("creates the schema for pgvector unless it is public", () => {
    const sql = migrationSql({ extensionSchema: "ext" });
    expect(statementsOf(sql).slice(0, 2)).toEqual([
      'CREATE SCHEMA IF NOT EXISTS "ext"',
      'CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA "ext"',
    ]);
    expect(migrationSql()).not.toContain('CREATE SCHEMA IF NOT EXISTS "public"');
  });

  it("prints nothing that cannot run in a transaction", () => {
    expect(migrationSql()).not.toMatch(/CONCURRENTLY|BEGIN|COMMIT/);
  });

  it("prints everything from version 0, and nothing from the last version", () => {
    expect(migrationSql({ from: 0 })).toBe(migrationSql());
    expect(migrationSql({ from: undefined })).toBe(migrationSql());
    expect(migrationSql({ from: SCHEMA_VERSION })).toBe("");
  });

  it.each([-1, SCHEMA_VERSION + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "0", null])(
    "refuses to print from %s",
    (from) => {
      expect(() => migrationSql({ from: from as never })).toThrow(
        new InvalidArgumentError("from", `must be an integer from 0 to ${SCHEMA_VERSION}`),
      );
    },
  );

  it("refuses a host's table without an id type", () => {
    expect(() => migrationSql({ trainings: { table: "treino" } })).toThrow(
      new InvalidArgumentError(
        "idType",
        "must be given with trainings: migrationSql does not ask the database for the column's type",
      ),
    );
  });

  it("refuses options that migrate refuses", () => {
    expect(() => migrationSql({ dimensions: 0 })).toThrow(
      new InvalidArgumentError("dimensions", "must be an integer from 1 to 2000"),
    );
    expect(() => migrationSql({ schema: "" })).toThrow(
      new InvalidArgumentError("schema", "must be a non-empty string"),
    );
    expect(() => migrationSql({ schema: "a\0", from: SCHEMA_VERSION })).toThrow(
      new InvalidArgumentError("schema", "must not hold NUL or a lone surrogate"),
    );
  });
});
