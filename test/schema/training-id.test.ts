import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { decodeTrainingId, encodeTrainingId, idTypes } from "../../src/schema/training-id.js";
import type { IdType } from "../../src/types.js";

const UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

describe("idTypes", () => {
  it("lists the types that migrate accepts", () => {
    expect(idTypes).toEqual(["text", "bigint", "integer", "uuid"]);
  });
});

describe("encodeTrainingId", () => {
  it.each<[IdType, string | number | bigint, string]>([
    ["text", "política de troca/2024 😀", "política de troca/2024 😀"],
    ["text", " 7 ", " 7 "],
    ["text", "a".repeat(1024), "a".repeat(1024)],
    ["text", "ã".repeat(512), "ã".repeat(512)],
    ["uuid", UUID, UUID],
    ["uuid", UUID.toUpperCase(), UUID],
    ["integer", 0, "0"],
    ["integer", -0, "0"],
    ["integer", 2_147_483_647, "2147483647"],
    ["integer", -2_147_483_648n, "-2147483648"],
    ["bigint", Number.MAX_SAFE_INTEGER, "9007199254740991"],
    ["bigint", 9_223_372_036_854_775_807n, "9223372036854775807"],
    ["bigint", -9_223_372_036_854_775_808n, "-9223372036854775808"],
  ])("writes the %s id %s", (idType, id, text) => {
    expect(encodeTrainingId(id, idType, "training.id")).toBe(text);
  });

  it.each<[IdType, unknown, string]>([
    ["text", 7, 'is a number, but this index stores ids as text: pass a string, or migrate with idType "bigint"'],
    ["uuid", 7n, 'is a bigint, but this index stores ids as uuid: pass a string, or migrate with idType "bigint"'],
    ["text", undefined, "must be a string"],
    ["text", null, "must be a string"],
    ["uuid", {}, "must be a string"],
    ["text", "", "must not be empty or blank"],
    ["text", " \n\u00a0", "must not be empty or blank"],
    ["text", "a\0b", "must not hold NUL or a lone surrogate"],
    ["text", "\ud800", "must not hold NUL or a lone surrogate"],
    ["text", "a".repeat(1025), "must not be longer than 1024 bytes"],
    ["text", "ã".repeat(513), "must not be longer than 1024 bytes"],
    ["uuid", "", "must be a uuid"],
    ["uuid", `{${UUID}}`, "must be a uuid"],
    ["uuid", `${UUID}\n`, "must be a uuid"],
    ["uuid", UUID.replaceAll("-", ""), "must be a uuid"],
    ["uuid", UUID.replace("a", "g"), "must be a uuid"],
    ...["007", "+7", "1e3", " 7", "7 ", "-0", "", "7.0", "0x7", "seven"].map((id): [IdType, string, string] => [
      "integer",
      id,
      'is not an integer, but this index stores ids as integer: pass a number, a bigint, or its digits as Postgres writes them, such as "7"',
    ]),
    ["integer", "2147483648", "is out of the range of integer"],
    ["bigint", "9223372036854775808", "is out of the range of bigint"],
    ["integer", 1.5, "must be a safe integer, a bigint, or a string of digits"],
    ["integer", Number.NaN, "must be a safe integer, a bigint, or a string of digits"],
    ["bigint", Number.POSITIVE_INFINITY, "must be a safe integer, a bigint, or a string of digits"],
    ["bigint", 2 ** 53, "must be a safe integer, a bigint, or a string of digits"],
    ["bigint", null, "must be a safe integer, a bigint, or a string of digits"],
    ["integer", undefined, "must be a safe integer, a bigint, or a string of digits"],
    ["integer", true, "must be a safe integer, a bigint, or a string of digits"],
    ["integer", 2_147_483_648, "is out of the range of integer"],
    ["integer", -2_147_483_649, "is out of the range of integer"],
    ["bigint", 9_223_372_036_854_775_808n, "is out of the range of bigint"],
    ["bigint", -9_223_372_036_854_775_809n, "is out of the range of bigint"],
  ])("with %s ids, refuses %s", (idType, id, problem) => {
    expect(() => encodeTrainingId(id as never, idType, "ids[3]")).toThrow(new InvalidArgumentError("ids[3]", problem));
  });
});

describe("decodeTrainingId", () => {
  it.each<[IdType, string, string | number | bigint]>([
    ["text", "7", "7"],
    ["uuid", UUID, UUID],
    ["integer", "-7", -7],
    ["bigint", "9007199254740991", 9_007_199_254_740_991],
    ["bigint", "9007199254740993", 9_007_199_254_740_993n],
    ["bigint", "-9007199254740993", -9_007_199_254_740_993n],
    ["bigint", "9223372036854775807", 9_223_372_036_854_775_807n],
  ])("reads the %s id %s", (idType, text, id) => {
    expect(decodeTrainingId(text, idType)).toBe(id);
  });

  it("returns every bigint that encodeTrainingId writes, as a number if that is exact", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (id) => {
        const decoded = decodeTrainingId(encodeTrainingId(id, "bigint", "id"), "bigint");
        expect(BigInt(decoded)).toBe(id);
        expect(typeof decoded).toBe(Number.isSafeInteger(Number(id)) ? "number" : "bigint");
      }),
    );
  });
});
