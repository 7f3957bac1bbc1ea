/** Test files that do not run on a Citus cluster, each with the reason. */
export const EXCLUDED: Readonly<Record<string, string>> = {
  "test/switching/**":
    "the model of a schema on a cluster cannot be switched; test/storing/citus.int.test.ts tests the refusal",
  "test/contract/{schedules-switch,switch-load}.int.test.ts": "the model of a schema on a cluster cannot be switched",
  "test/contract/{kill,restart}.int.test.ts":
    "their child processes migrate by themselves; restarts of nodes are tried by hand, see docs/scaling.md",
  "test/standby/**": "they make standbys of a server of their own",
  "test/{docs-pages,readme,package,scripts,test-databases}.int.test.ts":
    "they test documentation and packages, not a database",
  "test/{cli,console,embedded,eval,recipes}/**": "they start programs that migrate by themselves",
  "test/reconciling/damage.int.test.ts":
    "Citus 14.0 ends the coordinator with a segmentation fault for a statement by which the test damages rows",
  "test/migrations/**":
    "they test the schema and its damage on one server; test/storing/citus.int.test.ts tests migrate on a cluster",
  "test/{reconciling/sharded-check-sql,searching/sharded-search,storing/distributed-functions}.int.test.ts":
    "they run the statements and functions for a cluster on one server; test/storing/citus-tables.int.test.ts runs them on a cluster",
};

/** Those that do not run where trainings are spread over the cluster, in addition. */
export const EXCLUDED_OF_TABLES: Readonly<Record<string, string>> = {
  "test/storing/citus.int.test.ts": "it tests a schema on one worker",
};

/** As patterns. */
export const EXCLUDED_FILES = [
  ...Object.keys(EXCLUDED),
  ...(process.env["TEST_CITUS_MODE"] === "tables" ? Object.keys(EXCLUDED_OF_TABLES) : []),
];
