import { TrainingIndex, type Hit, type TextHit } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";
import { explain, recordingPool } from "../support/recording-pool.js";

const PORTUGUESE = { textSearch: "portuguese" } as const;

describeOnServer("mode text, on a large table", (database) => {
  it("reads the chunks with the rare words, and all chunks if a filter matches few of those", async () => {
    const test = await openTestIndex(database, {}, PORTUGUESE);
    const { owner, schema } = test;
    // Two rows per page, so the table counts as large: a common word in all, a rarer one in some, a rare one in a few.
    await owner.query(`
      INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata)
      SELECT 'a', ticket, ticket, 0, '{}' FROM nextval('${schema}.ticket') ticket;
      INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
      SELECT 'a', n::text, 'comum ' || CASE WHEN n % 50 = 0 THEN 'incomum ' ELSE '' END
          || CASE WHEN n % 2000 = 7 THEN 'raridade ' ELSE '' END || (SELECT string_agg(md5(n::text || m), ' ') FROM generate_series(1, 90) m),
        jsonb_build_object('par', n % 2 = 0, 'resto', n % 500), '', (SELECT array_agg(sin(n * m)) FROM generate_series(1, 64) m)::public.vector
      FROM generate_series(1, 6000) n;
      INSERT INTO ${schema}.indexed_1 (training_id, fingerprint, splitter, chunk_ids, starts, ends)
      SELECT 'a', '', '', array_agg(n::text ORDER BY n), array_agg(0), array_agg(0) FROM generate_series(1, 6000) n;
      ANALYZE ${schema}.chunk_1`);
    const { rows } = await owner.query<{ pages: number }>(
      `SELECT relpages AS pages FROM pg_class WHERE oid = '${schema}.chunk_1'::regclass`,
    );
    expect(rows[0]?.pages).toBeGreaterThan(2000);
    const recording = recordingPool(test.pool);
    const opened = await TrainingIndex.initialize(test.embeddings, { pool: recording.pool, schema });
    const find = (k: number, filter?: Record<string, boolean | number>): Promise<TextHit[]> =>
      opened.similar("raridade incomum comum", { mode: "text", k, filter });
    recording.statements.length = 0;
    const rare = (await find(3)).map(({ chunkId }) => chunkId).sort();
    expect(rare).toEqual(["2007", "4007", "7"]);
    const [statement] = recording.statements;
    const plan = statement ? await explain(owner, statement) : "";
    expect(plan).toContain("Bitmap Index Scan on chunk_1_lexemes");
    expect(plan).not.toMatch(/Seq Scan on (?:chunk_1|indexed_1)/);
    expect(await find(100)).toHaveLength(100);
    expect(await find(12, { resto: 3 })).toHaveLength(12); // these rows have only the common word
    // The vectors alone would fill this page; the search for words must go on all the same.
    const search = { k: 12, filter: { resto: 3 } };
    const byText = await opened.similar("raridade comum", { ...search, mode: "text" });
    const byVector = await opened.similar("raridade comum", search);
    const ids = Array.from({ length: 12 }, (_, place) => (place * 500 + 3).toString()).sort();
    for (const hits of [byText, byVector]) expect(hits.map(({ chunkId }) => chunkId).sort()).toEqual(ids);
    const byBoth = await opened.similar("raridade comum", { ...search, mode: "hybrid" });
    expect(byBoth.map(({ chunkId }) => chunkId).sort()).toEqual(ids);
    for (const { chunkId, score, similarity, distance, coverage } of byBoth) {
      const isIt = (hit: { chunkId: string }): boolean => hit.chunkId === chunkId;
      expect(coverage).toBe(byText.find(isIt)?.coverage);
      expect(coverage).toBeGreaterThan(0);
      expect(distance).toBe(byVector.find(isIt)?.distance);
      expect(score).toBeCloseTo(0.35 * (similarity ?? NaN) + 0.65 * coverage, 14);
    }
    // A hit that the vectors found has the coverage of all words, although only the rare ones were searched for.
    const covered = new Map((await find(1000)).map(({ chunkId, coverage }) => [chunkId, coverage]));
    const question = { mode: "hybrid", weights: { text: 0 }, k: 50 } as const;
    const nearest = await opened.similar("raridade incomum comum", question);
    const known = nearest.filter(({ chunkId }) => covered.has(chunkId));
    expect(known.length).toBeGreaterThan(0);
    for (const { chunkId, coverage } of known) expect(coverage).toBeCloseTo(covered.get(chunkId) ?? NaN, 12);
    for (const { coverage } of nearest) expect(coverage).toBeGreaterThan(0);
    // One statement per search.
    recording.statements.length = 0;
    await find(5);
    await opened.similar("incomum", { mode: "hybrid", k: 5 });
    expect(recording.statements).toHaveLength(2);
  }, 240_000);

  it("uses only the first words of a question of 20,000 words", async () => {
    const test = await openTestIndex(database, {}, PORTUGUESE);
    await test.index.upsertTraining({ id: "trocas", content: "Trocas são aceitas em até sete dias." });
    const words = Array.from({ length: 20_000 }, (_, place) => `palavra${place.toString(36)}`).join(" ");
    const recording = recordingPool(test.pool);
    const index = await TrainingIndex.initialize(test.embeddings, {
      pool: recording.pool,
      schema: test.schema,
    });
    recording.statements.length = 0;
    for (const mode of ["text", "hybrid"] as const) {
      const [hit] = await index.similar(`troca ${words}`, { mode });
      expect(hit).toMatchObject({ trainingId: "trocas", coverage: expect.any(Number) as number });
      // One of 128 words, of which the others are in no chunk.
      expect(hit?.coverage).toBeGreaterThan(0);
      expect(hit?.coverage).toBeLessThan(0.01);
      // After more distinct words than are searched for, and after more text than is read for words.
      for (const question of [`${words.slice(0, 10_000)} troca`, `${"a de o que ".repeat(2_000)} troca`]) {
        const found: Hit<"text" | "hybrid">[] = await index.similar(question, { mode });
        expect(found.map(({ coverage }) => coverage)).toEqual(mode === "text" ? [] : [0]);
      }
    }
    for (const { values = [] } of recording.statements) {
      for (const value of values) if (typeof value === "string") expect(value.length).toBeLessThanOrEqual(20_000);
    }
  });
});
