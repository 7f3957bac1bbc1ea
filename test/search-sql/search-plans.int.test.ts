import { Document } from "@langchain/core/documents";
import {
  TrainingIndex,
  type ChunkHit,
  type DatabasePool,
  type Metadata,
  type SimilarOptions,
} from "langchain-training-index";
import { migrate, type MigrateOptions } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { ClusteredVectors } from "../../tooling/seeded-data.js";
import { openServerPool } from "../support/contract.js";
import { describeOnServer, isOnCluster, requireServerUrl, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, migratedSchema, openTestIndex, until } from "../support/index.js";
import { explain, pagesRead, recordingPool, type Statement } from "../support/recording-pool.js";

interface FilledIndex {
  schema: string;
  index: TrainingIndex;
  /** More vectors from the same clusters. */
  vectors: ClusteredVectors;
  /** Searches, and returns the hits with Postgres's plan. */
  findWithPlan: (options: SimilarOptions<"vector">) => Promise<{ hits: ChunkHit[]; plan: string }>;
  /** How many pages ten searches read. */
  pagesOf: (options: SimilarOptions<"vector">) => Promise<number>;
}

/** Fills a schema without its vector index and builds the index afterwards, which takes a third of the time. */
async function openFilled(
  database: TestDatabase,
  count: number,
  metadataOf: (place: number) => Metadata,
  options: MigrateOptions = {},
): Promise<FilledIndex> {
  const { pool, owner } = database;
  const migration = { dimensions: 1024, ...options };
  const schema = await migratedSchema(database, migration);
  const recorded = recordingPool(pool);
  const vectors = new ClusteredVectors(1024, 100, 7);
  const given = new Map(
    Array.from({ length: count }, (_, place) => [
      `${place} ${"o prazo de entrega da loja ".repeat(30)}`,
      vectors.next(),
    ]),
  );
  const embeddings = {
    embedDocuments: (texts: string[]) => Promise.resolve(texts.map((text) => given.get(text) ?? [])),
    embedQuery: (text: string) => new CountingEmbeddings(1024).embedQuery(text),
  };
  const open = (): Promise<TrainingIndex> =>
    TrainingIndex.initialize(embeddings, { pool: recorded.pool, schema, profile: { model: "agrupado" } });
  const filled = await open();
  // The plans are those of a table without statistics, whenever a test runs.
  await owner.query(`ALTER TABLE ${schema}.chunk_1 SET (autovacuum_enabled = off)`);
  await owner.query(`DROP INDEX ${schema}.${await vectorIndexOf(database, schema)}`);
  const documents = [...given.keys()].map((pageContent, place) => ({
    pageContent,
    metadata: metadataOf(place),
  }));
  const trainings = Array.from({ length: count / 10 }, (_, place) => ({
    id: `t${place}`,
    documents: documents.slice(place * 10, place * 10 + 10),
    split: false,
  }));
  for await (const { status } of filled.upsertTrainings(trainings)) expect(status).toBe("indexed");
  expect(await migrate(owner, { ...migration, schema })).toMatchObject({ vectorIndex: "built" });
  // An index that looked at the large table before this may compare all chunks for another minute.
  const index = await open();
  const find = async (search: SimilarOptions<"vector">): Promise<{ hits: ChunkHit[]; statement: Statement }> => {
    recorded.statements.length = 0;
    const hits = await index.similar(vectors.next(), search);
    // A search without hits is followed by a statement that checks the schema's version.
    const statement = recorded.statements.filter(({ text }) => text.includes("<=>")).at(-1);
    if (!statement) throw new Error("no search was recorded");
    return { hits, statement };
  };
  return {
    schema,
    index,
    vectors,
    findWithPlan: async (search) => {
      const { hits, statement } = await find(search);
      return { hits, plan: await explain(pool, statement) };
    },
    pagesOf: async (search) => {
      let pages = 0;
      for (let question = 0; question < 10; question++) pages += await pagesRead(pool, (await find(search)).statement);
      return pages;
    },
  };
}

