/**
 * Lists the examples, or runs one:
 *
 *   npm run example
 *   npm run example -- retriever
 */
import { readdir, readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

const folder = new URL(".", import.meta.url);
const { positionals } = parseArgs({ allowPositionals: true });
const [name] = positionals;
const files = (await readdir(folder)).filter((file) => file.endsWith(".ts") && file !== "run.ts");
const names = files.map((file) => file.replace(/\.ts$/, "")).sort();

if (name === undefined) {
  for (const example of names) console.log(`${example.padEnd(16)} ${await summary(example)}`);
} else if (names.includes(name)) {
  await import(new URL(`${name}.ts`, folder).href);
} else {
  console.error(`There is no example ${JSON.stringify(name)}. There are: ${names.join(", ")}`);
  process.exitCode = 2;
}

/** The first line of the comment at the top of an example. */
async function summary(example: string): Promise<string> {
  const source = await readFile(new URL(`${example}.ts`, folder), "utf8");
  return /^\/\*\*\n \* (.*)$/m.exec(source)?.[1] ?? "";
}
