import { createHash } from "node:crypto";
import type { Condition } from "../filtering/condition.js";
import type { SchemaState } from "../schema/schema-state.js";
import type { SearchPlan } from "../search-sql/vector-search-sql.js";

/** What searches keep for a schema. It goes when the schema is looked at again, which is at most a minute later. */
export interface SearchCache {
  /** What is known of the plan of a search, by its key; see {@link planKeyOf}. */
  plans: Map<string, Promise<KnownPlan>>;
  /** The keys of searches for which the scan of the vector index gave up: they compare all chunks since. */
  gaveUp: Set<string>;
  /** The texts of statements by what they are written from: writing one costs more than the rest of a search in this process. */
  statements: Map<string, string>;
  /** The same texts with the condition on the version of the schema. */
  guarded: Map<string, string>;
}

/** How a search runs. */
export interface KnownPlan {
  plan: SearchPlan;
  /** What the planner expects it to cost; `undefined` if it was not asked. */
  cost: number | undefined;
  /** Whether the filter's index finds so few chunks that planning takes as long as comparing them. */
  findsFew?: boolean;
}

/** As the planner decides, each time that the search runs. */
export const PLANNERS: KnownPlan = { plan: "planner's", cost: undefined };

/** After the scan of the vector index gave up. */
export const GAVE_UP: KnownPlan = { plan: "exact", cost: undefined };

const caches = new WeakMap<SchemaState, SearchCache>();

/** The cache that belongs to one look at the schema. */
export function cacheOf(state: SchemaState): SearchCache {
  return getOrSet(caches, state, () => ({
    plans: new Map(),
    gaveUp: new Set(),
    statements: new Map(),
    guarded: new Map(),
  }));
}

/** Entries of a cache. An application makes few different searches; filters that users write could make any number. */
const MAX_ENTRIES = 1000;

/** The cached value, or a new one, which is cached if there is room. */
export function cached<Value>(values: Map<string, Value>, key: string, make: () => Value): Value {
  const value = values.get(key);
  if (value !== undefined) return value;
  return values.size < MAX_ENTRIES ? getOrSet(values, key, make) : make();
}

function getOrSet<Key, Value>(
  values: { get(key: Key): Value | undefined; set(key: Key, value: Value): unknown },
  key: Key,
  make: () => Value,
): Value {
  let value = values.get(key);
  if (value === undefined) values.set(key, (value = make()));
  return value;
}

/** A key of {@link SearchCache.plans}: a hash, since a filter may hold a thousand values. */
export function planKeyOf(...search: [limit: number, candidates: number, condition: Condition]): string {
  return createHash("sha1").update(JSON.stringify(search)).digest("base64");
}

/** Whether a plan finds chunks by the vector index. */
export function usesVectorIndex(plan: string): boolean {
  return /Index Scan using \S*_embedding/.test(plan);
}

