import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { TrainingIndex } from "langchain-training-index";
import type { VectorIndexType } from "langchain-training-index/migrations";
import { describe, expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { filledIndex, openTestIndex, type TestIndex } from "../support/index.js";

/** Vectors of real texts, beside the repository; `bench/real-data.ts` describes them. */
const REAL_VECTORS = new URL("../../../shared/data/minilm-vectors/", import.meta.url);
const hasRealVectors = existsSync(REAL_VECTORS);
const K = 10;
/** Enough that the table is large, and searches use the vector index. */
const COUNT = 500;
const CLUSTERED_DIMENSIONS = 512;

/** Stores without statistics of the table: ANALYZE at any moment of a test would make the planner read so few rows one by one. */
async function store({ index, owner, schema }: TestIndex, vectors: readonly number[][]): Promise<void> {
  await owner.query(`ALTER TABLE ${schema}.chunk_1 SET (autovacuum_enabled = false)`);
  const documents = vectors.map((_, number) => ({ pageContent: `Texto ${number}`, metadata: { parte: number % 2 } }));
  await index.vectorStore.addVectors([...vectors], documents, { ids: vectors.map((_, number) => `${number}`) });
}

/** The cosine distances between all vectors, row by row, computed directly. */
function distancesOf(vectors: readonly number[][]): Float64Array[] {
  const unit = vectors.map((vector) => {
    const length = Math.hypot(...vector);
    return Float64Array.from(vector, (component) => component / length);
  });
  return unit.map((left) =>
    Float64Array.from(unit, (right) => {
      let product = 0;
      for (let place = 0; place < left.length; place++) product += (left[place] ?? 0) * (right[place] ?? 0);
      return 1 - product;
    }),
  );
}

/** The share of the nearest neighbors of all vectors that `similar` finds. */
async function recallOf(index: TrainingIndex, vectors: readonly number[][], efSearch: number): Promise<number> {
  const distances = distancesOf(vectors);
  let sum = 0;
  for (const [number, vector] of vectors.entries()) {
    const own = distances[number] ?? new Float64Array();
    const farthest = own.filter((_, other) => other !== number).sort()[K - 1] ?? 0;
    const hits = await index.similar(vector, { k: K + 1, efSearch });
    const others = hits.filter(({ trainingId }) => trainingId !== `${number}`).slice(0, K);
    // pgvector computes with 32 bits.
    sum += others.filter(({ trainingId }) => (own[Number(trainingId)] ?? 2) <= farthest + 1e-6).length / K;
  }
  return sum / vectors.length;
}

async function readRealVectors(): Promise<number[][]> {
  const bytes = await readFile(new URL("embeddings.bin", REAL_VECTORS));
  const { dimensions } = JSON.parse(await readFile(new URL("metadata.json", REAL_VECTORS), "utf8")) as {
    dimensions: number;
  };
  return Array.from({ length: COUNT }, (_, row) =>
    Array.from({ length: dimensions }, (_, column) => bytes.readFloatLE(4 * (row * dimensions + column))),
  );
}

/** Vectors around a few centers, always the same. */
function clusteredVectors(): number[][] {
  let state = 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647 - 0.5;
  const vectorOf = (): number[] => Array.from({ length: CLUSTERED_DIMENSIONS }, random);
  const centers = Array.from({ length: 30 }, vectorOf);
  return Array.from({ length: COUNT }, (_, number) =>
    vectorOf().map((noise, place) => (centers[number % centers.length]?.[place] ?? 0) + 0.5 * noise),
  );
}

const title = hasRealVectors
  ? "recall of real vectors"
  : `recall of real vectors (left out: no ${REAL_VECTORS.pathname})`;
describe.skipIf(!hasRealVectors)(title, () => {
  describeOnServer("recall", (database) => {
    it("agrees with a direct computation", async () => {
      const vectors = await readRealVectors();
      const dimensions = vectors[0]?.length ?? 0;
      const test = await openTestIndex(database, {}, { dimensions, hnsw: { m: 4, efConstruction: 8 } });
      await store(test, vectors);
      const { index } = test;
      const { rows, questions } = await index.recall({ k: K, efSearch: [11], sample: COUNT });
      expect(questions).toBe(COUNT);
      expect(rows[0]?.recall).toBeCloseTo(await recallOf(index, vectors, 11), 3);
      expect(rows[0]?.recall).toBeLessThan(0.995);
    });
  });
});

describeOnServer("recall of clustered vectors", (database) => {
  const vectors = clusteredVectors();
  const fill = (test: TestIndex): Promise<void> => store(test, vectors);
  const hnsw = { m: 4, efConstruction: 8 };
  const filled = filledIndex(database, fill, { dimensions: CLUSTERED_DIMENSIONS, hnsw });
  const bit: VectorIndexType = "bit";
  const filledBit = filledIndex(database, fill, { dimensions: CLUSTERED_DIMENSIONS, vectorIndex: bit });

  it("agrees with a direct computation, and suggests the lowest efSearch that reaches the target", async () => {
    const { index } = filled();
    const { rows, questions, exactP50Ms } = await index.recall({ k: K, efSearch: [200, 11], sample: COUNT });
    expect(questions).toBe(COUNT);
    expect(exactP50Ms).toBeGreaterThan(0);
    expect(rows.map(({ efSearch }) => efSearch)).toEqual([11, 200]);
    const [low, high] = rows.map(({ recall }) => recall);
    expect(low).toBeCloseTo(await recallOf(index, vectors, 11), 3);
    expect(high).toBeGreaterThan(low ?? 1);
    for (const { p50Ms, p95Ms } of rows) expect(p95Ms).toBeGreaterThanOrEqual(p50Ms);
    const options = { k: K, efSearch: [11, 200], sample: 20 };
    const reached = await index.recall({ ...options, target: 0.01 });
    expect(reached.suggestedEfSearch).toBe(11);
    expect(reached.suggestion).toMatch(/^efSearch 11 finds \d+\.\d % of the 10 nearest chunks/);
    const missed = await index.recall({ ...options, efSearch: [11], target: 1 });
    expect(missed.suggestion).toContain("No measured efSearch finds 100.0 % of the 10 nearest chunks");
  });

  it("of an index of type bit grows with rerankFactor", async () => {
    const { index } = filledBit();
    const recallWith = async (rerankFactor: number): Promise<number> =>
      (await index.recall({ efSearch: [11], sample: 50, rerankFactor })).rows[0]?.recall ?? 0;
    const [one, ten] = [await recallWith(1), await recallWith(10)];
    expect(one).toBeLessThan(0.9);
    expect(ten).toBeGreaterThan(one + 0.1);
  });

  it("is measured among the chunks that match the filters", async () => {
    const { index } = filled();
    const { rows, questions } = await index.recall({ k: 5, efSearch: [200], sample: 50, filter: { parte: 1 } });
    expect(questions).toBe(50);
    expect(rows[0]?.recall).toBeGreaterThan(0.9);
  });

  it("ends when the time is up, or the signal fires", async () => {
    const { index } = filled();
    const { questions } = await index.recall({ sample: COUNT, maxMs: 100 });
    expect(questions).toBeGreaterThan(0);
    expect(questions).toBeLessThan(COUNT);
    await expect(index.recall({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describeOnServer("recall", (database) => {
  it("of a small index is complete, and of an empty one unknown", async () => {
    const { index } = await openTestIndex(database);
    expect(await index.recall()).toMatchObject({
      rows: [],
      questions: 0,
      suggestion: "There are too few chunks to measure",
    });
    await index.upsertTrainings(["a", "b", "c"].map((id) => ({ id, content: `Texto ${id}` })));
    const { rows, suggestion } = await index.recall({ efSearch: [40] });
    expect(rows).toMatchObject([{ efSearch: 40, recall: 1 }]);
    expect(suggestion).toContain("every search compares all chunks");
  });

  it("refuses bad options", async () => {
    const { index } = await openTestIndex(database);
    const wrong = [
      [{ k: 0 }, "k"],
      [{ k: 1000 }, "k"],
      [{ efSearch: 40 as never }, "efSearch"],
      [{ efSearch: [] }, "efSearch"],
      [{ efSearch: [40, 0] }, "efSearch[1]"],
      [{ sample: 0 }, "sample"],
      [{ target: 2 }, "target"],
      [{ maxMs: 0 }, "maxMs"],
      [{ filters: {} } as never, "filters"],
    ] as const;
    for (const [options, option] of wrong)
      await expect(index.recall(options), option).rejects.toMatchObject({ option });
  });
});
