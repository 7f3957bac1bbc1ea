import type { SearchMode } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { compareResults, type Result } from "../../eval/comparisons.js";
import type { Rank } from "../../src/cli/evaluating/measures.js";
import type { Variant } from "../../eval/variants.js";

const first: Variant = { model: "hashing", split: "auto", header: "none" };
const second: Variant = { model: "use", split: "auto", header: "none" };

function result(variant: Variant, mode: SearchMode, rank: Rank): Result {
  const ranks = Array.from({ length: 20 }, () => rank);
  return { variant, form: "clean", mode, ranks, millisecondsPerQuestion: 1 };
}

describe("compareResults", () => {
  it("compares hybrid with the better half of each measure", () => {
    // vector finds half of the questions first; text finds all of them, but none of them first.
    const halfFirst = Array.from({ length: 20 }, (_, place) => (place < 10 ? 1 : undefined));
    const results = [
      { ...result(first, "vector", 1), ranks: halfFirst },
      result(first, "text", 4),
      result(first, "hybrid", 4),
    ];
    const compared = compareResults(results, 1).map(
      ({ measure, baseline, candidate, verdict }) => `${measure}: ${candidate.mode}, ${baseline.mode}, ${verdict}`,
    );
    expect(compared).toEqual(["R@1: hybrid, vector, worse", "R@5: hybrid, text, noise", "R@10: hybrid, text, noise"]);
  });

  it("does not compare hybrid when one of its halves was not asked", () => {
    expect(compareResults([result(first, "text", 1), result(first, "hybrid", 1)], 1)).toEqual([]);
  });

  it("compares each variant with the first, mode by mode and form by form", () => {
    const results = [result(first, "vector", 2), result(first, "text", 1), result(second, "vector", 1)];
    const phone = results.map((clean): Result => ({ ...clean, form: "phone" }));
    const compared = compareResults([...results, ...phone], 1);
    expect(
      compared.map(
        ({ measure, baseline, candidate, verdict }) =>
          `${candidate.form} ${candidate.mode} ${measure}: ${candidate.variant.model}, ${baseline.variant.model}, ${verdict}`,
      ),
    ).toEqual(
      ["clean", "phone"].flatMap((form) => [
        `${form} vector R@1: use, hashing, better`,
        `${form} vector R@5: use, hashing, noise`,
        `${form} vector R@10: use, hashing, noise`,
        `${form} vector MRR@10: use, hashing, better`,
      ]),
    );
  });
});
