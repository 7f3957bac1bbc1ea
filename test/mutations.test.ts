import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { mutations } from "../scripts/mutations.js";

const root = fileURLToPath(new URL("..", import.meta.url));

describe("npm run test:mutations", () => {
  it.each(mutations)("finds the place of: $name", ({ file, from, to }) => {
    const source = readFileSync(`${root}src/${file}`, "utf8");
    expect(source.split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  });

  it.each(mutations)("has tests for: $name", ({ noticedBy }) => {
    const clauses = readdirSync(`${root}test/contract`);
    for (const test of noticedBy) {
      const [file, folder] = [test.split("/").at(-1) ?? "", test.split("/").slice(0, -1).join("/")];
      const files = folder === "" ? clauses : readdirSync(`${root}${folder}`);
      expect(files.filter((name) => name.startsWith(file) && name.endsWith(".test.ts"))).not.toEqual([]);
    }
  });
});
