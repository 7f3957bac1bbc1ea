import { cp } from "node:fs/promises";
import { defineConfig, type Options } from "tsup";

/**
 * PGVectorStore imports `pg` for the pool that it opens if it gets none. It always gets the host's from us, so that import
 * would only slow down ours, by about an eighth.
 */
const pgOnlyWhereWeImportIt: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "pg only where we import it",
  setup(build) {
    build.onResolve({ filter: /^pg$/ }, ({ importer }) =>
      importer.includes("@langchain/community") ? { path: "pg", namespace: "unused" } : { path: "pg", external: true },
    );
    build.onLoad({ filter: /^pg$/, namespace: "unused" }, () => ({ contents: "export default {};" }));
  },
};

export default defineConfig({
  entry: {
    index: "src/index.ts",
    migrations: "src/migrations/index.ts",
    ollama: "src/embedding/ollama.ts",
    embedded: "src/embedded/embedded-pool.ts",
    testing: "src/embedding/hashing.ts",
    http: "src/http/handler.ts",
    telemetry: "src/telemetry/instrument.ts",
    cli: "src/cli/main.ts",
  },
  format: ["esm", "cjs"],
  target: "node20",
  dts: true,
  clean: true,
  sourcemap: true,
  // One copy of each module for all entries of a format: an error thrown by `migrate` must be
  // `instanceof` the class that the main entry exports.
  splitting: true,
  // The whole of @langchain/community is 140 packages; PGVectorStore is one module of it. p-limit exists as ESM only, which
  // CommonJS cannot require on Node 20.3. csv-parse is used by the command line alone. Their licences are in THIRD_PARTY_LICENSES.md.
  noExternal: ["@langchain/community", "p-limit", "yocto-queue", "csv-parse", "pg"],
  esbuildPlugins: [pgOnlyWhereWeImportIt],
  // The page of the console, which the command line looks for beside itself.
  onSuccess: () => cp("src/console/page", "dist/console", { recursive: true }),
});
