/** What random schedules are made of. */
import fc from "fast-check";
import { ID_COUNT, WORD_COUNT, type Schedule, type Step } from "./schedule-runner.js";

const training = fc.nat(ID_COUNT - 1);
const revision = fc.nat(5);
const wait = fc.boolean();
/** Calls, and when their embedder answers. */
export const CALLS: fc.Arbitrary<Step> = fc.oneof(
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
/** The same, with switches of the model. */
export const CALLS_AND_SWITCHES: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: CALLS },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("switch" as const), wait }) },
);

/** Schedules of such steps. */
export function scheduleOf(step: fc.Arbitrary<Step>): fc.Arbitrary<Schedule> {
  return fc.record({
    mode: fc.constantFrom("starts" as const, "revisions" as const, "mixed" as const),
    steps: fc.array(step, { minLength: 3, maxLength: 14 }),
  });
}
