import { TrainingIndex } from "langchain-training-index";
import { expect, it, onTestFinished, vi } from "vitest";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, openTestIndex } from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

/** More than a small table has pages: a chunk of 1,024 dimensions fills one. */
const MANY = Array.from({ length: 150 }, (_, place) => ({ pageContent: `a loja ${place}` }));

interface Process {
  index: TrainingIndex;
  /** Searches, and says how many statements more than the search itself that took. */
  looks: () => Promise<number>;
}

/** Two processes with an index on the same chunks. */
async function openTwo(database: TestDatabase): Promise<[Process, Process]> {
  const { schema } = await openTestIndex(database, {}, { dimensions: 1024 });
  const open = async (): Promise<Process> => {
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(new CountingEmbeddings(1024), { pool, schema });
    return {
      index,
      looks: async () => {
        statements.length = 0;
        await index.similar("a loja", { k: 1 });
        return statements.length - 1;
      },
    };
  };
  return [await open(), await open()];
}

/** Time passes as the test says, and not by itself. */
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

describeOnServer("what is known of the tables", (database) => {
  it("is good for some seconds while there are few chunks, and for a minute once there are many", async () => {
    const pass = fakeClock();
    const [writer, reader] = await openTwo(database);
    await writer.index.upsertTraining({ id: "a", documents: MANY, split: false });
    expect(await reader.looks()).toBe(0);
    pass(5_000);
    expect(await reader.looks()).toBe(1);
    pass(50_000);
    expect(await reader.looks()).toBe(0);
    pass(10_000);
    expect(await reader.looks()).toBe(1);
    expect(await reader.looks()).toBe(0);
  });

  it("is looked at again once this process has added so many that there are no longer few", async () => {
    fakeClock();
    const [writer] = await openTwo(database);
    await writer.index.upsertTraining({ id: "a", documents: MANY.slice(0, 50), split: false });
    expect(await writer.looks()).toBe(0);
    await writer.index.upsertTraining({ id: "b", documents: MANY.slice(50), split: false });
    expect(await writer.looks()).toBe(1);
    await writer.index.upsertTraining({ id: "c", documents: MANY, split: false });
    expect(await writer.looks()).toBe(0);
  });
});
