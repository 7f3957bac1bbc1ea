import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const MAX_LINES = 300;
/** The public class: a method for each job, most of its lines are their documentation. */
const PUBLIC_CLASS = { path: "src/training-index.ts", maxLines: 500 };

/** An import or a re-export of one file. */
interface Import {
  line: number;
  /** As written: `./errors.js`, `@langchain/core/documents`. */
  specifier: string;
  /** The imported file, `src/errors.ts`; `undefined` for a package. */
  target: string | undefined;
  /** Whether it disappears at compile time. `import { type A }` does not: the file is still loaded. */
  typeOnly: boolean;
}

/** A TypeScript file of the repository. */
interface Source {
  /** From the root of the package: `src/storing/swap.ts`. */
  path: string;
  text: string;
  /** The text with comments blanked out. */
  uncommented: string;
  /** The text with comments and quoted strings blanked out. */
  code: string;
  imports: Import[];
}

const STRING_OR_COMMENT = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
const IMPORT = /^(?:(?:import|export)\s+(type\s)?\s*(?:[\w*{][\w\s,*{}$]*\sfrom\s+)?|.*\bimport\()"([^"]+)"/gm;

/** The TypeScript files of a folder of the repository, with those of its folders. */
function readSources(folder: string): Source[] {
  const paths = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name).split(sep).join("/"))
    .sort();
  // A rule that finds no files would pass for the wrong reason.
  if (paths.length === 0) throw new Error(`no sources in ${ROOT}${folder}`);
  return paths.map((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    const uncommented = text.replace(STRING_OR_COMMENT, (found) => (found.startsWith("/") ? blank(found) : found));
    const code = uncommented.replace(STRING_OR_COMMENT, (found) => (found.startsWith("`") ? found : blank(found)));
    return { path, text, uncommented, code, imports: readImports(path, uncommented) };
  });
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

function readImports(path: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(({ 1: type, 2: specifier = "", index }) => ({
    line: lineOf(text, index),
    specifier,
    target: specifier.startsWith(".")
      ? normalize(join(dirname(path), specifier.replace(/\.js$/, ".ts")))
          .split(sep)
          .join("/")
      : undefined,
    typeOnly: type !== undefined,
  }));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

const sources = readSources("src");
const byPath = new Map(sources.map((source) => [source.path, source]));

/** `path:line match` for each match of a pattern in the sources. */
function findAll(pattern: RegExp, textOf: (source: Source) => string): string[] {
  return sources.flatMap((source) => {
    const text = textOf(source);
    return [...text.matchAll(pattern)].map(({ 0: found, index }) => `${source.path}:${lineOf(text, index)} ${found}`);
  });
}

/** Files of the root of `src/` that every folder may import. */
const GROUND = ["src/errors.ts", "src/filter-types.ts", "src/hit-types.ts", "src/text.ts", "src/types.ts"];
/** What only the command line and its console may import of the root, as hosts do. */
const PUBLIC_API = ["src/index.ts", "src/environment.ts"];
const COMMAND_LINE = "src/cli";
const CONSOLE = "src/console";
const isOfCommandLine = (folder: string): boolean => folder === COMMAND_LINE || folder.startsWith(`${COMMAND_LINE}/`);
/** The entry of the bin: the only file that touches the process. */
const BIN = "src/cli/main.ts";
const MOST_FILES = 16;

const folders = [...new Set(sources.map(({ path }) => dirname(path)))].filter((path) => path !== "src");

/** The folders that a folder's README.md names behind "May import". */
function readAllowed(folder: string): string[] {
  const readme = readFileSync(join(ROOT, folder, "README.md"), "utf8");
  const [, list = ""] = /^- May import: (.*)\.$/m.exec(readme) ?? [];
  if (list === "") throw new Error(`${folder}/README.md does not say what it may import`);
  return [...list.matchAll(/`([\w-]+(?:\/[\w-]+)*)\/`/g)].map(([, name = ""]) => `src/${name}`);
}

const allowedOf = new Map(folders.map((folder) => [folder, readAllowed(folder)]));

/** The imports of a folder's files from folders that its README.md does not name. */
function importsBeyond(folder: string): string[] {
  const allowed = [folder, ...(allowedOf.get(folder) ?? [])];
  const ground = isOfCommandLine(folder) || folder === CONSOLE ? [...GROUND, ...PUBLIC_API] : GROUND;
  return sources
    .filter(({ path }) => dirname(path) === folder)
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => target !== undefined && !ground.includes(target) && !allowed.includes(dirname(target)))
        .map(({ line, specifier }) => `${path}:${line} imports ${specifier}`),
    );
}

