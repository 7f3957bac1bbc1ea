/**
 * Lists the examples, or runs one, or several in one process:
 *
 *   npm run example
 *   npm run example -- retriever
 *   npm run example -- agent two-step-rag
 *
 * An example is a file here, or a folder with a `main.ts` and a README. What follows the names is passed to them.
 */
import { access, readdir, readFile } from "node:fs/promises";
import { loadEnvFile } from "../tooling/env-file.js";

const folder = new URL(".", import.meta.url);
const files = await readExamples();
const given = process.argv.slice(2);
const [unknown] = given.slice(0, 1).filter((name) => !files.has(name));
const firstArgument = given.findIndex((name) => !files.has(name));
const names = firstArgument < 0 ? given : given.slice(0, firstArgument);
process.argv.splice(2, names.length);

if (unknown !== undefined) {
  console.error(`There is no example ${JSON.stringify(unknown)}. Choose one of: ${[...files.keys()].join(", ")}`);
  process.exitCode = 2;
} else if (names.length === 0) {
  for (const [example, file] of files) console.log(`${example.padEnd(18)} ${await summary(file)}`);
} else {
  loadEnvFile();
  // Several examples of the shop share its database, which takes seconds to start.
  const shop = names.length > 1 ? await (await import("./support/shop.js")).openShop() : undefined;
  for (const name of names) {
    if (shop) console.log(`\n== ${name}`);
    await import(files.get(name)?.href ?? "");
  }
  await shop?.close();
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