async function vectorIndexOf({ pool }: TestDatabase, schema: string): Promise<string> {
  // Not pg_indexes, which fails if another test drops an index meanwhile.
  const { rows } = await pool.query<{ relname: string }>(
    `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE c.relnamespace = $1::pg_catalog.regnamespace AND c.relkind = 'i' AND a.amname = 'hnsw'`,
    [schema],
  );
  return rows[0]?.relname ?? "";
}

/** What the text of a search leaves the planner no choice about. */
function wayOf(statement: string): "scans the vector index" | "compares those that match" {
  return statement.includes("FETCH FIRST") ? "scans the vector index" : "compares those that match";
}

const BY_VECTOR_INDEX = /Index Scan using chunk_1_embedding(_halfvec|_bit)? on chunk_1/;
const BY_FILTER_INDEX = "Bitmap Index Scan on chunk_1_metadata";

describeOnServer("a search among 10,000 chunks of 1,024 dimensions", (database) => {
  it("uses the vector index without a filter and with a wide one, and the metadata index with a narrow one", async () => {
    const metadataOf = (place: number): Metadata => ({
      half: place % 2,
      tenth: place % 10,
      hundredth: place % 100,
    });
    const { schema, index, vectors, findWithPlan, pagesOf } = await openFilled(database, 10_000, metadataOf);
    // Without statistics, as before the first autovacuum.
    expect((await findWithPlan({ k: 5 })).plan).toMatch(BY_VECTOR_INDEX);
    for (const filter of [{ half: 1 }, { hundredth: 7 }, { hundredth: 100 }]) {
      const { hits } = await findWithPlan({ k: 5, filter });
      expect(hits).toHaveLength(filter.hundredth === 100 ? 0 : 5);
    }

    await database.owner.query(`ANALYZE ${schema}.chunk_1`);
    for (const k of [5, 40]) {
      const plain = await findWithPlan({ k });
      expect(plain.plan).toMatch(BY_VECTOR_INDEX);
      expect(plain.plan).not.toContain("Sort"); // whole rows, which the index returns in order
      expect(plain.hits).toHaveLength(k);
      const wide = await findWithPlan({ k, filter: { half: 1 } });
      expect(wide.plan).toMatch(BY_VECTOR_INDEX);
      expect(wide.hits).toHaveLength(k);
      // No statistics tell how many rows this filter matches.
      for (const perTraining of [undefined, 2]) {
        const unknown = await findWithPlan({ k, perTraining, filter: { hundredth: { lt: 50 } } });
        expect(unknown.plan).toMatch(BY_VECTOR_INDEX);
        expect(unknown.hits).toHaveLength(k);
      }
      const both = await findWithPlan({ k, filter: { hundredth: 7, half: { gte: 0 } } });
      expect(both.plan).toContain(BY_FILTER_INDEX);
      expect(both.hits).toHaveLength(k);
      const narrow = await findWithPlan({ k, filter: { hundredth: 7 } });
      expect(narrow.plan).toContain(BY_FILTER_INDEX);
      expect(narrow.hits).toHaveLength(k);
      const none = await findWithPlan({ k, filter: { hundredth: 100 } });
      expect(none.plan).toContain(BY_FILTER_INDEX);
      expect(none.hits).toEqual([]);
    }
    // As many as `efSearch` are found by one scan, which also tells whether the next one is equally near. The pages of a worker are not counted.
    if (!isOnCluster()) {
      expect(await pagesOf({ k: 40 })).toBeLessThan(1.3 * (await pagesOf({ k: 35 })));
      expect(await pagesOf({ k: 60 })).toBeLessThan(2 * (await pagesOf({ k: 35 })));
    }
    // The places of a few chunks are found without a scan of all trainings.
    expect((await findWithPlan({ k: 200 })).plan).not.toMatch(/Seq Scan on (?:chunk_1|indexed_1)/);
    expect((await findWithPlan({ k: 5, filter: { tenth: 3 }, efSearch: 100 })).plan).toMatch(BY_VECTOR_INDEX);
    expect((await findWithPlan({ k: 5, filter: { tenth: 3, half: 1 } })).hits).toHaveLength(5);

    // A planner that would scan the vector index for a narrow filter is overruled: such scans miss most of the nearest chunks.
    const filtersByPlan = [
      [{ hundredth: 7 }, "compares those that match"],
      [{ half: 1 }, "scans the vector index"],
      [{ hundredth: { lt: 1 } }, "scans the vector index"], // no index finds what is less
    ] as const;
    for (const [filter, expected] of filtersByPlan) {
      const scanning = openServerPool({
        connectionString: requireServerUrl(),
        max: 1,
        options: "-c enable_bitmapscan=off -c enable_seqscan=off -c jit=off",
      });
      const overruling = await TrainingIndex.initialize(new CountingEmbeddings(1024), {
        pool: scanning,
        schema,
        profile: { model: "agrupado" },
      });
      expect(await overruling.similar(vectors.next(), { k: 5, filter })).toHaveLength(5);
      const { rows } = await scanning.query<{ statement: string }>(
        "SELECT statement FROM pg_prepared_statements WHERE strpos(statement, '<=>') > 0",
      );
      const plans = rows.map(({ statement }) => wayOf(statement));
      expect(plans, JSON.stringify(filter)).toEqual([expected]);
    }

    // The results are the same with kept plans, which do not know the filter's values. Those that Postgres expects to be cheap are kept
    // also in a table so large that a search of all its chunks must not be compiled (which costs a transaction).
    const session = openServerPool({
      connectionString: requireServerUrl(),
      max: 1,
      options: "-c jit=on -c jit_above_cost=5000",
    });
    const keeping = await TrainingIndex.initialize(new CountingEmbeddings(1024), {
      pool: session,
      schema,
      profile: { model: "agrupado" },
    });
    const filters = [{ half: 1 }, { hundredth: 7 }, { hundredth: 100 }, { half: 1, tenth: 3 }];
    for (let round = 0; round < 8; round++) {
      for (const filter of filters) {
        const vector = vectors.next();
        const expected = await index.similar(vector, { k: 5, filter, efSearch: 200 });
        expect(await keeping.similar(vector, { k: 5, filter, efSearch: 200 })).toEqual(expected);
      }
    }
    const { rows } = await session.query<{ name: string }>(
      "SELECT name FROM pg_prepared_statements WHERE strpos(statement, '<=>') > 0",
    );
    expect(rows).toHaveLength(2);
    const kept: string[] = [];
    for (const { name } of rows) {
      const call = `${name}('${JSON.stringify(vectors.next())}', '200', '{"hundredth": 7}', '{}')`;
      kept.push(await explain(session, { text: `EXECUTE ${call}` }));
    }
    expect(kept.filter((plan) => BY_VECTOR_INDEX.test(plan))).toHaveLength(1);
    expect(kept.filter((plan) => plan.includes(BY_FILTER_INDEX))).toHaveLength(1);
  }, 240_000);
});

