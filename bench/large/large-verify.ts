import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import type { LargeIndexFigures } from "./large-results.js";

const IDS = 1_000_000;

/** The memory of `verify` and `reconcile`: against what is stored, against as many references as chunks, and against a million. */
export async function measureVerify(
  url: string,
  schema: string,
  chunks: number,
  progress: (message: string) => void,
): Promise<NonNullable<LargeIndexFigures["verify"]>> {
  const figures: NonNullable<LargeIndexFigures["verify"]> = [];
  for (const [job, count] of [
    ["stored", chunks],
    ["verify", chunks],
    ["verify", IDS],
    ["reconcile", IDS],
  ] as const) {
    progress(`memory of ${job} with ${count} references`);
    figures.push([job, count, ...(await runChild(url, schema, job, count))]);
  }
  return figures;
}

/** Runs a job in a process of its own, as a host's: without what transforms TypeScript. */
async function runChild(url: string, schema: string, job: string, count: number): Promise<number[]> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const folder = join(root, "node_modules", ".cache", "bench");
  const outfile = join(folder, "verify-child.mjs");
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [join(root, "bench", "verify-child.ts")],
    ...{ outfile, bundle: true, platform: "node", format: "esm", target: "node20", packages: "external" },
    tsconfig: join(root, "tsconfig.json"),
  });
  const args = [outfile, schema, job, `${count}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, DATABASE_URL: url } });
  return JSON.parse(stdout) as number[];
}
