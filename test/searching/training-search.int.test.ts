import { TrainingIndex, type Hit, type SearchMode, type TrainingHit } from "langchain-training-index";
import { expect, it } from "vitest";
import { randomOf } from "../../tooling/random.js";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { openTestIndex, type TestIndex } from "../support/index.js";
import { openWith, towards } from "../support/placed-vectors.js";
import { recordingPool } from "../support/recording-pool.js";

const MODES: readonly SearchMode[] = ["vector", "text", "hybrid"];
const WORDS = ["frete", "prazo", "troca", "pix", "boleto", "vaso", "adubo", "cartao"];
const QUESTION = "frete pix";

/** The scores that hits and trainings have in common. */
function scoresOf(hit: object): object {
  const names = ["score", "similarity", "distance", "coverage"];
  return Object.fromEntries(Object.entries(hit).filter(([name]) => names.includes(name)));
}

/** Twenty trainings of three to seven chunks, with metadata of the chunk (`parte`) and of the training (`grupo`, `interno`). */
async function openShop(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
  const random = randomOf(11);
  const word = (): string => WORDS[Math.floor(random() * WORDS.length)] ?? "";
  for (let place = 0; place < 20; place += 1) {
    const documents = Array.from({ length: 3 + (place % 5) }, (_, part) => ({
      pageContent: `${place}x${part} ${Array.from({ length: 4 + Math.floor(random() * 8) }, word).join(" ")}`,
      metadata: { parte: part % 2 },
    }));
    const metadata = { grupo: place % 2 === 0 ? "par" : "impar", interno: place };
    await test.index.upsertTraining({ id: `t${place}`, documents, split: false, metadata });
  }
  return test;
}

/** What strategy `trainings` must return, from all chunks in the order of their scores. */
function grouped(hits: readonly Hit[], k: number, perTraining: number): { trainingId: unknown; chunks: Hit[] }[] {
  const trainings = new Map<unknown, Hit[]>();
  for (const hit of hits) trainings.set(hit.trainingId, [...(trainings.get(hit.trainingId) ?? []), hit]);
  const best = [...trainings].slice(0, k);
  return best.map(([trainingId, chunks]) => ({ trainingId, chunks: chunks.slice(0, perTraining) }));
}

