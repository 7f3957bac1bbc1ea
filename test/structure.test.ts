import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const MAX_LINES = 300;

/** An import or a re-export of one file. */
interface Import {
  line: number;
  /** As it is written: `./errors.js`, `@langchain/core/documents`. */
  specifier: string;
  /** The file that it leads to, `src/errors.ts`; `undefined` for a package. */
  target: string | undefined;
  /** Whether nothing of it is left at run time. `import { type A }` does leave something: the import itself. */
  typeOnly: boolean;
}

/** A file of the library. */
interface Source {
  /** From the root of the package: `src/storing/swap.ts`. */
  path: string;
  text: string;
  /** The text with blanks for comments. */
  uncommented: string;
  /** The text with blanks for comments and for what is between quotes. */
  code: string;
  imports: Import[];
}

const STRING_OR_COMMENT =
  /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
const IMPORT =
  /^(?:(?:import|export)\s+(type\s)?\s*(?:[\w*{][\w\s,*{}$]*\sfrom\s+)?|.*\bimport\()"([^"]+)"/gm;

function readSources(): Source[] {
  const paths = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join("src", name).split(sep).join("/"))
    .sort();
  // A rule that finds no files would pass for the wrong reason.
  if (!paths.includes("src/index.ts")) throw new Error(`no sources in ${ROOT}src`);
  return paths.map((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    const uncommented = text.replace(STRING_OR_COMMENT, (found) =>
      found.startsWith("/") ? blank(found) : found,
    );
    const code = uncommented.replace(STRING_OR_COMMENT, (found) =>
      found.startsWith("`") ? found : blank(found),
    );
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

const sources = readSources();
const byPath = new Map(sources.map((source) => [source.path, source]));

/** `path:line what` for each place in the sources where a pattern is found. */
function findAll(pattern: RegExp, textOf: (source: Source) => string): string[] {
  return sources.flatMap((source) => {
    const text = textOf(source);
    return [...text.matchAll(pattern)].map(
      ({ 0: found, index }) => `${source.path}:${lineOf(text, index)} ${found}`,
    );
  });
}

/** Files of the root of `src/` that every folder may import. */
const GROUND = ["src/errors.ts", "src/filter-types.ts", "src/text.ts", "src/types.ts"];
const MOST_FILES = 18;

const folders = [...new Set(sources.map(({ path }) => dirname(path)))].filter((path) => path !== "src");

/** The folders that a folder's README.md names behind "May import". */
function readAllowed(folder: string): string[] {
  const readme = readFileSync(join(ROOT, folder, "README.md"), "utf8");
  const [, list = ""] = /^- May import: (.*)\.$/m.exec(readme) ?? [];
  if (list === "") throw new Error(`${folder}/README.md does not say what it may import`);
  return [...list.matchAll(/`([\w-]+)\/`/g)].map(([, name = ""]) => `src/${name}`);
}

const allowedOf = new Map(folders.map((folder) => [folder, readAllowed(folder)]));

/** The imports of a folder's files that lead to none of the folders that its README.md names. */
function importsBeyond(folder: string): string[] {
  const allowed = [folder, ...(allowedOf.get(folder) ?? [])];
  return sources
    .filter(({ path }) => dirname(path) === folder)
    .flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ target }) =>
            target !== undefined && !GROUND.includes(target) && !allowed.includes(dirname(target)),
        )
        .map(({ line, specifier }) => `${path}:${line} imports ${specifier}`),
    );
}

/** The files that an import leaves to be loaded at run time. */
function runtimeTargets(path: string): string[] {
  return (byPath.get(path)?.imports ?? []).flatMap(({ target, typeOnly }) =>
    target && !typeOnly ? [target] : [],
  );
}

/** The chain of files from `start` to each file that is loaded with it. */
function chainsFrom(start: readonly string[]): Map<string, string[]> {
  const chains = new Map(start.map((path) => [path, [path]]));
  for (const [path, chain] of chains) {
    for (const target of runtimeTargets(path)) {
      if (!chains.has(target)) chains.set(target, [...chain, target]);
    }
  }
  return chains;
}

