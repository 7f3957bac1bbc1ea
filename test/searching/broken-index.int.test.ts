import { Document } from "@langchain/core/documents";
import {
  TrainingIndex,
  type SearchMode,
  type SearchStrategy,
  type SimilarOptions,
  type Notice,
} from "langchain-training-index";
import { expect, it } from "vitest";
import { ClusteredVectors } from "../../tooling/seeded-data.js";
import { openServerPool } from "../support/contract.js";
import { describeOnServer, requireServerUrl, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, openTestIndex, until, type TestIndex } from "../support/index.js";
import { explain, recordingPool } from "../support/recording-pool.js";

const NEAR = Array.from({ length: DIMENSIONS }, (_, place) => (place === 0 ? 1 : 0));

/** Settings of a session that leave the planner the vector index. Disabled plans look expensive, and jit would compile each. */
const INDEX_ONLY = "-c enable_seqscan=off -c enable_sort=off -c jit=off";
/** Settings of a session: an index scan gives up immediately, as one of a large table does after 20,000 tuples. */
const GIVES_UP = `-c session_preload_libraries=vector -c hnsw.max_scan_tuples=1 ${INDEX_ONLY}`;

type Options = SimilarOptions<SearchMode, SearchStrategy>;

const SEARCHES: [name: string, options: Options][] = [
  ["by vector", {}],
  ["by vector with a filter", { filter: { kept: true } }],
  ["with a limit for each training", { perTraining: 2 }],
  ["for trainings", { strategy: "trainings" }],
];
const HYBRID: typeof SEARCHES = [
  ["by vector and words", { mode: "hybrid" }],
  ["by vector and words for trainings", { mode: "hybrid", strategy: "trainings" }],
];

/** Chunks on more than a hundred pages; half of them lie near {@link NEAR}, the others far away. Half of either are to be kept. */
async function openLarge(
  database: TestDatabase,
  options: Parameters<typeof openTestIndex>[2] = {},
): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, options);
  const random = new ClusteredVectors(DIMENSIONS, 1, 3);
  const documents = Array.from(
    { length: 500 },
    (_, place) =>
      new Document({
        pageContent: `${place} ${"a loja ".repeat(270)}`,
        metadata: { kept: place % 4 < 2 },
      }),
  );
  const vectors = documents.map((_, place) =>
    random.next().map((component, index) => component / 10 + (NEAR[index] ?? 0) * (place % 2 === 1 ? -1 : 1)),
  );
  await test.index.vectorStore.addVectors(vectors, documents);
  return test;
}

/** Opens a test's index through sessions with these settings. */
async function openWith(
  { schema }: TestIndex,
  settings: string,
  onNotice?: (notice: Notice) => void,
): Promise<TrainingIndex> {
  const pool = openServerPool({
    connectionString: requireServerUrl(),
    // The extension's own settings exist only once it is loaded.
    options: `-c session_preload_libraries=vector ${settings}`,
  });
  const embeddings = new CountingEmbeddings();
  embeddings.embedQuery = () => Promise.resolve(NEAR);
  return TrainingIndex.initialize(embeddings, { pool, schema, onNotice });
}

/** The ids that each search finds, and its notices. */
async function findAll(
  index: TrainingIndex,
  searches: [name: string, options: Options][],
  notices: Notice[],
): Promise<Map<string, { ids: unknown[]; codes: string[]; messages: string }>> {
  const found = new Map<string, { ids: unknown[]; codes: string[]; messages: string }>();
  for (const [name, options] of searches) {
    notices.length = 0;
    const query = options.mode === "hybrid" ? "a loja" : NEAR;
    const hits: { trainingId: unknown }[] = await index.similar(query, options);
    found.set(name, {
      ids: hits.map(({ trainingId }) => trainingId),
      codes: notices.map(({ code }) => code),
      messages: notices.map(({ message }) => message).join(),
    });
  }
  return found;
}

describeOnServer("a vector index full of deleted chunks", (database) => {
  // Guards the repeated, exact search: until VACUUM runs, all that the index scan finds may be deleted.
  it("hides none of the stored ones", { timeout: 240_000 }, async () => {
    const test = await openLarge(database, { textSearch: "portuguese" });
    await test.owner.query(`ALTER TABLE ${test.schema}.chunk_1 SET (autovacuum_enabled = off)`);
    await deleteReached(test);
    const notices: Notice[] = [];
    const index = await openWith(test, GIVES_UP, (notice) => notices.push(notice));
    const exact = await openWith(test, "-c enable_indexscan=off -c jit=off");
    const expected = await findAll(exact, [...SEARCHES, ...HYBRID], []);
    for (let round = 0; round < 3; round++) {
      for (const [name, { ids, codes }] of await findAll(index, [...SEARCHES, ...HYBRID], notices)) {
        expect(ids, name).toHaveLength(5);
        expect(ids, name).toEqual(expected.get(name)?.ids);
        // Some searches remember that a filter makes the scan give up, and avoid it in later rounds, but not silently.
        expect(codes, name).toEqual(["EXACT_SEARCH"]);
      }
    }
  });
});

