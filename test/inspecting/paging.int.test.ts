import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { collectGarbage } from "../support/garbage.js";
import { filledIndex, type TestIndex } from "../support/index.js";
import { explain, recordingPool, type Statement } from "../support/recording-pool.js";

const TRAININGS = 6000;
/** In the metadata of each: 30 MB in all. */
const TEXT_CHARACTERS = 5_000;

/** Writes trainings without chunks directly: the pages are of trainings. Each hundredth has the grupo `raro`. */
async function fill({ owner, schema }: TestIndex): Promise<void> {
  await owner.query(
    `INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata)
    SELECT 't' || lpad(n::text, 6, '0'), n, n, 0,
      jsonb_build_object('grupo', CASE WHEN n % 100 = 0 THEN 'raro' ELSE 'comum' END, 'texto', repeat('x', ${TEXT_CHARACTERS}))
    FROM generate_series(1, $1::integer) AS n`,
    [TRAININGS],
  );
  await owner.query(`SELECT setval('${schema}.ticket', $1)`, [TRAININGS]);
  await owner.query(`VACUUM (ANALYZE) ${schema}.training`);
}

/** The index with a record of the pages that it reads. */
async function openRecorded(test: TestIndex): Promise<{ index: TrainingIndex; pages: () => Statement[] }> {
  const { schema, embeddings } = test;
  const { pool, statements } = recordingPool(test.pool);
  const index = await TrainingIndex.initialize(embeddings, { pool, schema });
  // Without the reads of the catalogs, which are repeated after some seconds.
  return { index, pages: () => statements.filter(({ text }) => text.includes("ORDER BY t.id")) };
}

describeOnServer("A list of many trainings", (database) => {
  const filled = filledIndex(database, fill);

  it("reads each page by the primary key, and never more than one page at a time", async () => {
    const test = filled();
    const { index, pages } = await openRecorded(test);
    let listed = 0;
    let previous = "";
    for await (const { id } of index.list()) {
      expect(String(id) > previous).toBe(true);
      previous = String(id);
      listed += 1;
      expect(pages().length, "pages are read when they are needed").toBe(Math.ceil(listed / 500));
    }
    expect(listed).toBe(TRAININGS);
    // A last, empty page: the one before was full.
    expect(pages()).toHaveLength(TRAININGS / 500 + 1);
    const plans: string[] = [];
    for (const statement of [pages()[0], pages()[5]]) if (statement) plans.push(await explain(test.pool, statement));
    expect(plans).toHaveLength(2);
    for (const plan of plans) {
      expect(plan).toContain("Index Scan using training_pkey");
      expect(plan).not.toContain("Seq Scan on training");
    }
    expect(plans[1]).toMatch(/Index Cond: .*id > /);
  });

  it("keeps the heap bounded: far less than all trainings take", async () => {
    const { index } = await openRecorded(filled());
    const characters = (await collect(index.list({ limit: 1 }))).map(
      ({ metadata }) => (metadata["texto"] as string).length,
    );
    expect(characters).toEqual([TEXT_CHARACTERS]);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    let most = 0;
    let listed = 0;
    for await (const { metadata } of index.list()) {
      expect(metadata["texto"]).toHaveLength(TEXT_CHARACTERS);
      listed += 1;
      if (listed % 1000 !== 0) continue;
      collectGarbage();
      most = Math.max(most, process.memoryUsage().heapUsed - before);
    }
    expect(listed).toBe(TRAININGS);
    expect(most).toBeLessThan((TRAININGS * TEXT_CHARACTERS) / 4);
  });

  it("under a filter finds all that match, whatever the page size", async () => {
    const { index, pages } = await openRecorded(filled());
    const rare = await collect(index.list({ filter: { grupo: "raro" } }));
    expect(rare).toHaveLength(TRAININGS / 100);
    expect(pages()).toHaveLength(1);
    expect(await collect(index.list({ filter: { grupo: "comum" }, limit: 1200 }))).toHaveLength(1200);
    expect(pages()).toHaveLength(4);
    expect(await index.count({ filter: { grupo: "raro" } })).toEqual({ trainings: TRAININGS / 100, chunks: 0 });
  });

  it("lists what is written meanwhile once at most, and goes on behind a training that was deleted", async () => {
    const test = filled();
    const { index } = test;
    const seen = new Map<unknown, number>();
    for await (const { id } of index.list()) {
      seen.set(id, (seen.get(id) ?? 0) + 1);
      if (seen.size === 500) {
        await index.deleteTraining(id); // the last one of the page, from which the next page goes on
        await test.owner.query(`UPDATE ${test.schema}.training SET metadata = '{}' WHERE id < 't000600'`);
      }
    }
    expect(seen.size).toBe(TRAININGS);
    expect([...seen.values()].every((times) => times === 1)).toBe(true);
  });
});
