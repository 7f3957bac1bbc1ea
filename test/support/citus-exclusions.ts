/** Leaves out the tests that cannot be on a Citus cluster, and says why. */
import { beforeEach } from "vitest";

/** Tests of one file that are left out: those whose title matches. */
interface Exclusion {
  /** The end of the path. */
  file: string;
  title: RegExp;
  reason: string;
  /** Set if it is only left out where trainings are spread over the cluster. */
  mode?: "tables";
}

const HELD = "the test holds the write by an advisory lock of the coordinator, and the write runs on a worker";
const SWITCHES = "the model of a schema on a cluster cannot be switched";
const COUNTED =
  "the test counts the attempts by a sequence, which is on the coordinator, in a trigger, which runs on the worker";
const ONE_BY_ONE = "trainings are stored and deleted one after the other, each in a transaction of its own";
const STATEMENTS =
  "the test counts or names the statements of one server; on a cluster a write is one call of a function";

const EXCLUSIONS: readonly Exclusion[] = [
  { file: "contract/c01-atomic.int.test.ts", title: /while a swap is held at/, reason: HELD },
  {
    file: "contract/c01-atomic.int.test.ts",
    title: /between any two statements of a (swap|delete)/,
    reason: STATEMENTS,
  },
  { file: "contract/c02-ordered.int.test.ts", title: /waits for a running swap/, reason: HELD },
  {
    file: "contract/c03-host-rows-and-locks.int.test.ts",
    title: /^two repeats of the same trainings in opposite order/, // the later one may overtake the earlier one, which is superseded
    reason: ONE_BY_ONE,
  },
  {
    file: "contract/c04-all-or-nothing.int.test.ts",
    title: /^any statement of the delete|before any statement of the transaction of an delete$/,
    reason: STATEMENTS,
  },
  {
    file: "contract/c10-no-leak-no-injection.int.test.ts",
    title: /^accepts more values than a statement can have parameters/, // 70,000 of them
    reason: ONE_BY_ONE,
  },
  {
    file: "contract/c10-no-leak-no-injection.int.test.ts",
    title: /as the name of the host's schema, table and column$/,
    reason: "the printed statements are those of one server; test/storing/citus.int.test.ts tests a host's table",
  },
  {
    file: "contract/c05-idempotent.int.test.ts",
    title: /by Postgres' statistics/,
    reason: "the statistics of the session are on the worker",
  },
  { file: "contract/c08-short-locks.int.test.ts", title: /takes (at most )?\d+ statements/, reason: STATEMENTS },
  {
    file: "contract/c13-nothing-silent.int.test.ts",
    title: /^two writes that Postgres cannot serialize/,
    reason: STATEMENTS,
  },
  {
    file: "contract/c09-one-vector-space.int.test.ts",
    title:
      /^after a rolled back first write|^an emptied schema can be claimed|^a claim waits for running writes|^an outdated claim is refused|that another model has claimed and emptied/,
    reason:
      "a schema whose trainings are spread keeps its first model; test/storing/citus-tables.int.test.ts tests the refusal",
    mode: "tables",
  },
  {
    file: "contract/c11-typed-errors.int.test.ts",
    title: /(PROFILE_RETIRED|SWITCH_REFUSED) is thrown/,
    reason: SWITCHES,
  },
  {
    file: "contract/c11-typed-errors.int.test.ts",
    title:
      /^SQLSTATE |^tries six times|^succeeds after four|^retries a|^does not retry|^a failed call leaves|^CONFLICT is thrown/,
    reason: COUNTED,
  },
];

beforeEach((context) => {
  const { task } = context;
  const found = EXCLUSIONS.find(
    ({ file, title, mode }) =>
      (mode === undefined || mode === process.env["TEST_CITUS_MODE"]) &&
      task.file.name.endsWith(file) &&
      title.test(task.name),
  );
  if (found) context.skip(`on Citus: ${found.reason}`);
});
