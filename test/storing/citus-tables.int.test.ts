import { InvalidArgumentError, SchemaError, TrainingIndex, type DocumentsTraining } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { openAgain, openServerPool } from "../support/contract.js";
import {
  describeOnServer,
  requireConnectionSetup,
  requireServerUrl,
  uniqueName,
  type TestDatabase,
} from "../support/databases.js";
import {
  DIMENSIONS,
  dropAtEnd,
  filledIndex,
  FIVE_PARAGRAPHS,
  inHostTransaction,
  openTestIndex,
  paragraph,
  type TestIndex,
} from "../support/index.js";

const SPREAD = { citus: "tables" } as const;

/** Trainings with many chunks of many texts. */
function manyTrainings(trainings: number, chunks: number): DocumentsTraining[] {
  return Array.from({ length: trainings }, (_, place) => ({
    id: `t${place}`,
    documents: Array.from({ length: chunks }, (_unused, number) => ({
      pageContent: paragraph(`${place} ${number}`),
      metadata: { parte: number % 4, raro: place === 3 && number === 5 },
    })),
    split: false,
    metadata: { grupo: place % 2 === 0 ? "par" : "impar" },
  }));
}

/** The lines of a plan. */
async function planOf(client: pg.Pool | pg.PoolClient, text: string, values: unknown[] = []): Promise<string> {
  const { rows } = await client.query<{ "QUERY PLAN": string }>(`EXPLAIN ${text}`, values);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}

/** What a hit is, apart from the ids of chunks, which differ between two indexes. */
function placesOf(hits: readonly object[]): unknown[] {
  return hits.map((hit) => {
    if ("chunks" in hit) return { ...hit, chunks: placesOf(hit.chunks as object[]) };
    return { ...hit, chunkId: undefined };
  });
}

const isRefused =
  (code: string, words: string) =>
  (error: unknown): boolean =>
    ((SchemaError.is(error) && error.code === code) || (InvalidArgumentError.is(error) && code === error.option)) &&
    (error as Error).message.includes(words);

/** How the tables of a schema are distributed. */
async function tablesOf(pool: pg.Pool, schema: string): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ name: string; type: string; column: string }>(
    `SELECT c.relname AS name, t.citus_table_type AS type, t.distribution_column AS column
    FROM citus_tables t JOIN pg_class c ON c.oid = t.table_name JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`,
    [schema],
  );
  return Object.fromEntries(rows.map(({ name, type, column }) => [name, `${type} ${column}`]));
}

async function openBoth(database: TestDatabase): Promise<{ spread: TestIndex; local: TestIndex }> {
  return {
    spread: await openTestIndex(database, {}, SPREAD),
    local: await openTestIndex(database, {}, { citus: undefined }),
  };
}

