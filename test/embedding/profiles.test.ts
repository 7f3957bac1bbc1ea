import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { embeddingProfiles, type OllamaProfile } from "../../src/embedding/ollama.js";

const page = readFileSync("docs/models.md", "utf8");
const profiles: [string, OllamaProfile][] = Object.entries(embeddingProfiles);

/** The rows of the table below a heading; a `|` in a cell is written as `\|`. */
function tableBelow(heading: string): string[][] {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [, , ...rows] = section.split(/\n## /)[0]?.match(/^\|.*\|$/gm) ?? [];
  return rows.map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\\|", "|")),
  );
}

/** The first inline code. */
const quoted = (cell = ""): string => /`([^`]*)`/.exec(cell)?.[1] ?? "";
const numbersIn = (cell = ""): number[] => (cell.match(/\d+/g) ?? []).map(Number);

const facts = tableBelow("Dimensions, window, languages, licence");
/** Models of Ollama's library, without those that users have published. */
const library = facts.filter(([tag]) => !quoted(tag).includes("/"));
const prompts = tableBelow("Prompts");

/** The row of a model; one row may cover all its sizes. */
function rowOf(rows: string[][], model: string): string[] {
  const named = (tag: string): boolean => tag === model || model.startsWith(`${tag}:`);
  const found = rows.filter(([tag]) => named(quoted(tag)));
  expect(found).toHaveLength(1);
  return found[0] ?? [];
}

describe("embeddingProfiles", () => {
  it("describes mxbai-embed-large as its makers do", () => {
    expect(embeddingProfiles["mxbai-embed-large"]).toEqual({
      model: "mxbai-embed-large",
      dimensions: 1024,
      shorterDimensions: [512],
      queryPrefix: "Represent this sentence for searching relevant passages: ",
      documentPrefix: "",
      maxTokens: 512,
      languages: ["en"],
      namesPortuguese: false,
      license: "Apache-2.0",
      source: "https://mixedbread.ai/docs/embeddings/mxbai-embed-large-v1",
    });
  });

  it.each(profiles)("has %s under its own name", (name, profile) => {
    expect(profile.model).toBe(name);
    expect(name).not.toMatch(/:latest$/);
  });

  it("lists exactly the models of docs/models.md", () => {
    expect(library.map(([tag]) => quoted(tag))).toEqual(profiles.map(([name]) => name));
  });

  it.each(profiles)("has exactly the prompts of %s in docs/models.md", (_name, profile) => {
    const [, query, document] = rowOf(prompts, profile.model);
    expect([query, document].map((cell) => JSON.parse(quoted(cell)) as string)).toEqual([
      profile.queryPrefix,
      profile.documentPrefix,
    ]);
  });

  it.each(profiles)("agrees with docs/models.md about %s", (_name, profile) => {
    const row = rowOf(facts, profile.model);
    const [, dimensions, shorter = "", window = "", , license] = row;
    expect(Number(dimensions)).toBe(profile.dimensions);
    expect(license).toBe(profile.license);
    expect(page).toContain(profile.source);
    if (shorter.includes(" to ")) {
      const [least, most] = numbersIn(shorter);
      expect(Math.min(...profile.shorterDimensions)).toBe(least);
      expect(profile.dimensions).toBe(most);
    } else {
      expect(profile.shorterDimensions).toEqual(numbersIn(shorter));
    }
    expect([...profile.shorterDimensions, 0].every((one) => one < profile.dimensions)).toBe(true);

    const [whole = 0, inOllama] = numbersIn(window);
    if (!window.includes("see below")) expect(profile.maxTokens).toBe(inOllama ?? whole);
    else expect([2048, 4096].filter((tokens) => tokens < whole)).toContain(profile.maxTokens);
  });

  it.each(profiles)("agrees with docs/models.md about the languages of %s", (_name, profile) => {
    let place = facts.indexOf(rowOf(facts, profile.model));
    while (facts[place]?.[4] === "the same") place -= 1;
    const languages = facts[place]?.[4] ?? "";
    expect(profile.namesPortuguese).toBe(languages.includes("Portuguese among them"));
    const [count] = numbersIn(languages);
    if (count === undefined) expect([languages, profile.languages]).toEqual(["English", ["en"]]);
    else if (count < 70) expect(profile.languages).toHaveLength(count);
    else expect(profile.languages).toBe("many");
    if (profile.languages !== "many") {
      expect(profile.languages.includes("pt")).toBe(profile.namesPortuguese);
    }
  });
});
