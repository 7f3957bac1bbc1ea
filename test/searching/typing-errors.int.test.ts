import { TrainingIndex, type Hit } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded, describeOnServer, requireServerUrl } from "../support/databases.js";
import { CountingEmbeddings, openTestIndex, type TestIndex } from "../support/index.js";

const SHOP = [
  { id: "prazo", content: "O prazo de entrega é de três dias úteis.", metadata: { tenant: "a" } },
  { id: "garantia", content: "A garantia cobre defeitos de fabricação do aparelho.", metadata: { tenant: "a" } },
  { id: "manual", content: "O manual está na caixa, com o número NF2024.", metadata: { tenant: "a" } },
  { id: "segredo", content: "A rescisão custa uma multa contratual.", metadata: { tenant: "b" } },
];

async function openShop(database: Parameters<typeof openTestIndex>[0], textSearch = "portuguese"): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, { textSearch: textSearch as "portuguese" });
  await test.index.upsertTrainings(SHOP);
  return test;
}

async function ask({ index }: Pick<TestIndex, "index">, question: string, options = {}): Promise<Hit<"text">[]> {
  return index.similar(question, { mode: "text", ...options });
}

/** The listed words that begin like this. */
async function listed({ owner, schema }: TestIndex, beginning: string): Promise<string[]> {
  const { rows } = await owner.query<{ word: string }>(
    `SELECT DISTINCT word FROM ${schema}.word WHERE starts_with(word, $1) ORDER BY word`,
    [beginning],
  );
  return rows.map(({ word }) => word);
}

/** Lets a clean-up take all words for old ones. */
async function age({ owner, schema }: TestIndex): Promise<void> {
  await owner.query(`UPDATE ${schema}.word SET offered_at = offered_at - interval '2 hours'`);
}

