/** An export, imported into another schema: the same index, without embedding. */
import { Readable } from "node:stream";
import { TrainingIndex, type ImportOptions, type ImportSummary } from "langchain-training-index";
import type { MigrateOptions } from "langchain-training-index/migrations";
import type pg from "pg";
import { expect, it } from "vitest";
import { describeOnEach, describeOnServer, type TestDatabase } from "../support/databases.js";
import { DIMENSIONS, openTestIndex, type TestIndex } from "../support/index.js";

/** More than one statement reads. */
const MANY = Array.from({ length: 510 }, (_, number) => ({ pageContent: `Item ${number}.` }));
const LONG = Array.from({ length: 8 }, (_, number) => `Parágrafo ${number} do manual. `.repeat(30)).join("\n\n");
const VECTOR = Array.from({ length: DIMENSIONS }, (_, number) => Math.fround(Math.sin(number) / 3));

/** Trainings of all kinds: revisions, documents, given vectors, line breaks, no text, long, deleted. */
async function fill({ index }: TestIndex, hasMany = true): Promise<void> {
  await index.upsertTrainings([
    { id: "frete", content: "O frete custa doze reais.", metadata: { grupo: "loja", preco: 1.5 }, revision: 3 },
    { id: "datas", content: 'Sem e com "aspas", barras \\ e\r\nlinhas 🌻.', revision: new Date("2026-01-02") },
    { id: "grande", content: "Outra revisão.", revision: 2n ** 70n },
    { id: "vazio", content: " \n " },
    { id: "longo", content: LONG },
    { id: "muitos", documents: hasMany ? MANY : [], split: false },
    {
      id: "partes",
      documents: [
        { pageContent: "A garantia é de dois anos.", metadata: { pagina: 1 }, id: "p1" },
        { pageContent: "A troca leva sete dias.", metadata: { pagina: 2 }, id: "p2" },
      ],
      split: false,
    },
    { id: "velho", content: "Some logo." },
    { id: "antigo", content: "Some logo.", revision: 7, metadata: { grupo: "rh" } },
  ]);
  await index.vectorStore.addVectors([VECTOR], [{ pageContent: "Um vetor dado.", metadata: { a: [1, { b: null }] } }], {
    ids: ["dado"],
  });
  await index.upsertTraining({ id: "frete", content: "O frete custa doze reais e cinquenta.", revision: 4 });
  await index.deleteTraining("velho");
  await index.deleteTraining("antigo", { revision: 9 });
}

async function exported(index: TrainingIndex): Promise<string> {
  let text = "";
  for await (const part of index.exportTrainings()) text += part;
  return text;
}

async function imported({ index }: TestIndex, text: string, options?: ImportOptions): Promise<ImportSummary> {
  return index.importTrainings([text], options);
}

/** Everything that determines what an index finds and how it orders later calls. */
async function contentOf(owner: pg.Pool, schema: string): Promise<unknown> {
  const read = async (text: string): Promise<unknown> => (await owner.query(text)).rows as unknown;
  return {
    trainings: await read(`SELECT id::text, revision::text, metadata::text, deleted_at IS NOT NULL AS is_deleted
      FROM ${schema}.training ORDER BY id`),
    lists:
      await read(`SELECT training_id::text, encode(fingerprint, 'hex') AS fingerprint, splitter, chunk_ids, starts, ends
      FROM ${schema}.indexed_1 ORDER BY training_id`),
    chunks: await read(`SELECT training_id::text, id, content, metadata::text, encode(content_hash, 'hex') AS hash,
      encode(public.vector_send(embedding), 'hex') AS vector FROM ${schema}.chunk_1 ORDER BY training_id, id`),
    profile: await read(`SELECT model, dimensions, query_prefix, document_prefix FROM ${schema}.profile`),
  };
}

/** Imports what {@link fill} stored into a schema of its own, and compares them. */
async function expectEqualImport(database: TestDatabase, source: TestIndex, migration: MigrateOptions): Promise<void> {
  const text = await exported(source.index);
  const target = await openTestIndex(database, {}, migration);
  expect(await imported(target, text)).toEqual({ indexed: 8, unchanged: 0, superseded: 0, deleted: 0 });
  expect(await contentOf(target.owner, target.schema)).toEqual(await contentOf(source.owner, source.schema));
  expect(await target.index.verify()).toMatchObject({ damaged: { count: 0 }, schema: [] });
  expect(await exported(target.index)).toBe(text);
  expect(await target.index.similar("A troca leva sete dias.", { k: 1 })).toMatchObject([{ chunkId: "p2" }]);
  if (migration.textSearch === "portuguese") {
    const options = { mode: "text" } as const;
    expect(await target.index.similar("trocas", options)).toEqual(await source.index.similar("trocas", options));
    expect(await target.index.similar("trcoa", options)).toHaveLength(1);
  }
  // The texts are known: the same training is unchanged, an edit embeds what is new.
  expect(await target.index.upsertTraining({ id: "longo", content: LONG })).toMatchObject({ status: "unchanged" });
  expect(target.embeddings.calls).toBe(0);
  const edit = await target.index.upsertTraining({ id: "longo", content: `${LONG}\n\n${"Mais um. ".repeat(80)}` });
  expect(edit).toMatchObject({ status: "indexed", embedded: 1 });
  // Late calls are ordered as they would be in the source.
  const late = ["antigo", "frete"].map((id) => ({ id, content: "Atrasado.", revision: 3 }));
  expect(await target.index.upsertTrainings(late)).toMatchObject({ superseded: 2 });
}

