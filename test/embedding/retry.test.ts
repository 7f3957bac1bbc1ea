import { describe, expect, it, vi } from "vitest";
import { retry } from "../../src/embedding/retry.js";

/** Work that fails this many times, then succeeds. */
function failing(times: number): { work: () => Promise<string>; starts: number[] } {
  const starts: number[] = [];
  const work = (): Promise<string> => {
    starts.push(performance.now());
    return starts.length > times ? Promise.resolve("ok") : Promise.reject(new Error(`attempt ${starts.length}`));
  };
  return { work, starts };
}

const inMs = (ms: number): number => performance.now() + ms;
const always = (): boolean => true;

describe("retry", () => {
  it("runs successful work once, even after the deadline", async () => {
    const { work, starts } = failing(0);
    expect(await retry(work, { deadline: () => inMs(-1), canRetry: always })).toBe("ok");
    expect(starts).toHaveLength(1);
  });

  it("retries until it succeeds, and waits longer each time", async () => {
    const { work, starts } = failing(2);
    expect(await retry(work, { deadline: () => inMs(5_000), canRetry: always })).toBe("ok");
    const [first = 0, second = 0, third = 0] = starts;
    expect(starts).toHaveLength(3);
    // Timers may fire a millisecond early, and late on a busy machine.
    expect(second - first).toBeGreaterThanOrEqual(124);
    expect(third - second).toBeGreaterThanOrEqual(249);
  });

  it("starts no attempt after the deadline, and throws the last error", async () => {
    const { work, starts } = failing(100);
    const deadline = inMs(500);
    const thrown = await retry(work, { deadline: () => deadline, canRetry: always }).catch(String);
    expect(thrown).toBe(`Error: attempt ${starts.length}`);
    expect(starts.length).toBeGreaterThan(1);
    expect(starts.length).toBeLessThan(5);
    expect(performance.now()).toBeLessThan(deadline + 250);
  });

  it("asks after each attempt whether another one can help", async () => {
    const { work, starts } = failing(100);
    const canRetry = vi.fn((_error: unknown, attempts: number) => attempts < 2);
    await expect(retry(work, { deadline: () => inMs(5_000), canRetry })).rejects.toThrow("attempt 2");
    expect(starts).toHaveLength(2);
    expect(canRetry.mock.calls.map(([error, attempts]) => [(error as Error).message, attempts])).toEqual([
      ["attempt 1", 1],
      ["attempt 2", 2],
    ]);
  });

  it("ends its wait when the signal fires, and leaves the abort to the work", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const work = (): Promise<string> => {
      if (!signal.aborted) return Promise.reject(new Error("down"));
      return Promise.reject(new Error("noticed"));
    };
    const canRetry = (error: unknown): boolean => {
      setTimeout(() => {
        controller.abort();
      });
      return (error as Error).message === "down";
    };
    const start = performance.now();
    await expect(retry(work, { deadline: () => inMs(60_000), canRetry, signal })).rejects.toThrow("noticed");
    expect(performance.now() - start).toBeLessThan(100);
  });
});
