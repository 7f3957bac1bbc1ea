import { InvalidArgumentError } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { checkInteger, checkNames, namesOfProperties } from "../../src/calls/checks.js";

const KNOWN = namesOfProperties<{ k: number; filter?: object; minScore?: number }>({
  k: true,
  filter: true,
  minScore: true,
});

function refusal(given: object, path?: string): InvalidArgumentError {
  try {
    checkNames(given, KNOWN, "similar", path);
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error;
  }
  throw new Error("was not refused");
}

describe("unknown option names", () => {
  it("are refused, with the nearest known name as a suggestion", () => {
    expect(refusal({ k: 1, filters: {} })).toMatchObject({
      option: "filters",
      message: "filters is not known to similar: did you mean filter?",
    });
    expect(refusal({ MINSCORE: 1 }).message).toContain("did you mean minScore?");
  });

  it("are refused with the list of known names when none is similar", () => {
    expect(refusal({ wholly: 1 }).message).toContain("known are k, filter, minScore");
  });

  it("are refused even when their value is undefined", () => {
    expect(refusal({ filters: undefined }).option).toBe("filters");
  });

  it("are reported with their path", () => {
    expect(refusal({ topK: 1 }, "search").option).toBe("search.topK");
  });

  it("do not include known names; missing options pass too", () => {
    expect(() => {
      checkNames({ k: 1, filter: undefined }, KNOWN, "similar");
      checkNames(undefined, KNOWN, "similar");
    }).not.toThrow();
  });
});

describe("checkInteger", () => {
  it.each([1, 500, 1000])("accepts %d", (value) => {
    expect(checkInteger("k", value, 1, 1000)).toBe(value);
  });

  it.each([0, 1001, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", 5n, null, undefined])("refuses %s", (value) => {
    expect(() => checkInteger("k", value, 1, 1000)).toThrow(
      new InvalidArgumentError("k", "must be an integer from 1 to 1000"),
    );
  });
});
