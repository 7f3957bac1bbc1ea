/** Runs the code of documentation pages as programs. */
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, vi } from "vitest";
import { bundleProgram } from "./bundle.js";
import { uniqueName } from "./databases.js";
import { newcomersEnvironment } from "./environment.js";
import { startOllamaServer } from "./ollama-server.js";
import { capturePrinted } from "./printed.js";

const run = promisify(execFile);

/** The code blocks of a page in one language, in order. */
export async function codeBlocks(readme: string, language: string): Promise<string[]> {
  const text = await readFile(readme, "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, code = ""]) => code);
}

/**
 * The output that a page promises: the comment after a `console.log` on the same line. One that ends with ` ...` is the
 * start of an output line.
 */
export function promisedOutput(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)].map(([, promised = ""]) => promised);
}

/** Checks that the lines were printed in this order, with or without other lines between them. */
export function expectLines(output: string, promised: readonly string[]): void {
  const lines = output.split("\n");
  let next = 0;
  for (const line of promised) {
    const isIt = line.endsWith(" ...")
      ? (printed: string): boolean => printed.startsWith(line.slice(0, -4))
      : (printed: string): boolean => printed === line;
    const found = lines.findIndex((printed, place) => place >= next && isIt(printed));
    expect(found, `${JSON.stringify(line)} in what was printed from line ${next} on:\n${output}`).toBeGreaterThan(-1);
    next = found + 1;
  }
}

/**
 * Runs the TypeScript of a page as the one program that it is, in a process of its own, and returns what it prints.
 */
export async function runPage(page: string, databaseUrl: string): Promise<string> {
  return withProgram(page, databaseUrl, asItIs, async (file, variables) => {
    const program = await bundleProgram(pathToFileURL(file));
    return (await run(process.execPath, [program], { env: newcomersEnvironment(variables) })).stdout;
  });
}

/**
 * As {@link runPage}, in this process: without the seconds that it takes to start one and to load the packages. What the
 * program puts into `globalThis` is removed, so that the next one begins without it.
 *
 * @param rewrite - changes the program before it runs
 */
export async function runPageHere(
  page: string,
  databaseUrl: string,
  rewrite: (code: string) => string = asItIs,
): Promise<string> {
  return withProgram(page, databaseUrl, rewrite, async (file, variables) => {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const globalsBefore = new Set(Object.getOwnPropertyNames(globalThis));
    try {
      return (await capturePrinted(() => import(/* @vite-ignore */ pathToFileURL(file).href))).stdout;
    } finally {
      vi.unstubAllEnvs();
      for (const name of Object.getOwnPropertyNames(globalThis)) {
        if (!globalsBefore.has(name)) Reflect.deleteProperty(globalThis, name);
      }
    }
  });
}

function asItIs(code: string): string {
  return code;
}

/** Writes the program of a page to a file, and starts the Ollama server that it talks to. */
async function withProgram(
  page: string,
  databaseUrl: string,
  rewrite: (code: string) => string,
  work: (file: string, variables: Record<string, string>) => Promise<string>,
): Promise<string> {
  const ollama = await startOllamaServer();
  onTestFinished(() => ollama.close());
  const file = `test/${uniqueName(".readme")}.ts`;
  onTestFinished(() => rm(file));
  await writeFile(file, rewrite((await codeBlocks(page, "ts")).join("\n")));
  return work(file, { DATABASE_URL: databaseUrl, OLLAMA_BASE_URL: ollama.url });
}
