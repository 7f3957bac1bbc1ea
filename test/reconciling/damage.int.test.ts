import { TrainingIndex, type DamageKind, type Training } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded, describeOnServer } from "../support/databases.js";
import { FIVE_PARAGRAPHS, openTestIndex, sharedIndex, storedRows, type TestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

/** Damage made by hand to the training `a` of three, each of several chunks. `S` stands for the schema. */
interface MadeDamage {
  name: string;
  sql: string;
  kinds: DamageKind[];
  /** Whether it is only noticed with a source of whole trainings. Default: also without a source. */
  needsText?: boolean;
  /** How many texts the repair embeds. Default 0. */
  embedded?: number;
}

const A = "training_id = 'a'";
/** The chunk at a position of the training `a`. */
const at = (position: number): string =>
  `${A} AND id = (SELECT chunk_ids[${position + 1}] FROM S.indexed_1 WHERE ${A})`;

const DAMAGES: MadeDamage[] = [
  { name: "a missing chunk", sql: `DELETE FROM S.chunk_1 WHERE ${at(1)}`, kinds: ["missingChunk"], embedded: 1 },
  { name: "no chunks", sql: `DELETE FROM S.chunk_1 WHERE ${A}`, kinds: ["missingChunk"], embedded: 5 },
  {
    name: "a surplus chunk",
    sql: `INSERT INTO S.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
      SELECT training_id, 'surplus', content, metadata, content_hash, embedding FROM S.chunk_1 WHERE ${at(1)}`,
    kinds: ["surplusChunk"],
  },
  {
    name: "an offset outside the text",
    sql: `UPDATE S.indexed_1 SET ends[5] = ends[5] + 1000 WHERE ${A}`,
    kinds: ["offsets"],
  },
  { name: "a negative offset", sql: `UPDATE S.indexed_1 SET starts[1] = -1 WHERE ${A}`, kinds: ["offsets"] },
  {
    name: "chunks that overlap wrongly",
    sql: `UPDATE S.indexed_1 SET starts[2] = starts[2] - 40, ends[2] = ends[2] - 40 WHERE ${A}`,
    kinds: ["offsets"],
  },
  {
    name: "offsets that are shifted",
    sql: `UPDATE S.indexed_1 SET starts[5] = starts[5] + 3, ends[5] = ends[5] + 3 WHERE ${A}`,
    kinds: ["offsets"],
    needsText: true,
  },
  {
    name: "chunks listed in another order",
    sql: `UPDATE S.indexed_1 SET chunk_ids = ARRAY[chunk_ids[2], chunk_ids[1]] || chunk_ids[3:] WHERE ${A}`,
    kinds: ["offsets"],
    needsText: true,
  },
  {
    name: "an edited text",
    sql: `UPDATE S.chunk_1 SET content = translate(content, 'aeo', 'eoa') WHERE ${at(2)}`,
    kinds: ["text"],
    embedded: 1,
  },
  {
    name: "an edited text with its hash",
    sql: `UPDATE S.chunk_1 SET content = translate(content, 'aeo', 'eoa'),
      content_hash = sha256(convert_to(translate(content, 'aeo', 'eoa'), 'UTF8')) WHERE ${at(2)}`,
    kinds: ["offsets"],
    needsText: true,
    embedded: 1,
  },
  {
    name: "an edited hash",
    sql: `UPDATE S.chunk_1 SET content_hash = sha256('other') WHERE ${at(0)}`,
    kinds: ["text"],
    embedded: 1,
  },
  {
    name: "a list longer than the offsets",
    sql: `UPDATE S.indexed_1 SET starts = starts[1:3], ends = ends[1:3] WHERE ${A}`,
    kinds: ["places"],
  },
  { name: "a null in the offsets", sql: `UPDATE S.indexed_1 SET ends[2] = NULL WHERE ${A}`, kinds: ["places"] },
  {
    name: "a chunk that is not listed",
    sql: `UPDATE S.indexed_1 SET chunk_ids = chunk_ids[1:4], starts = starts[1:4], ends = ends[1:4] WHERE ${A}`,
    kinds: ["surplusChunk"],
  },
  {
    name: "a chunk that is listed twice",
    sql: `UPDATE S.indexed_1 SET chunk_ids = chunk_ids || chunk_ids[5], starts = starts || starts[5], ends = ends || ends[5]
      WHERE ${A}`,
    kinds: ["repeatedChunk"],
  },
  { name: "no list of chunks", sql: `DELETE FROM S.indexed_1 WHERE ${A}`, kinds: ["notIndexed"] },
  {
    name: "a chunk's edited metadata",
    sql: `UPDATE S.chunk_1 SET metadata = '{"grupo": "outro"}' WHERE ${at(3)}`,
    kinds: ["chunkMetadata"],
  },
  {
    name: "the training's edited metadata",
    sql: `UPDATE S.training SET metadata = '{"grupo": "outro"}' WHERE id = 'a'`,
    kinds: ["trainingMetadata"],
  },
  {
    name: "metadata that is not an object",
    sql: `UPDATE S.chunk_1 SET metadata = '[1]' WHERE ${at(3)}`,
    kinds: ["chunkMetadata"],
  },
  {
    name: "a vector without a direction",
    sql: `UPDATE S.chunk_1 SET embedding = array_fill(0, ARRAY[64])::real[]::public.vector WHERE ${at(1)}`,
    kinds: ["zeroVector"],
    embedded: 1,
  },
];

const TRAININGS: Training[] = ["a", "b", "c"].map((id) => ({
  id,
  content: FIVE_PARAGRAPHS.replaceAll("loja", `loja ${id}`),
  metadata: { grupo: "frete" },
  revision: 1,
}));

const ALL_SOUND = { missing: { count: 0 }, stale: { count: 0 }, orphaned: { count: 0 }, damaged: { count: 0 } };

async function openStored(test: TestIndex): Promise<TestIndex> {
  await test.index.upsertTrainings(TRAININGS);
  test.embeddings.texts = [];
  return test;
}

describeOnServerOrEmbedded("damage made by hand", (database) => {
  const shared = sharedIndex(database);

  it("is not there at first", async () => {
    const { index } = await openStored(shared());
    expect(await index.verify()).toMatchObject(ALL_SOUND);
    expect(await index.verify(TRAININGS)).toMatchObject(ALL_SOUND);
  });

  it.each(DAMAGES)("verify finds $name, and reconcile repairs it", async (made) => {
    const { sql, kinds, needsText = false, embedded = 0 } = made;
    const test = await openStored(shared());
    const { index, owner, schema, embeddings } = test;
    const sound = (await storedRows(test)).map(({ content }) => content);
    const neighbors = await storedRows(test, "b");

    await owner.query(sql.replaceAll("S.", `${schema}.`));
    const found = { count: 1, ids: ["a"] };
    for (const drift of [await index.verify(TRAININGS), ...(needsText ? [] : [await index.verify()])]) {
      expect(drift).toMatchObject({ ...ALL_SOUND, damaged: found });
      expect(drift.damaged.problems[0]?.kinds).toEqual(expect.arrayContaining(kinds));
    }
    expect(await index.reconcile(TRAININGS, { dryRun: true })).toMatchObject({ damaged: found, repaired: 0 });
    expect(await index.reconcile(TRAININGS)).toMatchObject({ damaged: found, repaired: 1, deleted: 0 });
    expect(embeddings.texts).toHaveLength(embedded);
    expect(await index.verify(TRAININGS)).toMatchObject({ ...ALL_SOUND, checked: 3 });
    expect((await storedRows(test)).map(({ content }) => content)).toEqual(sound);
    expect(await storedRows(test, "b"), "rows of other trainings are not written").toEqual(neighbors);
  });
});

describeOnServerOrEmbedded("damage in the database", (database) => {
  const shared = sharedIndex(database);

  it("reconcile repairs damage with an item that loads its training", async () => {
    const { index, owner, schema } = await openStored(shared());
    await owner.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id = 'a'`);
    const loaded: string[] = [];
    const source = TRAININGS.map((training) => ({
      id: training.id,
      revision: 1,
      load: () => {
        loaded.push(String(training.id));
        return training;
      },
    }));
    expect(await index.reconcile(source)).toMatchObject({ damaged: { ids: ["a"] }, repaired: 1 });
    expect(loaded).toEqual(["a"]);
    expect(await index.verify()).toMatchObject(ALL_SOUND);
  });

  it("finds a vector that does not belong to its text, for a sample", async () => {
    const { index, owner, schema, embeddings } = await openStored(shared());
    const change = `UPDATE ${schema}.chunk_1 c SET embedding = (SELECT o.embedding FROM ${schema}.chunk_1 o
      WHERE o.training_id = 'b' AND o.id = (SELECT chunk_ids[1] FROM S.indexed_1 WHERE training_id = 'b')) WHERE ${at(4)}`;
    await owner.query(change.replaceAll("S.", `${schema}.`));
    expect(await index.verify()).toMatchObject(ALL_SOUND);
    expect(embeddings.texts).toEqual([]);
    expect((await index.verify(undefined, { sample: 1000 })).damaged.problems).toEqual([
      { id: "a", kinds: ["vector"] },
    ]);
    expect(embeddings.texts.length).toBe(15);
    await index.reconcile(TRAININGS, { sample: 1000 });
    expect(await index.verify(TRAININGS, { sample: 1000 })).toMatchObject(ALL_SOUND);
  });

  it.each(["chunk_1", "indexed_1"])("finds and removes rows of %s that a deleted training still has", async (table) => {
    const { index, owner, schema } = await openStored(shared());
    await owner.query(`CREATE TABLE ${schema}.kept AS SELECT * FROM ${schema}.${table} WHERE training_id = 'a'`);
    await index.deleteTraining("a");
    const columns = "chunk_1" === table ? "training_id, id, content, metadata, content_hash, embedding" : "*";
    const into = columns === "*" ? "" : ` (${columns})`;
    await owner.query(`INSERT INTO ${schema}.${table}${into} SELECT ${columns} FROM ${schema}.kept`);
    await owner.query(`DROP TABLE ${schema}.kept`);
    const rest = TRAININGS.slice(1);
    const leftover = { damaged: { count: 1, problems: [{ id: "a", kinds: ["leftover"] }] } };
    expect(await index.verify()).toMatchObject(leftover);
    expect(await index.verify(rest)).toMatchObject({ ...leftover, orphaned: { count: 0 } });
    await index.reconcile(rest);
    expect(await index.verify(rest)).toMatchObject(ALL_SOUND);
    expect((await owner.query(`SELECT FROM ${schema}.${table} WHERE training_id = 'a'`)).rowCount).toBe(0);
  });
});

describeOnServer("damage in the database", (database) => {
  const shared = sharedIndex(database);

  it("embeds about as many chunks as the sample asks for", async () => {
    const { index, embeddings } = shared();
    const many = Array.from({ length: 300 }, (_, number) => ({ id: `${number}`, content: `Frete ${number}.` }));
    await index.upsertTrainings(many);
    embeddings.texts = [];
    await index.verify(undefined, { sample: 100 });
    expect(embeddings.texts.length).toBeGreaterThan(50);
    expect(embeddings.texts.length).toBeLessThan(160);
  });

  it("reads no rows of trainings that are plainly sound, and counts characters as JavaScript does", async () => {
    const { schema, embeddings, owner, index } = await openStored(shared());
    const { pool, statements } = recordingPool(database.pool);
    const recorded = await TrainingIndex.initialize(embeddings, { pool, schema });
    const emoji = [...TRAININGS, { id: "emoji", content: "Prazo 😀." }];
    const contentsRead = (): number => statements.filter(({ text }) => text.includes("'content', c.content")).length;
    expect(await recorded.verify()).toMatchObject(ALL_SOUND);
    expect(await recorded.verify(TRAININGS)).toMatchObject(ALL_SOUND);
    expect(await recorded.verify(TRAININGS.map(({ id }) => ({ id })))).toMatchObject(ALL_SOUND);
    expect(contentsRead()).toBe(0);
    await index.upsertTrainings(emoji);
    expect(await recorded.verify(emoji)).toMatchObject(ALL_SOUND);
    expect(contentsRead()).toBe(1);
    // As many characters as Postgres counts.
    await owner.query(`UPDATE ${schema}.indexed_1 SET ends[1] = 8 WHERE training_id = 'emoji'`);
    expect((await recorded.verify()).damaged.problems).toEqual([{ id: "emoji", kinds: ["offsets"] }]);
  });

  it("finds leftovers in an index of several pages", async () => {
    const { index, owner, schema } = await openStored(shared());
    await owner.query(
      `INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata, deleted_at)
        SELECT 'b' || n, 0, 0, 0, '{}', now() FROM generate_series(1, 11000) n`,
    );
    const list = "fingerprint, splitter, chunk_ids, starts, ends";
    await owner.query(
      `INSERT INTO ${schema}.indexed_1 (training_id, ${list}) SELECT 'b' || n, ${list}
        FROM ${schema}.indexed_1, unnest(ARRAY[1, 7000, 9999]) n WHERE training_id = 'a'`,
    );
    const found = { checked: 3, damaged: { ids: ["b1", "b7000", "b9999"] }, orphaned: { count: 0 } };
    expect(await index.verify()).toMatchObject(found);
    expect(await index.reconcile(TRAININGS)).toMatchObject(found);
    expect(await index.verify(TRAININGS)).toMatchObject(ALL_SOUND);
  });

  it("takes vectors that the caller gave for what they are", async () => {
    const test = shared();
    const { index, owner, schema } = test;
    const vector = Array.from({ length: 64 }, (_, component) => component + 0.1);
    await index.vectorStore.addVectors([vector], [{ pageContent: "loja", metadata: {} }], { ids: ["v"] });
    expect(await index.verify(undefined, { sample: 10 })).toMatchObject({ ...ALL_SOUND, checked: 1 });
    await owner.query(`UPDATE ${schema}.chunk_1 SET content = 'lojas'`);
    expect((await index.verify()).damaged.problems).toEqual([{ id: "v", kinds: ["text", "offsets"] }]);
  });
});

describeOnServer("damage to the schema", (database) => {
  it("finds and removes chunks of an id that has no training", async () => {
    const { index, owner, schema } = await openStored(await openTestIndex(database));
    const { rows } = await owner.query<{ name: string }>(
      `SELECT conrelid::regclass || ' DROP CONSTRAINT ' || conname AS name FROM pg_constraint
        WHERE contype = 'f' AND confrelid = '${schema}.training'::regclass`,
    );
    for (const { name } of rows) await owner.query(`ALTER TABLE ${name}`);
    await owner.query(`DELETE FROM ${schema}.training WHERE id = 'a'`);
    const drift = await index.verify(TRAININGS.slice(1));
    expect(drift.damaged.problems).toEqual([{ id: "a", kinds: ["leftover"] }]);
    expect(drift.schema.map(({ part }) => part)).toEqual(["foreign key indexed_1", "foreign key chunk_1"]);
    await index.reconcile(TRAININGS.slice(1));
    expect(await index.verify()).toMatchObject(ALL_SOUND);
  });

  it("finds and repairs a vector with another number of dimensions", async () => {
    const { index, owner, schema } = await openStored(await openTestIndex(database));
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    await owner.query(`ALTER TABLE ${schema}.chunk_1 ALTER COLUMN embedding TYPE public.vector`);
    await owner.query(`UPDATE S.chunk_1 SET embedding = '[1, 2, 3]' WHERE ${at(1)}`.replaceAll("S.", `${schema}.`));
    expect((await index.verify()).damaged.problems).toEqual([{ id: "a", kinds: ["dimensions"] }]);
    await index.reconcile(TRAININGS);
    expect(await index.verify(TRAININGS, { sample: 100 })).toMatchObject(ALL_SOUND);
  });

  it("finds missing indexes and leftovers of other profiles, and says what to do", async () => {
    const { index, owner, schema } = await openStored(await openTestIndex(database));
    expect((await index.verify()).schema).toEqual([]);
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding; DROP INDEX ${schema}.chunk_1_metadata`);
    await owner.query(`CREATE TABLE ${schema}.chunk_7 (id text); CREATE TABLE ${schema}.indexed_7 (id text)`);
    const remedy: unknown = expect.stringContaining(`run migrate(pool, { schema: "${schema}" })`);
    expect((await index.verify()).schema).toEqual([
      { part: "index chunk_1_metadata", problem: remedy },
      { part: "index chunk_1_embedding", problem: remedy },
      { part: "table chunk_7", problem: "belongs to no profile: drop it if nothing uses it" },
      { part: "table indexed_7", problem: "belongs to no profile: drop it if nothing uses it" },
    ]);
  });

  it("does not take trainings for damaged that were edited, have documents, line breaks of Windows, or a header", async () => {
    const { index } = await openTestIndex(database, {
      header: ({ metadata }) => JSON.stringify(metadata?.["tag"] ?? ""),
    });
    const source: Training[] = [
      { id: "edited", content: FIVE_PARAGRAPHS.replace("loja", "nova loja"), metadata: { tag: "t" } },
      {
        id: "documents",
        documents: [
          { pageContent: "Frete.", metadata: { page: 1 } },
          { pageContent: "Prazo 😀.", metadata: { page: 2 } },
        ],
        metadata: { grupo: "frete" },
      },
      { id: "ready", documents: [{ pageContent: "Frete.", id: "x" }, { pageContent: "Troca." }], split: false },
      { id: "windows", content: FIVE_PARAGRAPHS.replaceAll("\n", "\r\n") },
      { id: "blank", content: " \n " },
    ];
    await index.upsertTraining({ id: "edited", content: FIVE_PARAGRAPHS, metadata: { tag: "t" } });
    await index.upsertTrainings(source);
    expect(await index.verify(source)).toMatchObject({ ...ALL_SOUND, checked: 5 });
    expect(await index.verify()).toMatchObject({ ...ALL_SOUND, checked: 5 });
    expect(await index.verify(source, { sample: 100 })).toMatchObject(ALL_SOUND);
  });
});
