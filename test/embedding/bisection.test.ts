import { describe, expect, it } from "vitest";
import { bisect, TextFailure } from "../../src/embedding/bisection.js";
import { EmbeddingError } from "../../src/errors.js";

const failure = new EmbeddingError("TEXT_TOO_LONG", "A text is too long", false);
const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

/** A server that answers with the number in each text, and refuses requests that contain a bad text. */
function serverOf(bad: readonly string[]): {
  sent: string[][];
  send: (some: string[]) => Promise<number[][]>;
} {
  const sent: string[][] = [];
  return {
    sent,
    send: (some) => {
      sent.push(some);
      if (some.some((text) => bad.includes(text))) return Promise.reject(new TextFailure(failure));
      return Promise.resolve(some.map((text) => [Number(text)]));
    },
  };
}

describe("bisect", () => {
  it("sends good texts once", async () => {
    const { sent, send } = serverOf([]);
    expect(await bisect(texts(5), send, Infinity)).toEqual([[0], [1], [2], [3], [4]]);
    expect(sent).toEqual([texts(5)]);
  });

  it("halves the request until the bad text is found, then continues in order", async () => {
    const { sent, send } = serverOf(["2"]);
    expect(await bisect(texts(5), send, Infinity)).toEqual([[0], [1], failure, [3], [4]]);
    expect(sent.map((some) => some.join(""))).toEqual(["01234", "012", "01", "2", "34"]);
  });

  it.each([[["0", "31"]], [["7"]], [texts(32)], [["15", "16"]]])("finds the bad texts %j among 32", async (bad) => {
    const { sent, send } = serverOf(bad);
    const outcomes = await bisect(texts(32), send, Infinity);
    expect(outcomes.flatMap((outcome, index) => (outcome === failure ? [String(index)] : []))).toEqual(bad);
    expect(sent.length).toBeLessThanOrEqual(1 + 2 * 5 * bad.length);
  });

  it("does not halve a request whose failure concerns all texts", async () => {
    let requests = 0;
    const down = new EmbeddingError("EMBEDDING_FAILED", "down", true);
    const send = (): Promise<number[][]> => {
      requests += 1;
      return Promise.reject(down);
    };
    await expect(bisect(texts(8), send, Infinity)).rejects.toBe(down);
    expect(requests).toBe(1);
  });

  it("does not halve after the deadline, and throws the failure of the request", async () => {
    const { sent, send } = serverOf(["2"]);
    await expect(bisect(texts(5), send, performance.now() - 1)).rejects.toBe(failure);
    expect(sent).toHaveLength(1);
    expect(await bisect(["2"], send, performance.now() - 1)).toEqual([failure]);
  });
});