describeOnServer("strategy trainings", (database) => {
  it("returns one hit per training, ranked by its best chunk and with that chunk's scores", async () => {
    const { index } = await openWith(database, {
      // One perfect chunk among others about something else, against four that all nearly match.
      disperso: [towards(5), towards(0), towards(6), towards(7)],
      coeso: [towards(0, 0.1), towards(0, 0.2), towards(0, 0.3), towards(0, 0.25)],
      outro: [towards(9), towards(10)],
    });
    const hits = await index.similar(towards(0), { strategy: "trainings", k: 2 });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(["disperso", "coeso"]);
    const [first, second] = hits;
    expect(first).toMatchObject({ score: 1, similarity: 1, distance: 0, metadata: { grupo: "d" } });
    expect(first?.chunks[0]).toMatchObject({ content: "disperso 1", distance: 0, score: 1, position: 1 });
    expect(first?.chunks).toHaveLength(3);
    expect(second?.chunks.map(({ content }) => content)).toEqual(["coeso 0", "coeso 1", "coeso 3"]);
    expect(second?.score).toBeCloseTo(0.9 / Math.hypot(0.9, 0.1), 6);
    expect(second?.score).toBe(second?.chunks[0]?.score);
  });

  it.each(MODES)("returns the trainings of the best chunks, with each one's best chunks: mode %s", async (mode) => {
    const { index } = await openShop(database);
    for (const filter of [undefined, { grupo: "par" }, { parte: 1 }, { parte: 0, grupo: "impar" }]) {
      const all: Hit[] = await index.similar(QUESTION, { mode, filter, k: 1000 });
      expect(all.length).toBeGreaterThan(10);
      for (const [k, perTraining] of [
        [5, undefined],
        [1, 1],
        [3, 2],
        [20, 1000],
      ] as const) {
        const search = { mode, filter, k, perTraining, strategy: "trainings" } as const;
        const hits: TrainingHit[] = await index.similar(QUESTION, search);
        const found = hits.map(({ trainingId, chunks }) => ({ trainingId, chunks }));
        expect(found, JSON.stringify(search)).toEqual(grouped(all, k, perTraining ?? 3));
        for (const hit of hits) {
          expect(scoresOf(hit)).toEqual(scoresOf(hit.chunks[0] ?? {}));
          expect(Object.keys(hit).sort()).toEqual(
            ["trainingId", "metadata", "chunks", ...Object.keys(scoresOf(hit))].sort(),
          );
        }
      }
    }
  });

  it.each(MODES)("has the fields of its mode: %s", async (mode) => {
    const { index } = await openShop(database);
    const [hit] = await index.similar(QUESTION, { mode, strategy: "trainings", k: 1 });
    const fields = {
      vector: ["score", "similarity", "distance"],
      text: ["score", "coverage"],
      hybrid: ["score", "similarity", "distance", "coverage"],
    };
    expect(Object.keys(scoresOf(hit ?? {})).sort()).toEqual(fields[mode].sort());
  });

  it.each(MODES)("adds trainings with a larger k, and changes none: mode %s", async (mode) => {
    const { index } = await openShop(database);
    const find = async (k: number): Promise<unknown[]> =>
      index.similar(QUESTION, { mode, strategy: "trainings", k, neighbors: { before: 1 } });
    const all = await find(20);
    expect(all.length).toBeGreaterThan(10);
    for (let k = 1; k < 20; k += 1) expect(await find(k)).toEqual(all.slice(0, k));
  });

  it.each(MODES)("drops chunks below a threshold, and trainings without any other: mode %s", async (mode) => {
    const { index } = await openShop(database);
    const all: Hit[] = await index.similar(QUESTION, { mode, k: 1000 });
    const best: TrainingHit[] = await index.similar(QUESTION, { mode, strategy: "trainings", k: 20 });
    const minScore = best[6]?.score ?? NaN;
    const search = { mode, strategy: "trainings", k: 20, perTraining: 1000 } as const;
    const hits: TrainingHit[] = await index.similar(QUESTION, { ...search, minScore });
    const kept = all.filter(({ score }) => score >= minScore);
    expect(hits.map(({ trainingId, chunks }) => ({ trainingId, chunks }))).toEqual(grouped(kept, 20, 1000));
    expect(hits.length).toBeLessThan(best.length);
    expect(hits.length).toBeGreaterThanOrEqual(7);
    expect(await index.similar(QUESTION, { ...search, minScore: 1 })).toEqual([]);
  });

  it("drops chunks that are too far away: mode hybrid", async () => {
    const { index } = await openShop(database);
    const all = await index.similar(QUESTION, { mode: "hybrid", k: 1000 });
    const maxDistance = [...all].sort((a, b) => (a.distance ?? NaN) - (b.distance ?? NaN))[10]?.distance;
    const search = { mode: "hybrid", strategy: "trainings", k: 20, perTraining: 1000, maxDistance } as const;
    const kept = all.filter(({ distance }) => (distance ?? NaN) <= (maxDistance ?? NaN));
    const hits = await index.similar(QUESTION, search);
    expect(hits.map(({ trainingId, chunks }) => ({ trainingId, chunks }))).toEqual(grouped(kept, 20, 1000));
  });

  it("answers by words alone if the embedder fails and onTextOnly is given", async () => {
    const { index, embeddings } = await openShop(database);
    const byText = await index.similar(QUESTION, { mode: "text", strategy: "trainings" });
    embeddings.embedQuery = () => Promise.reject(new Error("connect ECONNREFUSED"));
    const search = { mode: "hybrid", strategy: "trainings" } as const;
    await expect(index.similar(QUESTION, search)).rejects.toMatchObject({ code: "EMBEDDING_FAILED" });
    const hits = await index.similar(QUESTION, { ...search, onTextOnly: () => undefined });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(byText.map(({ trainingId }) => trainingId));
    for (const [place, { score, similarity, distance, coverage, chunks }] of hits.entries()) {
      expect({ similarity, distance, coverage }).toEqual({ coverage: byText[place]?.coverage });
      expect(score).toBe(0.65 * coverage);
      expect(chunks.map(({ chunkId }) => chunkId)).toEqual(byText[place]?.chunks.map(({ chunkId }) => chunkId));
    }
  });

  it.each(MODES)("fills the page even if few trainings have most of the best chunks: mode %s", async (mode) => {
    const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const documents = Array.from({ length: 1_100 }, (_, place) => ({ pageContent: `frete frete frete pix ${place}` }));
    await index.upsertTraining({ id: "fretes", documents, split: false });
    await index.upsertTraining({ id: "prazo", content: "O frete chega em três dias." });
    await index.upsertTraining({ id: "preco", content: "Qual é o valor do frete para o norte?" });
    const hits: TrainingHit[] = await index.similar(QUESTION, { mode, strategy: "trainings", k: 3 });
    expect(hits.map(({ trainingId }) => trainingId).sort()).toEqual(["fretes", "prazo", "preco"]);
    expect(hits[0]?.trainingId).toBe("fretes");
    expect(hits.map(({ chunks }) => chunks.length)).toEqual([3, 1, 1]);
  });

  it("applies the filters of the search and of the index", async () => {
    const trainings = { a1: [towards(0)], b1: [towards(1)], b2: [towards(2)] };
    const test = await openWith(database, trainings, { textSearch: "portuguese" });
    const { embeddings, pool, schema } = test;
    const scoped = await TrainingIndex.initialize(embeddings, { pool, schema, filter: { grupo: "a" } });
    for (const mode of MODES) {
      const search = { mode, strategy: "trainings" } as const;
      const hits: TrainingHit[] = await test.index.similar("a1 b1 b2", { ...search, filter: { grupo: "b" } });
      expect(hits.map(({ trainingId }) => trainingId).sort()).toEqual(["b1", "b2"]);
      expect(await scoped.similar("a1 b1", search)).toMatchObject([{ trainingId: "a1" }]);
      expect(await scoped.similar("b1", { ...search, filter: { grupo: "b" } })).toEqual([]);
    }
  });

  it("takes one round trip in every mode, and accepts a text", async () => {
    const trainings = { a: [towards(0)], b: [towards(1)] };
    const { embeddings, pool, schema } = await openWith(database, trainings, { textSearch: "portuguese" });
    const recording = recordingPool(pool);
    const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
    for (const mode of MODES) {
      recording.statements.length = 0;
      expect(await index.similar("a 0 b", { mode, strategy: "trainings" })).toHaveLength(2);
      expect(recording.statements).toHaveLength(1);
    }
  });

  it("refuses an unknown strategy", async () => {
    const { index } = await openTestIndex(database);
    const strategy = "documents" as "trainings";
    await expect(index.similar("girassol", { strategy })).rejects.toMatchObject({ option: "strategy" });
  });
});
