import { describe, expect, it } from "vitest";
import { ConcurrencyLimit } from "../../src/embedding/concurrency-limit.js";

/** Work that ends when it is told to, and a list of what has started. */
function work(count: number): {
  started: number[];
  end: (index: number) => void;
  run: (index: number) => Promise<number>;
} {
  const started: number[] = [];
  const ends = new Map<number, () => void>();
  return {
    started,
    end: (index) => ends.get(index)?.(),
    run: (index) => {
      started.push(index);
      return new Promise((resolve, reject) => {
        ends.set(index, () => {
          if (index < count) resolve(index);
          else reject(new Error(`${index}`));
        });
      });
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("ConcurrencyLimit", () => {
  it("lets so much work go on at a time, the rest in order as places become free", async () => {
    const limit = new ConcurrencyLimit(2);
    const { started, end, run } = work(5);
    const results = Promise.all([0, 1, 2, 3, 4].map((index) => limit.run(() => run(index))));
    await turn();
    expect(started).toEqual([0, 1]);
    end(1);
    await turn();
    expect(started).toEqual([0, 1, 2]);
    end(0);
    end(2);
    await turn();
    expect(started).toEqual([0, 1, 2, 3, 4]);
    end(3);
    end(4);
    expect(await results).toEqual([0, 1, 2, 3, 4]);
  });

  it("gives the place of work that failed to the next, and takes no more places than there are", async () => {
    const limit = new ConcurrencyLimit(1);
    const { started, end, run } = work(1);
    const failing = limit.run(() => run(7));
    const waiting = limit.run(() => run(0));
    await turn();
    end(7);
    await expect(failing).rejects.toThrow("7");
    end(0);
    await waiting;
    const last = [limit.run(() => run(0)), limit.run(() => run(0))];
    await turn();
    expect(started).toEqual([7, 0, 0]);
    end(0);
    await last[0];
    await turn();
    end(0);
    await last[1];
  });

  it("also when the work throws before it waits", async () => {
    const limit = new ConcurrencyLimit(1);
    const thrown = limit.run(() => {
      throw new Error("nada");
    });
    await expect(thrown).rejects.toThrow("nada");
    expect(await limit.run(() => Promise.resolve("livre"))).toBe("livre");
  });
});
