import { maximalMarginalRelevance } from "@langchain/core/utils/math";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { describe, expect, it } from "vitest";
import { chooseDiverse } from "../../src/searching/marginal-relevance.js";
import type { FoundChunk } from "../../src/searching/hits.js";
import { randomOf } from "../../tooling/random.js";

function foundOf(vectors: readonly ArrayLike<number>[]): FoundChunk[] {
  return vectors.map((embedding, place) => ({ hit: { position: place } as FoundChunk["hit"], embedding }));
}

function vectorsOf(count: number, dimensions: number, seed: number): number[][] {
  const random = randomOf(seed);
  return Array.from({ length: count }, () => Array.from({ length: dimensions }, () => Math.fround(random() - 0.5)));
}

async function placesOf(...args: Parameters<typeof chooseDiverse>): Promise<number[]> {
  return (await chooseDiverse(...args)).map(({ hit }) => hit.position);
}

describe("chooseDiverse", () => {
  it.each([0, 0.3, 0.5, 1])(
    "makes the same choice as LangChain's function, in the same order, at lambda %d",
    async (lambda) => {
      const [query = [], ...vectors] = vectorsOf(41, 24, 7);
      vectors.push(...vectors.slice(0, 5)); // duplicates: the first wins
      vectors.push(Array.from({ length: 24 }, () => 0)); // a zero vector
      for (const k of [0, 1, 5, 46, 100]) {
        const expected = maximalMarginalRelevance(query, vectors, lambda, k);
        if (k > 0) expect(await placesOf(query, foundOf(vectors), k, lambda), `k ${k}`).toEqual(expected);
      }
      expect(await placesOf(query, [], 5, lambda)).toEqual([]);
    },
  );

  it("does not block the event loop while it chooses 600 of 1,000 candidates", async () => {
    const [query = [], ...vectors] = vectorsOf(1001, 1024, 3);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 1);
    delay.enable();
    const chosen = await placesOf(query, foundOf(vectors.map((vector) => Float32Array.from(vector))), 600, 0.5);
    delay.disable();
    clearInterval(ticking);
    expect(new Set(chosen).size).toBe(600);
    // Comparing each candidate with all chosen ones, for each choice, would take minutes and block everything else.
    expect(turns).toBeGreaterThan(5);
    expect(delay.percentile(50) / 1e6).toBeLessThan(50);
  });

  it("ends when the signal fires", async () => {
    const [query = [], ...vectors] = vectorsOf(1001, 1024, 3);
    const controller = new AbortController();
    setTimeout(() => {
      controller.abort();
    }, 5);
    const choosing = chooseDiverse(query, foundOf(vectors), 1000, 0.5, controller.signal);
    await expect(choosing).rejects.toMatchObject({ code: "ABORTED" });
  });
});