describeOnServerOrEmbedded("typing errors", (database) => {
  it.each([
    ["a letter missing", "garatia", "garantia"],
    ["a letter too many", "garanttia", "garantia"],
    ["a wrong letter", "garamtia", "garantia"],
    ["two letters swapped", "garnatia", "garantia"],
    ["an accent and a letter", "fabricassão", "fabricacao"],
    ["two errors in a long word", "fabrcaçao aparlho", "fabricacao"],
    ["upper case", "APAREHLO", "aparelho"],
  ])("are corrected: %s", async (_error, question, word) => {
    const [hit, ...others] = await ask(await openShop(database), question);
    expect(others).toEqual([]);
    expect(hit?.trainingId).toBe("garantia");
    expect(hit?.corrections?.map(({ readAs }) => readAs)[0]).toEqual([word]);
  });

  it("count less than the word itself, in the score and the order", async () => {
    const test = await openShop(database);
    const [exact] = await ask(test, "garantia");
    const [corrected] = await ask(test, "garamtia");
    expect(exact?.corrections).toBeUndefined();
    expect(corrected?.corrections).toEqual([{ word: "garamtia", readAs: ["garantia"] }]);
    expect(corrected?.score).toBeCloseTo(0.8 * (exact?.score ?? 0), 6);
  });

  it("are corrected in mode hybrid and for trainings, and not with typos: false", async () => {
    const { index } = await openShop(database);
    const [hit] = await index.similar("garamtia", { mode: "hybrid", k: 1 });
    expect(hit).toMatchObject({ trainingId: "garantia", corrections: [{ word: "garamtia", readAs: ["garantia"] }] });
    const [training] = await index.similar("garamtia", { mode: "text", strategy: "trainings" });
    expect(training).toMatchObject({ corrections: [{ word: "garamtia", readAs: ["garantia"] }] });
    expect(await ask({ index }, "garamtia", { typos: false })).toEqual([]);
    const plain = await index.similar("garamtia", { mode: "hybrid", typos: false });
    expect(plain.every(({ corrections, coverage }) => corrections === undefined && coverage === 0)).toBe(true);
    expect(await index.similar("garamtia", { typos: true })).toHaveLength(4);
  });

  it("are not seen in words that the index has, in numbers, codes and short words", async () => {
    const test = await openShop(database);
    expect((await ask(test, "multa")).map(({ trainingId }) => trainingId)).toEqual(["segredo"]);
    await test.index.upsertTraining({ id: "muita", content: "Muita gente compra." });
    expect((await ask(test, "multa")).map(({ trainingId }) => trainingId)).toEqual(["segredo"]);
    for (const question of ["NF2023", "nf2025", "caixa1", "dia5", "ema"]) expect(await ask(test, question)).toEqual([]);
  });

  it("are not corrected to words of another tenant's chunks, which are not reported", async () => {
    const test = await openShop(database);
    expect(await ask(test, "recisão")).toMatchObject([{ trainingId: "segredo" }]);
    expect(await ask(test, "recisão", { filter: { tenant: "a" } })).toEqual([]);
    const [hit] = await ask(test, "prazo da recisao", { filter: { tenant: "a" } });
    expect(hit?.trainingId).toBe("prazo");
    expect(hit?.corrections).toBeUndefined();
    const tenant = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool: test.pool,
      schema: test.schema,
      filter: { tenant: "a" },
    });
    expect(await ask({ index: tenant }, "recisão")).toEqual([]);
  });

  it("are not corrected to another tenant's form of a word that the tenant has", async () => {
    const test = await openShop(database);
    await test.index.upsertTraining({ id: "plural", content: "Há prazoss e prazos.", metadata: { tenant: "b" } });
    const [hit] = await ask(test, "prazosx", { filter: { tenant: "a" } });
    expect(hit).toBeUndefined();
  });

  it("are not corrected to words of deleted texts, which a clean-up removes", async () => {
    const test = await openShop(database);
    await test.index.deleteTraining("garantia");
    expect(await ask(test, "garamtia")).toEqual([]);
    expect(await listed(test, "garant")).toEqual(["garantia"]);
    await test.index.prune({ olderThanMs: 1 });
    expect(await listed(test, "garant")).toEqual(["garantia"]); // offered less than an hour ago
    await age(test);
    await test.index.prune({ olderThanMs: 1 });
    expect(await listed(test, "garant")).toEqual([]);
    expect(await listed(test, "praz")).toEqual(["prazo"]);
    expect(await ask(test, "przo")).toMatchObject([{ trainingId: "prazo" }]);
  });

  it("are corrected in chunks stored in any way, and words listed twice are removed", async () => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const { index, owner, schema, pool } = test;
    if (owner === pool) await index.bulkLoad([{ id: "bulk", content: "Frete grátis para Florianópolis." }]);
    const prepared = await index.prepareTraining({ id: "prepared", content: "Atendimento em Uberlândia." });
    await prepared.commit();
    await index.vectorStore.addDocuments([{ pageContent: "Loja em Petrópolis.", metadata: {} }]);
    if (owner === pool) expect(await ask(test, "florianopolsi")).toMatchObject([{ trainingId: "bulk" }]);
    expect(await ask(test, "uberlandja")).toMatchObject([{ trainingId: "prepared" }]);
    expect(await ask(test, "petropoles")).toHaveLength(1);
    await owner.query(`INSERT INTO ${schema}.word (word, fragments) SELECT word, fragments FROM ${schema}.word`);
    await index.prune({ olderThanMs: 1 });
    const { rows } = await owner.query<{ word: string }>(
      `SELECT word FROM ${schema}.word GROUP BY word HAVING count(*) > 1`,
    );
    expect(rows).toEqual([]);
    expect(await ask(test, "uberlandja")).toHaveLength(1);
  });

  it("are corrected in chunks that were stored before the words were, and before text search was added", async () => {
    const test = await openTestIndex(database);
    const { index, owner, schema } = test;
    const many = Array.from({ length: 1100 }, (_, place) => ({
      id: `n${place}`,
      content: `Texto comum número ${place}.`,
    }));
    await index.upsertTrainings([...many, { id: "z", content: "A garantia vale dois anos." }]);
    expect(await listed(test, "")).toEqual([]);
    await migrate(owner, { schema, textSearch: "portuguese" });
    expect(await listed(test, "")).toEqual(["anos", "comum", "dois", "garantia", "numero", "texto", "vale"]);
    expect(await ask(test, "garamtia")).toMatchObject([{ trainingId: "z" }]);
    await owner.query(`DELETE FROM ${schema}.word`);
    await migrate(owner, { schema }); // all are known to be listed
    expect(await listed(test, "")).toEqual([]);
    await owner.query(`UPDATE ${schema}.profile SET words_filled_at = NULL`);
    await Promise.all([migrate(owner, { schema }), migrate(owner, { schema })]);
    expect(await ask(test, "garamtia")).toHaveLength(1);
  });

  it.each([
    ["spanish", "La devolución del artículo es gratuita.", "debolución"],
    ["english", "The warranty covers manufacturing defects.", "warrenty"],
    ["german", "Die Rückerstattung größerer Beträge dauert länger.", "Rückerstatung"],
    ["russian", "Гарантия покрывает все дефекты.", "горантия"],
    ["simple", "Warranty defects", "warrenty"],
  ] as const)("are corrected in %s", async (textSearch, content, question) => {
    const test = await openTestIndex(database, {}, { textSearch });
    await test.index.upsertTraining({ id: "a", content });
    const [hit] = await ask(test, question);
    expect(hit?.trainingId).toBe("a");
    expect(hit?.corrections).toHaveLength(1);
  });

  it("in hostile questions take bounded time", async () => {
    const test = await openShop(database);
    for (const question of ["'garamtia'\\", "garamtia | ' & !", "\\garamtia\\", "garamtia:*"]) {
      expect(await ask(test, question), question).toMatchObject([{ trainingId: "garantia" }]);
    }
    const letters = "bcdfghjklm";
    const words = Array.from({ length: 20_000 }, (_, place) =>
      Array.from(String(place).padStart(5, "0"), (digit) => letters[Number(digit)]).join(""),
    );
    const started = performance.now();
    expect(await ask(test, words.join(" "))).toEqual([]);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("are refused as an option unless it is a boolean", async () => {
    const { index } = await openShop(database);
    await expect(index.similar("a", { typos: "yes" as never })).rejects.toThrow("typos");
  });
});

