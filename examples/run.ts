/**
 * Lists the examples, or runs one:
 *
 *   npm run example
 *   npm run example -- retriever
 *
 * An example is a file here, or a folder with a `main.ts` and a README. Arguments after its name are passed to it.
 */
import { access, readdir, readFile } from "node:fs/promises";
import { loadEnvFile } from "../tooling/env-file.js";

const folder = new URL(".", import.meta.url);
const [name] = process.argv.splice(2, 1);
const files = await readExamples();

if (name === undefined) {
  for (const [example, file] of files) console.log(`${example.padEnd(18)} ${await summary(file)}`);
} else {
  const file = files.get(name);
  if (file) {
    loadEnvFile();
    await import(file.href);
  } else {
    console.error(`There is no example ${JSON.stringify(name)}. Choose one of: ${[...files.keys()].join(", ")}`);
    process.exitCode = 2;
  }
}

/** Files of the examples by name, in alphabetical order. */
async function readExamples(): Promise<Map<string, URL>> {
  const examples = new Map<string, URL>();
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort(byName)) {
    if (entry.isDirectory()) {
      const main = new URL(`${entry.name}/main.ts`, folder);
      if (await exists(main)) examples.set(entry.name, main);
    } else if (entry.name.endsWith(".ts") && entry.name !== "run.ts") {
      examples.set(entry.name.replace(/\.ts$/, ""), new URL(entry.name, folder));
    }
  }
  return examples;
}

function byName(left: { name: string }, right: { name: string }): number {
  return left.name < right.name ? -1 : 1;
}

async function exists(file: URL): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** The first line of the comment at the top of an example. */
async function summary(file: URL): Promise<string> {
  return /^\/\*\*\n \* (.*)$/m.exec(await readFile(file, "utf8"))?.[1] ?? "";
}