describeOnServer("Trainings that are spread over a Citus cluster", (database) => {
  it("are on all workers, each with its chunks, and the profile is everywhere", async () => {
    const { pool, schema, index } = await openTestIndex(database, {}, SPREAD);
    expect(await tablesOf(pool, schema)).toEqual({
      training: "distributed id",
      indexed_1: "distributed training_id",
      chunk_1: "distributed training_id",
      profile: "reference <none>",
    });
    for (const training of manyTrainings(12, 2)) await index.upsertTraining(training);
    const { rows } = await pool.query<{ nodes: string; groups: string }>(
      `SELECT count(DISTINCT nodename || nodeport) AS nodes, count(DISTINCT colocation_id) AS groups FROM citus_shards
      WHERE table_name::text LIKE $1 || '.%' AND citus_table_type = 'distributed'`,
      [schema],
    );
    expect(rows).toEqual([{ nodes: "2", groups: "1" }]);
    expect(await index.count()).toEqual({ trainings: 12, chunks: 24 });
  });

  it("stay so when migrate runs again, at the same time in several processes", async () => {
    const { owner, pool, schema } = await openTestIndex(database, {}, SPREAD);
    const again = await Promise.all([
      ...Array.from({ length: 3 }, () => migrate(owner, { schema })),
      migrate(owner, { schema, ...SPREAD }),
    ]);
    expect(again.map(({ applied }) => applied)).toEqual([[], [], [], []]);
    expect(Object.keys(await tablesOf(pool, schema))).toHaveLength(4);
  });

  it("are spread again with other dimensions while other schemas are, without a deadlock", async () => {
    const opened = await Promise.all(Array.from({ length: 4 }, () => openTestIndex(database, {}, SPREAD)));
    const codes: string[] = [];
    const onNotice = ({ code }: { code: string }): unknown => codes.push(code);
    await Promise.all(
      opened.map(async ({ owner, pool, schema }) => {
        for (const dimensions of [32, DIMENSIONS]) await migrate(owner, { schema, dimensions, onNotice });
        expect(Object.keys(await tablesOf(pool, schema))).toHaveLength(4);
      }),
    );
    expect(codes).not.toContain("RETRY");
  });

  it("are spread with what is stored by a later migrate, which a process with the index open notices", async () => {
    const { index, owner, pool, schema } = await openTestIndex(database, {}, { citus: undefined });
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const [before] = await index.similar("Pix", { k: 1 });
    await migrate(owner, { schema, ...SPREAD });
    expect(Object.keys(await tablesOf(pool, schema))).toHaveLength(4);
    expect(await index.similar("Pix", { k: 1 })).toEqual([before]);
    expect(await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS })).toMatchObject({ status: "unchanged" });
    expect(await index.upsertTraining({ id: "b", content: FIVE_PARAGRAPHS })).toMatchObject({ status: "indexed" });
    expect(await index.count()).toEqual({ trainings: 2, chunks: 10 });
  });

  it("have the vector index in each shard, and find by it what an index of one table finds", async () => {
    const { spread, local } = await openBoth(database);
    const trainings = manyTrainings(60, 60);
    for (const { index } of [spread, local]) await index.bulkLoad(trainings, { maintenanceWorkMem: "64MB" });
    const status = await spread.index.status();
    expect(status.vectorIndex).toMatchObject({ valid: true, ready: true });
    expect(status.counts).toMatchObject({ trainings: 60, chunks: 3600, exact: true });
    expect(status.sizes.tables).toBeGreaterThan(1_000_000);
    expect(status.vectorIndex.bytes).toBeGreaterThan(500_000);
    let found = 0;
    for (let place = 0; place < 60; place += 3) {
      const question = paragraph(`${place} ${(place * 7) % 60} talvez`);
      const [hits, wanted] = await Promise.all(
        [spread, local].map(({ index }) => index.similar(question, { k: 10, efSearch: 200 })),
      );
      const farthest = wanted?.at(-1)?.distance ?? 0;
      found += (hits ?? []).filter(({ distance }) => distance <= farthest + 1e-9).length;
    }
    expect(found / 200).toBeGreaterThan(0.99);
  });

  it("are compared by the vector index when the shards are large, with its settings in each shard", async () => {
    const schema = uniqueName();
    const { pool, owner } = database;
    dropAtEnd(owner, schema);
    const url = new URL(requireConnectionSetup().url);
    url.searchParams.set("options", "-c citus.shard_count=2");
    await migrate(openServerPool({ connectionString: url.href }), { schema, dimensions: 256, ...SPREAD });
    const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: 256 }), { pool, schema });
    await index.bulkLoad(manyTrainings(200, 40), { maintenanceWorkMem: "64MB" });
    expect((await index.status()).vectorIndex.use).toBe("used");
    const vector = JSON.stringify(await new HashingEmbeddings({ dimensions: 256 }).embedQuery("Pix"));
    const search = `SELECT c.training_id, c.id FROM (SELECT training_id, id, embedding FROM ${schema}.chunk_1) c
      JOIN ${schema}.training t ON t.id = c.training_id
      WHERE ${schema}.search_settings(ARRAY['hnsw.ef_search'], ARRAY['77']) ORDER BY c.embedding <=> '${vector}' LIMIT 5`;
    const plan = await planOf(pool, search);
    expect(plan).toMatch(/Task Count: 2/);
    expect(plan).toMatch(/Index Scan using chunk_1_embedding_\d+/);
    expect(plan).toMatch(/One-Time Filter/);
    const [hit] = await index.similar(paragraph("7 7"), { k: 1 });
    expect(hit).toMatchObject({ trainingId: "t7", position: 7 });
    const local = await openTestIndex(database, {}, { citus: undefined, dimensions: 256 });
    await local.index.bulkLoad(manyTrainings(200, 40), { maintenanceWorkMem: "64MB" });
    const [recall = 0, wanted = 0] = await Promise.all(
      [index, local.index].map(
        async (each) => (await each.recall({ k: 10, sample: 30, efSearch: [100] })).rows[0]?.recall,
      ),
    );
    expect(recall).toBeGreaterThan(wanted - 0.03);
    expect(recall).toBeGreaterThan(0.8);
  });

  describe("find the same as one table", () => {
    const spread = filledIndex(database, ({ index }) => fill(index), SPREAD);
    const local = filledIndex(database, ({ index }) => fill(index), { citus: undefined });
    async function fill(index: TrainingIndex): Promise<void> {
      await index.upsertTrainings(manyTrainings(12, 8));
      for (const id of ["u1", "u2", "u3", "u4", "u5", "u6"])
        await index.upsertTraining({ id, content: "O mesmo texto." });
    }

    it.each([
      [{ k: 7 }],
      [{ k: 30 }],
      [{ k: 5, filter: { grupo: "par" } }],
      [{ k: 5, filter: { raro: true } }],
      [{ k: 30, filter: { parte: { $in: [1, 2] } } }],
      [{ k: 5, neighbors: { before: 1, after: 2 } }],
      [{ k: 5, neighbors: { before: 2, after: 1 }, filter: { parte: { $ne: 0 } } }],
      [{ k: 6, perTraining: 1 }],
      [{ k: 6, perTraining: 2, neighbors: { after: 1 } }],
      [{ k: 25, perTraining: 3, filter: { grupo: "impar" } }],
      [{ k: 4, mmr: { fetchK: 12, lambda: 0.3 } }],
      [{ k: 3, minScore: 0.2 }],
      [{ k: 0x10, maxDistance: 0.9 }],
    ])("%j", async (options) => {
      for (const question of [paragraph("3 5"), "entrega", "O mesmo texto."]) {
        const [found, wanted] = [
          await spread().index.similar(question, options),
          await local().index.similar(question, options),
        ];
        expect(placesOf(found)).toEqual(placesOf(wanted));
      }
      expect(await spread().index.similar(paragraph("3 5"), options)).not.toHaveLength(0);
    });

    it.each([
      [{ k: 3 }],
      [{ k: 30 }],
      [{ k: 3, perTraining: 2, neighbors: { before: 1 } }],
      [{ k: 4, filter: { parte: 2 } }],
    ])("trainings: %j", async (options) => {
      for (const question of [paragraph("3 5"), "O mesmo texto."]) {
        const [found, wanted] = [
          await spread().index.similar(question, { ...options, strategy: "trainings" }),
          await local().index.similar(question, { ...options, strategy: "trainings" }),
        ];
        expect(placesOf(found)).toEqual(placesOf(wanted));
      }
    });

    it("those that are equally near in the order of their trainings", async () => {
      for (const k of [1, 2, 3, 5, 6]) {
        const hits = await spread().index.similar("O mesmo texto.", { k });
        expect(hits.map(({ trainingId }) => trainingId)).toEqual(["u1", "u2", "u3", "u4", "u5", "u6"].slice(0, k));
      }
    });

    it("in reads by id, lists and counts", async () => {
      const both = [spread(), local()].map(({ index }) => index);
      const withoutTime = (training: object | undefined): object => ({ ...training, updatedAt: undefined });
      const [found, wanted] = await Promise.all(
        both.map(async (index) => {
          const listed = [];
          for await (const training of index.list()) listed.push(withoutTime(training));
          const filtered = [];
          const only = index.withFilter({ parte: 1 });
          for await (const training of index.list({ filter: { grupo: "par" }, after: "t2", limit: 3 }))
            filtered.push(withoutTime(training));
          return {
            ...{ listed, filtered, one: withoutTime(await index.get("t3")), none: await index.get("nada") },
            narrowed: withoutTime(await only.get("t3")),
            counts: [await index.count(), await index.count({ filter: { grupo: "impar" } })],
            chunks: placesOf(await index.chunks("t4")),
          };
        }),
      );
      expect(found).toEqual(wanted);
      expect(found?.listed).toHaveLength(18);
    });

    it("as documents of the retriever and the vector store", async () => {
      const { index } = spread();
      const documents = await index.asRetriever({ k: 2 }).invoke(paragraph("3 5"));
      expect(documents[0]?.metadata).toMatchObject({
        grupo: "impar",
        trainingIndex: { trainingId: "t3", position: 5 },
      });
      const store = index.vectorStore;
      const [[document, score] = []] = await store.similaritySearchWithScore(paragraph("4 4"), 1);
      expect(document?.pageContent).toBe(paragraph("4 4"));
      expect(score).toBeCloseTo(1);
      const [hit] = await index.similar(paragraph("4 4"), { k: 1 });
      const [byId] = await store.getByIds([hit?.chunkId ?? ""]);
      expect(byId?.pageContent).toBe(paragraph("4 4"));
    });
  });

  it("are written once by twenty calls at the same time, of which the last wins", async () => {
    const { index } = await openTestIndex(database, {}, SPREAD);
    const texts = Array.from(
      { length: 20 },
      (_, place) => `${paragraph(`versao ${place}`)}\n\n${paragraph(`outra ${place}`)}`,
    );
    const results = await Promise.all(texts.map((content) => index.upsertTraining({ id: "a", content })));
    expect(results.at(-1)).toMatchObject({ status: "indexed" });
    const chunks = await index.chunks("a");
    expect(chunks.map(({ content }) => content).join("\n\n")).toBe(texts.at(-1));
    expect(await index.count()).toEqual({ trainings: 1, chunks: chunks.length });
  });

  it("are read whole while they are replaced", async () => {
    const { index } = await openTestIndex(database, {}, SPREAD);
    const version = (number: number): string =>
      [0, 1, 2].map((part) => paragraph(part === 0 ? "sempre" : `versao ${number}, parte ${part}`)).join("\n\n");
    const known = new Set<string>();
    let isOver = false;
    const write = async (): Promise<void> => {
      for (let number = 0; number < 40; number++) {
        known.add(version(number));
        await index.upsertTraining({ id: "a", content: version(number) });
      }
      isOver = true;
    };
    await index.upsertTraining({ id: "a", content: version(0) });
    const read = async (options: object): Promise<void> => {
      while (!isOver) {
        const hits = await index.similar("loja", { k: 10, ...options });
        const inOrder = hits.toSorted((left, right) => left.position - right.position);
        expect(known).toContain(inOrder.map(({ content }) => content).join("\n\n"));
      }
    };
    await Promise.all([write(), read({}), read({ k: 50 }), read({ perTraining: 10 })]);
  });

  it("are deleted by id and by filter, and stay deleted", async () => {
    const { index } = await openTestIndex(database, {}, SPREAD);
    await index.upsertTrainings(manyTrainings(10, 2));
    expect(await index.deleteTraining("t0")).toMatchObject({ status: "deleted", removed: 2 });
    expect(await index.deleteTraining("t0")).toMatchObject({ status: "absent" });
    const removed = await index.deleteTrainings({ filter: { grupo: "impar" } });
    expect(removed.map(({ id, status }) => `${String(id)} ${status}`)).toEqual(
      ["t1", "t3", "t5", "t7", "t9"].map((id) => `${id} deleted`),
    );
    expect(await index.count()).toEqual({ trainings: 4, chunks: 8 });
    expect(await index.upsertTraining({ id: "t2", content: "Novo.", revision: 5 })).toMatchObject({
      status: "indexed",
    });
    expect(await index.deleteTraining("t2", { revision: 6 })).toMatchObject({ status: "deleted" });
    expect(await index.upsertTraining({ id: "t2", content: "Velho.", revision: 5 })).toMatchObject({
      status: "superseded",
      reason: "deleted",
    });
    expect(await index.prune({ olderThanMs: 1 })).toBe(7);
    expect(await index.upsertTraining({ id: "t2", content: "Velho.", revision: 5 })).toMatchObject({
      status: "indexed",
    });
  });

  it("are written and deleted in the host's transaction, all or none", async () => {
    const test = await openTestIndex(database, {}, SPREAD);
    const { index, pool } = test;
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const edited = FIVE_PARAGRAPHS.replace("Pix", "boleto");
    for (const end of ["ROLLBACK", "COMMIT"] as const) {
      await inHostTransaction(pool, end, async (client) => {
        await index.upsertTraining({ id: "a", content: edited }, { client });
        await index.upsertTraining({ id: "b", content: "Uma frase." }, { client });
        await index.deleteTraining("a", { client });
        await index.upsertTraining({ id: "a", content: edited }, { client });
        expect(await index.count({ client })).toEqual({ trainings: 2, chunks: 6 });
        expect(await index.similar("Uma frase.", { k: 1, client })).toMatchObject([{ trainingId: "b" }]);
      });
      expect(await index.count()).toEqual(end === "COMMIT" ? { trainings: 2, chunks: 6 } : { trainings: 1, chunks: 5 });
    }
    expect((await index.chunks("a")).map(({ content }) => content).join("\n\n")).toBe(edited);
  });

  it("keep the rows of chunks that an edit leaves as they are", async () => {
    const { index, embeddings } = await openTestIndex(database, {}, SPREAD);
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const before = new Set((await index.chunks("a")).map(({ chunkId }) => chunkId));
    embeddings.texts = [];
    const result = await index.upsertTraining({
      id: "a",
      content: `${paragraph("Novo")}\n\n${FIVE_PARAGRAPHS}`,
      metadata: { x: 1 },
    });
    expect(result).toMatchObject({ status: "indexed", embedded: 1, reused: 5 });
    expect(embeddings.texts).toHaveLength(1);
    const after = await index.chunks("a");
    expect(after.filter(({ chunkId }) => before.has(chunkId))).toHaveLength(5);
    expect(after.every(({ metadata }) => metadata["x"] === 1)).toBe(true);
  });

  it("are verified, reconciled, exported and imported", async () => {
    const { index, pool, schema } = await openTestIndex(database, {}, SPREAD);
    const source = manyTrainings(8, 3);
    await index.upsertTrainings(source);
    expect(await index.verify(source)).toMatchObject({
      missing: { count: 0 },
      stale: { count: 0 },
      orphaned: { count: 0 },
      damaged: { count: 0 },
    });
    await pool.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id = 't5' AND content = $1`, [paragraph("5 1")]);
    await index.upsertTraining({ id: "sobra", content: "Sobra." });
    const changed = source
      .map((training) => (training.id === "t1" ? { ...training, metadata: { grupo: "novo" } } : training))
      .slice(0, 7);
    const extended = [...changed, { id: "falta", content: "Falta." }];
    expect(await index.verify(extended)).toMatchObject({
      missing: { count: 1, ids: ["falta"] },
      stale: { count: 1, ids: ["t1"] },
      orphaned: { count: 2, ids: ["sobra", "t7"] },
      damaged: { count: 1, ids: ["t5"] },
    });
    await index.reconcile(extended, { maxDeletes: 5 });
    expect(await index.verify(extended)).toMatchObject({
      missing: { count: 0 },
      stale: { count: 0 },
      orphaned: { count: 0 },
      damaged: { count: 0 },
    });

    const other = await openTestIndex(database, {}, SPREAD);
    expect(await other.index.importTrainings(index.exportTrainings())).toMatchObject({ indexed: 8 });
    expect(await other.index.verify(extended)).toMatchObject({
      missing: { count: 0 },
      stale: { count: 0 },
      orphaned: { count: 0 },
      damaged: { count: 0 },
    });
  });

  it("belong to one model: of two that write first, one wins", async () => {
    const { index, pool, schema } = await openTestIndex(database, {}, SPREAD);
    const other = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
      ...{ pool, schema },
      profile: { model: "outro", queryPrefix: "", documentPrefix: "", dimensions: DIMENSIONS },
    });
    const results = await Promise.allSettled([
      ...Array.from({ length: 5 }, (_, place) => index.upsertTraining({ id: `a${place}`, content: "loja" })),
      ...Array.from({ length: 5 }, (_, place) => other.upsertTraining({ id: `b${place}`, content: "loja" })),
    ]);
    const failed = results.filter(({ status }) => status === "rejected");
    expect(failed).toHaveLength(5);
    for (const { reason } of failed as PromiseRejectedResult[]) {
      expect(reason).toSatisfy(isRefused("PROFILE_MISMATCH", "another embedding model"));
    }
    const { rows } = await pool.query(`SELECT DISTINCT left(id, 1) AS model FROM ${schema}.training`);
    expect(rows).toHaveLength(1);
  });

  it("can be written and found by a role with the rights of docs/migrations.md", async () => {
    const { index, owner, schema } = await openTestIndex(database, {}, SPREAD);
    await index.upsertTraining({ id: "a", content: "loja" });
    const role = uniqueName("role");
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'limited'; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role};
      GRANT USAGE ON SEQUENCE ${schema}.ticket TO ${role}`);
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const url = new URL(requireServerUrl());
    Object.assign(url, { username: role, password: "limited" });
    const limited = await openAgain({ schema }, openServerPool({ connectionString: url.href }));
    expect(await limited.upsertTraining({ id: "b", content: "loja nova" })).toMatchObject({ status: "indexed" });
    expect(await limited.similar("loja nova", { k: 1 })).toMatchObject([{ trainingId: "b" }]);
    expect(await limited.deleteTraining("a")).toMatchObject({ status: "deleted" });
    expect((await limited.status()).counts).toMatchObject({ trainings: 1, tombstones: 1 });
  });

  it("reference a host's table that is on all nodes", async () => {
    const { owner, pool } = database;
    const host = uniqueName("host");
    const schema = uniqueName();
    dropAtEnd(owner, schema);
    dropAtEnd(owner, host);
    await owner.query(`CREATE SCHEMA ${host}; CREATE TABLE ${host}.treinamento (id bigint PRIMARY KEY)`);
    await owner.query(`SELECT create_reference_table('${host}.treinamento')`);
    await migrate(owner, {
      schema,
      dimensions: DIMENSIONS,
      trainings: { schema: host, table: "treinamento" },
      ...SPREAD,
    });
    const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), { pool, schema });
    expect(await index.upsertTraining({ id: 1, content: "loja" })).toMatchObject({ reason: "hostRowMissing" });
    await owner.query(`INSERT INTO ${host}.treinamento VALUES (1), (2)`);
    expect(await index.upsertTraining({ id: 1, content: "loja" })).toMatchObject({ status: "indexed" });
    expect(await index.upsertTraining({ id: 2, content: "loja" })).toMatchObject({ status: "indexed" });
    await owner.query(`DELETE FROM ${host}.treinamento WHERE id = 1`);
    expect(await index.count()).toEqual({ trainings: 1, chunks: 1 });
    await owner.query(`DROP SCHEMA ${schema} CASCADE`);
  });

  it("have no text search, no switch of the model, and no standby", async () => {
    const { index, owner, pool, schema } = await openTestIndex(database, {}, SPREAD);
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    for (const mode of ["text", "hybrid"] as const) {
      await expect(index.similar("Pix", { mode })).rejects.toSatisfy(isRefused("mode", 'citus: "schema"'));
    }
    await expect(migrate(owner, { schema: uniqueName(), ...SPREAD, textSearch: "portuguese" })).rejects.toSatisfy(
      isRefused("textSearch", 'citus: "schema"'),
    );
    await expect(migrate(owner, { schema, textSearch: "portuguese" })).rejects.toSatisfy(
      isRefused("SCHEMA_CONFLICT", "text search"),
    );
    await expect(index.switchModel(new HashingEmbeddings({ dimensions: 32 }))).rejects.toSatisfy(
      isRefused("SWITCH_REFUSED", 'citus: "tables"'),
    );
    const readPool = openServerPool();
    await expect(
      TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), { pool, readPool, schema }),
    ).rejects.toSatisfy(isRefused("readPool", "Citus"));
  });

  it("follow a host's column from integer to bigint while nothing is stored, and refuse it afterwards", async () => {
    const { owner } = database;
    for (const isFilled of [false, true]) {
      const table = uniqueName("host");
      dropAtEnd(owner, table);
      await owner.query(`CREATE TABLE public.${table} (id integer PRIMARY KEY)`);
      await owner.query(`SELECT create_reference_table('public.${table}')`);
      await owner.query(`INSERT INTO public.${table} VALUES (1)`);
      const { index, schema } = await openTestIndex(database, {}, { ...SPREAD, trainings: { table } });
      if (isFilled) await index.upsertTraining({ id: 1, content: "a loja" });
      await owner.query(`ALTER TABLE public.${table} ALTER COLUMN id TYPE bigint`);
      const migrated = migrate(owner, { schema, trainings: { table } });
      if (isFilled) {
        await expect(migrated).rejects.toSatisfy(isRefused("SCHEMA_CONFLICT", "undistribute_table"));
        expect(await index.count()).toEqual({ trainings: 1, chunks: 1 });
        continue;
      }
      await migrated;
      expect(await index.similar("a loja")).toEqual([]); // notices the change
      await owner.query(`INSERT INTO public.${table} VALUES (3000000000)`);
      expect(await index.upsertTraining({ id: 3_000_000_000, content: "a casa" })).toMatchObject({ status: "indexed" });
    }
  });

  it("cannot be given to one node, nor changed while something is stored", async () => {
    const { index, owner, schema } = await openTestIndex(database, {}, { ...SPREAD, idType: "integer" });
    await expect(migrate(owner, { schema, citus: "schema" })).rejects.toSatisfy(
      isRefused("SCHEMA_CONFLICT", '"tables"'),
    );
    await migrate(owner, { schema, dimensions: 32 });
    await migrate(owner, { schema, dimensions: DIMENSIONS });
    await index.upsertTraining({ id: 1, content: FIVE_PARAGRAPHS });
    await owner.query(`DROP INDEX ${schema}.chunk_1_metadata`);
    expect(await migrate(owner, { schema })).toMatchObject({ repaired: ["index chunk_1_metadata"] });
    await expect(migrate(owner, { schema, idType: "bigint" })).rejects.toSatisfy(
      isRefused("SCHEMA_CONFLICT", "undistribute_table"),
    );
  });

  it("get another vector index while they are written and found", async () => {
    const { index, owner, schema } = await openTestIndex(database, {}, SPREAD);
    await index.upsertTrainings(manyTrainings(20, 10));
    for (const vectorIndex of ["halfvec", "bit"] as const) {
      expect(await migrate(owner, { schema, vectorIndex })).toMatchObject({ vectorIndex: "built" });
      expect((await index.status()).vectorIndex).toMatchObject({ type: vectorIndex, valid: true });
      expect(await index.similar(paragraph("7 7"), { k: 1 })).toMatchObject([{ trainingId: "t7", position: 7 }]);
    }
  });
});
