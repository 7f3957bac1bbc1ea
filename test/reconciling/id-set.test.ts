import { expect, it } from "vitest";
import { IdSet } from "../../src/reconciling/id-set.js";

it("keeps the mark of each id, however many there are", () => {
  const ids = new IdSet();
  const numbers = Array.from({ length: 50_000 }, (_, number) => number);
  expect(numbers.filter((number) => ids.mark(`id-${number}`, 1) !== 0)).toEqual([]);
  const even = numbers.filter((number) => number % 2 === 0);
  expect(even.filter((number) => ids.mark(`id-${number}`, 2) !== 1)).toEqual([]);
  expect(numbers.filter((number) => ids.markOf(`id-${number}`) !== (number % 2 === 0 ? 3 : 1))).toEqual([]);
  expect(ids.markOf("another")).toBe(0);
});