/** Every step from a place to a place that leads back to where it began. */
function findCycles(starts: Iterable<string>, stepsOf: (place: string) => readonly string[]): string[] {
  const cycles: string[] = [];
  const finished = new Set<string>();
  const visit = (place: string, chain: readonly string[]): void => {
    const start = chain.indexOf(place);
    if (start >= 0) cycles.push([...chain.slice(start), place].join(" -> "));
    if (start >= 0 || finished.has(place)) return;
    for (const next of stepsOf(place)) visit(next, [...chain, place]);
    finished.add(place);
  };
  for (const place of starts) visit(place, []);
  return cycles;
}

const EXPORT =
  /^export (?:declare )?(?:default )?(?:abstract )?(?:async )?(function\*?|class|interface|type|const|let|enum) (\w+)/;

const ONE_LINE_CONST = /^export const .*;$/;

/** The exported declarations of a file that no doc comment speaks of. */
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

/** Whether a doc comment ends on the line above; constants of one line each, without a gap, may share one. */
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

  it.each(folders)("%s names no folder that it does not import", (folder) => {
    const imported = sources
      .filter(({ path }) => dirname(path) === folder)
      .flatMap(({ imports }) => imports.map(({ target }) => dirname(target ?? "")));
    expect(allowedOf.get(folder)?.filter((name) => !imported.includes(name))).toEqual([]);
  });

  it("form no circle", () => {
    expect(findCycles(folders, (folder) => allowedOf.get(folder) ?? [])).toEqual([]);
  });

  it(`hold at most ${MOST_FILES} files each, the root ten`, () => {
    const counts = [...folders, "src"].map((folder) => ({
      folder,
      files: sources.filter(({ path }) => dirname(path) === folder).length,
    }));
    expect(counts.filter(({ folder, files }) => files > (folder === "src" ? 10 : MOST_FILES))).toEqual([]);
  });

  it("are mirrored by the folders of test", () => {
    const others = ["conformance", "contract", "recipes", "support"];
    const tested = readdirSync(join(ROOT, "test"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !others.includes(entry.name))
      .map(({ name }) => `src/${name}`);
    expect(tested.sort()).toEqual(folders.sort());
  });

  it("have migrations that load no LangChain, not by way of other files either", () => {
    const migrations = sources.map(({ path }) => path).filter((path) => path.startsWith("src/migrations/"));
    expect(migrations).not.toEqual([]);
    const loading = [...chainsFrom(migrations)].flatMap(([path, chain]) =>
      (byPath.get(path)?.imports ?? [])
        .filter(({ specifier, typeOnly }) => specifier.startsWith("@langchain/") && !typeOnly)
        .map(({ line, specifier }) => `${path}:${line} loads ${specifier}, by way of ${chain.join(" -> ")}`),
    );
    expect(loading).toEqual([]);
  });

  it("have no file that is loaded by what it loads", () => {
    expect(findCycles(byPath.keys(), runtimeTargets)).toEqual([]);
  });

  it("have no import of a file that is not there", () => {
    const missing = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => target !== undefined && !byPath.has(target))
        .map(({ line, specifier }) => `${path}:${line} imports ${specifier}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("the sources", () => {
  it("do not read the environment", () => {
    const pattern = /\bprocess\s*\??\.?\s*(?:env\b|\[\s*["']env)|["'](?:node:)?process["']/g;
    expect(findAll(pattern, ({ uncommented }) => uncommented)).toEqual([]);
  });

  it("do not write to the console", () => {
    expect(findAll(/\bconsole\s*\??[.[]\s*\w*/g, ({ code }) => code)).toEqual([]);
  });

  it("have no type that is any", () => {
    expect(findAll(/(?::|\bas|[<,|&])\s*any\b(?!\s*:)/g, ({ code }) => code)).toEqual([]);
  });

  it("silence neither the compiler nor the linter", () => {
    expect(findAll(/@ts-(?:ignore|expect-error|nocheck)|eslint-disable[\w-]*/g, ({ text }) => text)).toEqual(
      [],
    );
  });

  it(`have no file of more than ${MAX_LINES} lines`, () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
      .filter(({ lines }) => lines > MAX_LINES)
      .map(({ path, lines }) => `${path}:${lines} lines`);
    expect(long).toEqual([]);
  });

  it("have a doc comment before everything that they export", () => {
    expect(sources.flatMap(undocumentedExports)).toEqual([]);
  });
});