describeOnServer("a narrow filter in a table that Postgres takes for a large one", (database) => {
  it("is not left to the vector index by searches whose statements are planned each time", async () => {
    const metadataOf = (place: number): Metadata => ({ half: place % 2, hundredth: place % 100 });
    const { schema } = await openFilled(database, 1_000, metadataOf, { textSearch: "portuguese" });
    const scanning = openServerPool({
      connectionString: requireServerUrl(),
      max: 1,
      options: "-c enable_bitmapscan=off -c enable_seqscan=off -c jit=off",
    });
    await scanning.query(`ANALYZE ${schema}.chunk_1`);
    await scanning.query(`UPDATE pg_catalog.pg_class SET reltuples = 100000 WHERE oid = '${schema}.chunk_1'::regclass`);
    const { pool, statements } = recordingPool(scanning);
    const profile = { model: "agrupado" };
    const index = await TrainingIndex.initialize(new CountingEmbeddings(1024), { pool, schema, profile });
    const searches = [{}, { perTraining: 2 }, { strategy: "trainings" }, { mode: "hybrid" }] as const;
    const filters = [
      [{ hundredth: 7 }, "compares those that match"],
      [{ half: 1 }, "scans the vector index"],
    ] as const;
    for (const search of searches) {
      for (const [filter, expected] of filters) {
        statements.length = 0;
        const hits = await index.similar("prazo da loja", { ...search, k: 2, filter });
        expect(hits).toHaveLength(2);
        const ran = statements.filter(({ text }) => text.includes("<=>") && !text.startsWith("EXPLAIN"));
        const ways = ran.map(({ text }) => wayOf(text));
        expect(ways, JSON.stringify({ ...search, filter })).toEqual([expected]);
      }
    }
  });
});

