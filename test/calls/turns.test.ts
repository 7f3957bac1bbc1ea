import { expect, it } from "vitest";
import { mapInTurns, Turns } from "../../src/calls/turns.js";

function work(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

it("work on a long list yields to the event loop, and keeps the order", async () => {
  let turns = 0;
  const count = (): void => {
    turns += 1;
    if (turns < 1000) setImmediate(count);
  };
  setImmediate(count);
  const list = Array.from({ length: 20 }, (_, place) => place);
  const mapped = await mapInTurns(list, (place) => {
    work(5);
    return place * 2;
  });
  expect(mapped).toEqual(list.map((place) => place * 2));
  expect(turns).toBeGreaterThanOrEqual(5);
  turns = 1000;
});

it("short work does not yield", async () => {
  let isInterrupted = false;
  setImmediate(() => (isInterrupted = true));
  expect(await mapInTurns([1, 2, 3], (item) => item + 1)).toEqual([2, 3, 4]);
  expect(isInterrupted).toBe(false);
  expect(new Turns().isOver).toBe(false);
});
