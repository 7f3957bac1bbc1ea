import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { narrowedFilter, openingFilter, type IndexFilter } from "../../src/filtering/index-filter.js";
import type { Filter } from "../../src/types.js";

const ALL = openingFilter(undefined);
const TENANT = openingFilter({ tenant: "a" });

/** The filters of an index one after the other. */
function narrowedBy(...filters: Filter[]): IndexFilter {
  return filters.reduce(narrowedFilter, ALL);
}

describe("narrowedFilter", () => {
  it("of equality reads and writes, as if the index had been opened with it", () => {
    expect(narrowedFilter(ALL, { tenant: "a" })).toEqual(TENANT);
    expect(narrowedFilter(TENANT, { grupo: "x", ano: 2 })).toEqual(openingFilter({ ano: 2, grupo: "x", tenant: "a" }));
  });

  it("by the same value again changes nothing", () => {
    expect(narrowedFilter(TENANT, { tenant: "a" })).toEqual(TENANT);
  });

  it("by another value matches nothing, and only reads", () => {
    const { condition, readsOnly } = narrowedFilter(TENANT, { tenant: "b" });
    expect(condition).toEqual({
      text: "(metadata @> $1::jsonb AND metadata @> $2::jsonb)",
      values: ['{"tenant":"a"}', '{"tenant":"b"}'],
    });
    expect(readsOnly).toContain("contradicts");
  });

  it.each([
    { ano: { gt: 1 } },
    { ano: { eq: 1 } },
    { $or: [{ ano: 1 }] },
    { ano: 1, not: { grupo: "x" } },
    { "autor.nome": "Ana" },
    { dia: new Date(0) },
  ] as Filter[])("by %j only reads, and keeps the filter of the index", (filter) => {
    const { condition, readsOnly } = narrowedFilter(TENANT, filter);
    expect(condition?.text).toMatch(/^\(metadata @> \$1::jsonb AND /);
    expect(condition?.values[0]).toBe('{"tenant":"a"}');
    expect(readsOnly).toBeDefined();
  });

  it("never writes again once it only reads", () => {
    const { condition, readsOnly } = narrowedBy({ ano: { gt: 1 } }, { tenant: "a" });
    expect(condition?.values).toEqual(["ano", "1", '{"tenant":"a"}']);
    expect(readsOnly).toBeDefined();
  });

  it.each([[{}], [undefined], [null], ["tenant"], [[]], [{ tenant: null }], [{ $tenant: "a" }], [{ tenant: NaN }]])(
    "refuses %j",
    (filter) => {
      expect(() => narrowedFilter(TENANT, filter as never)).toThrow(InvalidArgumentError);
    },
  );
});
