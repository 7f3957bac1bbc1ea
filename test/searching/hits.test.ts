import { expect, it } from "vitest";
import { firstInFixedOrder, type HitRow } from "../../src/searching/hits.js";

function row(key: string, distance: number, { id = "a", position = 0 } = {}): HitRow {
  return {
    ...{ key, id, content: "", metadata: "{}" },
    ...{ position: String(position), start: "0", end: "0", distance: String(distance) },
  };
}

it("leaves rows with different distances as they are", () => {
  const rows = [row("b", 0.1), row("a", 0.2), row("c", 0.3)];
  expect(firstInFixedOrder(rows, 5, { idType: "text" })).toBe(rows);
});

it.each([
  ["text", ["Z", "a", "ab", "z", "á", "\u{FFFD}", "\u{1F600}"]],
  ["uuid", ["0a000000-0000-4000-8000-000000000000", "a0000000-0000-4000-8000-000000000000"]],
  ["integer", ["-5", "9", "10"]],
  ["bigint", ["-9007199254740993", "9007199254740992", "9007199254740993"]],
] as const)("orders equally near trainings by their ids as Postgres does: %s", (idType, keys) => {
  const rows = keys.toReversed().map((key) => row(key, 0.5));
  const first = row("0", 0.1);
  expect(firstInFixedOrder([first, ...rows], 99, { idType }).map(({ key }) => key)).toEqual(["0", ...keys]);
});

it("keeps the first trainings of those that are as near as the last, and of one the first chunks, in reading order", () => {
  const rows = [
    row("t1", 0.1),
    row("t3", 0.4, { id: "c", position: 0 }),
    row("t2", 0.4, { id: "c", position: 1 }),
    row("t2", 0.4, { id: "a", position: 2 }),
    row("t2", 0.4, { id: "b", position: 0 }),
  ];
  const found = (k: number): string[] =>
    firstInFixedOrder(rows, k, { idType: "text" }).map(({ key, id }) => `${key} ${id}`);
  expect(found(2)).toEqual(["t1 a", "t2 a"]);
  expect(found(3)).toEqual(["t1 a", "t2 b", "t2 a"]);
  expect(found(5)).toEqual(["t1 a", "t2 b", "t2 c", "t2 a", "t3 c"]);
});
