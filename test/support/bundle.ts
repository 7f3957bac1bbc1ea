import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Below `node_modules`, so that the bundle finds the packages that it imports. */
const FOLDER = fileURLToPath(new URL("../../node_modules/.cache/test-programs/", import.meta.url));

/**
 * Bundles a program that tests start many times, with our sources and without the packages: its process starts in a third of
 * the time that `tsx` needs to transform them one by one.
 *
 * @returns the path of a module that `node` runs
 */
export async function bundleProgram(entry: URL): Promise<string> {
  const path = fileURLToPath(entry);
  const outfile = join(FOLDER, `${basename(path, ".ts")}-${process.pid}.mjs`);
  await mkdir(FOLDER, { recursive: true });
  await build({
    entryPoints: [path],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    // `scripts/contract-mutations.ts` has its children run changed sources.
    tsconfig: process.env["CHILD_TSCONFIG"] ?? "tsconfig.json",
    logLevel: "error",
  });
  return outfile;
}