describeOnServer("a filter that few chunks match", (database) => {
  it("is planned a few times only, with and without the filter of the index", async () => {
    const metadataOf = (place: number): Metadata => ({ half: place % 2, hundredth: place % 100 });
    const { schema } = await openFilled(database, 1_000, metadataOf);
    const session = openServerPool({ connectionString: requireServerUrl(), max: 1 });
    await session.query(`ANALYZE ${schema}.chunk_1`);
    const whole = await TrainingIndex.initialize(new CountingEmbeddings(1024), {
      ...{ pool: session, schema, profile: { model: "agrupado" } },
    });
    for (const [index, chunks] of [
      [whole, 10],
      [whole.withFilter({ half: 1 }), 10],
      [whole.withFilter({ half: 0 }), 0],
    ] as const) {
      for (let search = 0; search < 8; search++) {
        expect(await index.similar("loja", { k: 20, filter: { hundredth: 7 } })).toHaveLength(chunks);
        expect(await index.similar("loja", { k: 20, filter: { hundredth: 700 } })).toEqual([]);
      }
    }
    const { rows } = await session.query(
      "SELECT custom_plans::int AS custom FROM pg_catalog.pg_prepared_statements WHERE statement LIKE '%search-exactly%'",
    );
    expect(rows).toEqual([{ custom: 5 }, { custom: 5 }]);
  });
});

