import {
  EmbeddingError,
  InvalidArgumentError,
  TrainingIndex,
  type Hit,
  type HybridHit,
  type Notice,
  type TextHit,
} from "langchain-training-index";
import { migrate, migrationSql, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded, uniqueName } from "../support/databases.js";
import { dropAtEnd, openTestIndex, type TestIndex } from "../support/index.js";
import { coverages, GARDEN_QUESTION, openGarden } from "../support/garden.js";
import { recordingPool } from "../support/recording-pool.js";

const PORTUGUESE = { textSearch: "portuguese" } as const;

const SHOP = [
  { id: "manutencao", content: "A manutenção das estações é feita aos domingos.", metadata: { grupo: "a" } },
  { id: "entregas", content: "Entregamos em todo o Brasil em três dias úteis.", metadata: { grupo: "a" } },
  { id: "trocas", content: "Trocas são aceitas em até sete dias.", metadata: { grupo: "b" } },
  {
    id: "ajuda",
    content: "Escreva para https://loja.example/ajuda?tema=pix ou d'água@loja.example.",
    metadata: {},
  },
];

async function openShop(
  ...[database, options]: Parameters<typeof openTestIndex>
): Promise<TestIndex & { found: (question: string) => Promise<unknown[]> }> {
  const test = await openTestIndex(database, options, PORTUGUESE);
  for await (const { status } of test.index.upsertTrainings(SHOP)) expect(status).toBe("indexed");
  const found = async (question: string): Promise<unknown[]> => {
    const hits = await test.index.similar(question, { mode: "text" });
    return hits.map(({ trainingId }) => trainingId);
  };
  return { ...test, found };
}

