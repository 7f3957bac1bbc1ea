import { describe, expect, it } from "vitest";
import { INEXACT_INTEGER } from "../../src/text.js";
import { InvalidArgumentError } from "../../src/errors.js";
import { numberedFrom } from "../../src/filtering/condition.js";
import { searchCondition } from "../../src/filtering/filter.js";
import { containsOnly } from "../../src/filtering/metadata-conditions.js";
import { openingFilter } from "../../src/filtering/index-filter.js";

function failureOf(filter: unknown): unknown {
  try {
    searchCondition(undefined, filter as never);
  } catch (error) {
    return error;
  }
  return "no error";
}

function nestedIn(depth: number, key = "$not"): object {
  return depth === 0 ? { grupo: "a" } : { [key]: nestedIn(depth - 1, key) };
}

const NOT_A_VALUE = "must be a string, a finite number, a boolean or a valid Date";
const NO_OBJECT = "must be an object of metadata keys and values";
const EMPTY = "must not be empty: leave it out to mean everything";

describe("searchCondition", () => {
  it("is undefined without a filter and a scope", () => {
    expect(searchCondition(undefined, undefined)).toBeUndefined();
  });

  it("makes one condition of all equalities", () => {
    expect(searchCondition(undefined, { grupo: "a", ativo: true, nivel: 2.5 })).toEqual({
      text: "metadata @> $1::jsonb",
      values: ['{"ativo":true,"grupo":"a","nivel":2.5}'],
    });
  });

  it("applies the filter of the index whatever the filter", () => {
    expect(searchCondition(openingFilter({ bot: "a" }).condition, { $or: [{ bot: "b" }, { ano: { gt: 1 } }] })).toEqual(
      {
        text:
          "(metadata @> $1::jsonb AND (metadata @> $2::jsonb OR (CASE WHEN jsonb_typeof((metadata -> $3::text)) = 'number'" +
          " AND (metadata -> $3::text) > $4::jsonb THEN true ELSE false END)))",
        values: ['{"bot":"a"}', '{"bot":"b"}', "ano", "1"],
      },
    );
  });

  it("gives the same SQL for all filters of one shape, without any of the caller's text", () => {
    const shape = (key: string, value: string): string | undefined =>
      searchCondition(undefined, {
        [key]: value,
        [`${key}2`]: { ne: value, in: [value], notIn: [value, value], between: [value, value], like: value },
        [`${key}3`]: { arrayContains: [value], ilike: value, gte: value, exists: true },
        not: { or: [{ [key]: value }, { and: [{ [key]: { eq: value } }] }] },
      })?.text;
    const hostile = "'; DROP TABLE treino --";
    expect(shape(hostile, `${hostile}"$1`)).toBe(shape("grupo", "a"));
  });

  it("numbers parameters from a given start", () => {
    expect(numberedFrom(4, "a = $1 AND b = $2 AND c = $10 AND d = $1")).toBe(
      "a = $4 AND b = $5 AND c = $13 AND d = $4",
    );
  });

  it("keeps the values of both of two keys that are stored as the same key", () => {
    expect(searchCondition(undefined, { "a\0": 1, "a\uFFFD": 2 })?.values).toEqual(['{"a\uFFFD":1}', '{"a\uFFFD":2}']);
  });

  it.each<[string, unknown, string, string]>([
    ["null", null, "filter", NO_OBJECT],
    ["a list", [{ grupo: "a" }], "filter", NO_OBJECT],
    ["a string", "grupo", "filter", NO_OBJECT],
    ["a function", () => true, "filter", NO_OBJECT],
    ["a Map", new Map([["grupo", "a"]]), "filter", NO_OBJECT],
    ["an empty object", {}, "filter", EMPTY],
    ["inherited keys only", Object.create({ grupo: "a" }), "filter", EMPTY],
    ["a symbol as a key", { grupo: "a", [Symbol("or")]: [] }, "filter", "must not have symbols as keys"],
    ["a symbol as an operator", { ano: { [Symbol("gt")]: 1 } }, "filter.ano", "must not have symbols as keys"],
    ["null as a value", { grupo: null }, "filter.grupo", NOT_A_VALUE],
    ["undefined as a value", { grupo: undefined }, "filter.grupo", NOT_A_VALUE],
    ["NaN", { ano: NaN }, "filter.ano", NOT_A_VALUE],
    ["infinity", { ano: { gt: Infinity } }, "filter.ano.gt", NOT_A_VALUE],
    ["a bigint", { ano: 1n }, "filter.ano", INEXACT_INTEGER],
    ["a list as a value", { grupo: ["a"] }, "filter.grupo", NOT_A_VALUE],
    ["a boxed string", { grupo: Object("a") as unknown }, "filter.grupo", NOT_A_VALUE],
    ["an invalid date", { dia: new Date(NaN) }, "filter.dia", "must be a valid Date"],
    ["an object that passes for a date", { dia: Object.create(Date.prototype) as unknown }, "filter.dia", NOT_A_VALUE],
    ["a value with toJSON", { grupo: { toJSON: () => "a" } }, "filter.grupo", NOT_A_VALUE],
    [
      "a filter that inherits toJSON",
      Object.assign(Object.create({ toJSON: () => ({}) }) as object, { a: 1 }),
      "filter",
      NO_OBJECT,
    ],
    ["no operators", { grupo: {} }, "filter.grupo", EMPTY],
    ["an undefined operand", { ano: { gt: 1, lt: undefined } }, "filter.ano.lt", NOT_A_VALUE],
    ["a list as an operand", { grupo: { eq: ["a"] } }, "filter.grupo.eq", NOT_A_VALUE],
    ["null in a list", { grupo: { in: ["a", null] } }, "filter.grupo.in[1]", NOT_A_VALUE],
    ["a hole in a list", { grupo: { in: new Array(1) } }, "filter.grupo.in[0]", NOT_A_VALUE],
    ["a list in a list", { grupo: { notIn: [["a"]] } }, "filter.grupo.notIn[0]", NOT_A_VALUE],
    ["an empty in", { grupo: { in: [] } }, "filter.grupo.in", "must not be empty"],
    ["an empty notIn", { grupo: { $nin: [] } }, "filter.grupo.$nin", "must not be empty"],
    ["an empty arrayContains", { tags: { arrayContains: [] } }, "filter.tags.arrayContains", "must not be empty"],
    ["a string instead of a list", { grupo: { in: "a" } }, "filter.grupo.in", "must be a list"],
    ["a string for exists", { grupo: { exists: "false" } }, "filter.grupo.exists", "must be true or false"],
    ["a number for a pattern", { grupo: { like: 1 } }, "filter.grupo.like", "must be a string"],
    [
      "a pattern that ends in an incomplete escape",
      { grupo: { $ilike: "a\\\\\\" } },
      "filter.grupo.$ilike",
      "must not end with a single backslash: write two of them for one",
    ],
    ["an empty and", { and: [] }, "filter.and", "must not be empty"],
    ["an empty $or", { $or: [] }, "filter.$or", "must not be empty"],
    ["an object for $or", { $or: { grupo: "a" } }, "filter.$or", "must be a list"],
    ["a list of strings for or", { or: ["a"] }, "filter.or[0]", NO_OBJECT],
    ["an empty filter in a list", { $or: [{ a: 1 }, {}] }, "filter.$or[1]", EMPTY],
    ["an empty list for $not", { $not: [] }, "filter.$not", "must not be empty"],
    ["an empty filter in a $not", { $not: [{ a: 1 }, {}] }, "filter.$not[1]", EMPTY],
    ["a large integer", { ano: { gt: 2 ** 53 } }, "filter.ano.gt", INEXACT_INTEGER],
    ["a large integer in a list", { ano: { in: [1, -(2 ** 60)] } }, "filter.ano.in[1]", INEXACT_INTEGER],
    ["an empty $not", { $not: {} }, "filter.$not", EMPTY],
    ["an empty not", { not: {} }, "filter.not", EMPTY],
    [
      "an unknown key with a $",
      { $nor: [{ a: 1 }] },
      "filter.$nor",
      "is not known: use $and, $or, $not, or a metadata key that does not begin with $",
    ],
  ])("refuses %s and names its path", (_name, filter, option, problem) => {
    expect(failureOf(filter)).toEqual(new InvalidArgumentError(option, problem));
    expect(failureOf(filter)).toMatchObject({ option });
  });

  it.each([
    { grupo: { $foo: 1 } },
    { grupo: { nome: "a" } },
    { grupo: { toString: "a" } },
    { grupo: { constructor: "a" } },
    JSON.parse('{"grupo": {"__proto__": "a"}}') as object,
    { grupo: { $and: [{ a: 1 }] } },
  ])("refuses the unknown operator of %j", (filter) => {
    const [operator = ""] = Object.keys(Object.values(filter)[0] as object);
    expect(failureOf(filter)).toMatchObject({ code: "INVALID_ARGUMENT", option: `filter.grupo.${operator}` });
  });

  it.each([[[1]], [[1, 2, 3]], [[1, "2"]], [[new Date(0), 2]]])("refuses %j for between", (between) => {
    expect(failureOf({ ano: { between } })).toEqual(
      new InvalidArgumentError(
        "filter.ano.between",
        "must be a list of two values of the same type: the lowest and the highest",
      ),
    );
  });

  it("refuses more than 1,000 values, wherever they are", () => {
    const list = Array.from({ length: 1000 }, (_, place) => place);
    expect(searchCondition(undefined, { ano: { in: list } })?.values[0]).toHaveLength(1000);
    expect(failureOf({ ano: { in: [...list, 1] } })).toMatchObject({ option: "filter.ano.in" });
    expect(failureOf({ ano: { in: list }, mes: 1 })).toMatchObject({ option: "filter.mes" });
    expect(failureOf({ ano: { in: new Array(2 ** 32 - 1) } })).toMatchObject({ option: "filter.ano.in" });
    expect(failureOf({ $or: list.map((ano) => ({ ano })) })).toMatchObject({ option: "filter.$or[999]" });
  });

  it("refuses filters that are nested too deep, or contain themselves", () => {
    expect(searchCondition(undefined, nestedIn(31) as never)).toBeDefined();
    expect(failureOf(nestedIn(32))).toMatchObject({ option: `filter${".$not".repeat(32)}` });
    const cyclic: Record<string, unknown> = { grupo: "a" };
    cyclic["not"] = cyclic;
    expect(failureOf(cyclic)).toMatchObject({ option: `filter${".not".repeat(32)}` });
    const wide: Record<string, unknown> = {};
    wide["$and"] = [wide, wide, wide];
    expect(failureOf(wide)).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("treats names of prototype properties as plain keys", () => {
    const filter = JSON.parse('{"__proto__": "a", "constructor": {"in": ["b"]}, "__proto__.x": 1}') as never;
    expect(searchCondition(undefined, filter)?.values).toEqual([
      '{"__proto__":"a"}',
      ['{"constructor":"b"}'],
      '{"__proto__.x":1}',
      '{"__proto__":{"x":1}}',
      "__proto__.x",
    ]);
  });

  it("treats and, or and not as metadata keys if their value is not a filter or a list of them", () => {
    const { values } = searchCondition(undefined, { and: "a", or: { in: ["b"] }, not: 1 }) ?? {};
    expect(values).toEqual(['{"and":"a","not":1}', ['{"or":"b"}']]);
  });

  it("compares dates as the ISO strings that metadata stores", () => {
    const day = Object.assign(new Date(0), { toISOString: () => "'" });
    expect(searchCondition(undefined, { dia: day, fim: { lt: new Date(1) } })?.values).toEqual([
      '{"dia":"1970-01-01T00:00:00.000Z"}',
      "fim",
      "1970-01-01T00:00:00.001Z",
    ]);
  });
});

it.each([
  [{ grupo: "trocas" }, true],
  [{ grupo: "trocas", ano: 2026 }, true],
  [{ grupo: { in: ["trocas", "prazos"] } }, false],
  [{ "loja.grupo": "trocas" }, false],
  [{ grupo: "trocas", ano: { gt: 2020 } }, false],
  [{ or: [{ grupo: "trocas" }, { grupo: "prazos" }] }, false],
  [{ not: { grupo: "trocas" } }, false],
] as const)("tells whether a filter only asks what metadata contains: %j", (filter, expected) => {
  for (const own of [undefined, openingFilter({ loja: "centro" }).condition]) {
    const condition = searchCondition(own, filter);
    expect(condition && containsOnly(condition), condition?.text).toBe(expected);
  }
});
