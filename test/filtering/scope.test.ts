import { describe, expect, it } from "vitest";
import { INEXACT_INTEGER } from "../../src/text.js";
import { InvalidArgumentError } from "../../src/errors.js";
import { compileScope } from "../../src/filtering/scope.js";

const onlyEquality = "must be a string, a finite number or a boolean: only equality is supported here";

describe("compileScope", () => {
  it("has no conditions without a filter", () => {
    expect(compileScope(undefined)).toEqual([]);
  });

  it("makes one condition of all keys, in canonical order", () => {
    expect(compileScope({ grupo: "suporte", ativo: true, nivel: 2.5, "chave com 'aspas'": "" })).toEqual([
      `{"ativo":true,"chave com 'aspas'":"","grupo":"suporte","nivel":2.5}`,
    ]);
  });

  it("accepts false, zero and the empty string as values", () => {
    expect(compileScope({ a: false, b: 0, c: "" })).toEqual(['{"a":false,"b":0,"c":""}']);
  });

  it("uses keys and values as stored: NUL and lone surrogates as U+FFFD", () => {
    expect(compileScope({ "a\0": "\ud800" })).toEqual(['{"a\uFFFD":"\uFFFD"}']);
  });

  it.each([{}, Object.create({ grupo: "suporte" }) as never, new Map([["grupo", "suporte"]]) as never])(
    "refuses a filter without own keys (%#)",
    (filter) => {
      expect(() => compileScope(filter)).toThrow(
        new InvalidArgumentError("filter", "must not be empty: leave it out to mean everything"),
      );
    },
  );

  it.each([null, "grupo", 7, true, [], ["suporte"], () => true])("refuses %j, which is not an object", (filter) => {
    expect(() => compileScope(filter as never, "selection.filter")).toThrow(
      new InvalidArgumentError("selection.filter", "must be an object of metadata keys and values"),
    );
  });

  it.each([
    ["null", null],
    ["undefined", undefined],
    ["NaN", Number.NaN],
    ["infinity", Number.NEGATIVE_INFINITY],
    ["a list", ["suporte"]],
    ["an operator", { $in: ["suporte"] }],
    ["a date", new Date(0)],
    ["a function", () => "suporte"],
    ["a boxed string", Object("suporte")],
  ])("refuses %s as a value and names its key", (_name, value) => {
    expect(() => compileScope({ tag: "entregas", grupo: value as never })).toThrow(
      new InvalidArgumentError("filter.grupo", onlyEquality),
    );
  });

  it.each([7n, 2 ** 53, -(2 ** 53), Number("9007199254740993"), 1e300])(
    "refuses the integer %s, which is not exact",
    (value) => {
      expect(() => compileScope({ tag: "entregas", conta: value as never })).toThrow(
        new InvalidArgumentError("filter.conta", INEXACT_INTEGER),
      );
    },
  );

  it.each([2 ** 53 - 1, -(2 ** 53) + 1, 0.1, 1e-300])("accepts the number %s", (conta) => {
    expect(compileScope({ conta })).toEqual([JSON.stringify({ conta })]);
  });

  it("names a bad value under the caller's name for the filter", () => {
    expect(() => compileScope({ grupo: null as never }, "selection.filter")).toThrow(
      new InvalidArgumentError("selection.filter.grupo", onlyEquality),
    );
  });

  it.each([{}, { grupo: "vendas" }, [], "{", null, undefined])(
    "uses an object's own entries, even if its toJSON returns %j",
    (json) => {
      const model = Object.assign(Object.create({ toJSON: () => json }) as object, {
        grupo: "suporte",
        nivel: 2,
      });
      expect(compileScope(model as never)).toEqual(['{"grupo":"suporte","nivel":2}']);
    },
  );

  it("uses an object's own entries, whatever its prototype", () => {
    const date = Object.assign(new Date(0), { grupo: "suporte" });
    expect(compileScope(date as never)).toEqual(['{"grupo":"suporte"}']);
    const bare = Object.assign(Object.create(null) as object, { grupo: "suporte" });
    expect(compileScope(bare as never)).toEqual(['{"grupo":"suporte"}']);
  });

  it("keeps a key named __proto__", () => {
    const filter = JSON.parse('{"__proto__":"a","grupo":"suporte"}') as never;
    expect(compileScope(filter)).toEqual(['{"__proto__":"a","grupo":"suporte"}']);
  });

  it("accepts a string under the key toJSON as a value, but not a function", () => {
    expect(compileScope({ toJSON: "a" })).toEqual(['{"toJSON":"a"}']);
    expect(() => compileScope({ grupo: "suporte", toJSON: (() => ({})) as never })).toThrow(
      new InvalidArgumentError("filter.toJSON", onlyEquality),
    );
  });
});
