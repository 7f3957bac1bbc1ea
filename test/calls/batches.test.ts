import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batches } from "../../src/calls/batches.js";

const lengthOf = (text: string): number => text.length;

describe("batches", () => {
  it("yields no batches for no items", () => {
    expect([...batches([], lengthOf, { items: 2, size: 10 })]).toEqual([]);
  });

  it("ends a batch when it has the maximum number of items", () => {
    const items = ["a", "b", "c", "d", "e"];
    expect([...batches(items, lengthOf, { items: 2, size: 10 })]).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  });

  it("ends a batch before the item that would exceed its size", () => {
    const items = ["prazo", "de", "três", "dias"];
    expect([...batches(items, lengthOf, { items: 10, size: 7 })]).toEqual([["prazo", "de"], ["três"], ["dias"]]);
  });

  it("fills a batch to exactly its maximum size", () => {
    expect([...batches(["abc", "de", "f"], lengthOf, { items: 10, size: 5 })]).toEqual([["abc", "de"], ["f"]]);
  });

  it("gives an item that is too large a batch of its own", () => {
    const items = ["a", "entregador", "b", "c"];
    expect([...batches(items, lengthOf, { items: 10, size: 3 })]).toEqual([["a"], ["entregador"], ["b", "c"]]);
  });

  it("limits the number of items of size 0", () => {
    expect([...batches(["", "", ""], lengthOf, { items: 2, size: 0 })]).toEqual([["", ""], [""]]);
  });

  it("reads ahead by one item at most", () => {
    const read: number[] = [];
    function* items(): Generator<number> {
      for (let item = 1; item <= 10; item++) {
        read.push(item);
        yield item;
      }
    }
    const found = batches(items(), () => 1, { items: 3, size: 100 });
    expect(read).toEqual([]);
    expect(found.next().value).toEqual([1, 2, 3]);
    expect(read).toEqual([1, 2, 3, 4]);
    expect(found.next().value).toEqual([4, 5, 6]);
    expect(read).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it("keeps all items in order, within both limits, and never ends a batch too early", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), fc.integer({ min: 1, max: 5 }), fc.nat(30), (items, most, size) => {
        const sum = (sizes: number[]): number => sizes.reduce((total, one) => total + one, 0);
        const found = [...batches(items, (item) => item, { items: most, size })];
        expect(found.flat()).toEqual(items);
        for (const [index, batch] of found.entries()) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(most);
          expect(batch.length === 1 || sum(batch) <= size).toBe(true);
          const next = found[index + 1]?.[0];
          if (next !== undefined) expect(batch.length === most || sum(batch) + next > size).toBe(true);
        }
      }),
    );
  });
});
