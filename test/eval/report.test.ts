import { describe, expect, it } from "vitest";
import { compareResults, type Result } from "../../eval/comparisons.js";
import { comparisonTable, indexingTable, resultTable, VariantNames } from "../../eval/report.js";
import type { Variant } from "../../eval/variants.js";

const plain: Variant = { model: "hashing", split: "auto", header: "none" };
const titled: Variant = { model: "hashing", split: "auto", header: "title" };
const real: Variant = { model: "use", split: "auto", header: "title" };
const SEED = 1;

const base: Omit<Result, "variant" | "mode"> = {
  form: "phone",
  ranks: [1, 1, 1, 1, 2, 6, 6, 6, 6, undefined],
  millisecondsPerQuestion: 2.345,
};

describe("VariantNames", () => {
  it("names what differs", () => {
    const names = new VariantNames([plain, titled, real]);
    expect(names.columns).toEqual(["model", "header"]);
    expect(names.cells(real)).toEqual(["use", "title"]);
    expect(names.nameOf(titled)).toBe("hashing, header title");
    expect(new VariantNames([plain]).columns).toEqual([]);
  });
});

describe("resultTable", () => {
  it("shows measures with their intervals, and the time", () => {
    const lines = resultTable([{ ...base, variant: plain, mode: "text" }], new VariantNames([plain]), SEED).split("\n");
    expect(lines[1]).toMatch(/^│ questions │ mode │ R@1 +│ R@5 +│ R@10 +│ MRR@10 +│ ms a question │$/);
    expect(lines[2]).toMatch(/^│ phone +│ text │ 0\.400 \(0\.168–0\.687\) │ 0\.500 .*│ 0\.900 .*│ 0\.517 .*│ 2\.3 +│$/);
  });

  it("has a column for each option that differs among the variants", () => {
    const text = resultTable([{ ...base, variant: real, mode: "text" }], new VariantNames([plain, real]), SEED);
    expect(text).toMatch(/│ model │ header │ questions │/);
    expect(text).toMatch(/│ use +│ title +│ phone +│/);
  });
});

describe("comparisonTable", () => {
  it("shows the difference with its sign and interval, the changed questions and the verdict", () => {
    const worse: Result = { ...base, variant: titled, mode: "vector", ranks: base.ranks.map(() => undefined) };
    const comparisons = compareResults([{ ...base, variant: plain, mode: "vector" }, worse], SEED);
    const text = comparisonTable(comparisons, new VariantNames([plain, titled]));
    expect(text).toMatch(
      /│ phone +│ vector: header title against header none │ R@10 +│ -0\.900 \(-1\.000 to -0\.\d{3}\) │ 0 +│ 9 +│ worse +│/,
    );
  });

  it("names the modes, and the variant if there are several", () => {
    const results = (["vector", "text", "hybrid"] as const).map((mode): Result => ({ ...base, variant: plain, mode }));
    const comparisons = compareResults(results, SEED);
    expect(comparisonTable(comparisons, new VariantNames([plain]))).toMatch(
      /│ hybrid against text │ R@1 +│ 0\.000 \(0\.000 to 0\.000\) │ 0 +│ 0 +│ noise +│/,
    );
    expect(comparisonTable(comparisons, new VariantNames([plain, real]))).toContain(
      "│ hashing, header none: hybrid against text │",
    );
  });
});

describe("indexingTable", () => {
  it("shows what indexing took", () => {
    const indexing = { trainings: 39, chunks: 305, textsEmbedded: 304, embeddingCalls: 7, seconds: 1.26 };
    expect(indexingTable([{ variant: plain, indexing }], new VariantNames([plain]))).toMatch(
      /│ 39 +│ 305 +│ 304 +│ 7 +│ 1\.3 +│/,
    );
  });
});
