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
  /** From the root of the package: `src/store/swap.ts`. */
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

/** The imports of a room's files that lead to none of the given places. */
function importsBeyond(room: string, allowed: readonly string[]): string[] {
  return sources
    .filter(({ path }) => path.startsWith(room))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => target !== undefined && !allowed.some((place) => target.startsWith(place)))
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

/** Every import that leads back to a file whose import led to it. */
function findCycles(): string[] {
  const cycles: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, chain: readonly string[]): void => {
    const start = chain.indexOf(path);
    if (start >= 0) cycles.push([...chain.slice(start), path].join(" -> "));
    if (start >= 0 || finished.has(path)) return;
    for (const target of runtimeTargets(path)) visit(target, [...chain, path]);
    finished.add(path);
  };
  for (const { path } of sources) visit(path, []);
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

describe("the rooms of the house", () => {
  it("has a store that knows nothing of embedding, migrations or the index", () => {
    const ground = [
      "batches",
      "checks",
      "errors",
      "notices",
      "passage",
      "text",
      "time-limit",
      "turns",
      "types",
    ];
    const allowed = ground.map((name) => `src/${name}.ts`);
    expect(importsBeyond("src/store/", ["src/store/", ...allowed])).toEqual([]);
  });

  it("has an embedding that knows nothing of the store or the index", () => {
    const allowed = ["errors", "checks", "batches", "types", "text", "notices"].map(
      (name) => `src/${name}.ts`,
    );
    expect(importsBeyond("src/embedding/", ["src/embedding/", ...allowed])).toEqual([]);
  });

  it("has migrations that know nothing of embedding or the index", () => {
    const allowed = ["src/migrations/", "src/store/", "src/checks.ts", "src/errors.ts", "src/types.ts"];
    expect(importsBeyond("src/migrations/", allowed)).toEqual([]);
  });

  it("has migrations that load no LangChain, not by way of other files either", () => {
    const migrations = sources.map(({ path }) => path).filter((path) => path.startsWith("src/migrations/"));
    expect(migrations).not.toEqual([]);
    const loading = [...chainsFrom(migrations)].flatMap(([path, chain]) =>
      (byPath.get(path)?.imports ?? [])
        .filter(({ specifier, typeOnly }) => specifier.startsWith("@langchain/") && !typeOnly)
        .map(({ line, specifier }) => `${path}:${line} loads ${specifier}, by way of ${chain.join(" -> ")}`),
    );
    expect(loading).toEqual([]);
  });

  it("has no file that is loaded by what it loads", () => {
    expect(findCycles()).toEqual([]);
  });

  it("has no import of a file that is not there", () => {
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
