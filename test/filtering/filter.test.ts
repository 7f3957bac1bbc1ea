import { describe, expect, it } from "vitest";
import { INEXACT_INTEGER } from "../../src/text.js";
import { InvalidArgumentError } from "../../src/errors.js";
import { compileFilter } from "../../src/filtering/filter.js";

const onlyEquality = "must be a string, a finite number or a boolean: only equality is supported here";

describe("compileFilter", () => {
  it("has no conditions without a filter", () => {
    expect(compileFilter(undefined)).toEqual([]);
  });

  it("makes one condition of all keys, in canonical order", () => {
    expect(compileFilter({ grupo: "suporte", ativo: true, nivel: 2.5, "chave com 'aspas'": "" })).toEqual([
      `{"ativo":true,"chave com 'aspas'":"","grupo":"suporte","nivel":2.5}`,
    ]);
  });

  it("takes false, zero and the empty text for values", () => {
    expect(compileFilter({ a: false, b: 0, c: "" })).toEqual(['{"a":false,"b":0,"c":""}']);
  });

  it("compares what is stored: NUL and lone surrogates as U+FFFD", () => {
    expect(compileFilter({ "a\0": "\ud800" })).toEqual(['{"a\uFFFD":"\uFFFD"}']);
  });

  it.each([{}, Object.create({ grupo: "suporte" }) as never, new Map([["grupo", "suporte"]]) as never])(
    "refuses a filter without keys of its own (%#)",
    (filter) => {
      expect(() => compileFilter(filter)).toThrow(
        new InvalidArgumentError("filter", "must not be empty: leave it out to mean everything"),
      );
    },
  );

  it.each([null, "grupo", 7, true, [], ["suporte"], () => true])(
    "refuses %j, which is no object",
    (filter) => {
      expect(() => compileFilter(filter as never, "selection.filter")).toThrow(
        new InvalidArgumentError("selection.filter", "must be an object of metadata keys and values"),
      );
    },
  );

  it.each([
    ["null", null],
    ["undefined", undefined],
    ["NaN", Number.NaN],
    ["infinity", Number.NEGATIVE_INFINITY],
    ["a list", ["suporte"]],
    ["an operator", { $in: ["suporte"] }],
    ["a date", new Date(0)],
    ["a function", () => "suporte"],
    ["a boxed text", Object("suporte")],
  ])("refuses %s as a value and names its key", (_name, value) => {
    expect(() => compileFilter({ tag: "entregas", grupo: value as never })).toThrow(
      new InvalidArgumentError("filter.grupo", onlyEquality),
    );
  });

  it.each([7n, 2 ** 53, -(2 ** 53), Number("9007199254740993"), 1e300])(
    "refuses the integer %s, which is not exact",
    (value) => {
      expect(() => compileFilter({ tag: "entregas", conta: value as never })).toThrow(
        new InvalidArgumentError("filter.conta", INEXACT_INTEGER),
      );
    },
  );

  it.each([2 ** 53 - 1, -(2 ** 53) + 1, 0.1, 1e-300])("takes the number %s", (conta) => {
    expect(compileFilter({ conta })).toEqual([JSON.stringify({ conta })]);
  });

  it("names a bad value by what the caller calls the filter", () => {
    expect(() => compileFilter({ grupo: null as never }, "selection.filter")).toThrow(
      new InvalidArgumentError("selection.filter.grupo", onlyEquality),
    );
  });

  it.each([{}, { grupo: "vendas" }, [], "{", null, undefined])(
    "is of an object's own entries, though it would make JSON of %j of itself",
    (json) => {
      const model = Object.assign(Object.create({ toJSON: () => json }) as object, {
        grupo: "suporte",
        nivel: 2,
      });
      expect(compileFilter(model as never)).toEqual(['{"grupo":"suporte","nivel":2}']);
    },
  );

  it("is of an object's own entries, whatever else the object is", () => {
    const date = Object.assign(new Date(0), { grupo: "suporte" });
    expect(compileFilter(date as never)).toEqual(['{"grupo":"suporte"}']);
    const bare = Object.assign(Object.create(null) as object, { grupo: "suporte" });
    expect(compileFilter(bare as never)).toEqual(['{"grupo":"suporte"}']);
  });

  it("keeps a key that is named as the prototype", () => {
    const filter = JSON.parse('{"__proto__":"a","grupo":"suporte"}') as never;
    expect(compileFilter(filter)).toEqual(['{"__proto__":"a","grupo":"suporte"}']);
  });

  it("takes a text under the key toJSON for a value, and refuses a function there", () => {
    expect(compileFilter({ toJSON: "a" })).toEqual(['{"toJSON":"a"}']);
    expect(() => compileFilter({ grupo: "suporte", toJSON: (() => ({})) as never })).toThrow(
      new InvalidArgumentError("filter.toJSON", onlyEquality),
    );
  });
});
