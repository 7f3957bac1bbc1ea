import { TrainingIndex } from "langchain-training-index";
import { migrate, migrationSql } from "langchain-training-index/migrations";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { wordsOfText } from "../../src/words/searched-words.js";
import { describeOnServerOrEmbedded, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, openTestIndex, type TestIndex } from "../support/index.js";
import { codesOf } from "../support/warnings.js";

const PORTUGUESE = [
  ["pagamento", "Aceitamos débito/crédito/Pix no balcão."],
  ["fim", "Assim chega o fim.Começo de outra frase."],
  ["hifens", "Traga o guarda-chuva ao passeio."],
  ["contato", "O e-mail do suporte fica no rodapé."],
  ["invisivel", "A ga\u00ADran\u00ADtia é pa\u200Bga à parte."],
  ["preco", "O frete custa R$ 10,50 por pacote."],
  ["cpf", "O CPF da empresa é 987.654.321-00."],
  ["cnpj", "CNPJ 12.345.678/0001-90, inscrição isenta."],
  ["telefone", "Ligue para (11) 91234-5678 de manhã."],
  ["codigo", "O produto ABC-1234 saiu de linha."],
  ["agua", "Há um copo d'água na mesa."],
] as const;

const SPANISH = [
  ["pago", "Aceptamos débito/crédito en caja."],
  ["correo", "El e-mail está en la factura."],
  ["precio", "El envío cuesta 10,50 por paquete."],
  ["codigo", "El producto XK-450 ya no se vende."],
] as const;

const ENGLISH = [
  ["payment", "We take debit/credit cards."],
  ["mail", "Our e-mail is on the invoice."],
  ["price", "Shipping costs $10.50 per parcel."],
  ["umbrella", "It is a well-known brand.Call us"],
  ["phone", "Call +1 (555) 123-4567 for help."],
] as const;

type Texts = readonly (readonly [id: string, content: string])[];

async function openTexts(
  database: Parameters<typeof openTestIndex>[0],
  textSearch: "portuguese" | "spanish" | "english",
  texts: Texts,
): Promise<TestIndex & { ask: (question: string) => Promise<unknown[]> }> {
  const test = await openTestIndex(database, {}, { textSearch });
  await test.index.upsertTrainings(texts.map(([id, content]) => ({ id, content })));
  const ask = async (question: string): Promise<unknown[]> => {
    const hits = await test.index.similar(question, { mode: "text", typos: false });
    return hits.map(({ trainingId }) => trainingId);
  };
  return { ...test, ask };
}

