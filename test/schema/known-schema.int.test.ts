import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { expect, it, onTestFinished, vi } from "vitest";
import type { DatabaseClient } from "../../src/postgres/database.js";
import { KnownSchema } from "../../src/schema/known-schema.js";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, gateOf, migratedSchema, openTestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

/** Chunks for more pages than a small table has: one of 1,024 dimensions fills a page. */
const MANY = Array.from({ length: 150 }, (_, place) => ({ pageContent: `a loja ${place}` }));

interface Process {
  schema: string;
  index: TrainingIndex;
  /** Searches, and returns the number of statements besides the search itself. */
  extraStatements: () => Promise<number>;
}

/** Two indexes on the same chunks, as in two processes. */
async function openTwo(database: TestDatabase): Promise<[Process, Process]> {
  const { schema } = await openTestIndex(database, {}, { dimensions: 1024 });
  const open = async (): Promise<Process> => {
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(new CountingEmbeddings(1024), { pool, schema });
    return {
      schema,
      index,
      extraStatements: async () => {
        statements.length = 0;
        await index.similar("a loja", { k: 1 });
        return statements.length - 1;
      },
    };
  };
  return [await open(), await open()];
}

/** Replaces the clock; time passes only when the test says so. */
function fakeClock(): (milliseconds: number) => void {
  let now = Math.ceil(performance.now());
  const spy = vi.spyOn(performance, "now").mockImplementation(() => now);
  onTestFinished(() => {
    spy.mockRestore();
  });
  return (milliseconds) => {
    now += milliseconds;
  };
}

describeOnServer("cached facts about the tables", (database) => {
  it("are valid for 5 s while there are few chunks, and for a minute once there are many", async () => {
    const pass = fakeClock();
    const [writer, reader] = await openTwo(database);
    await writer.index.upsertTraining({ id: "a", documents: MANY, split: false });
    expect(await reader.extraStatements()).toBe(0);
    pass(5_000);
    expect(await reader.extraStatements()).toBe(1);
    pass(50_000);
    expect(await reader.extraStatements()).toBe(0);
    pass(10_000);
    expect(await reader.extraStatements()).toBe(1);
    expect(await reader.extraStatements()).toBe(0);
  });

  it("are valid for 5 s while many chunks have no vector index", async () => {
    const pass = fakeClock();
    const [writer, reader] = await openTwo(database);
    const { schema } = writer;
    await writer.index.upsertTraining({ id: "a", documents: MANY, split: false });
    pass(5_000);
    await database.owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    expect(await reader.extraStatements()).toBe(1);
    expect(await reader.extraStatements()).toBe(0);
    await migrate(database.owner, { schema });
    pass(5_000);
    expect(await reader.extraStatements()).toBe(1);
    pass(50_000);
    expect(await reader.extraStatements()).toBe(0);
  });

  it("are read again once this process has added so many chunks that there are no longer few", async () => {
    fakeClock();
    const [writer] = await openTwo(database);
    await writer.index.upsertTraining({ id: "a", documents: MANY.slice(0, 50), split: false });
    expect(await writer.extraStatements()).toBe(0);
    await writer.index.upsertTraining({ id: "b", documents: MANY.slice(50), split: false });
    expect(await writer.extraStatements()).toBe(1);
    await writer.index.upsertTraining({ id: "c", documents: MANY, split: false });
    expect(await writer.extraStatements()).toBe(0);
  });

  it("are read again after chunks that this process added during a read", async () => {
    const schema = await migratedSchema(database);
    const [reached, released] = [gateOf(), gateOf()];
    const connect = async (): Promise<DatabaseClient> => {
      reached.resolve();
      await released.promise;
      return database.pool.connect();
    };
    const known = new KnownSchema({ pool: { query: database.pool.query.bind(database.pool), connect }, schema });
    const look = known.look();
    await reached.promise;
    known.grow(150);
    released.resolve();
    await look;
    expect(known.isRecent).toBe(false);
    await known.look();
    expect(known.isRecent).toBe(true);
  });
});
