import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idRanges } from "../../src/console/id-ranges.js";

/** The ids that a walk along the ranges finds, as the console walks. */
function walk(prefix: string, sorted: bigint[]): bigint[] {
  return idRanges(prefix, "bigint").flatMap(({ begin, has }) => {
    const rest = sorted.filter((id) => begin === undefined || id > BigInt(begin));
    const end = rest.findIndex((id) => !has(id.toString()));
    return end < 0 ? rest : rest.slice(0, end);
  });
}

describe("the ranges of ids", () => {
  it("of numbers find exactly those that begin with the digits, in their order", () => {
    const numbers = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const ids = fc.uniqueArray(fc.oneof(numbers, fc.bigInt({ min: -300n, max: 300n })), { maxLength: 200 });
    const prefixes = fc.oneof(
      fc.integer({ min: -300, max: 300 }).map(String),
      fc.constantFrom("-", "9223372036854775807", "-9"),
    );
    fc.assert(
      fc.property(ids, prefixes, (given, prefix) => {
        const sorted = [...given].sort((left, right) => (left < right ? -1 : 1));
        expect(walk(prefix, sorted)).toEqual(sorted.filter((id) => id.toString().startsWith(prefix)));
      }),
    );
  });

  it.each(["abc", "007", "-0", "1.5", "1e3", "--1"])("of numbers have none for %j", (prefix) => {
    expect(idRanges(prefix, "integer")).toEqual([]);
  });

  it("of uuids begin at the lowest, whatever the case and the dashes", () => {
    const [range] = idRanges(" 8F14e45f-CE", "uuid");
    expect(range?.first).toBe("8f14e45f-ce00-0000-0000-000000000000");
    expect(range?.has("8f14e45f-ceea-467a-9a36-dcc6a7d0b7f1")).toBe(true);
    expect(range?.has("8f14e45f-cfea-467a-9a36-dcc6a7d0b7f1")).toBe(false);
    expect(idRanges("xyz", "uuid")).toEqual([]);
  });

  it("are everything without a beginning", () => {
    for (const idType of ["text", "bigint", "uuid"] as const) {
      expect(idRanges("  ", idType)).toHaveLength(1);
      expect(idRanges("", idType)[0]?.begin).toBeUndefined();
    }
  });
});