describeOnServerOrEmbedded("mode text", (database) => {
  it("finds words whatever their inflection, case and accents, even decomposed accents", async () => {
    const { found } = await openShop(database);
    for (const question of [
      "manutencao",
      "MANUTENÇÕES",
      "Onde fica a estação?",
      "estacoes",
      "manutenção".normalize("NFD"),
    ]) {
      expect(await found(question), question).toEqual(["manutencao"]);
    }
    expect(await found("entregar")).toEqual(["entregas"]);
    expect(await found("troca")).toEqual(["trocas"]);
  });

  it("finds chunks with any of a question's words, the best match first", async () => {
    const { found } = await openShop(database);
    expect(await found("Em quantos dias entregam no Brasil?")).toEqual(["entregas", "trocas"]);
  });

  it("embeds nothing, and returns each chunk's score and coverage", async () => {
    const { index, embeddings } = await openShop(database);
    embeddings.embedQuery = () => expect.unreachable();
    const hits = await index.similar("dias de troca", { mode: "text" });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(["trocas", "entregas"]);
    const [best, second] = hits.map(({ coverage }) => coverage);
    expect(best).toBeGreaterThan(second ?? Infinity);
    expect(second).toBeGreaterThan(0);
    expect(hits[0]).toEqual({
      trainingId: "trocas",
      chunkId: expect.any(String) as string,
      position: 0,
      start: 0,
      end: SHOP[2]?.content.length,
      content: SHOP[2]?.content,
      metadata: { grupo: "b" },
      score: best,
      coverage: best,
    });
  });

  it.each([
    ["stop words only", "a de o que é em para"],
    ["punctuation only", "?! ... --- '' \"\" \\ & | ! ( ) :* <->"],
    ["unknown words", "xilofone quântico"],
  ])("finds nothing for %s", async (_name, question) => {
    const { found } = await openShop(database);
    expect(await found(question)).toEqual([]);
  });

  it.each([
    ["quotes and operators of tsquery", `troca' | 'b' & !"c" <-> (z:*) \\' \\\\`, "trocas"],
    ["a URL", "https://loja.example/ajuda?tema=pix", "ajuda"],
    ["a host", "loja.example", "ajuda"],
    ["SQL", "troca'; DROP TABLE training; --", "trocas"],
    ["5,000 words", `troca ${"palavra qualquer outra coisa ".repeat(1250)}`, "trocas"],
    ["a word of 100,000 letters", `troca ${"x".repeat(100_000)}`, "trocas"],
    ["NUL, a lone surrogate and emoji", "troca\0 \ud800 🙂", "trocas"],
  ])("accepts a question with %s", async (_name, question, first) => {
    const { found } = await openShop(database);
    expect((await found(question))[0]).toBe(first);
  });

  it("applies the filters of the search and of the index", async () => {
    const { index, pool, schema, embeddings } = await openShop(database);
    const find = async (filter: Record<string, string>): Promise<unknown[]> =>
      (await index.similar("dias", { mode: "text", filter })).map(({ trainingId }) => trainingId);
    expect(await find({ grupo: "a" })).toEqual(["entregas"]);
    expect(await find({ grupo: "z" })).toEqual([]);
    const scoped = await TrainingIndex.initialize(embeddings, { pool, schema, filter: { grupo: "b" } });
    expect((await scoped.similar("dias", { mode: "text" })).map(({ trainingId }) => trainingId)).toEqual(["trocas"]);
  });

  it("follows an edit and a delete", async () => {
    const { index, found } = await openShop(database);
    await index.upsertTraining({ id: "trocas", content: "Devoluções são pagas pela loja." });
    expect(await found("troca")).toEqual([]);
    expect(await found("devolução")).toEqual(["trocas"]);
    await index.deleteTraining("trocas");
    expect(await found("devolução")).toEqual([]);
  });

  it("stores a chunk with more words than can be indexed, and finds it by its first word", async () => {
    const { index, found } = await openShop(database);
    const words = Array.from({ length: 200_000 }, (_, place) => `w${place.toString(36)}`).join(" ");
    await index.upsertTraining({
      id: "longo",
      documents: [`{"page_content":"primeira ${words}"}`],
      split: false,
    });
    expect(await found("primeira")).toEqual(["longo"]);
  });

  it("ranks as BM25 does, and scores by its share of the highest BM25", async () => {
    const { index, scoresFor } = await openGarden(database);
    for (const question of ["poda agua girassol", "luz", "poda xilofone vaso xadrez"]) {
      const expected = await scoresFor(question);
      const hits = await index.similar(question, { mode: "text", k: 20 });
      for (const { trainingId, score, coverage } of hits) {
        expect(coverage).toBeCloseTo(expected.get(String(trainingId))?.coverage ?? NaN, 6);
        expect(score).toBe(coverage);
      }
      const best = [...expected.values()].map(({ coverage }) => coverage).sort((left, right) => right - left);
      expect(hits.map(({ coverage }) => coverage.toFixed(6))).toEqual(
        best.slice(0, 20).map((coverage) => coverage.toFixed(6)),
      );
    }
  });

  it("ranks as BM25 does with many words in the question, and words that are repeated often", async () => {
    const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const question = [
      "poda",
      "agua",
      "luz",
      "adubo",
      "terra",
      "vaso",
      "orquidea",
      "girassol",
      "semente",
      "jardim",
      "muda",
    ];
    const texts = [1, 2, 3, 7, 20, 50, 100].flatMap((times) =>
      question.map((word, place) => [...Array.from({ length: times }, () => word), ...question.slice(0, place)]),
    );
    await index.upsertTrainings(
      texts.map((words, place) => ({ id: `t${place}`, documents: [{ pageContent: words.join(" ") }], split: false })),
    );
    const expected = coverages(texts, question);
    const hits = await index.similar(question.join(" "), { mode: "text", k: texts.length });
    expect(hits).toHaveLength(texts.length);
    for (const { trainingId, coverage } of hits) {
      expect(coverage).toBeCloseTo(expected[Number(String(trainingId).slice(1))] ?? NaN, 6);
    }
  });

  it("covers a question less if it has a word that no chunk has", async () => {
    const { index } = await openShop(database);
    const coverageOf = async (question: string): Promise<number> => {
      const [hit] = await index.similar(question, { mode: "text", k: 1 });
      expect(hit?.trainingId).toBe("trocas");
      return hit?.coverage ?? NaN;
    };
    const whole = await coverageOf("troca em sete dias");
    const missing = await coverageOf("troca em sete dias de xilofone");
    expect(missing).toBeLessThan(whole);
    expect(await coverageOf("troca em sete dias de xilofone quântico")).toBeLessThan(missing);
    // Stop words are no words of the question, and a repetition is no other word.
    expect(await coverageOf("a troca em até os sete dias, sete dias?")).toBeCloseTo(whole, 12);
  });

  it("has no coverage above 1, even of a text that repeats the question's words", async () => {
    const { index } = await openShop(database);
    for (const [id, times] of [
      ["uma", 1],
      ["muitas", 250],
      ["demais", 5_000],
    ] as const) {
      const documents = [{ pageContent: "xilofone quântico ".repeat(times) }];
      await index.upsertTraining({ id, documents, split: false });
    }
    for (const mode of ["text", "hybrid"] as const) {
      const hits: Hit<"text" | "hybrid">[] = await index.similar("xilofone quântico", { mode });
      const coverages = new Map(hits.map(({ trainingId, coverage }) => [trainingId, coverage]));
      for (const id of ["muitas", "demais"]) {
        expect(coverages.get(id)).toBeGreaterThan(0.98);
        expect(coverages.get(id)).toBeLessThanOrEqual(1);
      }
      expect(coverages.get("uma")).toBeGreaterThan(0.4);
      expect(coverages.get("uma")).toBeLessThan(0.7);
      for (const { score } of hits) expect(score).toBeLessThanOrEqual(1);
    }
  });

  it.each(["text", "hybrid"] as const)("refuses queries without words in mode %s", async (mode) => {
    const { index } = await openShop(database);
    const vector = Array.from({ length: 64 }, () => 1);
    await expect(index.similar(vector, { mode })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "query",
    });
    await expect(index.similar(" \n", { mode })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "query",
    });
  });

  it("refuses a schema without text search, and says what to run; so does asRetriever", async () => {
    const { index } = await openTestIndex(database);
    for (const mode of ["text", "hybrid"] as const) {
      const error = await index.similar("troca", { mode }).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect((error as Error).message).toContain('migrate(pool, { textSearch: "portuguese" })');
      expect(() => index.asRetriever({ mode })).toThrow(InvalidArgumentError);
    }
  });

  it("refuses an unknown mode", async () => {
    const { index } = await openShop(database);
    const mode = "bm25" as "text";
    await expect(index.similar("troca", { mode })).rejects.toMatchObject({ option: "mode" });
  });
});

