/**
 * Random schedules as in `schedules.int.test.ts`, with switches of the embedding model, back and forth, at any moment. Each must end as C2
 * and C3 demand, under the model in use then and, after one more switch, under the other; no reader may see chunks of two models.
 *
 *   CONTRACT_RUNS=5000 CONTRACT_SEED=1 npm run test:contract -- schedules-switch
 */
import fc from "fast-check";
import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach, uniqueName, type TestDatabase } from "../support/databases.js";
import { migratedSchema } from "../support/index.js";
import { ExpectedVectors, SCHEDULE_DIMENSIONS } from "./expected-vectors.js";
import { ScheduledEmbeddings, ScheduleRun, type Switching } from "./schedule-runner.js";
import { CALLS_AND_SWITCHES, scheduleOf } from "./schedule-steps.js";

const RUNS = Number(process.env["CONTRACT_RUNS"] ?? 40);
const SEED = Number(process.env["CONTRACT_SEED"] ?? Date.now() % 2 ** 31);
/** Concurrent schedules, each on a schema of its own. One on the embedded database, which has a single session. */
const LANES = { server: 4, embedded: 1 };
const EMBEDDED_RUNS = 10;
const MS_PER_RUN = 2000;

describeOnEach("C9 Random schedules with switches of the model", (database) => {
  const runs = database.name === "server" ? RUNS : Math.min(RUNS, EMBEDDED_RUNS);
  const timeout = 60_000 + runs * MS_PER_RUN;

  it(`end as the contract demands, under both models (${runs} schedules)`, { timeout }, async () => {
    const { pool } = database;
    const total = { calls: 0, switches: 0, reads: 0, violations: 0 };
    const lanes = LANES[database.name];
    const runLane = async (lane: number): Promise<void> => {
      const schema = await migratedSchema(database, { dimensions: SCHEDULE_DIMENSIONS });
      const { index, switching } = await openSwitched(database, schema);
      const property = fc.asyncProperty(scheduleOf(CALLS_AND_SWITCHES), async ({ mode, steps }) => {
        const run = new ScheduleRun({ index, pool, schema, name: uniqueName("run"), mode, switching });
        await run.run(steps);
        total.calls += run.calls;
        total.switches += run.switches;
        total.reads += run.reads;
        total.violations += run.violations.length;
        expect(run.violations).toEqual([]);
      });
      await fc.assert(property, { numRuns: Math.ceil(runs / lanes), seed: SEED + lane, endOnFailure: true });
    };
    const outcomes = await Promise.allSettled(Array.from({ length: lanes }, (_, lane) => runLane(lane)));
    console.log(
      `schedules with switches on the ${database.name} database: ${runs} runs, seed ${SEED}, ${total.calls} calls, ` +
        `${total.switches} switches, ${total.reads} reads, ${total.violations} violations`,
    );
    // Only after all lanes have ended: the schema is dropped when the test ends.
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    expect(total.switches).toBeGreaterThanOrEqual(runs);
  });
});

/** Opens an index with two models, and switches it once, so that there are the tables of both. The owner of the tables switches. */
async function openSwitched(
  { pool, owner }: TestDatabase,
  schema: string,
): Promise<{ index: TrainingIndex; switching: Switching }> {
  const reverse = (text: string): string => Array.from(text).reverse().join("");
  const models = [new ScheduledEmbeddings("reversed", reverse), new ScheduledEmbeddings()] as const;
  let [next, other] = models;
  const index = await TrainingIndex.initialize([...models], { pool, schema });
  const switching = await TrainingIndex.initialize([...models], { pool: owner, schema });
  const switchModel = async (): Promise<unknown> => {
    const result = await switching.switchModel(next, { sample: 2 });
    [next, other] = [other, next];
    return result;
  };
  await index.upsertTraining({ id: "first", content: "prazo" }); // records the last model
  await switchModel();
  await index.deleteTraining("first");
  return { index, switching: { vectors: { 1: new ExpectedVectors(), 2: new ExpectedVectors(reverse) }, switchModel } };
}
