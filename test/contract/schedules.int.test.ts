/**
 * Random schedules of upserts, repeats, deletes, failures, aborts, host transactions and readers on three trainings. Each
 * must end as C2 and C3 demand, and no reader may ever see a mixture or a gap (C1).
 *
 *   CONTRACT_RUNS=20000 CONTRACT_SEED=1 npm run test:contract -- schedules
 */
import fc from "fast-check";
import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach, uniqueName } from "../support/databases.js";
import { migratedSchema } from "../support/index.js";
import { SCHEDULE_DIMENSIONS } from "./expected-vectors.js";
import { ScheduledEmbeddings, ScheduleRun } from "./schedule-runner.js";
import { CALLS, scheduleOf } from "./schedule-steps.js";

const RUNS = Number(process.env["CONTRACT_RUNS"] ?? 300);
const SEED = Number(process.env["CONTRACT_SEED"] ?? Date.now() % 2 ** 31);
/** Concurrent schedules, each on its own trainings. One on the embedded database, which has a single session. */
const LANES = { server: 4, embedded: 1 };
const EMBEDDED_RUNS = 60;
const MS_PER_RUN = 500;
/** How many schedules run before the tables are emptied: dead rows slow reading down. */
const RUNS_PER_TABLE = 250;

describeOnEach("C1 C2 C3 Random schedules", (database) => {
  const runs = database.name === "server" ? RUNS : Math.min(RUNS, EMBEDDED_RUNS);
  const timeout = 60_000 + runs * MS_PER_RUN;

  it(`end as the contract demands, and readers see only whole versions (${runs} schedules)`, { timeout }, async () => {
    const { pool, owner } = database;
    const total = { calls: 0, reads: 0, violations: 0 };
    const lanes = LANES[database.name];
    const runLane = async (lane: number): Promise<void> => {
      const schema = await migratedSchema(database, { dimensions: SCHEDULE_DIMENSIONS });
      const index = await TrainingIndex.initialize(new ScheduledEmbeddings(), { pool, schema });
      let ended = 0;
      const property = fc.asyncProperty(scheduleOf(CALLS), async ({ mode, steps }) => {
        if (ended++ % RUNS_PER_TABLE === 0) await owner.query(`TRUNCATE ${schema}.training CASCADE`);
        const run = new ScheduleRun({ index, pool, schema, name: uniqueName("run"), mode });
        await run.run(steps);
        total.calls += run.calls;
        total.reads += run.reads;
        total.violations += run.violations.length;
        expect(run.violations).toEqual([]);
      });
      await fc.assert(property, {
        numRuns: Math.ceil(runs / lanes),
        seed: SEED + lane,
        endOnFailure: true,
      });
    };
    const outcomes = await Promise.allSettled(Array.from({ length: lanes }, (_, lane) => runLane(lane)));
    console.log(
      `schedules on the ${database.name} database: ${runs} runs, seed ${SEED}, ` +
        `${total.calls} calls, ${total.reads} reads, ${total.violations} violations`,
    );
    // Only after all lanes have ended: the schema is dropped when the test ends.
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  });
});
