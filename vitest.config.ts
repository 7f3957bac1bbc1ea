import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { EXCLUDED_FILES } from "./test/support/citus-excluded-files.js";
import { conformanceTable, contractTable, TableReporter } from "./test/support/table-reporter.js";

/** `scripts/contract-mutations.ts` puts changed sources in the place of ours. */
const sources = process.env["CONTRACT_SOURCES"] ?? "src";
const source = (path: string): string => fileURLToPath(new URL(`./${sources}/${path}`, import.meta.url));

/** Tests import the package by its name, as its users do, and get the sources. */
const alias = [
  { find: /^langchain-training-index$/, replacement: source("index.ts") },
  { find: "langchain-training-index/migrations", replacement: source("migrations/index.ts") },
  { find: "langchain-training-index/ollama", replacement: source("embedding/ollama.ts") },
  { find: "langchain-training-index/embedded", replacement: source("embedded/embedded-pool.ts") },
  { find: "langchain-training-index/testing", replacement: source("embedding/hashing.ts") },
  { find: "langchain-training-index/http", replacement: source("http/handler.ts") },
  { find: "langchain-training-index/telemetry", replacement: source("telemetry/instrument.ts") },
  { find: /^@electric-sql\/pglite$/, replacement: fileURLToPath(new URL("test/support/pglite.ts", import.meta.url)) },
];

/** The files that are run once more behind PgBouncer as a limited role: those whose outcome a session or a right can change. */
const SENSITIVE = [
  "test/contract/**/*.int.test.ts",
  "test/migrations/*.int.test.ts",
  "test/postgres/named-statements.int.test.ts",
  "test/writing/bulk-load.int.test.ts",
  "test/inspecting/connection-setups.int.test.ts",
  "test/searching/search.int.test.ts", // test/contract/c10-reads searches in each mode and strategy
  "test/langchain/vector-store.int.test.ts",
];
/** Of those, what no connection setup changes: arguments, texts, and settings that the test makes itself. */
const INSENSITIVE = [
  "test/contract/{c06-*,c07-*,c10-no-leak-no-injection,c11-arguments,c13-*,restart}.int.test.ts",
  "test/migrations/settings.int.test.ts",
];

/** The integration tests of each connection setup; see test/support/connection-setups.ts. */
const SETUPS = [
  { name: "integration", include: ["test/**/*.int.test.ts"], exclude: ["test/storing/citus*.int.test.ts"] },
  { name: "integration-pgbouncer", include: SENSITIVE, exclude: INSENSITIVE },
];

/**
 * The same tests with schemas on the workers of a Citus cluster, if there is one: `migrate` then has the option `citus`. Those that have
 * another subject, or that cannot be on a cluster, are in test/support/citus-exclusions.ts.
 */
const CITUS = {
  resolve: {
    alias: alias.map((entry) =>
      entry.find === "langchain-training-index/migrations"
        ? { ...entry, replacement: fileURLToPath(new URL("./test/support/citus-migrations.ts", import.meta.url)) }
        : entry,
    ),
  },
  test: {
    name: "integration-citus",
    include: ["test/**/*.int.test.ts"],
    exclude: EXCLUDED_FILES,
    globalSetup: ["test/support/global-setup.ts"],
    setupFiles: ["test/support/citus-exclusions.ts"],
    isolate: false,
    testTimeout: 240_000, // each change of a schema is a transaction on all nodes
    hookTimeout: 240_000,
  },
};

export default defineConfig({
  test: {
    reporters: ["default", new TableReporter(contractTable), new TableReporter(conformanceTable)],
    // Most of the time a test waits for Postgres; by default a machine of two cores would run one file at a time.
    maxWorkers: "100%",
    projects: [
      {
        resolve: { alias },
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.int.test.ts"],
          isolate: false,
          testTimeout: 30_000, // texts of 1 MB, beside all the others on two cores
        },
      },
      ...SETUPS.map(({ name, include, exclude }) => ({
        resolve: { alias },
        test: {
          name,
          include,
          exclude,
          globalSetup: ["test/support/global-setup.ts"],
          // A worker starts the embedded database and imports each module once, for all of its files.
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      })),
      ...(process.env["TEST_CITUS_URL"] === undefined ? [] : [CITUS]),
    ],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "html"],
      thresholds: { lines: 90, functions: 90, statements: 90, branches: 85 },
    },
  },
});
