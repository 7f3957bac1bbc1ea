import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { planMigration, type MigrateOptions } from "../../src/migrations/options.js";
import type { VectorIndexType } from "../../src/schema/vector-index.js";

const refusal = (option: string, problem: string): InvalidArgumentError => new InvalidArgumentError(option, problem);

describe("planMigration", () => {
  it("fills in every default", () => {
    expect(planMigration({})).toStrictEqual({
      schema: "training_index",
      names: {
        schema: '"training_index"',
        profileId: 1,
        ticket: '"training_index".ticket',
        migration: '"training_index".migration',
        profile: '"training_index".profile',
        training: '"training_index".training',
        indexed: '"training_index".indexed_1',
        chunk: '"training_index".chunk_1',
        behind: '"training_index".behind',
        word: '"training_index".word',
        vector: '"public".vector',
        halfvec: '"public".halfvec',
        binaryQuantize: '"public".binary_quantize',
        distance: 'OPERATOR("public".<=>)',
        hammingDistance: 'OPERATOR("public".<~>)',
        extension: '"public"',
      },
      dimensions: 1024,
      idType: "text",
      trainings: undefined,
      textSearch: undefined,
      vectorIndex: "vector",
      method: undefined,
      hnsw: { m: 16, efConstruction: 64 },
      extensionSchema: "public",
    });
  });

  it("uses the given options", () => {
    const plan = planMigration({
      schema: "treinos",
      dimensions: 384,
      idType: "uuid",
      vectorIndex: "bit",
      hnsw: { m: 24, efConstruction: 128 },
      extensionSchema: "extensões",
    });
    expect(plan).toMatchObject({
      schema: "treinos",
      dimensions: 384,
      idType: "uuid",
      vectorIndex: "bit",
      hnsw: { m: 24, efConstruction: 128 },
      extensionSchema: "extensões",
    });
    expect(plan.names.chunk).toBe('"treinos".chunk_1');
    expect(plan.names.vector).toBe('"extensões".vector');
  });

  it("treats an undefined option as left out", () => {
    const options = {
      schema: undefined,
      dimensions: undefined,
      idType: undefined,
      trainings: undefined,
      vectorIndex: undefined,
      hnsw: { m: undefined },
    };
    expect(planMigration(options)).toEqual(planMigration({}));
  });

  it("quotes the names of the host's table, with defaults for its schema and column", () => {
    expect(planMigration({ trainings: { table: 'Trei"nos' } }).trainings).toStrictEqual({
      schema: "public",
      table: 'Trei"nos',
      column: "id",
      quotedTable: '"public"."Trei""nos"',
      quotedColumn: '"id"',
    });
    const trainings = { schema: "app", table: "treino", column: "código" };
    expect(planMigration({ trainings }).trainings).toMatchObject({
      quotedTable: '"app"."treino"',
      quotedColumn: '"código"',
    });
  });

  it("prefers the schema where pgvector was found to the requested one", () => {
    expect(planMigration({ extensionSchema: "a" }, { extensionSchema: "b" }).names.vector).toBe('"b".vector');
  });

  it("uses the type of the host's column for ids", () => {
    expect(planMigration({}, { hostIdType: "bigint" }).idType).toBe("bigint");
    expect(planMigration({ idType: "bigint" }, { hostIdType: "bigint" }).idType).toBe("bigint");
  });

  it("refuses an id type other than that of the host's column", () => {
    expect(() => planMigration({ idType: "text" }, { hostIdType: "uuid" })).toThrow(
      refusal("idType", "is text, but the host's column is uuid"),
    );
  });

  it.each(["varchar", "TEXT", "", 7, "text); DROP SCHEMA public; --"])("refuses the id type %j", (idType) => {
    expect(() => planMigration({ idType: idType as never })).toThrow(
      refusal("idType", "must be one of text, bigint, integer, uuid"),
    );
  });

  it.each([1, 2000])("accepts %d dimensions", (dimensions) => {
    expect(planMigration({ dimensions }).dimensions).toBe(dimensions);
  });

  it.each<[VectorIndexType, number]>([
    ["halfvec", 4000],
    ["bit", 16_000],
  ])("accepts as many dimensions as a %s index supports: %d", (vectorIndex, dimensions) => {
    expect(planMigration({ vectorIndex, dimensions }).dimensions).toBe(dimensions);
    expect(() => planMigration({ vectorIndex, dimensions: 16_001 })).toThrow(
      refusal("dimensions", `must be an integer from 1 to ${dimensions}`),
    );
  });

  it.each<[VectorIndexType | undefined, number, string]>([
    [undefined, 2001, '2000; with vectorIndex: "halfvec" up to 4000'],
    ["vector", 4001, '2000; with vectorIndex: "bit" up to 16000'],
    ["halfvec", 4001, '4000; with vectorIndex: "bit" up to 16000'],
  ])("for an index of type %s, suggests one that supports %d dimensions", (vectorIndex, dimensions, rest) => {
    expect(() => planMigration({ vectorIndex, dimensions })).toThrow(
      refusal("dimensions", `must be an integer from 1 to ${rest}`),
    );
  });

  it.each(["", "hnsw", "VECTOR", 7, "bit) --"])("refuses the index type %j", (vectorIndex) => {
    expect(() => planMigration({ vectorIndex: vectorIndex as never })).toThrow(
      refusal("vectorIndex", "must be one of vector, halfvec, bit"),
    );
  });

  it.each([0, 16_001, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1024"])("refuses %s dimensions", (dimensions) => {
    expect(() => planMigration({ dimensions: dimensions as never })).toThrow(
      refusal("dimensions", "must be an integer from 1 to 2000"),
    );
  });

  it.each([
    [2, 4],
    [100, 1000],
    [100, 200],
  ])("accepts m %d with efConstruction %d", (m, efConstruction) => {
    expect(planMigration({ hnsw: { m, efConstruction } }).hnsw).toEqual({ m, efConstruction });
  });

  it("fills in a missing HNSW parameter", () => {
    expect(planMigration({ hnsw: { m: 32 } }).hnsw).toEqual({ m: 32, efConstruction: 64 });
    expect(planMigration({ hnsw: { efConstruction: 200 } }).hnsw).toEqual({ m: 16, efConstruction: 200 });
    expect(planMigration({ hnsw: { efConstruction: 32 } }).hnsw).toEqual({ m: 16, efConstruction: 32 });
  });

  it.each([
    [2, 64],
    [31, 64],
    [32, 64],
    [33, 66],
    [100, 200],
  ])("for m %d, defaults efConstruction to %d", (m, efConstruction) => {
    expect(planMigration({ hnsw: { m } }).hnsw).toEqual({ m, efConstruction });
    expect(planMigration({ hnsw: { m, efConstruction: undefined } }).hnsw).toEqual({ m, efConstruction });
  });

  it.each([1, 101, 2.5, Number.NaN, "16", 16n])("refuses m %s", (m) => {
    expect(() => planMigration({ hnsw: { m: m as never, efConstruction: 1000 } })).toThrow(
      refusal("hnsw.m", "must be an integer from 2 to 100"),
    );
  });

  it.each([1, 101, 501, 2.5, 50.5, Number.NaN, Number.POSITIVE_INFINITY, "16", "66", 16n])(
    "refuses m %s even if efConstruction is left out",
    (m) => {
      expect(() => planMigration({ hnsw: { m: m as never } })).toThrow(
        refusal("hnsw.m", "must be an integer from 2 to 100"),
      );
    },
  );

  it.each([3, 1001, 64.5, Number.POSITIVE_INFINITY, "64"])("refuses efConstruction %s", (efConstruction) => {
    expect(() => planMigration({ hnsw: { m: 2, efConstruction: efConstruction as never } })).toThrow(
      refusal("hnsw.efConstruction", "must be an integer from 4 to 1000"),
    );
  });

  it.each([{ m: 32, efConstruction: 63 }, { m: 33, efConstruction: 64 }, { efConstruction: 31 }])(
    "refuses %j, as pgvector does",
    (hnsw) => {
      expect(() => planMigration({ hnsw })).toThrow(refusal("hnsw.efConstruction", "must be at least twice hnsw.m"));
    },
  );

  it.each<[string, (name: string) => MigrateOptions]>([
    ["schema", (name) => ({ schema: name })],
    ["extensionSchema", (name) => ({ extensionSchema: name })],
    ["trainings.schema", (name) => ({ trainings: { schema: name, table: "treino" } })],
    ["trainings.table", (name) => ({ trainings: { table: name } })],
    ["trainings.column", (name) => ({ trainings: { table: "treino", column: name } })],
  ])("refuses invalid names as %s", (option, withName) => {
    expect(() => planMigration(withName(""))).toThrow(refusal(option, "must be a non-empty string"));
    expect(() => planMigration(withName(7 as never))).toThrow(refusal(option, "must be a non-empty string"));
    expect(() => planMigration(withName("a\0"))).toThrow(refusal(option, "must not hold NUL or a lone surrogate"));
    expect(() => planMigration(withName("\ud800"))).toThrow(refusal(option, "must not hold NUL or a lone surrogate"));
    expect(() => planMigration(withName("ã".repeat(32)))).toThrow(refusal(option, "must not be longer than 63 bytes"));
    expect(() => planMigration(withName("a".repeat(64)))).toThrow(refusal(option, "must not be longer than 63 bytes"));
  });

  it("accepts names of 63 bytes", () => {
    const schema = "a".repeat(63);
    expect(planMigration({ schema }).names.schema).toBe(`"${schema}"`);
  });

  it("refuses a host's table without a name", () => {
    expect(() => planMigration({ trainings: {} as never })).toThrow(
      refusal("trainings.table", "must be a non-empty string"),
    );
  });
});