describeOnServer("a compact vector index", (database) => {
  it.each(["halfvec", "bit"] as const)(
    "of type %s is used with and without a filter, and hits have the distances of the full vectors",
    async (vectorIndex) => {
      const metadataOf = (place: number): Metadata => ({ half: place % 2 });
      const { index, vectors, findWithPlan } = await openFilled(database, 500, metadataOf, { vectorIndex });
      // Postgres may hide a new index from snapshots that are older, and so as long as other tests have open transactions.
      const byIndex = `Index Scan using chunk_1_embedding_${vectorIndex} on chunk_1`;
      await until(async () => (await findWithPlan({ k: 5 })).plan.includes(byIndex));
      const vector = vectors.next();
      const efSearch = 400; // the graph is random, and a scan of 40 candidates sometimes misses a chunk
      const hits = await index.similar(vector, { k: 20, efSearch });
      const all = await index.similar(vector, { k: 500 });
      expect(hits).toEqual(all.slice(0, 20));
      for (const [place, { distance, score }] of hits.entries()) {
        expect(score).toBe(1 - distance);
        expect(distance).toBeGreaterThanOrEqual(hits[place - 1]?.distance ?? 0);
      }
      const filtered = await index.similar(vector, { k: 20, efSearch, filter: { half: 1 } });
      expect(filtered).toEqual(all.filter(({ metadata }) => metadata["half"] === 1).slice(0, 20));
    },
  );

  it.each(["halfvec", "bit"] as const)(
    "of type %s gives hybrid hits the similarity of the full vectors, whichever search found them",
    async (vectorIndex) => {
      const { index, schema } = await openFilled(database, 500, (place) => ({ half: place % 2 }), {
        vectorIndex,
        textSearch: "portuguese",
      });
      const embeddings = new CountingEmbeddings(1024);
      // The number of a chunk is a rare word of its text; the vector index does not find it for that.
      const question = "prazo da loja 123 321 77";
      const { rows } = await database.owner.query<{ id: string; distance: number }>(
        `SELECT id, embedding OPERATOR(public.<=>) $1::public.vector AS distance FROM ${schema}.chunk_1`,
        [JSON.stringify(await embeddings.embedQuery(question))],
      );
      const distances = new Map(rows.map(({ id, distance }) => [id, distance]));
      expect(distances.size).toBe(500);
      const byText = await index.similar(question, { mode: "text", k: 1000 });
      const covered = new Map(byText.map(({ chunkId, coverage }) => [chunkId, coverage]));
      for (const filter of [undefined, { half: 1 }]) {
        for (const weights of [undefined, { text: 0 }, { vector: 0 }]) {
          const hits = await index.similar(question, { mode: "hybrid", k: 50, weights, filter });
          expect(hits).toHaveLength(50);
          for (const { chunkId, similarity, distance, coverage } of hits) {
            expect(distance).toBe(distances.get(chunkId));
            expect(similarity).toBe(1 - (distance ?? NaN));
            expect(coverage).toBeCloseTo(covered.get(chunkId) ?? NaN, 12);
          }
        }
        const trainings = await index.similar(question, { mode: "hybrid", strategy: "trainings", filter });
        expect(trainings).toHaveLength(5);
        for (const { chunks, similarity, distance } of trainings) {
          expect(similarity).toBe(chunks[0]?.similarity);
          expect(distance).toBe(distances.get(chunks[0]?.chunkId ?? ""));
        }
      }
      const best = await index.similar(question, { mode: "hybrid", k: 3 });
      expect(best.map(({ content }) => content.split(" ")[0]).sort()).toEqual(["123", "321", "77"]);
    },
  );

  it("of type bit finds more of the true neighbours with more candidates", async () => {
    const { index, vectors } = await openFilled(database, 500, () => ({}), { vectorIndex: "bit" });
    const found = { few: 0, many: 0 };
    for (let round = 0; round < 20; round++) {
      const vector = vectors.next();
      const ids = async (options: SimilarOptions): Promise<string[]> =>
        (await index.similar(vector, options)).map(({ chunkId }) => chunkId);
      const nearest = await ids({ k: 10, rerankFactor: 50 });
      const few = await ids({ k: 10, rerankFactor: 1, efSearch: 10 });
      const many = await ids({ k: 10, rerankFactor: 10 });
      found.few += few.filter((id) => nearest.includes(id)).length;
      found.many += many.filter((id) => nearest.includes(id)).length;
    }
    expect(found.many).toBeGreaterThan(160);
    expect(found.few).toBeLessThan(found.many);
  });
});

describeOnServer("an index opened before its vector index changed", (database) => {
  it("finds the same with the new one, and without any", async () => {
    const { schema, index, vectors } = await openFilled(database, 200, () => ({}));
    const vector = vectors.next();
    const before = await index.similar(vector, { k: 10 });
    await migrate(database.owner, { schema, vectorIndex: "bit" });
    expect(await index.similar(vector, { k: 10 })).toEqual(before);
    await database.owner.query(`DROP INDEX ${schema}.chunk_1_embedding_bit`);
    expect(await index.similar(vector, { k: 10 })).toEqual(before);
  });
});