describeOnServerOrEmbedded("forms of words", (database) => {
  it("meet in Portuguese, however they are written", async () => {
    const { ask } = await openTexts(database, "portuguese", PORTUGUESE);
    for (const [question, id] of [
      ["crédito", "pagamento"],
      ["débito crédito", "pagamento"],
      ["começo", "fim"],
      ["fim", "fim"],
      ["guarda chuva", "hifens"],
      ["guardachuva", "hifens"],
      ["chuva", "hifens"],
      ["email", "contato"],
      ["e-mail", "contato"],
      ["garantia paga", "invisivel"],
      ["ga\u200Brantia", "invisivel"],
      ["10.50", "preco"],
      ["10,50", "preco"],
      ["R$10,50", "preco"],
      ["98765432100", "cpf"],
      ["987654321-00", "cpf"],
      ["12345678000190", "cnpj"],
      ["12345678/0001-90", "cnpj"],
      ["12345678", "cnpj"],
      ["11912345678", "telefone"],
      ["91234-5678", "telefone"],
      ["912345678", "telefone"],
      ["+55 11 91234 5678", "telefone"],
      ["abc1234", "codigo"],
      ["ABC 1234", "codigo"],
      ["abc12", "codigo"],
      ["ABC-12", "codigo"],
      ["água", "agua"],
    ] as const) {
      expect((await ask(question))[0], question).toBe(id);
    }
    for (const question of ["não", "nao", "voce", "vc tbm"]) expect(await ask(question), question).toEqual([]);
  });

  it.each([
    [
      "spanish",
      SPANISH,
      [
        ["credito", "pago"],
        ["email", "correo"],
        ["10.50", "precio"],
        ["xk450", "codigo"],
        ["XK45", "codigo"],
      ],
      ["tambien", "mas"],
    ],
    [
      "english",
      ENGLISH,
      [
        ["credit", "payment"],
        ["email", "mail"],
        ["10,50", "price"],
        ["wellknown", "umbrella"],
        ["call", "umbrella"],
        ["5551234567", "phone"],
        ["15551234567", "phone"],
      ],
      ["the"],
    ],
  ] as const)("meet in %s", async (language, texts, found, stopWords) => {
    const { ask } = await openTexts(database, language, texts);
    for (const [question, id] of found) expect(await ask(question), question).toContain(id);
    for (const question of stopWords) expect(await ask(question), question).toEqual([]);
  });

  it("cover a question as much with punctuation as without it", async () => {
    const { index } = await openTexts(database, "portuguese", PORTUGUESE);
    const coverage = async (question: string): Promise<number | undefined> =>
      (await index.similar(question, { mode: "text", k: 1, typos: false }))[0]?.coverage;
    const whole = await coverage("guarda-chuva");
    expect(whole).toBeGreaterThan(0.3);
    // A compound that no chunk has is no word that is missing: its parts are found.
    expect(await coverage("copo d'água na-mesa")).toBeCloseTo((await coverage("copo d'água na mesa")) ?? NaN, 10);
    // Nor are parts, if their compound is found.
    expect(await coverage("98-7654-32100")).toBeCloseTo((await coverage("98765432100")) ?? NaN, 10);
  });

  it("are marked where they are in the text", async () => {
    const { index } = await openTexts(database, "portuguese", PORTUGUESE);
    for (const [question, id, marked] of [
      ["email", "contato", ["e-mail"]],
      ["98765432100", "cpf", ["987.654.321-00"]],
      ["11912345678", "telefone", ["(11) 91234-5678"]],
      ["garantias", "invisivel", ["ga\u00ADran\u00ADtia"]],
      ["guarda", "hifens", ["guarda"]],
      ["crédito", "pagamento", ["crédito"]],
    ] as const) {
      const [hit] = await index.similar(question, { mode: "text", k: 1, matches: true });
      expect(hit?.trainingId).toBe(id);
      expect(
        hit?.matches?.map(({ start, end }) => hit.content.slice(start, end)),
        question,
      ).toEqual(marked);
    }
  });

  it("replaces words of a question as the host says", async () => {
    const { pool, schema } = await openTexts(database, "portuguese", PORTUGUESE);
    const synonyms = { grana: "preço frete", zap: "telefone ligue" };
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema, synonyms });
    const ids = async (question: string): Promise<unknown[]> =>
      (await index.similar(question, { mode: "text", typos: false })).map(({ trainingId }) => trainingId);
    expect(await ids("grana?")).toEqual(["preco"]);
    expect(await ids("ZAP")).toEqual(["telefone"]);
    await expect(
      TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema, synonyms: { "a b": "c" } }),
    ).rejects.toThrow('synonyms["a b"]');
  });

  it("are tokens of their own for Postgres, whatever the text", async () => {
    const { owner } = await openTestIndex(database);
    const text = fc.oneof(
      fc.string({
        unit: fc.constantFrom(...Array.from("ÀéîõüçñßžşığČŁøåæœ Жщы Ωήσς ابجد שלום Հայ हिन्दी தமிழ் \u0301\u0303🙂🇧🇷")),
        maxLength: 60,
      }),
      fc.string({ unit: fc.constantFrom(..."aB1é9-./,'_@ ()+\u00AD$<>&;#xहिন்ß²½".split("")), maxLength: 60 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 50, maxLength: 50 }), async (texts) => {
        const words = texts.map((given) =>
          wordsOfText(given.toWellFormed().replaceAll("\0", "")).map(({ word }) => word),
        );
        const { rows } = await owner.query<{ tokens: string[] | null }>(
          `SELECT (SELECT array_agg(token) FROM ts_parse('default', words) WHERE tokid NOT IN (12)) AS tokens
          FROM unnest($1::text[]) WITH ORDINALITY AS t (words, place) ORDER BY place`,
          [words.map((list) => list.join(" "))],
        );
        expect(rows.map(({ tokens }) => tokens ?? [])).toEqual(words);
      }),
      { numRuns: 20, examples: [[["²é1்", "²é1்ன", "9e9a"]]] },
    );
  });
});

/** Makes the schema one of version 5. */
async function downgrade(
  { owner, schema }: TestIndex,
  { generatesLexemes }: { generatesLexemes: boolean },
): Promise<void> {
  await owner.query(`DROP TRIGGER IF EXISTS store_lexemes ON ${schema}.chunk_1; DROP FUNCTION IF EXISTS ${schema}.store_lexemes;
    ALTER TABLE ${schema}.chunk_1 DROP COLUMN IF EXISTS lexemes;
    DROP TABLE ${schema}.word; ALTER TABLE ${schema}.profile DROP COLUMN words_filled_at;
    DELETE FROM ${schema}.migration WHERE version = 6`);
  if (!generatesLexemes) return;
  await owner.query(`ALTER TABLE ${schema}.chunk_1 ADD COLUMN lexemes tsvector GENERATED ALWAYS AS
      (to_tsvector('pg_catalog.portuguese'::regconfig, translate(normalize(left(content, 100000), NFC), 'áéíóçã', 'aeioca'))) STORED;
    CREATE INDEX chunk_1_lexemes ON ${schema}.chunk_1 USING gin (lexemes)`);
}

