import { defineConfig } from "tsup";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    migrations: "src/migrations/index.ts",
    ollama: "src/embedding/ollama.ts",
    embedded: "src/embedded/embedded-pool.ts",
    testing: "src/embedding/hashing.ts",
    http: "src/http/handler.ts",
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
  // CommonJS cannot require on Node 20.3. Their licences are in THIRD_PARTY_LICENSES.md.
  noExternal: ["@langchain/community", "p-limit", "yocto-queue"],
});
