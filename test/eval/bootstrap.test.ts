import { describe, expect, it } from "vitest";
import { comparePaired } from "../../eval/bootstrap.js";
import { bootstrapMeanInterval } from "../../src/cli/evaluating/interval.js";

const SEED = 1;

/** `ones` times 1, then zeros, `count` together. */
function scores(ones: number, count: number): number[] {
  return Array.from({ length: count }, (_, place) => (place < ones ? 1 : 0));
}

describe("bootstrapMeanInterval", () => {
  it("is about two standard errors around the mean of many values", () => {
    const { low, high } = bootstrapMeanInterval(scores(320, 400), SEED);
    expect(low).toBeCloseTo(0.8 - 1.96 * Math.sqrt((0.8 * 0.2) / 400), 2);
    expect(high).toBeCloseTo(0.8 + 1.96 * Math.sqrt((0.8 * 0.2) / 400), 2);
  });

  it("is the value itself if all are equal", () => {
    expect(bootstrapMeanInterval([0.25, 0.25, 0.25], SEED)).toEqual({ low: 0.25, high: 0.25 });
  });

  it("is the same with the same seed, and another with another", () => {
    const values = scores(13, 40).map((score, place) => score / (1 + place));
    expect(bootstrapMeanInterval(values, 7)).toEqual(bootstrapMeanInterval(values, 7));
    expect(bootstrapMeanInterval(values, 8)).not.toEqual(bootstrapMeanInterval(values, 7));
  });
});

describe("comparePaired", () => {
  it("calls equal scores noise", () => {
    const equal = scores(20, 50);
    expect(comparePaired(equal, equal, SEED)).toEqual({
      difference: 0,
      interval: { low: 0, high: 0 },
      gained: 0,
      lost: 0,
      verdict: "noise",
    });
  });

  it("calls a clear difference better, or worse the other way round", () => {
    const [few, many] = [scores(20, 100), scores(50, 100)];
    expect(comparePaired(few, many, SEED)).toMatchObject({ gained: 30, lost: 0, verdict: "better" });
    expect(comparePaired(few, many, SEED).difference).toBeCloseTo(0.3);
    expect(comparePaired(many, few, SEED)).toMatchObject({ gained: 0, lost: 30, verdict: "worse" });
  });

  it("calls as many gains as losses noise", () => {
    const baseline = scores(50, 100);
    const candidate = baseline.map((score, place) => (place < 20 || place >= 80 ? 1 - score : score));
    expect(comparePaired(baseline, candidate, SEED)).toMatchObject({ gained: 20, lost: 20, verdict: "noise" });
  });

  it("finds a small difference that unpaired intervals would hide", () => {
    const [baseline, candidate] = [scores(150, 300), scores(162, 300)];
    const [left, right] = [bootstrapMeanInterval(baseline, SEED), bootstrapMeanInterval(candidate, SEED)];
    expect(left.high).toBeGreaterThan(right.low);
    expect(comparePaired(baseline, candidate, SEED).verdict).toBe("better");
  });

  it("calls fewer than six changed questions noise, whatever the interval", () => {
    const [five, six] = [5, 6].map((changed) => comparePaired(scores(10, 30), scores(10 + changed, 30), SEED));
    expect(five?.interval.low).toBeGreaterThan(0);
    expect(five?.verdict).toBe("noise");
    expect(six?.verdict).toBe("better");
  });

  it("refuses lists of different lengths", () => {
    expect(() => comparePaired([1], [1, 0], SEED)).toThrow("1 scores cannot be paired with 2");
  });
});
