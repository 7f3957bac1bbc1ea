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
import { ID_COUNT, ScheduledEmbeddings, ScheduleRun, WORD_COUNT, type Schedule, type Step } from "./schedule-runner.js";

const RUNS = Number(process.env["CONTRACT_RUNS"] ?? 300);
const SEED = Number(process.env["CONTRACT_SEED"] ?? Date.now() % 2 ** 31);
/** Concurrent schedules, each on its own trainings. One on the embedded database, which has a single session. */
const LANES = { server: 4, embedded: 1 };
const EMBEDDED_RUNS = 60;
const MS_PER_RUN = 500;
/** How many schedules run before the tables are emptied: dead rows slow reading down. */
const RUNS_PER_TABLE = 250;

const training = fc.nat(ID_COUNT - 1);
const revision = fc.nat(5);
const wait = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("upsert" as const),
      training,
      words: fc.shuffledSubarray(Array.from({ length: WORD_COUNT }, (_, word) => word)),
      revision,
      ending: fc.oneof(
        { weight: 4, arbitrary: fc.constant("own" as const) },
        { weight: 1, arbitrary: fc.constantFrom("host commits" as const, "host rolls back" as const) },
      ),
      wait,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("repeat" as const), call: fc.nat(20), wait }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), training, revision, wait }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("release" as const),
      call: fc.nat(20),
      outcome: fc.oneof(
        { weight: 4, arbitrary: fc.constant("embed" as const) },
        { weight: 1, arbitrary: fc.constantFrom("fail" as const, "abort" as const) },
      ),
      wait,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "release all" as const }) },
);
const schedule: fc.Arbitrary<Schedule> = fc.record({
  mode: fc.constantFrom("starts" as const, "revisions" as const, "mixed" as const),
  steps: fc.array(step, { minLength: 3, maxLength: 14 }),
});

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
      const property = fc.asyncProperty(schedule, async ({ mode, steps }) => {
        if (ended++ % RUNS_PER_TABLE === 0) await owner.query(`TRUNCATE ${schema}.training CASCADE`);
        const run = new ScheduleRun(index, pool, schema, uniqueName("run"), mode);
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
