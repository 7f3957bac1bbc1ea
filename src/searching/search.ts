import { createHash } from "node:crypto";
import type { Condition } from "../filtering/condition.js";
import { encodeVector } from "../postgres/codec.js";
import type { Notify } from "../calls/notices.js";
import { mapInTurns } from "../calls/turns.js";
import { byDistance, toFound, type FoundChunk, type HitRow } from "./hits.js";
import type { CurrentStatements } from "./current-statements.js";
import {
  examineNearest,
  orExact,
  widenUntilFull,
  scanFor,
  notifyExactSearch,
  notifyMissingIndex,
  type ExaminedRow,
  type Scan,
} from "./scan.js";
import { cacheOf, type SearchCache } from "./search-cache.js";
import { searchChunks, type Neighbors, type SearchPlan } from "./search-sql.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";

/** What searches of all kinds have. */
export interface SearchPage {
  k: number;
  /** Chunks of one training at most. */
  perTraining: number | undefined;
  neighbors: Neighbors | undefined;
  condition: Condition | undefined;
}

/** A search by vector whose arguments have been checked. */
export interface Search extends SearchPage {
  vector: Float32Array;
  efSearch: number;
  /** How many candidates of a `bit` index are compared on their full vectors for each chunk that is returned. */
  rerankFactor: number;
}

/** What searches run on. */
export interface SearchTarget {
  statements: CurrentStatements;
  dimensions: number;
  /** The schema that the statements are written for. */
  state: SchemaState;
  /** Tells the host of a fallback. */
  notify: Notify;
}

/**
 * The nearest chunks, nearest first. One statement, one round trip, no transaction; one more for a look at the
 * catalogs once a minute, for a filter that was not asked for in that time, and where the vector index has found too few.
 *
 * @param withEmbedding - whether the chunks' vectors come along
 */
export async function search(
  target: SearchTarget,
  search: Search,
  withEmbedding = false,
): Promise<FoundChunk[]> {
  const { state, notify } = target;
  notifyMissingIndex(notify, state);
  const find = search.perTraining === undefined ? nearestChunks : nearestOfTrainings;
  const rows = await find(target, search, withEmbedding);
  return (await mapInTurns(rows, (row) => toFound(row, state.layout))).sort(byDistance);
}

async function nearestChunks(
  { statements, state, dimensions, notify }: SearchTarget,
  search: Search,
  withEmbedding: boolean,
): Promise<HitRow[]> {
  const { k, condition, neighbors } = search;
  const cache = cacheOf(state);
  const scanBy = (plan: SearchPlan): Scan => scanFor(search, dimensions, { limit: k, plan }, state);
  const statement = (plan: SearchPlan): string => {
    const { shape } = scanBy(plan);
    const write = (): string => searchChunks(state.layout, shape, search, { withEmbedding, neighbors });
    if ((shape.condition?.length ?? 0) > MOST_CHARACTERS) return write();
    return remembered(cache.statements, JSON.stringify([shape, withEmbedding, neighbors]), write);
  };
  const { shape, efSearch } = scanBy("planner's");
  const values = [encodeVector(search.vector), efSearch, ...(condition?.values ?? [])];
  const keepsPlan = statements.areKept && isLarge(state);
  const run = (plan: SearchPlan): Promise<HitRow[]> =>
    statements.query<HitRow>(statement(plan), values, { keepsPlan });
  const question = condition ? planKeyOf(k, shape.candidates, condition) : k.toString();
  const known = cache.plans.get(question);
  let plan: SearchPlan = "planner's";
  if (known) {
    plan = await known;
  } else if (keepsPlan && condition) {
    plan = await learnPlan(cache, question, () => statements.explain(statement("planner's"), values));
  }
  let ran = plan;
  const rows = await orExact(plan, notify, (next) => run((ran = next)));
  // The scan of the vector index gives up after 20,000 rows (hnsw.max_scan_tuples), though what the filter lets through
  // may lie behind them; and while VACUUM mends the index after most chunks were replaced, it may find none.
  if (rows.length >= k || !isLarge(state) || ran === "exact") return rows;
  if (keepsPlan) cache.plans.set(question, Promise.resolve("exact"));
  if (state.type !== undefined) notifyExactSearch(notify, "gave up");
  return run("exact");
}

/** The nearest chunks, of each training only so many. */
async function nearestOfTrainings(
  { statements, state, dimensions, notify }: SearchTarget,
  search: Search,
  withEmbedding: boolean,
): Promise<HitRow[]> {
  const { k, condition, neighbors } = search;
  const vector = encodeVector(search.vector);
  return widenUntilFull(
    k,
    (limit) =>
      examineNearest(limit, state, notify, (plan) => {
        const { shape, efSearch } = scanFor(search, dimensions, { limit, plan }, state);
        return statements.query<HitRow & ExaminedRow>(
          searchChunks(state.layout, shape, search, { withEmbedding, neighbors }),
          [vector, efSearch, ...(condition?.values ?? [])],
          { keepsPlan: false },
        );
      }),
    (rows) => rows.length >= k,
  );
}

/** A key for {@link SearchCache.plans}: short, whatever the filter, which may have a thousand values. */
export function planKeyOf(...question: [k: number, candidates: number, condition: Condition]): string {
  return createHash("sha1").update(JSON.stringify(question)).digest("base64");
}

/** How many searches are kept in mind; those of a host are few, and these are forgotten every minute. */
const MOST_REMEMBERED = 1000;
/** Of a filter's condition in a statement that is kept in mind: it may be made of a thousand. */
const MOST_CHARACTERS = 1000;

/** What is known under a key, made where it is not. */
export function remembered<Value>(known: Map<string, Value>, key: string, make: () => Value): Value {
  const value = known.get(key);
  if (value !== undefined) return value;
  const made = make();
  if (known.size < MOST_REMEMBERED) known.set(key, made);
  return made;
}

/** Asks the planner how it would search, and keeps that in mind: it takes as long as the search itself. */
async function learnPlan(
  { plans }: SearchCache,
  key: string,
  explain: () => Promise<string>,
): Promise<SearchPlan> {
  return remembered(plans, key, () => {
    const learning = explain().then<SearchPlan>((plan) =>
      VECTOR_INDEX_SCAN.test(plan) ? "by vector" : "exact",
    );
    learning.catch(() => plans.delete(key));
    return learning;
  });
}

const VECTOR_INDEX_SCAN = /Index Scan using \S*_embedding/;