describeOnServer("the words of a host's transaction", (database) => {
  it("are not waited for by another transaction that stores the same, and go with a rollback", async () => {
    const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const { index, pool } = test;
    const [first, second] = [await pool.connect(), await pool.connect()];
    try {
      await first.query("BEGIN");
      await index.upsertTraining({ id: "a", content: "Uma garantia nova." }, { client: first });
      await second.query("BEGIN");
      await second.query("SET LOCAL lock_timeout = '1s'");
      await index.upsertTraining({ id: "b", content: "Outra garantia nova." }, { client: second });
      await index.upsertTraining({ id: "c", content: "Mais uma garantia." }, { timeoutMs: 5000 });
      await second.query("ROLLBACK");
      await first.query("ROLLBACK");
    } finally {
      first.release();
      second.release();
    }
    expect(await listed(test, "nova")).toEqual([]);
    expect(await listed(test, "garantia")).toEqual(["garantia"]);
    await index.upsertTraining({ id: "d", content: "Uma oferta nova." });
    expect(await listed(test, "nova")).toEqual(["nova"]);
  });

  it("need no other client of the pool", async () => {
    const { schema } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const pool = new pg.Pool({ connectionString: requireServerUrl(), max: 1 });
    try {
      const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
      const prepared = await index.prepareTraining({ id: "a", content: "Uma garantia nova." });
      const client = await pool.connect();
      await client.query("BEGIN");
      await prepared.commit(client);
      expect(await ask({ index }, "garamtia", { client })).toHaveLength(1);
      await client.query("COMMIT");
      client.release();
      expect(await ask({ index }, "garamtia")).toHaveLength(1);
    } finally {
      await pool.end();
    }
  });
});
