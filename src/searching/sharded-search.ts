/** Searches by vector of trainings that are spread over a Citus cluster. */
import { DatabaseError } from "../errors.js";
import { encodeVector } from "../postgres/codec.js";
import type { HostNumber } from "../postgres/database.js";
import { isLarge } from "../schema/known-schema.js";
import { DEFAULT_CHUNKS_PER_TRAINING, isFirstFound, type Page } from "../search-sql/page-sql.js";
import {
  bestOfTrainings,
  nearestInShards,
  nearestPassagesInShards,
  passagesInShards,
  withQuotedValues,
} from "../search-sql/sharded-search-sql.js";
import { MAX_EQUALLY_NEAR, type SearchPlan } from "../search-sql/vector-search-sql.js";
import { firstInFixedOrder, nearestFirst, type HitRow, type PassageRow } from "./hits.js";
import {
  examineNearest,
  isFull,
  notifyExactSearch,
  orExact,
  scanFor,
  widenUntilFull,
  type ExaminedRow,
  type ExamineLimit,
} from "./scan.js";
import { cacheOf, GAVE_UP, learnPlan, planKeyOf, PLANNERS } from "./search-cache.js";
import type { SearchTarget, VectorSearch } from "./vector-search.js";

/** How a search runs, besides what it asks for. */
export interface ShardedSearchOptions {
  withEmbedding: boolean;
  /** Whether to compare all chunks, whatever the vector index. */
  exactly: boolean;
}

/** A chunk that is near, with the version of its training. Its passage is read by a second statement, unless the first returned it. */
interface NearRow {
  key: string;
  id: string;
  distance: HostNumber;
  version?: string;
}

/** Passages of so many chunks are read with their distances: each shard sends as many, and nearly all of them are not returned. */
const MOST_WHOLE = 20;
/** How often a search begins again because a training was replaced between its two statements. */
const MAX_ATTEMPTS = 10;

/**
 * Finds the nearest chunks in all shards: in one statement if few chunks are returned as they are found. Otherwise in two, first their ids,
 * then their passages. A training that was replaced in between makes the search begin again, so the passages of a training are always of one
 * version.
 */
export async function searchShards(
  target: SearchTarget,
  search: VectorSearch,
  options: ShardedSearchOptions,
): Promise<HitRow[]> {
  const { state, notify } = target;
  for (let attempt = 1; ; attempt++) {
    const find = isFirstFound(search) ? nearestChunks : nearestOfTrainings;
    const rows = await withPassages(target, search, options, await find(target, search, options));
    if (rows) return firstInFixedOrder(rows, rows.length, state.layout);
    const message = "A training was replaced while it was searched";
    if (attempt === MAX_ATTEMPTS)
      throw new DatabaseError(`${message}, again and again`, { code: "CONFLICT", retryable: true });
    notify({ code: "RETRY", message: `${message}, so the search is run again` });
  }
}

async function nearestChunks(
  target: SearchTarget,
  search: VectorSearch,
  { withEmbedding, exactly }: ShardedSearchOptions,
): Promise<NearRow[]> {
  const { state, notify, dimensions } = target;
  const { k, condition, neighbors } = search;
  const cache = cacheOf(state);
  const run = async (plan: SearchPlan): Promise<NearRow[]> => {
    const { shape, efSearch } = scanFor(search, dimensions, { limit: k, plan }, state);
    const comparesMany = shape.plan === "exact" && isLarge(state);
    const isWhole = !withEmbedding && !comparesMany && shape.type !== "bit" && k <= MOST_WHOLE;
    const find = async (limit: number): Promise<NearRow[]> => {
      const text = isWhole
        ? nearestPassagesInShards(state.layout, shape, limit, neighbors)
        : nearestInShards(state.layout, shape, limit);
      return (await query(target, search, { text, plan: shape.plan, efSearch })).sort(nearestFirst(state.layout));
    };
    if (shape.type === "bit") return (await find(shape.candidates)).slice(0, k);
    // One more shows whether others are as near as the last: then more are read, to choose among them.
    let rows = await find(k + 1);
    const isTie = rows.length > k && rows[k]?.distance === rows[k - 1]?.distance;
    if (isTie && k + 1 < MAX_EQUALLY_NEAR) rows = await find(MAX_EQUALLY_NEAR);
    return rows.slice(0, k);
  };
  if (exactly || !isLarge(state)) return run("exact");
  const planKey = condition ? planKeyOf(k, k, condition) : k.toString();
  let plan: SearchPlan = (await cache.plans.get(planKey))?.plan ?? PLANNERS.plan;
  if (condition && !cache.plans.has(planKey)) {
    const explain = (next: SearchPlan): Promise<string> => {
      const { shape, efSearch } = scanFor(search, dimensions, { limit: k, plan: next }, state);
      const text = nearestInShards(state.layout, shape, k + 1);
      return target.statements.explain(withQuotedValues(text, search.vector, [efSearch, ...condition.values]), []);
    };
    ({ plan } = await learnPlan(cache, planKey, { k, chunks: state.chunks, isSharded: true }, explain));
  }
  if (cache.gaveUp.has(planKey)) notifyExactSearch(notify, "gave up");
  let ran = plan;
  const rows = await orExact(plan, notify, (next) => run((ran = next)));
  if (rows.length >= k || ran === "exact") return rows;
  cache.plans.set(planKey, Promise.resolve(GAVE_UP));
  if (state.type !== undefined) {
    cache.gaveUp.add(planKey);
    notifyExactSearch(notify, "gave up");
  }
  return run("exact");
}

