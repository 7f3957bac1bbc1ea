import { expect, it } from "vitest";
import { cacheOf, learnPlan, type KnownPlan } from "../../src/searching/search-cache.js";
import type { SchemaState } from "../../src/schema/schema-state.js";

const BY_FILTER = `Limit  (cost=9.50..9.51 rows=5 width=4)
  ->  Bitmap Heap Scan on chunk_1  (cost=4.10..9.30 rows=10 width=4)
        ->  Bitmap Index Scan on chunk_1_metadata  (cost=0.00..4.00 rows=10 width=0)`;
const BY_NOTHING = "Seq Scan on chunk_1  (cost=0.00..3000000.00 rows=5000 width=4)";

function byVector(matches: number): string {
  return `Limit  (cost=2191.39..2450.11 rows=40 width=971)
  ->  Index Scan using chunk_1_embedding_halfvec on chunk_1  (cost=2191.37..66847.00 rows=${matches} width=5067)`;
}

async function learned(
  k: number,
  matches: number,
  chunks: number | undefined,
  compared = BY_FILTER,
): Promise<KnownPlan> {
  const cache = cacheOf({} as SchemaState);
  return learnPlan(cache, "key", { k, chunks }, (plan) =>
    Promise.resolve(plan === "exact" ? compared : byVector(matches)),
  );
}

it.each([
  [5, 100, 10_000, "exact"],
  [5, 1_000, 10_000, "by vector"],
  [40, 1_000, 10_000, "exact"],
  [40, 5_000, 10_000, "by vector"],
  [5, 1_000, 100_000, "exact"],
  [40, 10_000, 100_000, "by vector"],
  [5, 10_000, 1_000_000, "exact"],
  [5, 100_000, 1_000_000, "by vector"],
  [5, 100_000, 10_000_000, "by vector"],
] as const)("the %i nearest of %i matches among %i chunks are found %s", async (k, matches, chunks, plan) => {
  expect(await learned(k, matches, chunks)).toMatchObject({ plan });
});

it("leaves the choice to the planner if it has no statistics", async () => {
  expect(await learned(5, 1, undefined)).toEqual({ plan: "by vector", cost: 2450.11 });
});

it("never compares all chunks for a filter that its index cannot find", async () => {
  expect(await learned(5, 1, 1_000_000, BY_NOTHING)).toEqual({ plan: "by vector", cost: 2450.11 });
});

it("knows the cost of the way that it takes", async () => {
  expect(await learned(5, 1, 1_000_000)).toEqual({ plan: "exact", cost: 9.51, findsFew: true });
});

it.each([
  [BY_FILTER, true],
  [BY_FILTER.replaceAll("rows=10", "rows=1000"), true],
  [BY_FILTER.replaceAll("rows=10", "rows=1001"), false],
  [BY_NOTHING.replace("rows=5000", "rows=10"), false],
])("knows whether the filter's index finds few chunks: %s", async (planned, findsFew) => {
  const cache = cacheOf({} as SchemaState);
  const plan = await learnPlan(cache, "key", { k: 5, chunks: undefined }, () => Promise.resolve(planned));
  expect(plan).toMatchObject({ plan: "exact", findsFew });
});
