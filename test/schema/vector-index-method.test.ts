import { InvalidArgumentError } from "langchain-training-index";
import { diskannIndex, migrationSql, vchordrqIndex, type VectorIndexMethod } from "langchain-training-index/migrations";
import { describe, expect, it } from "vitest";
import { searchChunks } from "../../src/search-sql/vector-search-sql.js";
import { checkIndexMethod } from "../../src/schema/vector-index-method.js";

/** The statement of `migrate` that creates the vector index. */
function created(vectorIndex: VectorIndexMethod): string | undefined {
  const statements = migrationSql({ vectorIndex, dimensions: 1024, extensionSchema: "ext" }).split(";\n");
  return statements.find((text) => text.includes("CREATE INDEX chunk_1_embedding "))?.trim();
}

/** What a search sets for its statement. */
function settingsOf({ settings }: VectorIndexMethod): string {
  const layout = { schema: "s", profileId: 1, idType: "text", extensionSchema: "ext", scanSettings: settings } as const;
  const shape = {
    limit: 5,
    condition: undefined,
    type: "vector",
    dimensions: 3,
    plan: "planner's",
    candidates: 5,
  } as const;
  const page = { strategy: "chunks", k: 5, perTraining: undefined } as const;
  const text = searchChunks(layout, shape, page, { withEmbedding: false, neighbors: undefined });
  expect(text).toContain(`ORDER BY embedding OPERATOR("ext".<=>) $1::"ext".vector`);
  return /\(SELECT (set_config.*)\)\s+IS NOT NULL/.exec(text)?.[1] ?? "";
}

const HNSW = "set_config('hnsw.ef_search', $2, true) || set_config('hnsw.iterative_scan', 'strict_order', true)";

describe("Vector indexes of other extensions", () => {
  it("pgvectorscale: the statement and the settings of searches", () => {
    expect(created(diskannIndex())).toBe(
      'CREATE INDEX chunk_1_embedding ON "training_index".chunk_1\n  USING diskann (embedding "ext".vector_cosine_ops)',
    );
    expect(settingsOf(diskannIndex())).toBe(`${HNSW} || set_config('diskann.query_search_list_size', $2, true)`);
    const tuned = diskannIndex({ schema: "vector scale", numNeighbors: 64, queryRescore: 200 });
    expect(created(tuned)).toContain(
      'USING diskann (embedding "vector scale".vector_cosine_ops) WITH (num_neighbors = 64)',
    );
    expect(settingsOf(tuned)).toBe(
      `${HNSW} || set_config('diskann.query_search_list_size', $2, true) || set_config('diskann.query_rescore', '200', true)`,
    );
  });

  it("VectorChord: the statement and the settings of searches", () => {
    expect(created(vchordrqIndex())).toContain('USING vchordrq (embedding "ext".vector_cosine_ops)');
    expect(settingsOf(vchordrqIndex())).toBe(`${HNSW} || set_config('vchordrq.probes', '', true)`);
    const tuned = vchordrqIndex({ schema: "vchord", lists: 1000, epsilon: 1.5 });
    expect(created(tuned)).toContain(
      'USING vchordrq (embedding "vchord".vector_cosine_ops) WITH (options = $$[build.internal]\nlists = [1000]\nspherical_centroids = true\n$$)',
    );
    expect(settingsOf(tuned)).toBe(
      `${HNSW} || set_config('vchordrq.probes', '100', true) || set_config('vchordrq.epsilon', '1.5', true)`,
    );
    expect(settingsOf(vchordrqIndex({ lists: 10, probes: 3 }))).toContain("set_config('vchordrq.probes', '3', true)");
  });

  it("their options are checked", () => {
    expect(() => diskannIndex({ numNeighbors: 5 })).toThrow("numNeighbors must be an integer from 10 to 1000");
    expect(() => diskannIndex({ queryRescore: -1 })).toThrow("queryRescore must be an integer from 0 to 1000");
    expect(() => diskannIndex({ schema: "" })).toThrow(InvalidArgumentError);
    expect(() => vchordrqIndex({ lists: 0 })).toThrow("lists must be an integer from 1 to 1000000");
    expect(() => vchordrqIndex({ probes: 3 })).toThrow("probes needs lists");
    expect(() => vchordrqIndex({ lists: 10, probes: 11 })).toThrow("probes must be an integer from 1 to 10");
    expect(() => vchordrqIndex({ epsilon: Number.NaN })).toThrow("epsilon must be a number from 0 to 4");
  });

  it.each([
    [[], "vectorIndex must be an object"],
    [
      { method: "a", create: (): string => "", cerate: 1 },
      "vectorIndex.cerate is not known to migrate: did you mean create?",
    ],
    [{ method: "a; DROP", create: (): string => "" }, "vectorIndex.method must be the name of an access method"],
    [{ method: "a" }, "vectorIndex.create must be a function"],
    [{ method: "a", create: (): string => "", settings: null }, "vectorIndex.settings must be an object"],
    [
      { method: "a", create: (): string => "", settings: { jit: "off" } },
      "vectorIndex.settings must be settings of an extension",
    ],
    [
      { method: "a", create: (): string => "", settings: { "a.b": 1 } },
      "vectorIndex.settings must be settings of an extension",
    ],
  ])("what is no method is refused: %j", (given, problem) => {
    expect(() => checkIndexMethod(given, "migrate")).toThrow(problem);
  });

  it("values of settings are quoted, and a statement must begin with its method", () => {
    const method: VectorIndexMethod = { method: "any", create: (): string => "", settings: { "any.thing": "it's" } };
    expect(settingsOf(method)).toBe(`${HNSW} || set_config('any.thing', 'it''s', true)`);
    for (const text of ["", "USING other (embedding)", "; DROP TABLE a", undefined as unknown as string]) {
      expect(() => created({ ...method, create: () => text })).toThrow(
        "vectorIndex.create must return a text that begins with USING any (",
      );
    }
  });
});
