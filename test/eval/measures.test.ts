import { describe, expect, it } from "vitest";
import { mean } from "../../src/cli/evaluating/interval.js";
import { MEASURES, type Rank } from "../../src/cli/evaluating/measures.js";

const SEED = 1;

/** The means of the measures, by their names. */
function measure(ranks: readonly Rank[]): Record<string, number> {
  return Object.fromEntries(MEASURES.map(({ name, scoreOf }) => [name, mean(ranks.map(scoreOf))]));
}

function intervalsOf(ranks: readonly Rank[]): Record<string, { low: number; high: number }> {
  return Object.fromEntries(
    MEASURES.map(({ name, scoreOf, intervalOf }) => [name, intervalOf(ranks.map(scoreOf), SEED)]),
  );
}

describe("the measures", () => {
  it("count ranks up to their limits, and reciprocal ranks", () => {
    expect(measure([1, 2, 5, 10, undefined])).toEqual({
      "R@1": 0.2,
      "R@5": 0.6,
      "R@10": 0.8,
      "MRR@10": expect.closeTo((1 + 1 / 2 + 1 / 5 + 1 / 10) / 5) as number,
    });
  });

  it("have intervals around the mean", () => {
    const ranks = Array.from({ length: 100 }, (_, place) => (place % 2 === 0 ? 1 : undefined));
    for (const { low, high } of Object.values(intervalsOf(ranks))) {
      expect(low).toBeCloseTo(0.404, 1);
      expect(high).toBeCloseTo(0.596, 1);
    }
  });

  it("do not call a share certain because all of a few questions are answered", () => {
    const { "R@1": all } = intervalsOf(Array.from({ length: 30 }, () => 1));
    expect(all?.low).toBeCloseTo(0.886, 3);
    expect(all?.high).toBe(1);
    const { "R@1": none } = intervalsOf(Array.from({ length: 30 }, () => undefined));
    expect(none?.low).toBe(0);
    expect(none?.high).toBeCloseTo(0.114, 3);
  });
});
