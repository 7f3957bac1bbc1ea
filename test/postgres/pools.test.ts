import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const POOL = /(?:\b(?:const|let) (\w+)[^=;]*= (?:\w+ \? )?)?new (?:pg\.)?Pool\(/g;

/** Programs that users may copy: scripts, and the joined code blocks of each page. */
function programs(): [string, string][] {
  const pages = readdirSync(ROOT).filter((name) => name.endsWith(".md"));
  const folders = ["docs", "examples", "bench", "eval"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  );
  return [...pages, ...folders]
    .filter((path) => /\.(md|ts)$/.test(path) && !path.includes("node_modules"))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), "utf8");
      return [path, path.endsWith(".md") ? codeOf(text) : text];
    });
}

function codeOf(page: string): string {
  const blocks = page.matchAll(/^```(?:ts|js|typescript|javascript)\n(.*?)^```/gms);
  return Array.from(blocks, ([, code = ""]) => code.replaceAll(/ \/\/ .*$/gm, "")).join("\n");
}

/** The pools of a program that have no error listener. */
function unguarded(program: string): string[] {
  return Array.from(program.matchAll(POOL), ([creation, name]) => ({ creation, name }))
    .filter(({ name }) => name === undefined || !program.includes(`${name}.on("error"`))
    .map(({ creation }) => creation);
}

// `pg` emits "error" on the pool when an idle connection ends; without a listener that ends the process.
describe("every pool that users may copy has an error listener", () => {
  it.each(programs().filter(([, program]) => program.search(POOL) >= 0))("%s", (_path, program) => {
    expect(unguarded(program)).toEqual([]);
  });

  it("is reported if it has none", () => {
    expect(unguarded("const pool = new pg.Pool({});")).toEqual(["const pool = new pg.Pool("]);
    expect(unguarded("use(new Pool());")).toEqual(["new Pool("]);
    expect(unguarded('const pool: pg.Pool = new pg.Pool({});\npool.on("error", log);')).toEqual([]);
    expect(programs().filter(([, program]) => program.search(POOL) >= 0).length).toBeGreaterThanOrEqual(6);
  });
});