describeOnEach("an export", (database) => {
  it("gives an equal index", async () => {
    const source = await openTestIndex(database, {}, { textSearch: "portuguese" });
    await fill(source, database.name === "server");
    await expectEqualImport(database, source, { textSearch: "portuguese" });
  });
});

describeOnServer("an export", (database) => {
  it("gives an equal index with another vector index or text search", async () => {
    const source = await openTestIndex(database);
    await fill(source);
    await expectEqualImport(database, source, { vectorIndex: "bit", textSearch: "simple" });
    await expectEqualImport(database, source, { vectorIndex: "halfvec" });
  });

  it("is imported once, however often, in any cut of its bytes", async () => {
    const source = await openTestIndex(database);
    await fill(source, false);
    const text = await exported(source.index);
    const target = await openTestIndex(database);
    const bytes = Buffer.from(text);
    const cut = Array.from({ length: 1000 }, (_, part) =>
      bytes.subarray((part * bytes.length) / 1000, ((part + 1) * bytes.length) / 1000),
    );
    expect(await target.index.importTrainings(Readable.from(cut))).toMatchObject({ indexed: 8 });
    const rows = `SELECT xmin::text FROM ${target.schema}.training UNION ALL SELECT xmin::text FROM ${target.schema}.chunk_1 ORDER BY 1`;
    const before = (await target.owner.query(rows)).rows as unknown;
    expect(await imported(target, text)).toEqual({ indexed: 0, unchanged: 8, superseded: 0, deleted: 0 });
    expect((await target.owner.query(rows)).rows).toEqual(before);
    expect(await imported(target, text, { overwrite: true })).toMatchObject({ unchanged: 8 });
    expect(await contentOf(target.owner, target.schema)).toEqual(await contentOf(source.owner, source.schema));
    expect(target.embeddings.calls).toBe(0);
  });

  it("never overwrites what is newer, unless it is told to: then only what has a lower revision or none", async () => {
    const source = await openTestIndex(database);
    const both = [
      { id: "a", content: "Da origem." },
      { id: "b", content: "Da origem.", revision: 2 },
      { id: "c", content: "Da origem.", revision: 2 },
      { id: "d", content: "Da origem." },
      { id: "e", content: "Da origem." },
    ];
    await source.index.upsertTrainings(both);
    await source.index.deleteTraining("e");
    const text = await exported(source.index);
    const target = await openTestIndex(database);
    const fillTarget = (): Promise<unknown> =>
      target.index
        .upsertTrainings([
          { id: "a", content: "Do destino." },
          { id: "b", content: "Do destino.", revision: 1 },
          { id: "c", content: "Do destino.", revision: 3 },
          { id: "d", content: "Do destino." },
          { id: "e", content: "Do destino." },
        ])
        .then(() => target.index.deleteTraining("d"));
    const contents = async (): Promise<Record<string, string>> => {
      const { rows } = await target.owner.query<{ id: string; content: string }>(
        `SELECT training_id AS id, content FROM ${target.schema}.chunk_1 ORDER BY training_id`,
      );
      return Object.fromEntries(rows.map(({ id, content }) => [id, content]));
    };
    await fillTarget();
    expect(await imported(target, text)).toEqual({ indexed: 1, unchanged: 0, superseded: 3, deleted: 0 });
    const [own, given] = ["Do destino.", "Da origem."];
    expect(await contents()).toEqual({ a: own, b: given, c: own, e: own });
    expect(await imported(target, text, { overwrite: true })).toEqual({
      ...{ indexed: 2, unchanged: 1, superseded: 1, deleted: 1 },
    });
    expect(await contents()).toEqual({ a: given, b: given, c: own, d: given });
  });

  it("keeps to the filter of the index", async () => {
    const { index, pool, schema, embeddings } = await openTestIndex(database);
    const metadata = { empresa: "a" };
    await index.upsertTrainings([
      { id: "a", content: "De a.", metadata },
      { id: "b", content: "De b.", metadata: { empresa: "b" } },
      { id: "mista", documents: [{ pageContent: "De b.", metadata: { empresa: "b" } }], metadata },
      { id: "c", content: "De a.", metadata },
    ]);
    await index.deleteTrainings({ ids: ["b", "c"] });
    const tenant = index.withFilter(metadata);
    const text = await exported(tenant);
    const ids = text
      .split("\n")
      .flatMap((line) => (line.startsWith('{"id"') ? (JSON.parse(line) as { id: string }).id : []));
    expect(ids).toEqual(["a", "c"]);
    const target = await openTestIndex(database, { filter: metadata });
    expect(await imported(target, text)).toMatchObject({ indexed: 1 });
    const other = await TrainingIndex.initialize(embeddings, { pool, schema, filter: { empresa: "b" } });
    await expect(other.importTrainings([text])).rejects.toThrow("source:2.metadata must have the same value");
    const readOnly = index.withFilter({ empresa: { in: ["a"] } });
    await expect(readOnly.importTrainings([text])).rejects.toThrow("allows reads only");
    // Taken by another tenant.
    const taken = text.replace('"id":"a"', '"id":"mista"');
    const whole = await openTestIndex(database);
    await whole.index.upsertTraining({ id: "mista", content: "De b.", metadata: { empresa: "b" } });
    await expect(whole.index.withFilter(metadata).importTrainings([taken])).rejects.toThrow(
      "source:2.id is taken by a training outside the filter of this index",
    );
  });

  it("is a snapshot: what is written meanwhile is not in it", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTrainings(
      Array.from({ length: 700 }, (_, number) => ({ id: `${1000 + number}`, content: "Um." })),
    );
    const lines: string[] = [];
    for await (const line of index.exportTrainings()) {
      lines.push(line);
      if (lines.length > 1) continue;
      await index.upsertTraining({ id: "0", content: "Novo." });
      await index.upsertTraining({ id: "1699", content: "Outro." });
      await index.deleteTraining("1698");
    }
    expect(lines).toHaveLength(1 + 2 * 700);
    expect(lines.filter((line) => line.includes("Um."))).toHaveLength(700);
  });

  it("returns its client, also to a caller who stops early or aborts", async () => {
    const { index, pool } = await openTestIndex(database);
    await index.upsertTrainings(["a", "b"].map((id) => ({ id, content: "Um." })));
    for await (const line of index.exportTrainings()) if (line !== "") break;
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const line of index.exportTrainings({ signal: stop.signal })) if (line !== "") stop.abort();
    };
    await expect(reading()).rejects.toMatchObject({ code: "ABORTED" });
    expect(pool.idleCount).toBe(pool.totalCount);
  });

  it("of a damaged training fails, and names it", async () => {
    const { index, owner, schema } = await openTestIndex(database);
    await index.upsertTrainings(["a", "b"].map((id) => ({ id, content: `Um ${id}.` })));
    await owner.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id = 'b'`);
    await expect(exported(index)).rejects.toMatchObject({
      code: "SCHEMA_DAMAGED",
      message: expect.stringContaining('Training "b" is damaged') as string,
    });
    await owner.query(`DELETE FROM ${schema}.indexed_1 WHERE training_id = 'b'`);
    await expect(exported(index)).rejects.toMatchObject({ code: "SCHEMA_DAMAGED" });
  });

  it("keeps vectors of the same text that differ", async () => {
    const source = await openTestIndex(database);
    await source.index.upsertTrainings(["a", "b", "c"].map((id) => ({ id, content: "O mesmo texto." })));
    await source.owner.query(
      `UPDATE ${source.schema}.chunk_1 SET embedding = (SELECT embedding + array_fill(1e-6::real, ARRAY[${DIMENSIONS}])::public.vector FROM ${source.schema}.chunk_1 LIMIT 1) WHERE training_id = 'b'`,
    );
    const target = await openTestIndex(database);
    await imported(target, await exported(source.index));
    expect(await contentOf(target.owner, target.schema)).toEqual(await contentOf(source.owner, source.schema));
  });

  it("keeps ids that are numbers, also beyond those that JSON holds exactly", async () => {
    const source = await openTestIndex(database, {}, { idType: "bigint" });
    await source.index.upsertTrainings([7, 2n ** 60n, -3].map((id) => ({ id, content: `Um ${id}.` })));
    const text = await exported(source.index);
    expect(text).toContain('"id":-3,');
    const target = await openTestIndex(database, {}, { idType: "bigint" });
    expect(await imported(target, text)).toMatchObject({ indexed: 3 });
    expect(await contentOf(target.owner, target.schema)).toEqual(await contentOf(source.owner, source.schema));
    const texts = await openTestIndex(database);
    await expect(imported(texts, text)).rejects.toThrow("source:2.id is a number, but this index stores ids as text");
  });

  it("is loaded before the vector index is built", async () => {
    const source = await openTestIndex(database);
    await source.index.upsertTrainings([{ id: "a", content: "Um." }]);
    const text = await exported(source.index);
    const target = await openTestIndex(database);
    const other = await openTestIndex(database, { profile: { model: "outro" } });
    await expect(imported(other, text, { bulk: true })).rejects.toMatchObject({ code: "PROFILE_MISMATCH" });
    const { schema } = target;
    const indexOf = (of: string): Promise<unknown> =>
      target.owner
        .query("SELECT to_regclass($1) AS oid", [`${of}.chunk_1_embedding`])
        .then(({ rows }) => (rows[0] as { oid: unknown }).oid);
    expect(await indexOf(other.schema)).not.toBeNull();
    // As an import that was killed leaves it.
    await target.owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    expect(await imported(target, text, { bulk: true })).toMatchObject({ indexed: 1 });
    expect(await indexOf(schema)).not.toBeNull();
    await expect(imported(target, text, { bulk: true })).rejects.toMatchObject({ option: "rebuild" });
  });
});