/** What the planner expects all of a plan to cost; `undefined` if the plan does not say it. */
function expectedCostOf(plan: string): number | undefined {
  const [, cost] = /\(cost=[\d.]+\.\.([\d.]+) /.exec(plan) ?? [];
  return cost === undefined ? undefined : Number(cost);
}

/** How many chunks the planner expects to match the filter; `undefined` if the plan does not say it. */
function expectedMatchesIn(plan: string): number | undefined {
  const [, rows] = / on chunk_\d+(?:_\d+ chunk_\d+)? +\(cost=\S+ rows=(\d+) /.exec(plan) ?? [];
  return rows === undefined ? undefined : Number(rows);
}

/** Whether a plan finds chunks by the filter's index. */
function usesFilterIndex(plan: string): boolean {
  return /Bitmap Index Scan on chunk_\d+_metadata/.test(plan);
}

/** Comparing so many chunks takes about 1 ms, and planning that 0.2 ms. */
const MAX_FEW = 1_000;

/** A search whose plan is to compare all matching chunks. */
function comparing(plan: string): KnownPlan {
  const findsFew = usesFilterIndex(plan) && (expectedMatchesIn(plan) ?? Infinity) <= MAX_FEW;
  return { plan: "exact", cost: expectedCostOf(plan), findsFew };
}

/** A scan of the vector index takes as long for each row that it visits as it takes to compare this many matching chunks, or longer. */
const COMPARED_PER_VISITED = 16;
/** Comparing so many among a million chunks takes about 40 ms. */
const MAX_COMPARED = 12_000;
/** Below this share of matching chunks a scan has to go on and on through those that do not match. */
const NARROW = 0.012;

/**
 * Whether to compare all matching chunks, though the planner would scan the vector index. It knows neither how the time of a scan grows as it
 * goes on, nor that the scan then misses most of the nearest chunks. A million chunks, `halfvec`, `efSearch` 40, p50 and recall of the scan:
 *
 * - 10 % match: `k` 5 5 ms and .64; comparing takes 330 ms
 * - 1 % match: `k` 5 27 ms and .54, `k` 40 92 ms and .33; comparing takes 34 ms
 * - 0.1 % match: `k` 5 68 ms and .33, `k` 40 142 ms and .19; comparing takes 3 to 4 ms
 *
 * @param matches - as the planner expects: about 1 % of the chunks for values that its statistics do not have
 */
function isBetterCompared(k: number, matches: number, chunks: number): boolean {
  const visited = (k * chunks) / Math.max(matches, 1);
  return matches <= COMPARED_PER_VISITED * visited || (matches <= MAX_COMPARED && matches <= NARROW * chunks);
}

/** In a smaller table a scan for a narrow filter takes a few milliseconds at most, and asking for the plan takes nearly as long as the search. */
const MIN_CHUNKS_TO_OVERRULE = 50_000;

/**
 * Whether to ask for the plan of a search that the planner plans each time: it may have to be overruled, see {@link learnPlan}. That needs
 * statistics.
 */
export function mayBeOverruled({ chunks = 0 }: Pick<SchemaState, "chunks">): boolean {
  return chunks >= MIN_CHUNKS_TO_OVERRULE;
}

/**
 * Asks the planner once how it would run a search, and caches the answer; for a narrow filter the planner is overruled. Planning takes about
 * as long as the search: without the cache, filtered searches take 1.4 to 2.2 times as long (10,000 chunks, filters that match 50 %, 10 %,
 * 1 % and none).
 *
 * @param chunks - in the table, or in the shard whose plan is shown; `undefined` if the planner does not know how many match
 * @param isSharded - whether each shard is planned for itself when the search runs. Then only the choice to compare all is kept
 * @param explain - the planner's plan for the statement of a search plan
 */
export async function learnPlan(
  { plans }: SearchCache,
  key: string,
  { k, chunks, isSharded = false }: { k: number; chunks: number | undefined; isSharded?: boolean },
  explain: (plan: SearchPlan) => Promise<string>,
): Promise<KnownPlan> {
  return cached(plans, key, () => {
    const learning = learn({ k, chunks, isSharded }, explain);
    learning.catch(() => plans.delete(key));
    return learning;
  });
}

async function learn(
  { k, chunks, isSharded }: { k: number; chunks: number | undefined; isSharded: boolean },
  explain: (plan: SearchPlan) => Promise<string>,
): Promise<KnownPlan> {
  const planned = await explain("planner's");
  if (!usesVectorIndex(planned))
    return isSharded ? { plan: "planner's", cost: expectedCostOf(planned) } : comparing(planned);
  const matches = expectedMatchesIn(planned);
  if (matches !== undefined && chunks !== undefined && isBetterCompared(k, matches, chunks)) {
    const compared = await explain("exact");
    // Not every condition can be found by the index: then all chunks would be read.
    if (usesFilterIndex(compared)) return comparing(compared);
  }
  return { plan: isSharded ? "planner's" : "by vector", cost: expectedCostOf(planned) };
}
