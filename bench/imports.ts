import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { median } from "./statistics.js";
import type { ImportFigure } from "./results.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BASELINE = "@langchain/core/retrievers";
const ENTRY = "langchain-training-index";
const ROUNDS = 15;

/** Imports the built main entry, and the module of LangChain that it cannot do without, each in new processes in turns. */
export async function measureImports(): Promise<ImportFigure> {
  await run("npm", ["run", "build", "--silent"], { cwd: ROOT });
  const times: Record<string, number[]> = { [ENTRY]: [], [BASELINE]: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const specifier of [ENTRY, BASELINE]) times[specifier]?.push(await importMilliseconds(specifier));
  }
  return {
    entryMilliseconds: median(times[ENTRY] ?? []),
    baselineMilliseconds: median(times[BASELINE] ?? []),
  };
}

async function importMilliseconds(specifier: string): Promise<number> {
  const program = `const begun = performance.now(); await import("${specifier}"); console.log(performance.now() - begun);`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program], { cwd: ROOT });
  return Number(stdout);
}
