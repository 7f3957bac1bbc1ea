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
const CATALOG =
  "the test reads or changes the catalogs, or the settings, of the server that has the rows: that is a worker";
const PLAN = "on the coordinator the plan of a statement is only that a worker runs it";
const REFUSED = "Citus refuses a statement by which the test changes rows";
const SMALL = "a shard has too few of the test's chunks for its vector index";
// The type of a bound vector has no number of its own that is the same on all nodes: could not determine data type of parameter $1.
const SPREAD_PLAN = "Citus cannot show the plan of a shard for a statement with a bound vector";
const SPREAD_TEXT =
  "trainings that are spread have no text search; test/storing/citus-tables.int.test.ts tests the refusal";
const OLDER = "no older version of this library works on a cluster";

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
  { file: "inspecting/status.int.test.ts", title: /^takes (one|a second) statement$/, reason: STATEMENTS },
  {
    file: "inspecting/status.int.test.ts",
    title: /^and the reads need no right but SELECT$/,
    reason:
      "the role of the test has no entry in pg_dist_authinfo, so the coordinator cannot connect to a worker as this role",
  },
  {
    file: "inspecting/status.int.test.ts",
    title: /^shows a build in progress$/, // test/writing/bulk-load.int.test.ts has a build that nothing holds
    reason: "the test holds the build by a snapshot of the coordinator, which Citus ends as a deadlock between nodes",
  },
  { file: "inspecting/status.int.test.ts", title: /^says whether searches/, reason: CATALOG },
  {
    file: "postgres/named-statements.int.test.ts",
    title: /^is parsed and planned once per connection/,
    reason: PLAN,
  },
  { file: "schema/known-schema.int.test.ts", title: /^are (valid|read again)/, reason: STATEMENTS },
  { file: "search-sql/search-plans.int.test.ts", title: /^is not left to the vector index/, reason: CATALOG },
  {
    file: "search-sql/search-plans.int.test.ts",
    title: /^is kept once|^finds chunks by their ids/,
    reason: STATEMENTS,
  },
  { file: "searching/broken-index.int.test.ts", title: /^hides none|^fails no search/, reason: CATALOG },
  { file: "searching/compiled-statements.int.test.ts", title: /^are not compiled/, reason: CATALOG },
  { file: "searching/search-options.int.test.ts", title: /^keeps no texts in/, reason: PLAN },
  { file: "searching/text-search-large.int.test.ts", title: /^reads the chunks with the rare words/, reason: CATALOG },
  {
    file: "searching/typing-errors.int.test.ts",
    title: /of deleted texts|^are corrected in chunks stored/,
    reason: REFUSED,
  },
  {
    file: "searching/word-forms.int.test.ts",
    title: /^get their lexemes|after an upgrade|^are repaired by migrate|of an older version/,
    reason: OLDER,
  },
  { file: "telemetry/channels.int.test.ts", title: /^send only statements/, reason: SWITCHES },
  {
    file: "inspecting/status.int.test.ts",
    title: /^has estimates|^works in a read-only transaction|^reports dead rows/,
    reason: SMALL,
    mode: "tables",
  },
  {
    file: "recall/recall.int.test.ts",
    title: /agrees with a direct|^of an index of type bit/,
    reason: SMALL,
    mode: "tables",
  },
  {
    file: "postgres/named-statements.int.test.ts",
    title: /^is prepared with a filter|^continues unprepared/,
    reason: SMALL,
    mode: "tables",
  },
  { file: "filtering/filter.int.test.ts", title: /^uses the metadata index/, reason: SPREAD_PLAN, mode: "tables" },
  {
    file: "search-sql/search-plans.int.test.ts",
    title: /^uses the vector index|is used with and without|^is planned a few times only/,
    reason: SPREAD_PLAN,
    mode: "tables",
  },
  { file: "writing/bulk-load.int.test.ts", title: /^leaves a vector index/, reason: SPREAD_PLAN, mode: "tables" },
  {
    file: "postgres/statement-names.int.test.ts",
    title: /^is shown by auto_explain/,
    reason: SPREAD_PLAN,
    mode: "tables",
  },
  {
    file: "searching/search.int.test.ts",
    title: /even if many chunks are equally near: found by the vector index$/,
    reason: "of thousands of equally near chunks each shard returns those that its plan for this k finds first",
    mode: "tables",
  },
  {
    file: "searching/text-search.int.test.ts",
    title: /^refuses a schema without text search|^can be added to an existing schema/,
    reason: SPREAD_TEXT,
    mode: "tables",
  },
  {
    file: "searching/typing-errors.int.test.ts",
    title: /before text search was added$/,
    reason: SPREAD_TEXT,
    mode: "tables",
  },
  { file: "searching/word-forms.int.test.ts", title: /^can be searched by words/, reason: SPREAD_TEXT, mode: "tables" },
  {
    file: "schema/schema-following.int.test.ts",
    title: /^from integer to bigint/,
    reason: "tables with spread trainings cannot be changed; test/storing/citus-tables.int.test.ts tests the refusal",
    mode: "tables",
  },
  { file: "writing/bulk-load.int.test.ts", title: /^collects statistics/, reason: CATALOG },
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