/** The files that a file loads at run time. */
function runtimeTargets(path: string): string[] {
  return (byPath.get(path)?.imports ?? []).flatMap(({ target, typeOnly }) => (target && !typeOnly ? [target] : []));
}

/** For each file that `start` loads, directly or indirectly: the chain of files that leads to it. */
function chainsFrom(start: readonly string[]): Map<string, string[]> {
  const chains = new Map(start.map((path) => [path, [path]]));
  for (const [path, chain] of chains) {
    for (const target of runtimeTargets(path)) {
      if (!chains.has(target)) chains.set(target, [...chain, target]);
    }
  }
  return chains;
}

/** The cycles of a graph, each as `a -> b -> a`. */
function findCycles(starts: Iterable<string>, nextOf: (place: string) => readonly string[]): string[] {
  const cycles: string[] = [];
  const finished = new Set<string>();
  const visit = (place: string, chain: readonly string[]): void => {
    const start = chain.indexOf(place);
    if (start >= 0) cycles.push([...chain.slice(start), place].join(" -> "));
    if (start >= 0 || finished.has(place)) return;
    for (const next of nextOf(place)) visit(next, [...chain, place]);
    finished.add(place);
  };
  for (const place of starts) visit(place, []);
  return cycles;
}

/** What surrounds the library. Each imports the library, and from the others only `tooling/`. */
const SURROUNDINGS = ["bench", "eval", "examples", "matrix", "scripts", "test", "tooling"];

/** Tests that import what they test from there; the console's page is tested with the trainings of the playground. */
const TESTS_OF: Readonly<Record<string, readonly string[]>> = {
  examples: ["test/recipes/", "test/console/"],
  eval: ["test/eval/"],
  scripts: ["test/mutations.test.ts"],
};

/** The imports that lead from one of {@link SURROUNDINGS} to another, except those that are allowed. */
function importsBetweenSurroundings(): string[] {
  const rootOf = (path: string): string => path.split("/")[0] ?? "";
  const isAllowed = (from: string, to: string): boolean =>
    rootOf(from) === rootOf(to) ||
    rootOf(to) === "tooling" ||
    !SURROUNDINGS.includes(rootOf(to)) ||
    (TESTS_OF[rootOf(to)] ?? []).some((folder) => from.startsWith(folder));
  return SURROUNDINGS.flatMap(readSources).flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => target !== undefined && !isAllowed(path, target))
      .map(({ line, specifier }) => `${path}:${line} imports ${specifier}`),
  );
}

const EXPORT =
  /^export (?:declare )?(?:default )?(?:abstract )?(?:async )?(function\*?|class|interface|type|const|let|enum) (\w+)/;

const ONE_LINE_CONST = /^export const .*;$/;

/** The exported declarations of a file without a doc comment. */
function undocumentedExports({ path, text }: Source): string[] {
  const lines = text.split("\n");
  const documented = new Set<string>();
  return lines.flatMap((line, index) => {
    const [, kind = "", name = ""] = EXPORT.exec(line) ?? [];
    if (name === "") return [];
    const overload = kind.startsWith("function") && documented.has(name);
    if (!overload && !followsDocComment(lines, index)) return [`${path}:${index + 1} ${kind} ${name}`];
    documented.add(name);
    return [];
  });
}

/** Whether a doc comment ends on the line above. Adjacent one-line constants may share one. */
function followsDocComment(lines: readonly string[], index: number): boolean {
  const above = lines[index - 1]?.trimEnd() ?? "";
  if (ONE_LINE_CONST.test(above) && ONE_LINE_CONST.test(lines[index] ?? "")) {
    return followsDocComment(lines, index - 1);
  }
  if (!above.endsWith("*/")) return false;
  let start = index - 1;
  while (start > 0 && !lines[start]?.trimStart().startsWith("/*")) start -= 1;
  return lines[start]?.trimStart().startsWith("/**") === true;
}

