/**
 * Random schedules of several processes, each with three indexes on one schema: one for each of two tenants and one without
 * a filter. Each must end as C2, C3 and C10 demand: no tenant changes the other's trainings, and no reader may ever see a
 * mixture, a gap (C1), a vector of another text, or a training of the other tenant.
 *
 *   CONTRACT_RUNS=20000 CONTRACT_SEED=1 npm run test:contract -- schedules
 */
import fc from "fast-check";
import { TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { describeOnServer, uniqueName } from "../support/databases.js";
import { migratedSchema } from "../support/index.js";
import { SCHEDULE_DIMENSIONS } from "./expected-vectors.js";
import { SCOPES } from "./schedule-worker.js";
import { ScheduleWorkers } from "./schedule-workers.js";
import {
  SCOPE_COUNT,
  SCOPED_ID_COUNT,
  SCOPED_WORD_COUNT,
  ScopedScheduleRun,
  type ScopedMode,
  type ScopedStep,
} from "./scoped-schedule-runner.js";

/** A quarter of the runs of `schedules.int.test.ts`: each takes four times as long. */
const RUNS = Math.ceil(Number(process.env["CONTRACT_RUNS"] ?? 300) / 4);
const SEED = Number(process.env["CONTRACT_SEED"] ?? Date.now() % 2 ** 31);
const WORKERS = 3;
/** Concurrent schedules, each on its own trainings. */
const LANES = 4;
const MS_PER_RUN = 2000;
/** How many schedules run before the tables are emptied: dead rows slow reading down. */
const RUNS_PER_TABLE = 1000;

const training = fc.nat(SCOPED_ID_COUNT - 1);
const someOf = (count: number): fc.Arbitrary<number[]> =>
  fc.shuffledSubarray(Array.from({ length: count }, (_, place) => place));
const through = {
  worker: fc.nat(WORKERS - 1),
  scope: fc.nat(SCOPE_COUNT - 1),
  tenant: fc.nat(1),
  revision: fc.nat(5),
};
const words = someOf(SCOPED_WORD_COUNT);
const step: fc.Arbitrary<ScopedStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("upsert" as const),
      training,
      words,
      ending: fc.constantFrom(
        "own" as const,
        "own" as const,
        "later" as const,
        "host commits" as const,
        "host rolls back" as const,
      ),
      ...through,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("upsert many" as const, "add documents" as const, "add vectors" as const),
      trainings: someOf(SCOPED_ID_COUNT),
      words,
      ...through,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("delete" as const, "delete document" as const),
      training,
      ...through,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete by filter" as const), ...through }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("repeat" as const), call: fc.nat(20), worker: through.worker }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant("release" as const),
      call: fc.nat(20),
      outcome: fc.oneof(
        { weight: 6, arbitrary: fc.constant("go on" as const) },
        { weight: 1, arbitrary: fc.constantFrom("fail" as const, "abort" as const) },
      ),
      wait: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "release all" as const }) },
);
const schedule = fc.record({
  mode: fc.constantFrom<ScopedMode>("starts", "revisions", "settled"),
  steps: fc.array(step, { minLength: 4, maxLength: 16 }),
});

describeOnServer("C1 C2 C3 C10 Random schedules of several processes and tenants", (database) => {
  const timeout = 60_000 + RUNS * MS_PER_RUN;

  it(
    `end as the contract demands, and readers see only whole versions of their tenant (${RUNS} schedules)`,
    { timeout },
    async () => {
      const { pool, owner } = database;
      const schema = await migratedSchema(database, { dimensions: SCHEDULE_DIMENSIONS });
      const workers = await ScheduleWorkers.inProcesses(WORKERS, schema);
      const embeddings = new HashingEmbeddings({ dimensions: SCHEDULE_DIMENSIONS });
      const indexes: TrainingIndex[] = [];
      for (const filter of SCOPES) {
        indexes.push(await TrainingIndex.initialize(embeddings, { pool, schema, filter }));
      }
      const total = { runs: 0, calls: 0, reads: 0, violations: 0 };
      const property = fc.asyncProperty(schedule, async ({ mode, steps }) => {
        const run = new ScopedScheduleRun(workers, indexes, { pool, schema }, uniqueName("run"), mode);
        await run.run(steps);
        total.runs += 1;
        total.calls += run.calls;
        total.reads += run.reads;
        total.violations += run.violations.length;
        expect(run.violations).toEqual([]);
      });
      const failures: unknown[] = [];
      for (let begun = 0; begun < RUNS && failures.length === 0; begun += RUNS_PER_TABLE) {
        await owner.query(`TRUNCATE ${schema}.training CASCADE`);
        const numRuns = Math.ceil(Math.min(RUNS_PER_TABLE, RUNS - begun) / LANES);
        const outcomes = await Promise.allSettled(
          Array.from({ length: LANES }, (_, lane) =>
            fc.assert(property, { numRuns, seed: SEED + begun + lane, endOnFailure: true }),
          ),
        );
        for (const outcome of outcomes) if (outcome.status === "rejected") failures.push(outcome.reason);
      }
      console.log(
        `schedules of ${WORKERS} processes: ${total.runs} runs, seed ${SEED}, ` +
          `${total.calls} calls, ${total.reads} reads, ${total.violations} violations`,
      );
      for (const failure of failures) throw failure;
    },
  );
});
