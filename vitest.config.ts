import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
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
];

/** What a way to the server makes no difference to. */
function leftOut(way: string): string[] {
  if (way === "integration") return [];
  const everywhere = [
    "test/**/{idle-connections,readme,scripts,search-plans,test-databases}.int.test.ts",
    // Plans and damage of the server's own.
    "test/searching/{broken-index,text-search-large}.int.test.ts",
    "test/contract/restart.int.test.ts",
    // Arguments, texts, code of the host's, and the embedded database know nothing of the way; parsers and settings are the
    // server's own.
    "test/**/{embedded,header,host-code,ids,runs,search-filter,too-long,type-parsers,unknown-names}.int.test.ts",
    "test/contract/{c06-*,c07-*,c11-arguments}.int.test.ts",
    "test/migrations/settings.int.test.ts",
    // What others' suites ask is the same on any way; that the ways work is the contract's matter.
    "test/conformance/**",
    // Recipes run on servers of their own making.
    "test/recipes/**",
  ];
  // A process that is killed: a name or a right is the same to it. Migrations are the owner's, whoever searches.
  if (way === "integration-role") {
    return [...everywhere, "test/contract/kill.int.test.ts", "test/migrations/processes.int.test.ts"];
  }
  return everywhere;
}

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
      // The same on each way to the real server: see test/support/server-ways.ts.
      ...["integration", "integration-pgbouncer", "integration-role"].map((name) => ({
        resolve: { alias },
        test: {
          name,
          include: ["test/**/*.int.test.ts"],
          exclude: leftOut(name),
          globalSetup: ["test/support/global-setup.ts"],
          // A worker starts the embedded database and imports each module once, for all of its files.
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      })),
    ],
    coverage: {
      provider: "v8",
      include: ["src/**"],
      reporter: ["text-summary", "html"],
      thresholds: { lines: 90, functions: 90, statements: 90, branches: 85 },
    },
  },
});
