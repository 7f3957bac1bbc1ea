/** The pages of the documentation as programs. */
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import { uniqueName } from "./databases.js";
import { startOllamaServer } from "./ollama-server.js";

const run = promisify(execFile);

/** The code blocks of a page in one language, in order. */
export async function codeBlocks(readme: string, language: string): Promise<string[]> {
  const text = await readFile(readme, "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(
    ([, code = ""]) => code,
  );
}

/**
 * What a page says that its code prints: the comment behind a `console.log` on one line. One that ends with ` ...` is the
 * beginning of a line.
 */
export function promisedOutput(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)].map(([, promised = ""]) => promised);
}

/** Checks that the lines were printed, in this order; other lines may be between them. */
export function expectLines(output: string, promised: readonly string[]): void {
  const lines = output.split("\n");
  let next = 0;
  for (const line of promised) {
    const isIt = line.endsWith(" ...")
      ? (printed: string): boolean => printed.startsWith(line.slice(0, -4))
      : (printed: string): boolean => printed === line;
    const found = lines.findIndex((printed, place) => place >= next && isIt(printed));
    expect(
      found,
      `${JSON.stringify(line)} in what was printed from line ${next} on:\n${output}`,
    ).toBeGreaterThan(-1);
    next = found + 1;
  }
}

/**
 * Runs the TypeScript of a page as the one program that it is, and returns what it prints.
 *
 * @param rewrite - changes the program before it runs
 */
export async function runPage(
  page: string,
  databaseUrl: string,
  rewrite: (code: string) => string = (code) => code,
): Promise<string> {
  const ollama = await startOllamaServer();
  onTestFinished(() => ollama.close());
  const file = `test/${uniqueName(".readme")}.ts`;
  onTestFinished(() => rm(file));
  await writeFile(file, rewrite((await codeBlocks(page, "ts")).join("\n")));
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, DATABASE_URL: databaseUrl, OLLAMA_BASE_URL: ollama.url };
  const { stdout } = await run(process.execPath, ["--import", "tsx", file], { env });
  return stdout;
}