describeOnServerOrEmbedded("chunks of older versions", (database) => {
  it("get their lexemes and words from migrate, in batches, without losing what is stored meanwhile", async () => {
    const test = await openTexts(database, "portuguese", PORTUGUESE);
    const { owner, schema, index, ask } = test;
    await downgrade(test, { generatesLexemes: true });
    expect(codesOf(await index.status())).toEqual(["SCHEMA_OUTDATED"]);
    const before = await owner.query<{ stored: string }>(`SELECT count(*)::text AS stored FROM ${schema}.chunk_1`);
    expect(await migrate(owner, { schema, dimensions: DIMENSIONS })).toMatchObject({ applied: [6], version: 6 });
    const after = await owner.query<{ stored: string }>(`SELECT count(*)::text AS stored FROM ${schema}.chunk_1`);
    expect(after.rows).toEqual(before.rows);
    expect(await ask("email")).toEqual(["contato"]);
    expect(await ask("98765432100")).toEqual(["cpf"]);
    const [corrected] = await index.similar("garamtia", { mode: "text" });
    expect(corrected?.trainingId).toBe("invisivel");
    await index.upsertTraining({ id: "novo", content: "Um porta-malas novo." });
    expect(await ask("portamalas")).toEqual(["novo"]);
    expect(await migrate(owner, { schema, dimensions: DIMENSIONS })).toMatchObject({ applied: [] });
  });

  it.each([
    ["the column of their lexemes is lost", true],
    ["they had no text search, which migrate adds", false],
  ])("are found by their words after an upgrade, even if %s", async (_, hadTextSearch) => {
    const test = await openTestIndex(database, {}, hadTextSearch ? { textSearch: "portuguese" } : {});
    const { owner, schema, index } = test;
    await index.upsertTrainings(PORTUGUESE.map(([id, content]) => ({ id, content })));
    await downgrade(test, { generatesLexemes: false });
    await migrate(owner, { schema, dimensions: DIMENSIONS, ...(hadTextSearch ? {} : { textSearch: "portuguese" }) });
    const fresh = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: owner, schema });
    expect((await fresh.similar("email", { mode: "text" })).map(({ trainingId }) => trainingId)).toEqual(["contato"]);
    await fresh.upsertTraining({ id: "novo", content: "Um porta-malas novo." });
    expect((await fresh.similar("portamalas", { mode: "text" })).map(({ trainingId }) => trainingId)).toEqual(["novo"]);
    expect(codesOf(await fresh.status())).toEqual([]);
  });

  it("are repaired by migrate if a host ran the printed SQL without the language", async () => {
    const test = await openTexts(database, "portuguese", PORTUGUESE);
    const { owner, schema, index, ask } = test;
    await downgrade(test, { generatesLexemes: true });
    await owner.query(migrationSql({ schema, dimensions: DIMENSIONS, from: 5 }));
    expect(codesOf(await index.status())).toEqual(["WORDS_INCOMPLETE"]);
    await migrate(owner, { schema, dimensions: DIMENSIONS });
    await index.upsertTraining({ id: "novo", content: "Um porta-malas novo." });
    expect(await ask("portamalas")).toEqual(["novo"]);
    expect(await ask("email")).toEqual(["contato"]);
  });

  it("leave the roles that may use the chunks the rights that they need", async () => {
    const { owner, schema } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const role = uniqueName("role");
    await owner.query(`CREATE ROLE "${role}"`);
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    });
    await owner.query(`GRANT SELECT, INSERT ON ${schema}.chunk_1 TO "${role}"; DROP TABLE ${schema}.word`);
    await migrate(owner, { schema, dimensions: DIMENSIONS });
    const { rows } = await owner.query<{ may: boolean[] }>(
      `SELECT array_agg(has_table_privilege($1, '${schema}.word', privilege) ORDER BY privilege) AS may
      FROM unnest(ARRAY['DELETE', 'INSERT', 'SELECT']) AS p (privilege)`,
      [role],
    );
    expect(rows[0]?.may).toEqual([false, true, true]);
  });

  it("are found by their words if a process of an older version stores them", async () => {
    const { owner, schema, ask } = await openTexts(database, "portuguese", PORTUGUESE);
    await owner.query(`UPDATE ${schema}.chunk_1 SET id = id || '-old' WHERE training_id = 'fim'`);
    await owner.query(
      `UPDATE ${schema}.indexed_1 SET chunk_ids = ARRAY['x'], starts = '{0}', ends = '{10}' WHERE training_id = 'fim'`,
    );
    await owner.query(
      `INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
      SELECT training_id, 'x', 'As estações antigas', metadata, content_hash, embedding FROM ${schema}.chunk_1 WHERE training_id = 'fim'`,
    );
    expect(await ask("estação antiga")).toEqual(["fim"]);
  });

  it("can be searched by words once migrate adds text search, online", async () => {
    const { index, owner, schema } = await openTestIndex(database);
    await index.upsertTrainings(PORTUGUESE.map(([id, content]) => ({ id, content })));
    await migrate(owner, { schema, dimensions: DIMENSIONS, textSearch: "portuguese" });
    const fresh = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: owner, schema });
    expect((await fresh.similar("email", { mode: "text" })).map(({ trainingId }) => trainingId)).toEqual(["contato"]);
    expect((await fresh.similar("garamtia", { mode: "text" })).map(({ trainingId }) => trainingId)).toEqual([
      "invisivel",
    ]);
  });
});