describe("the folders of src", () => {
  it.each(folders)("%s imports only the folders that its README.md names", (folder) => {
    expect(importsBeyond(folder)).toEqual([]);
  });

  it.each(folders)("the README.md of %s names no folder that its files do not import", (folder) => {
    const imported = sources
      .filter(({ path }) => dirname(path) === folder)
      .flatMap(({ imports }) => imports.map(({ target }) => dirname(target ?? "")));
    expect(allowedOf.get(folder)?.filter((name) => !imported.includes(name))).toEqual([]);
  });

  it("have no circular imports", () => {
    expect(findCycles(folders, (folder) => allowedOf.get(folder) ?? [])).toEqual([]);
  });

  it(`have at most ${MOST_FILES} files each, the root at most ten`, () => {
    const counts = [...folders, "src"].map((folder) => ({
      folder,
      files: sources.filter(({ path }) => dirname(path) === folder).length,
    }));
    expect(counts.filter(({ folder, files }) => files > (folder === "src" ? 10 : MOST_FILES))).toEqual([]);
  });

  it("are mirrored by the folders of test", () => {
    const others = ["conformance", "contract", "eval", "recipes", "support"];
    const tested = readdirSync(join(ROOT, "test"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !others.includes(entry.name))
      .map(({ name }) => `src/${name}`);
    const mirrored = folders.filter((path) => !path.startsWith(`${COMMAND_LINE}/`)); // tested through the commands
    expect(tested.sort()).toEqual(mirrored.sort());
  });

  it("have migrations that do not load LangChain, directly or indirectly", () => {
    const migrations = sources.map(({ path }) => path).filter((path) => path.startsWith("src/migrations/"));
    expect(migrations).not.toEqual([]);
    const loading = [...chainsFrom(migrations)].flatMap(([path, chain]) =>
      (byPath.get(path)?.imports ?? [])
        .filter(({ specifier, typeOnly }) => specifier.startsWith("@langchain/") && !typeOnly)
        .map(({ line, specifier }) => `${path}:${line} loads ${specifier}, through ${chain.join(" -> ")}`),
    );
    expect(loading).toEqual([]);
  });

  it("have no file that loads itself through other files", () => {
    expect(findCycles(byPath.keys(), runtimeTargets)).toEqual([]);
  });

  it("have no import of a missing file", () => {
    const missing = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => target !== undefined && !byPath.has(target))
        .map(({ line, specifier }) => `${path}:${line} imports ${specifier}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("tests, bench, eval and examples", () => {
  it("do not import each other, except tests that import the examples or the evaluation they test", () => {
    expect(importsBetweenSurroundings()).toEqual([]);
  });
});

describe("the sources", () => {
  it("do not read the environment, except the bin", () => {
    const pattern = /\bprocess\s*\??\.?\s*(?:env\b|\[\s*["']env)|["'](?:node:)?process["']/g;
    const found = findAll(pattern, ({ uncommented }) => uncommented);
    expect(found.filter((place) => !place.startsWith(`${BIN}:`))).toEqual([]);
  });

  it("do not write to the console", () => {
    expect(findAll(/\bconsole\s*\??[.[]\s*\w*/g, ({ code }) => code)).toEqual([]);
  });

  it("do not use the type any", () => {
    expect(findAll(/(?::|\bas|[<,|&])\s*any\b(?!\s*:)/g, ({ code }) => code)).toEqual([]);
  });

  it("do not suppress messages of the compiler or the linter", () => {
    expect(findAll(/@ts-(?:ignore|expect-error|nocheck)|eslint-disable[\w-]*/g, ({ text }) => text)).toEqual([]);
  });

  it(`have no file of more than ${MAX_LINES} lines`, () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
      .filter(({ path, lines }) => lines > (path === PUBLIC_CLASS.path ? PUBLIC_CLASS.maxLines : MAX_LINES))
      .map(({ path, lines }) => `${path}:${lines} lines`);
    expect(long).toEqual([]);
  });

  it("have a doc comment on every export", () => {
    expect(sources.flatMap(undocumentedExports)).toEqual([]);
  });
});