describeOnServer("a filter whose rows the vector index scan does not reach", (database) => {
  it("still finds k hits", async () => {
    const test = await openTestIndex(database);
    const near = Array.from({ length: DIMENSIONS }, (_, place) => (place === 0 ? 1 : 0));
    const documents = Array.from(
      { length: 1000 },
      (_, place) =>
        new Document({
          pageContent: `${place} ${"a loja ".repeat(150)}`,
          metadata: { far: place % 2 === 1 },
        }),
    );
    const random = new ClusteredVectors(DIMENSIONS, 1, 3);
    await test.index.vectorStore.addVectors(
      documents.map((_, place) =>
        random.next().map((component, index) => component / 10 + (near[index] ?? 0) * (place % 2 === 1 ? -1 : 1)),
      ),
      documents,
    );
    // The scan gives up immediately, as one of a large table does after 20,000 tuples; and the planner must choose it.
    const session = openServerPool({ connectionString: requireServerUrl(), max: 1 });
    await session.query("SELECT '[1]'::vector; SET hnsw.max_scan_tuples = 1; SET enable_bitmapscan = off");
    await session.query("SET enable_seqscan = off");
    const index = await TrainingIndex.initialize(test.embeddings, { pool: session, schema: test.schema });
    for (let round = 0; round < 2; round++) {
      expect(await index.similar(near, { k: 5, filter: { far: true } })).toHaveLength(5);
    }
    expect(await index.similar(near, { k: 5, filter: { far: "talvez" } })).toEqual([]);
  });
});

/** Ready chunks, each of which fills a page. */
function fullChunks(id: string): { id: string; pageContent: string; metadata: Metadata }[] {
  return Array.from({ length: 10 }, (_, place) => ({
    id: `${id}-${place}`,
    pageContent: `${id} ${place} ${"o prazo de entrega da loja ".repeat(30)}`,
    metadata: { versao: 1 },
  }));
}

describeOnServer("the plan of a swap that replaces chunks", (database) => {
  const open = (schema: string, pool: DatabasePool): Promise<TrainingIndex> =>
    TrainingIndex.initialize(new CountingEmbeddings(1024), { pool, schema, profile: { model: "contado" } });
  const fill = async (index: TrainingIndex): Promise<void> => {
    for (let place = 0; place < 10; place++) {
      await index.upsertTraining({ id: `t${place}`, documents: fullChunks(`t${place}`), split: false });
    }
  };

  // Guards the check of the table's size.
  it("is kept once there are a hundred chunks, and not before", async () => {
    const schema = await migratedSchema(database, { dimensions: 1024 });
    const session = openServerPool({ connectionString: requireServerUrl(), max: 1 });
    const edit = async (): Promise<number | null> => {
      const index = await open(schema, session);
      await index.upsertTraining({ id: "t1", documents: fullChunks("t1").slice(1), split: false });
      await index.upsertTraining({ id: "t1", documents: fullChunks("t1"), split: false });
      const { rowCount } = await session.query(
        "SELECT FROM pg_catalog.pg_prepared_statements WHERE statement LIKE '%DELETE FROM%'",
      );
      return rowCount;
    };
    expect(await edit()).toBe(0);
    await fill(await open(schema, session));
    expect(await edit()).toBe(1);
  });

  it("finds chunks by their ids when it is generic", async () => {
    const schema = await migratedSchema(database, { dimensions: 1024 });
    const recorded = recordingPool(database.pool);
    const index = await open(schema, recorded.pool);
    await fill(index);
    const [replaced, described, , ...kept] = fullChunks("t3");
    const documents = [
      { ...replaced, pageContent: "outro texto" },
      { ...described, pageContent: described?.pageContent ?? "", metadata: { versao: 2 } },
      ...kept,
      ...kept.map(({ pageContent }) => ({ pageContent })), // repeated texts, whose vectors are copied
    ];
    const edit = { id: "t3", documents, split: false };
    expect(await index.upsertTraining(edit)).toMatchObject({ status: "indexed", embedded: 1, removed: 1 });
    const swap = recorded.statements.at(-1);
    const session = openServerPool({ connectionString: requireServerUrl(), max: 1 });
    await session.query("SET plan_cache_mode = force_generic_plan");
    const plan = swap ? await explain(session, swap) : "";
    expect(plan).toContain("Index Scan using chunk_1_pkey on chunk_1 c");
    expect(plan).not.toContain("Seq Scan on chunk_1");
  });
});