/** Finds the nearest chunks with a limit for each training, or of the nearest trainings. */
async function nearestOfTrainings(
  target: SearchTarget,
  search: VectorSearch,
  { exactly }: ShardedSearchOptions,
): Promise<NearRow[]> {
  const { state, dimensions } = target;
  const { k, strategy, perTraining = DEFAULT_CHUNKS_PER_TRAINING } = search;
  const byTraining = strategy === "trainings";
  const all = { perTraining, byTraining, limit: byTraining ? k * perTraining : k };
  const examine = async (limit: ExamineLimit, plan: SearchPlan): Promise<(NearRow & ExaminedRow)[]> => {
    const { shape, efSearch } = scanFor(search, dimensions, { limit, plan }, state);
    const text =
      limit === undefined
        ? bestOfTrainings(state.layout, shape, all)
        : nearestInShards(state.layout, shape, shape.type === "bit" ? shape.candidates : limit);
    const near = (await query(target, search, { text, plan: shape.plan, efSearch })).sort(nearestFirst(state.layout));
    const examined = limit === undefined ? near : near.slice(0, limit);
    return choosePage(examined, search).map((row) => ({ ...row, examined: examined.length }));
  };
  if (exactly) return examine(undefined, "exact");
  return widenUntilFull(
    k,
    (limit) => examineNearest(limit, PLANNERS.plan, target, (plan) => examine(limit, plan)),
    (rows) => isFull(search, rows),
  );
}

/** The chunks of a page, of rows that are sorted: the best of each training, of the best trainings if they count. */
function choosePage(rows: readonly NearRow[], { strategy, k, perTraining }: Page): NearRow[] {
  const most = perTraining ?? (strategy === "trainings" ? DEFAULT_CHUNKS_PER_TRAINING : Infinity);
  const counts = new Map<string, number>();
  const chosen: NearRow[] = [];
  for (const row of rows) {
    const before = counts.get(row.key) ?? 0;
    const isOther = strategy === "trainings" && before === 0 && counts.size === k;
    if (isOther || before === most) continue;
    counts.set(row.key, before + 1);
    chosen.push(row);
    if (strategy === "chunks" && chosen.length === k) break;
  }
  return chosen;
}

/** Adds the passages to the chunks. @returns `undefined` if a training is not of the same version any more */
async function withPassages(
  target: SearchTarget,
  search: VectorSearch,
  { withEmbedding }: ShardedSearchOptions,
  near: readonly NearRow[],
): Promise<HitRow[] | undefined> {
  if (near.every((row) => "content" in row)) return near as HitRow[];
  const { condition, neighbors, strategy } = search;
  const text = passagesInShards(target.state.layout, condition?.text, {
    ...{ withEmbedding, neighbors },
    withTraining: strategy === "trainings",
  });
  const values = [[...new Set(near.map(({ key }) => key))], near.map(({ id }) => id), ...(condition?.values ?? [])];
  const passages = await target.statements.query<PassageRow & NearRow>("read-passages", text, values, {
    keepsPlan: false,
  });
  const placeOf = ({ key, id }: NearRow): string => JSON.stringify([key, id]);
  const byPlace = new Map(passages.map((passage) => [placeOf(passage), passage]));
  const found = near.flatMap((row) => {
    const passage = byPlace.get(placeOf(row));
    return passage?.version === row.version && passage ? [{ ...passage, distance: row.distance }] : [];
  });
  return found.length === near.length ? found : undefined;
}

function query(
  { statements }: SearchTarget,
  search: VectorSearch,
  { text, plan, efSearch }: { text: string; plan: SearchPlan; efSearch: string },
): Promise<NearRow[]> {
  const isExact = plan === "exact";
  return statements.query<NearRow>(isExact ? "search-exactly" : "search-by-vector", text, valuesOf(search, efSearch), {
    keepsPlan: false,
  });
}

function valuesOf({ vector, condition }: VectorSearch, efSearch: string): unknown[] {
  return [encodeVector(vector), efSearch, ...(condition?.values ?? [])];
}
