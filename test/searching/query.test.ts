import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { checkGivenVector, checkQuery } from "../../src/searching/query.js";

const refusal = (option: string, problem: string): InvalidArgumentError => new InvalidArgumentError(option, problem);

describe("checkQuery", () => {
  it("accepts a question", () => {
    expect(checkQuery("Qual é o prazo de entrega? 📦", 3)).toBe("Qual é o prazo de entrega? 📦");
  });

  it("makes a question storable", () => {
    expect(checkQuery("prazo\0 \ud800", 3)).toBe("prazo\uFFFD \uFFFD");
  });

  it.each(["", " ", "\n\t\u00a0"])("refuses the blank question %j", (query) => {
    expect(() => checkQuery(query, 3)).toThrow(refusal("query", "must not be empty or blank"));
  });

  it("accepts a vector, and narrows it to 32 bits", () => {
    expect(checkQuery([0.5, 0.1, -2], 3)).toEqual(Float32Array.of(0.5, 0.1, -2));
  });

  it.each([undefined, null, 5, true, { query: "loja", k: 1 }, Promise.resolve("loja")])(
    "refuses %j, and shows the right call",
    (query) => {
      expect(() => checkQuery(query as never, 3)).toThrow(
        refusal("query", "must be a text, or a vector as a list of numbers, before the options: similar(query, { k })"),
      );
    },
  );

  it("refuses an object that is neither text nor vector", () => {
    expect(() => checkQuery({} as never, 3)).toThrow(
      refusal("query", "must be a usable vector, but has no list of numbers"),
    );
  });

  it("accepts any array-like list of numbers", () => {
    expect(checkQuery({ length: 3, 0: 1, 1: 1, 2: 2 }, 3)).toEqual(Float32Array.of(1, 1, 2));
  });
});

describe("checkGivenVector", () => {
  it.each([[[1, 0, 2]], [Float32Array.of(1, 0, 2)], [Float64Array.of(1, 0, 2)], [Int8Array.of(1, 0, 2)]])(
    "accepts any kind of list of numbers: %o",
    (vector) => {
      expect(checkGivenVector(vector, 3, "vectors[0]")).toEqual(Float32Array.of(1, 0, 2));
    },
  );

  it("copies the vector, so later changes by the caller have no effect", () => {
    const given = Float32Array.of(1, 2);
    const checked = checkGivenVector(given, 2, "query");
    given[0] = Number.NaN;
    expect(checked).toEqual(Float32Array.of(1, 2));
  });

  it.each([
    ["too few dimensions", [1, 2], "2 dimensions; this index stores 3"],
    ["too many dimensions", [1, 2, 3, 4], "4 dimensions; this index stores 3"],
    ["no dimensions", [], "0 dimensions; this index stores 3"],
    ["NaN", [1, Number.NaN, 3], "NaN, infinity or components too large to compare"],
    ["infinity", [1, Number.NEGATIVE_INFINITY, 3], "NaN, infinity or components too large to compare"],
    ["components that are infinite at 32 bits", [1, 1e39, 3], "NaN, infinity or components too large to compare"],
    ["squares that are infinite at 32 bits", [1, -1e20, 3], "NaN, infinity or components too large to compare"],
    ["a string", [1, "dois", 3], "a component that is not a number"],
    ["a number as a string", [1, "2", 3], "a component that is not a number"],
    ["null", [1, null, 3], "a component that is not a number"],
    ["a hole", new Array(3), "a component that is not a number"],
    ["zeros", [0, -0, 0], "zeros or components too small to compare: no direction"],
    ["components that are zero at 32 bits", [0, 1e-50, 0], "zeros or components too small to compare: no direction"],
    ["squares that are zero at 32 bits", [0, 1e-25, 0], "zeros or components too small to compare: no direction"],
  ])("refuses a vector with %s", (_name, vector, problem) => {
    expect(() => checkGivenVector(vector as number[], 3, "vectors[7]")).toThrow(
      refusal("vectors[7]", `must be a usable vector, but has ${problem}`),
    );
  });

  it.each([
    ["a list", [1n, 2n, 3n]],
    ["a typed array", BigInt64Array.of(1n, 2n, 3n)],
  ])("refuses bigints in %s as an argument", (_name, vector) => {
    expect(() => checkGivenVector(vector as never, 3, "query")).toThrow(
      refusal("query", "must be a usable vector, but has a component that is not a number"),
    );
  });

  it("refuses a DataView", () => {
    expect(() => checkGivenVector(new DataView(new ArrayBuffer(12)) as never, 3, "query")).toThrow(
      InvalidArgumentError,
    );
  });
});
