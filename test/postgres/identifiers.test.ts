import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { quoteIdentifier } from "../../src/postgres/identifiers.js";

describe("quoteIdentifier", () => {
  it.each([
    ["training_index", '"training_index"'],
    ["Índice de Treinos", '"Índice de Treinos"'],
    ['a"b', '"a""b"'],
    ['"; DROP SCHEMA public; --', '"""; DROP SCHEMA public; --"'],
    ['""', '""""""'],
    ["a.b", '"a.b"'],
    ["select", '"select"'],
    [" ", '" "'],
    ["a\nb\\'$1", '"a\nb\\\'$1"'],
    ["😀", '"😀"'],
  ])("quotes %j", (name, quoted) => {
    expect(quoteIdentifier(name, "schema")).toBe(quoted);
  });

  it("accepts 63 bytes, and counts bytes, not characters", () => {
    const [ascii, accented] = ["a".repeat(63), `${"ã".repeat(31)}a`];
    expect(quoteIdentifier(ascii, "schema")).toBe(`"${ascii}"`);
    expect(quoteIdentifier(accented, "schema")).toBe(`"${accented}"`);
  });

  it("counts a quote once, though it is written twice", () => {
    expect(quoteIdentifier('"'.repeat(63), "schema")).toBe('"'.repeat(128));
  });

  it.each(["a".repeat(64), "ã".repeat(32), "😀".repeat(16)])("refuses %s, which Postgres would truncate", (name) => {
    expect(() => quoteIdentifier(name, "trainings.table")).toThrow(
      new InvalidArgumentError("trainings.table", "must not be longer than 63 bytes"),
    );
  });

  it.each(["a\0", "\0", "\ud800", "a\udc00b"])("refuses %j, which Postgres cannot store", (name) => {
    expect(() => quoteIdentifier(name, "schema")).toThrow(
      new InvalidArgumentError("schema", "must not hold NUL or a lone surrogate"),
    );
  });

  it.each(["", undefined, null, 7, ["a"], {}])("refuses %j, which is not a name", (name) => {
    expect(() => quoteIdentifier(name as never, "schema")).toThrow(
      new InvalidArgumentError("schema", "must be a non-empty string"),
    );
  });
});
