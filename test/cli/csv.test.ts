import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCsv } from "../../src/cli/files/csv.js";

async function parse(parts: string[], delimiter = ","): Promise<{ line: number; fields: string[] }[]> {
  async function* text(): AsyncGenerator<string> {
    for (const part of parts) yield await Promise.resolve(part);
  }
  const fail = (line: number, problem: string): Error => new Error(`${line} ${problem}`);
  const records = [];
  for await (const record of readCsv(text(), delimiter, fail)) records.push(record);
  return records;
}

const fieldsOf = async (text: string, delimiter?: string): Promise<string[][]> =>
  (await parse([text], delimiter)).map(({ fields }) => fields);

describe("readCsv", () => {
  it.each([
    [
      "a,b\n1,2\n",
      [
        ["a", "b"],
        ["1", "2"],
      ],
    ],
    [
      "a,b\r\n1,2",
      [
        ["a", "b"],
        ["1", "2"],
      ],
    ],
    ['"a,b","c ""d""\ne"', [["a,b", 'c "d"\ne']]],
    [
      "a,\n,b\n",
      [
        ["a", ""],
        ["", "b"],
      ],
    ],
    ["a\n\n\r\nb\n", [["a"], ["b"]]],
    ['""', [[""]]],
    ["", []],
  ])("reads %j", async (text, expected) => {
    expect(await fieldsOf(text)).toEqual(expected);
  });

  it("reads other delimiters, and says on which line a record begins", async () => {
    expect(await parse(['a;"b\nc"\nd;e,f'], ";")).toEqual([
      { line: 1, fields: ["a", "b\nc"] },
      { line: 3, fields: ["d", "e,f"] },
    ]);
  });

  it.each([
    ['a\n"b', "2 has a quote that is never closed"],
    ['a\n"b"c', "2 has text behind a closing quote"],
    ['a\nb "c"', "2 has a quote inside a field that does not begin with one"],
    ['a\n\n"b\nc",d\ne"', "5 has a quote inside a field"],
  ])("refuses %j", async (text, problem) => {
    await expect(parse([text])).rejects.toThrow(problem);
  });

  it("reads what was written, however it is cut into parts", async () => {
    const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`;
    const cell = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "ç", "🌻") });
    const rows = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 5 }), async (written, size) => {
        const text = written.map((row) => `${row.map(quoted).join(",")}\n`).join("");
        const parts = Array.from(text).reduce<string[]>((all, character, index) => {
          if (index % size === 0) all.push("");
          all.push((all.pop() ?? "") + character);
          return all;
        }, []);
        expect((await parse(parts)).map(({ fields }) => fields)).toEqual(written);
      }),
    );
  });
});
