import { describe, expect, it } from "vitest";
import type { IndexStatus } from "../../src/inspecting/index-status.js";
import { warningsOf, type Findings } from "../../src/inspecting/status-warnings.js";

type Status = Findings["status"];

const TABLE: IndexStatus["tables"][number] = {
  name: "chunk_1",
  bytes: 1e8,
  indexBytes: 1e8,
  deadRows: 0,
  lastVacuum: undefined,
  lastAnalyze: undefined,
};
const HEALTHY: Status = {
  schema: { name: "training_index", version: 5, latest: 5 },
  model: { name: "m", dimensions: 1024, recorded: true },
  otherModel: undefined,
  counts: { trainings: 10_000, chunks: 20_000, tombstones: 0, exact: true },
  sizes: { total: 2e8, tables: 1e8, indexes: 1e8 },
  tables: [TABLE],
  vectorIndex: { type: "vector", exists: true, valid: true, ready: true, bytes: 1e7, build: undefined, use: "used" },
  textSearch: undefined,
  server: { postgres: "17.2", pgvector: "0.8.7", isStandby: false },
};

/** The warnings of a healthy status with these changes, as `code: message`. */
function warnings(changes: Partial<Status>, findings: Partial<Omit<Findings, "status">> = {}): string[] {
  return warningsOf({
    status: { ...HEALTHY, ...changes },
    profileId: 1,
    hasFilter: false,
    defaultEfSearch: 40,
    lacksWords: false,
    lacksStatistics: false,
    availablePgvector: "0.8.7",
    liveRows: new Map([["chunk_1", 20_000]]),
    ...findings,
  }).map(({ code, message }) => `${code}: ${message}`);
}

const vectorIndex = (changes: Partial<IndexStatus["vectorIndex"]>): Partial<Status> => ({
  vectorIndex: { ...HEALTHY.vectorIndex, ...changes },
});
const withPgvector = (pgvector: string): Partial<Status> => ({ server: { ...HEALTHY.server, pgvector } });
const withDeadRows = (deadRows: number | undefined): Partial<Status> => ({ tables: [{ ...TABLE, deadRows }] });

/** Findings with this many chunks. */
function chunks(count: number): Partial<Findings> {
  return { liveRows: new Map([["chunk_1", count]]) };
}

describe("warningsOf", () => {
  it.each([
    ["a smaller index", {}, chunks(99_999)],
    ["a chosen efSearch", {}, { ...chunks(1e6), defaultEfSearch: undefined }],
    ["searches that compare all chunks", vectorIndex({ use: "notChosen" }), { ...chunks(1e6), hasFilter: true }],
  ])("does not mention efSearch for %s", (_, changes, findings) => {
    expect(warnings(changes, findings)).toEqual([]);
  });

  it("has none for a healthy index", () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({ counts: undefined })).toEqual([]);
  });

  it.each<[string, Partial<Status>, Partial<Omit<Findings, "status">>, string]>([
    ["SCHEMA_OUTDATED", { schema: { name: "training_index", version: 4, latest: 5 } }, {}, "run migrate(pool)"],
    [
      "SCHEMA_OUTDATED",
      { schema: { name: 'b"o', version: 4, latest: 5 } },
      {},
      'run migrate(pool, { schema: "b\\"o" })',
    ],
    ["SCHEMA_NEWER", { schema: { name: "bot", version: 6, latest: 5 } }, {}, "upgrade langchain-training-index"],
    ["WORDS_INCOMPLETE", {}, { lacksWords: true }, "run migrate(pool)"],
    ["VECTOR_INDEX_NOT_CHOSEN", vectorIndex({ use: "notChosen" }), {}, "run ANALYZE on training_index.chunk_1"],
    ["VECTOR_INDEX_MISSING", vectorIndex({ exists: false, valid: false, use: "notUsable" }), {}, "run migrate(pool)"],
    ["VECTOR_INDEX_INVALID", vectorIndex({ valid: false, use: "notUsable" }), {}, "run migrate(pool)"],
    [
      "VECTOR_INDEX_BUILDING",
      vectorIndex({ valid: false, use: "notUsable", build: { phase: "building index", progress: 0.5 } }),
      {},
      "wait for the build",
    ],
    ["EF_SEARCH_NOT_CHOSEN", {}, chunks(100_000), "hnsw: { efSearch: 100 }"],
    ["EF_SEARCH_NOT_CHOSEN", vectorIndex({ type: "halfvec" }), chunks(1_000_000), "hnsw: { efSearch: 200 }"],
    ["EF_SEARCH_NOT_CHOSEN", vectorIndex({ type: "bit" }), chunks(20_000), "hnsw: { efSearch: 200 }"],
    ["NEVER_ANALYZED", {}, { lacksStatistics: true }, "run ANALYZE training_index.chunk_1"],
    ["DEAD_ROWS", withDeadRows(8001), {}, "run VACUUM (ANALYZE) training_index.chunk_1"],
    [
      "MANY_TOMBSTONES",
      { counts: { trainings: 9999, chunks: 1, tombstones: 10_000, exact: true } },
      {},
      "run index.prune({ olderThanMs })",
    ],
    ["PGVECTOR_OUTDATED", withPgvector("0.8.1"), { availablePgvector: "0.8.1" }, "install a newer version"],
    ["PGVECTOR_OUTDATED", withPgvector("0.8.3"), {}, "run ALTER EXTENSION vector UPDATE, since the server has 0.8.7"],
    ["PGVECTOR_UPDATE_PENDING", withPgvector("0.8.4"), {}, "run ALTER EXTENSION vector UPDATE"],
  ])("%s names its remedy (%#)", (code, status, findings, remedy) => {
    const found = warnings(status, findings);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${code}: `);
    expect(found[0]).toContain(remedy);
  });

  it("names what is wrong with the installed pgvector, and no more", () => {
    expect(warnings(withPgvector("0.8.1"))[0]).toContain("parallel builds");
    expect(warnings(withPgvector("0.8.2"))[0]).not.toContain("parallel builds");
  });

  it("does not warn of what is as it should be", () => {
    const fewChunks = new Map([["chunk_1", 9_999]]);
    expect(warnings(vectorIndex({ use: "notChosen" }), { hasFilter: true })).toEqual([]);
    expect(warnings(vectorIndex({ use: "notChosen" }), { liveRows: fewChunks })).toEqual([]);
    expect(warnings(vectorIndex({ use: "tableIsSmall" }), { lacksStatistics: true })).toEqual([]);
    expect(warnings(vectorIndex({ build: { phase: "reindexing", progress: 0 } }))).toEqual([]);
    for (const deadRows of [999, 8000, undefined]) expect(warnings(withDeadRows(deadRows))).toEqual([]);
    expect(warnings({ counts: { trainings: 10_000, chunks: 1, tombstones: 10_000, exact: true } })).toEqual([]);
    expect(warnings({}, { availablePgvector: undefined })).toEqual([]);
    expect(warnings(withPgvector("0.8.7"), { availablePgvector: "0.8.0" })).toEqual([]);
  });

  it("quotes the name of a schema that SQL would not take as it is", () => {
    const schema = { name: 'Bot"', version: 5, latest: 5 };
    expect(warnings({ schema }, { lacksStatistics: true })[0]).toContain('run ANALYZE "Bot""".chunk_1');
  });
});
