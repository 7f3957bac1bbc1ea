import {
  EmbeddingError,
  InvalidArgumentError,
  TrainingIndex,
  type Notice,
  type TextHit,
} from "langchain-training-index";
import { migrate, migrationSql, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { describeOnEach, uniqueName } from "../support/databases.js";
import { dropAtEnd, openTestIndex, type TestIndex } from "../support/index.js";
import { randomOf } from "../../tooling/random.js";
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

describeOnEach("mode text", (database) => {
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

  it("embeds nothing, and returns each chunk's textScore", async () => {
    const { index, embeddings } = await openShop(database);
    embeddings.embedQuery = () => expect.unreachable();
    const hits = await index.similar("dias de troca", { mode: "text" });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(["trocas", "entregas"]);
    const [best, second] = hits.map(({ textScore }) => textScore);
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
      textScore: best,
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

  it("ranks as BM25 does", async () => {
    const test = await openTestIndex(database, {}, PORTUGUESE);
    const random = randomOf(7);
    const words = ["girassol", "orquidea", "vaso", "terra", "adubo", "luz", "agua", "poda"];
    const texts = Array.from({ length: 120 }, () =>
      Array.from({ length: 3 + Math.floor(random() * 30) }, () => words[Math.floor(random() ** 2 * words.length)]).join(
        " ",
      ),
    );
    const trainings = texts.map((content, place) => ({ id: place.toString(), content }));
    for await (const { status } of test.index.upsertTrainings(trainings)) expect(status).toBe("indexed");
    const question = ["poda", "agua", "girassol"];
    const hits = await test.index.similar(question.join(" "), { mode: "text", k: 20 });
    const expected = bm25(
      texts.map((text) => text.split(" ")),
      question,
    );
    const byPlace = new Map(expected.map((score, place) => [place.toString(), score]));
    for (const { trainingId, textScore } of hits)
      expect(textScore).toBeCloseTo(byPlace.get(String(trainingId)) ?? NaN, 6);
    const best = [...expected].sort((left, right) => right - left).slice(0, 20);
    expect(hits.map(({ textScore }) => Number(textScore.toFixed(6)))).toEqual(
      best.map((score) => Number(score.toFixed(6))),
    );
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

describeOnEach("mode hybrid", (database) => {
  it("fuses both searches by rank, and returns the separate scores too", async () => {
    const { index } = await openShop(database);
    const question = "Em quantos dias entregam?";
    const byVector = await index.similar(question);
    const byText = await index.similar(question, { mode: "text" });
    const hits = await index.similar(question, { mode: "hybrid" });
    expect(hits).toHaveLength(SHOP.length);
    const fused = (id: unknown): number =>
      [byVector, byText]
        .map((found) => found.findIndex(({ trainingId }) => trainingId === id))
        .reduce((sum, place) => sum + (place < 0 ? 0 : 1 / (61 + place)), 0);
    for (const { trainingId, fusedScore, score, textScore } of hits) {
      expect(fusedScore).toBeCloseTo(fused(trainingId), 12);
      expect(score).toBe(byVector.find((hit) => hit.trainingId === trainingId)?.score);
      expect(textScore).toBe(byText.find((hit) => hit.trainingId === trainingId)?.textScore);
    }
    const scores = hits.map(({ fusedScore }) => fusedScore);
    expect(scores).toEqual([...scores].sort((left, right) => right - left));
  });

  it("weights the two searches", async () => {
    const { index } = await openShop(database);
    const question = "dias de troca";
    const ids = async (weights: { vector?: number; text?: number }): Promise<unknown[]> =>
      (await index.similar(question, { mode: "hybrid", weights })).map(({ trainingId }) => trainingId);
    const byVector = await index.similar(question);
    expect(await ids({ text: 0 })).toEqual(byVector.map(({ trainingId }) => trainingId));
    expect((await ids({ vector: 0 })).slice(0, 2)).toEqual(["trocas", "entregas"]);
    for (const weights of [{ text: -1 }, { vector: NaN }, { vector: 0, text: 0 }, null, { text: "1" }]) {
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
    const hits = await telling.similar("troca", { mode: "hybrid", onTextOnly: (error) => told.push(error) });
    expect(told).toEqual([expect.any(EmbeddingError)]);
    expect(notices).toMatchObject([{ code: "TEXT_ONLY", cause: told[0] }]);
    expect(hits).toMatchObject([{ trainingId: "trocas", score: undefined, distance: undefined }]);
    expect(hits[0]?.fusedScore).toBeCloseTo(1 / 61, 12);
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
    expect(document).toMatchObject({
      pageContent: SHOP[2]?.content,
      metadata: {
        trainingIndex: { trainingId: "trocas", textScore: expect.any(Number) as number, fusedScore: 2 / 61 },
      },
    });
  });
});

describeOnEach("textSearch of migrate", (database) => {
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

/** Textbook BM25, with the number of distinct words as the length of a text. */
function bm25(texts: string[][], question: string[]): number[] {
  const lengths = texts.map((words) => new Set(words).size);
  const average = lengths.reduce((sum, length) => sum + length, 0) / texts.length;
  return texts.map((words, place) =>
    question.reduce((score, word) => {
      const times = words.filter((other) => other === word).length;
      const found = texts.filter((other) => other.includes(word)).length;
      const weight = Math.log(1 + (texts.length - found + 0.5) / (found + 0.5));
      return score + (weight * times * 2.2) / (times + 1.2 * (0.25 + (0.75 * (lengths[place] ?? 0)) / average));
    }, 0),
  );
}