describeOnServerOrEmbedded("mode hybrid", (database) => {
  it("scores every candidate by similarity and coverage, and orders by their weighted sum", async () => {
    const { index, scoresFor } = await openGarden(database);
    const byVector = await index.similar(GARDEN_QUESTION, { k: 50 });
    const byText = await index.similar(GARDEN_QUESTION, { mode: "text", k: 50 });
    const candidates = new Set([...byVector, ...byText].map(({ trainingId }) => String(trainingId)));
    expect(candidates.size).toBeGreaterThan(55);
    const expected = await scoresFor(GARDEN_QUESTION);
    for (const [weights, vector, text] of [
      [undefined, 0.35, 0.65],
      [{ vector: 1, text: 1 }, 0.5, 0.5],
      [{ vector: 3, text: 1 }, 0.75, 0.25],
    ] as const) {
      const hits = await index.similar(GARDEN_QUESTION, { mode: "hybrid", weights, k: 50 });
      for (const { trainingId, score, similarity, distance, coverage } of hits) {
        const scores = expected.get(String(trainingId));
        expect(similarity).toBeCloseTo(scores?.similarity ?? NaN, 5);
        expect(coverage).toBeCloseTo(scores?.coverage ?? NaN, 6);
        expect(similarity).toBe(1 - (distance ?? NaN));
        expect(score).toBeCloseTo(vector * (similarity ?? NaN) + text * coverage, 14);
      }
      const best = [...candidates]
        .map((id) => vector * (expected.get(id)?.similarity ?? NaN) + text * (expected.get(id)?.coverage ?? NaN))
        .sort((left, right) => right - left);
      expect(hits).toHaveLength(50);
      for (const [place, { score }] of hits.entries()) expect(score).toBeCloseTo(best[place] ?? NaN, 5);
    }
  });

  it("gives a hit that only one search found the score that the other mode gives it", async () => {
    const { index } = await openGarden(database);
    const rankOf = (hits: Hit[], id: string): number => hits.findIndex(({ chunkId }) => chunkId === id);
    const isCandidate = (rank: number): boolean => rank >= 0 && rank < 50;
    const seen = { byVectorOnly: 0, byTextOnly: 0, withoutWords: 0 };
    for (const question of [GARDEN_QUESTION, "poda"]) {
      const byVector = await index.similar(question, { k: 1000 });
      const byText = await index.similar(question, { mode: "text", k: 1000 });
      expect(byText.length).toBeLessThan(byVector.length);
      for (const weights of [undefined, { text: 0 }, { vector: 0 }]) {
        for (const hit of await index.similar(question, { mode: "hybrid", weights, k: 50 })) {
          const [inVector, inText] = [rankOf(byVector, hit.chunkId), rankOf(byText, hit.chunkId)];
          expect(isCandidate(inVector) || isCandidate(inText)).toBe(true);
          expect(hit.distance).toBe(byVector[inVector]?.distance);
          expect(hit.similarity).toBe(byVector[inVector]?.similarity);
          expect(hit.coverage).toBe(inText < 0 ? 0 : byText[inText]?.coverage);
          if (!isCandidate(inVector)) seen.byTextOnly += 1;
          else if (inText < 0) seen.withoutWords += 1;
          else if (!isCandidate(inText)) seen.byVectorOnly += 1;
        }
      }
    }
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
  });

  it("gives a chunk the same score whatever else is found: with another k, filter, or limit per training", async () => {
    const { index } = await openGarden(database);
    const all = await index.similar(GARDEN_QUESTION, { mode: "hybrid", k: 120 });
    expect(all).toHaveLength(120);
    const scores = new Map(all.map(({ chunkId, score }) => [chunkId, score]));
    for (const options of [
      { k: 5 },
      { k: 50 },
      { k: 5, filter: { parte: 1 } },
      { k: 50, filter: { parte: 0 } },
      { k: 10, perTraining: 1 },
      { k: 10, minScore: 0.2 },
    ]) {
      const hits = await index.similar(GARDEN_QUESTION, { mode: "hybrid", ...options });
      expect(hits.length, JSON.stringify(options)).toBeGreaterThan(2);
      for (const { chunkId, score } of hits) expect(score).toBe(scores.get(chunkId));
    }
  });

  it.each(["vector", "text", "hybrid"] as const)(
    "adds hits with a larger k, and changes none: mode %s",
    { timeout: 120_000 },
    async (mode) => {
      const { index } = await openGarden(database);
      for (const question of [GARDEN_QUESTION, "vaso xilofone"]) {
        for (const filter of [undefined, { parte: 1 }]) {
          const all: Hit[] = await index.similar(question, { mode, k: 50, filter });
          for (let k = 1; k < 50; k += 1) {
            const hits: Hit[] = await index.similar(question, { mode, k, filter });
            expect(hits).toEqual(all.slice(0, k));
          }
        }
      }
    },
  );

  it("divides weights by their sum; one that is left out keeps its default", async () => {
    const { index } = await openGarden(database);
    const find = async (weights?: { vector?: number | undefined; text?: number | undefined }): Promise<HybridHit[]> =>
      index.similar(GARDEN_QUESTION, { mode: "hybrid", weights, k: 20 });
    const byDefault = await find();
    for (const same of [{}, { vector: 0.35 }, { text: 0.65 }, { vector: 0.35, text: 0.65 }, { vector: undefined }])
      expect(await find(same), JSON.stringify(same)).toEqual(byDefault);
    for (const [weights, vector, text] of [
      [{ vector: 7, text: 13 }, 0.35, 0.65],
      [{ vector: 1000, text: 1000 }, 0.5, 0.5],
      [{ vector: 1e-9, text: 1e-9 }, 0.5, 0.5],
      [{ vector: 2 }, 2 / 2.65, 0.65 / 2.65],
      [{ text: 2 }, 0.35 / 2.35, 2 / 2.35],
      [{ vector: 0 }, 0, 1],
      [{ text: 0 }, 1, 0],
    ] as const) {
      const hits = await find(weights);
      expect(hits).toHaveLength(20);
      for (const { score, similarity, coverage } of hits)
        expect(score, JSON.stringify(weights)).toBeCloseTo(vector * (similarity ?? NaN) + text * coverage, 14);
      const scores = hits.map(({ score }) => score);
      expect(scores).toEqual([...scores].sort((left, right) => right - left));
    }
  });

  it("orders as the one mode does if the other one has no weight", async () => {
    const { index } = await openShop(database);
    const question = "dias de troca";
    const ids = async (weights: { vector?: number; text?: number }): Promise<unknown[]> =>
      (await index.similar(question, { mode: "hybrid", weights })).map(({ trainingId }) => trainingId);
    const byVector = await index.similar(question);
    expect(await ids({ text: 0 })).toEqual(byVector.map(({ trainingId }) => trainingId));
    expect((await ids({ vector: 0 })).slice(0, 2)).toEqual(["trocas", "entregas"]);
    for (const weights of [
      { text: -1 },
      { text: 1001 },
      { vector: NaN },
      { vector: 0, text: 0 },
      null,
      { text: "1" },
      { text: null },
      { words: 1 },
    ]) {
      await expect(
        index.similar(question, { mode: "hybrid", weights: weights as { text: number } }),
      ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });

  it("applies a filter to both searches", async () => {
    const { index } = await openShop(database);
    const hits = await index.similar("dias", { mode: "hybrid", filter: { grupo: "b" } });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(["trocas"]);
  });

  it("answers from words alone if the embedder fails and onTextOnly is given, with a notice", async () => {
    const { index, embeddings, pool, schema } = await openShop(database);
    embeddings.embedQuery = () => Promise.reject(new Error("connect ECONNREFUSED"));
    await expect(index.similar("troca", { mode: "hybrid" })).rejects.toBeInstanceOf(EmbeddingError);
    const told: Error[] = [];
    const notices: Notice[] = [];
    const telling = await TrainingIndex.initialize(embeddings, {
      pool,
      schema,
      onNotice: (notice) => notices.push(notice),
    });
    const search = { mode: "hybrid", onTextOnly: (error: Error) => told.push(error) } as const;
    const hits = await telling.similar("troca", search);
    expect(told).toEqual([expect.any(EmbeddingError)]);
    expect(notices).toMatchObject([{ code: "TEXT_ONLY", cause: told[0] }]);
    expect(hits).toMatchObject([{ trainingId: "trocas", similarity: undefined, distance: undefined }]);
    const [byText] = await telling.similar("troca", { mode: "text" });
    expect(byText?.coverage).toBeGreaterThan(0);
    for (const [weights, text] of [
      [undefined, 0.65],
      [{ vector: 1, text: 3 }, 0.75],
      [{ vector: 0 }, 1],
      [{ text: 0 }, 0],
    ] as const) {
      const [hit] = await telling.similar("troca", { ...search, weights });
      expect(hit?.coverage).toBe(byText?.coverage);
      expect(hit?.score).toBe(text * (byText?.coverage ?? NaN));
    }
  });

  it("is one round trip, as is mode text", async () => {
    const { embeddings, pool, schema } = await openShop(database);
    const recording = recordingPool(pool);
    const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
    for (const mode of ["text", "hybrid"] as const) {
      recording.statements.length = 0;
      await index.similar("dias", { mode, filter: { grupo: "a" } });
      expect(recording.statements, mode).toHaveLength(1);
    }
  });

  it("serves a retriever", async () => {
    const { index } = await openShop(database);
    const [document] = await index.asRetriever({ mode: "hybrid", k: 1 }).invoke("Quando aceitam trocas?");
    const [hit] = await index.similar("Quando aceitam trocas?", { mode: "hybrid", k: 1 });
    expect(document).toMatchObject({
      pageContent: SHOP[2]?.content,
      metadata: {
        trainingIndex: {
          trainingId: "trocas",
          score: hit?.score,
          similarity: hit?.similarity,
          distance: hit?.distance,
          coverage: hit?.coverage,
        },
      },
    });
    expect(hit?.coverage).toBeGreaterThan(0);
    for (const { metadata } of await index.asRetriever({ mode: "text" }).invoke("Quando aceitam trocas?")) {
      const { score, coverage } = metadata.trainingIndex;
      expect(score).toBe(coverage);
      expect(metadata.trainingIndex).not.toHaveProperty("similarity");
      expect(metadata.trainingIndex).not.toHaveProperty("distance");
    }
  });
});

describeOnServerOrEmbedded("textSearch of migrate", (database) => {
  it("can be added to an existing schema, change its language, and be removed", async () => {
    const test = await openTestIndex(database);
    const { owner, schema, index, pool, embeddings } = test;
    await index.upsertTraining({ id: "a", content: "Running shoes e manutenções" });
    const language = async (): Promise<unknown> => (await migrationStatus(owner, { schema })).textSearch;
    expect(await language()).toBeUndefined();
    const search = async (question: string): Promise<TextHit[]> => {
      const opened = await TrainingIndex.initialize(embeddings, { pool, schema });
      return opened.similar(question, { mode: "text" });
    };
    for (const textSearch of ["portuguese", "portuguese", undefined] as const) {
      await migrate(owner, { schema, textSearch });
      expect(await language()).toBe("portuguese");
      expect(await search("manutencao")).toHaveLength(1);
      expect(await search("run")).toEqual([]);
    }
    await migrate(owner, { schema, textSearch: "english" });
    expect(await language()).toBe("english");
    expect(await search("run")).toHaveLength(1);
    await migrate(owner, { schema, textSearch: false });
    expect(await language()).toBeUndefined();
    await expect(search("run")).rejects.toMatchObject({ option: "mode" });
    expect(await index.similar("shoes")).toHaveLength(1);
  });

  it("is among the printed statements", async () => {
    const { owner } = database;
    const schema = uniqueName();
    dropAtEnd(owner, schema);
    await owner.query(migrationSql({ schema, textSearch: "portuguese" }));
    expect((await migrationStatus(owner, { schema })).textSearch).toBe("portuguese");
  });

  it.each(["klingon", "Portuguese", true, "portuguese'; --"])("refuses %j", async (textSearch) => {
    const asked = migrate(database.owner, { schema: uniqueName(), textSearch: textSearch as "portuguese" });
    await expect(asked).rejects.toMatchObject({ code: "INVALID_ARGUMENT", option: "textSearch" });
  });
});