describeOnServer("a corrupt vector index", (database) => {
  // Guards `orExact`. Before pgvector 0.8.3, VACUUM sometimes corrupted an index like this.
  it("fails no search, and is reported by a write", { timeout: 240_000 }, async () => {
    const test = await openLarge(database, { textSearch: "portuguese" });
    await breakVectorIndex(test);
    const exact = await openWith(test, "-c enable_indexscan=off -c jit=off");
    const notices: Notice[] = [];
    const settings = `${INDEX_ONLY} -c test.is_broken=true`;
    const broken = await openWith(test, settings, (notice) => notices.push(notice));
    for (const [name, { codes, messages }] of await findAll(broken, [...SEARCHES, ...HYBRID], notices)) {
      expect(codes, name).toContain("EXACT_SEARCH");
      expect(messages, name).toContain("REINDEX");
    }
    for (const [name, options] of [...SEARCHES, ...HYBRID]) {
      const query = options.mode === "hybrid" ? "a loja" : NEAR;
      const hits = await broken.similar(query, options);
      expect(hits, name).toEqual(await exact.similar(query, options));
      expect(hits, name).toHaveLength(5);
    }
    await expect(broken.upsertTraining({ id: "a", content: "a loja" })).rejects.toMatchObject({
      code: "DATABASE_FAILED",
      message: expect.stringContaining("REINDEX") as string,
    });
  });
});

/**
 * Deletes each chunk that a scan reaches before it gives up. HNSW graphs are random, so a scan of this index has to say which
 * they are; later scans take the same way, and find nothing but deleted ones.
 */
async function deleteReached({ index, schema }: TestIndex): Promise<void> {
  const pool = openServerPool({
    connectionString: requireServerUrl(),
    // More candidates than any of the searches asks for.
    options: `${GIVES_UP} -c hnsw.iterative_scan=strict_order -c hnsw.ef_search=200`,
  });
  const nearest = `SELECT training_id FROM ${schema}.chunk_1 ORDER BY embedding <=> $1`;
  const values = [JSON.stringify(NEAR)];
  // Postgres hides a new index from snapshots that are older, and so as long as other tests have open transactions.
  await until(async () => (await explain(pool, { text: nearest, values })).includes("chunk_1_embedding"));
  const reached = await pool.query<{ training_id: string }>(nearest, values);
  await index.deleteTrainings({ ids: reached.rows.map((row) => row.training_id) });
  expect((await pool.query(nearest, values)).rowCount).toBe(0);
}

/** Replaces the vector index by one that fails to compare vectors in sessions with `test.is_broken`. */
async function breakVectorIndex({ owner, schema }: TestIndex): Promise<void> {
  const { rows } = await owner.query<{ name: string }>(
    "SELECT extnamespace::regnamespace::text AS name FROM pg_catalog.pg_extension WHERE extname = 'vector'",
  );
  const extension = rows[0]?.name ?? "";
  const vectors = `(${extension}.vector, ${extension}.vector)`;
  await owner.query(`
    CREATE FUNCTION ${schema}.distance ${vectors} RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
      IF current_setting('test.is_broken', true) = 'true' THEN
        RAISE EXCEPTION 'different vector dimensions 64 and 0' USING ERRCODE = 'data_exception';
      END IF;
      RETURN $1 OPERATOR(${extension}.<=>) $2;
    END $$;
    CREATE OPERATOR CLASS ${schema}.breakable FOR TYPE ${extension}.vector USING hnsw AS
      OPERATOR 1 ${extension}.<=> ${vectors} FOR ORDER BY float_ops,
      FUNCTION 1 ${schema}.distance ${vectors};
    DROP INDEX ${schema}.chunk_1_embedding;
    CREATE INDEX chunk_1_embedding ON ${schema}.chunk_1 USING hnsw (embedding ${schema}.breakable)`);
}

describeOnServer("a search among few chunks", (database) => {
  // Guards the exact plan. Before pgvector 0.8.3, VACUUM of an index whose chunks were all deleted could hide new ones.
  it("compares all of them, whatever the planner knows about the table", async () => {
    const test = await openTestIndex(database);
    const recorded = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(test.embeddings, {
      pool: recorded.pool,
      schema: test.schema,
    });
    await index.upsertTraining({ id: "a", content: "a loja abre às nove" });
    for (const [, options] of SEARCHES) {
      expect(await index.similar("loja", options)).toHaveLength(options.filter ? 0 : 1);
      const statement = recorded.statements.at(-1);
      const session = openServerPool({ connectionString: requireServerUrl(), max: 1 });
      await session.query("SET enable_seqscan = off; SET enable_sort = off");
      expect(statement && (await explain(session, statement))).not.toContain("chunk_1_embedding");
    }
  });
});

describeOnServer("a large table without a vector index", (database) => {
  it("is searched exactly, with a notice to the host", { timeout: 240_000 }, async () => {
    const test = await openLarge(database, { textSearch: "portuguese" });
    await test.owner.query(`DROP INDEX ${test.schema}.chunk_1_embedding`);
    const notices: Notice[] = [];
    const index = await openWith(test, "", (notice) => notices.push(notice));
    for (const [name, { ids, codes, messages }] of await findAll(index, [...SEARCHES, ...HYBRID], notices)) {
      expect(ids, name).toHaveLength(5);
      expect(codes, name).toEqual(["EXACT_SEARCH"]);
      expect(messages, name).toContain("migrate");
    }
    notices.length = 0;
    expect(await index.similar("loja", { mode: "text" })).toHaveLength(5);
    expect(notices).toEqual([]);
  });
});
