/** The texts of the console's page: all of them, in both languages. */
import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { statusWarningCodes } from "../../src/inspecting/index-status.js";
import { refusalCodes } from "../../src/console/refusal.js";
import { allTexts, PAGE } from "./page-texts.js";

const { english, portuguese } = await allTexts();
const keys = Object.keys(english);

async function sourcesOfPage(): Promise<string> {
  const names = (await readdir(PAGE)).filter((name) => !name.startsWith("texts-") && !name.endsWith(".css"));
  return (await Promise.all(names.map((name) => readFile(new URL(name, PAGE), "utf8")))).join("\n");
}

function placeholders(text: string | undefined): string[] {
  return [...(text ?? "").matchAll(/\{\w+\}/g)].map(([found]) => found).sort();
}

describe("the texts of the console's page", () => {
  it("are the same in both languages, with the same values", () => {
    expect(Object.keys(portuguese).sort()).toEqual([...keys].sort());
    for (const key of keys) {
      expect(english[key]?.trim(), key).not.toBe("");
      expect(portuguese[key]?.trim(), key).not.toBe("");
      expect(placeholders(portuguese[key]), key).toEqual(placeholders(english[key]));
    }
  });

  it("are translated", () => {
    const same = keys.filter((key) => english[key] === portuguese[key]);
    expect(same.sort()).toEqual(["edit.id", "status.schema", "view.status"].filter((key) => same.includes(key)));
  });

  it("are all there for what can fail", async () => {
    const errors = await readFile(new URL("../../src/errors.ts", import.meta.url), "utf8");
    const [, union = ""] = /export type ErrorCode =([^;]+);/.exec(errors) ?? [];
    const codes = [...union.matchAll(/"(\w+)"/g)].map(([, code = ""]) => code);
    expect(codes.length).toBeGreaterThan(20);
    for (const code of [...codes, ...refusalCodes, "CONSOLE_GONE"]) {
      expect(keys).toContain(`failure.${code}`);
      expect(keys).toContain(`failure.${code}.help`);
    }
  });

  it("are all there for what the status warns of", () => {
    for (const code of statusWarningCodes) expect(keys).toContain(`warning.${code}`);
    expect(keys).toContain("warning.other");
  });

  it("are all there that the page names, and the page uses all of them", async () => {
    const page = await sourcesOfPage();
    const quoted = [...page.matchAll(/\bt\(\s*"([^"]+)"/g), ...page.matchAll(/data-(?:text|label)="([^"]+)"/g)];
    for (const [, key] of quoted) expect(keys).toContain(key);
    for (const [, key] of page.matchAll(/\bcounted\(\s*"([^"]+)"/g)) {
      expect(keys).toContain(`${key}.one`);
      expect(keys).toContain(`${key}.other`);
    }
    // Keys are also made of a beginning and a value.
    const beginnings = [...page.matchAll(/`([\w.]+)\.\$\{/g)].map(([, beginning]) => `${beginning}.`);
    const unused = keys.filter((key) => {
      const stem = key.replace(/\.(?:one|other)$/, "");
      return (
        !page.includes(`"${stem}"`) && !page.includes(`"${key}"`) && !beginnings.some((begin) => key.startsWith(begin))
      );
    });
    expect(unused).toEqual([]);
  });

  it("name no field, option of the library, or code", () => {
    for (const text of [...Object.values(english), ...Object.values(portuguese)]) {
      expect(text.replaceAll(/\{\w+\}|DATABASE_URL|--\w+|VACUUM|ANALYZE|UUID/g, "")).not.toMatch(
        /\b[a-z]+[A-Z]\w*\b|\b[A-Z]{3,}_[A-Z_]+\b|\b(?:undefined|null|NaN)\b/,
      );
    }
  });
});
