import type { Condition } from "../filtering/condition.js";
import { containsOnly } from "../filtering/metadata-conditions.js";
import { encodeVector } from "../postgres/codec.js";
import type { StatementName } from "../postgres/statement-names.js";
import type { Notify } from "../calls/notices.js";
import { mapInTurns } from "../calls/turns.js";
import { firstInFixedOrder, toFound, type FoundChunk, type HitRow } from "./hits.js";
import type { CurrentStatements, Reads } from "./current-statements.js";
import {
  examineNearest,
  isFull,
  orExact,
  widenUntilFull,
  scanFor,
  notifyExactSearch,
  notifyMissingIndex,
  type ExaminedRow,
  type Scan,
} from "./scan.js";
import { searchShards } from "./sharded-search.js";
import {
  cached,
  cacheOf,
  GAVE_UP,
  learnPlan,
  mayBeOverruled,
  planKeyOf,
  PLANNERS,
  type KnownPlan,
} from "./search-cache.js";
import { searchChunks, type SearchPlan, type SearchShape } from "../search-sql/vector-search-sql.js";
import { isFirstFound, type Neighbors, type Page } from "../search-sql/page-sql.js";
import type { CompiledSynonyms } from "../words/synonyms.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";

/** The options that all kinds of searches have. */
export interface SearchPage extends Page {
  neighbors: Neighbors | undefined;
  condition: Condition | undefined;
}

/** A vector search whose arguments have been checked. */
export interface VectorSearch extends SearchPage {
  vector: Float32Array;
  efSearch: number;
  /** Candidates of a `bit` index that are compared by their full vectors, for each chunk that is returned. */
  rerankFactor: number;
}

/** Dependencies of a search. */
export interface SearchTarget {
  statements: CurrentStatements;
  dimensions: number;
  /** The schema that the statements are written for. */
  state: SchemaState;
  /** `undefined` for those of the language. */
  synonyms: CompiledSynonyms | undefined;
  /** Tells the host of a fallback. */
  notify: Notify;
}

/**
 * Finds the nearest chunks, nearest first, in one statement and one round trip, without a transaction. It takes a second one
 * once a minute to look at the catalogs, if the filter was not used in the last minute, and if the vector index found too few.
 *
 * @param withEmbedding - whether to return the chunks' vectors
 */
export async function searchByVector(
  target: SearchTarget,
  search: VectorSearch,
  withEmbedding = false,
): Promise<FoundChunk[]> {
  const { state, notify } = target;
  notifyMissingIndex(notify, state);
  const rows = await findNearest(target, search, withEmbedding);
  return mapInTurns(rows, (row) => toFound(row, state.layout));
}

function findNearest(target: SearchTarget, search: VectorSearch, withEmbedding: boolean): Promise<HitRow[]> {
  if (target.state.layout.citus === "tables") return searchShards(target, search, { withEmbedding, exactly: false });
  return (isFirstFound(search) ? nearestChunks : nearestOfTrainings)(target, search, withEmbedding);
}

/** Finds the nearest chunks by comparing all that match the condition, whatever the vector index. */
export async function searchExactly(target: SearchTarget, search: VectorSearch): Promise<FoundChunk[]> {
  const { statements, state, dimensions } = target;
  if (state.layout.citus === "tables") {
    const found = await searchShards(target, search, { withEmbedding: false, exactly: true });
    return mapInTurns(found, (row) => toFound(row, state.layout));
  }
  const { shape, efSearch } = scanFor(search, dimensions, { limit: search.k, plan: "exact" }, state);
  const text = searchChunks(state.layout, shape, search, { withEmbedding: false, neighbors: search.neighbors });
  const values = [encodeVector(search.vector), efSearch, ...(search.condition?.values ?? [])];
  const rows = await statements.query<HitRow>("search-exactly", text, values, {
    keepsPlan: false,
    reads: "all chunks",
  });
  return mapInTurns(firstInFixedOrder(rows, search.k, state.layout), (row) => toFound(row, state.layout));
}

/** The longest condition, in characters, whose statement is cached. */
const MAX_CACHED_CONDITION = 1000;

async function nearestChunks(
  { statements, state, dimensions, notify }: SearchTarget,
  search: VectorSearch,
  withEmbedding: boolean,
): Promise<HitRow[]> {
  const { k, condition, neighbors } = search;
  const cache = cacheOf(state);
  const scanBy = (plan: SearchPlan): Scan => scanFor(search, dimensions, { limit: k, plan }, state);
  const statement = (shape: SearchShape): string => {
    const write = (): string => searchChunks(state.layout, shape, search, { withEmbedding, neighbors });
    if ((shape.condition?.length ?? 0) > MAX_CACHED_CONDITION) return write();
    return cached(cache.statements, keyOf(shape, withEmbedding, neighbors), write);
  };
  const { shape, efSearch } = scanBy("planner's");
  const values = [encodeVector(search.vector), efSearch, ...(condition?.values ?? [])];
  const keepsPlan = statements.areKept && isLarge(state);
  const run = (next: SearchPlan, learned: Partial<KnownPlan> = {}): Promise<HitRow[]> => {
    const scan = { ...scanBy(next).shape, findsFew: learned.findsFew === true };
    const options = { keepsPlan, reads: readsOf(scan), cost: learned.cost };
    return statements.query<HitRow>(nameOf(scan), statement(scan), values, options);
  };
  const planKey = condition ? planKeyOf(k, shape.candidates, condition) : k.toString();
  const known = cache.plans.get(planKey);
  let chosen: KnownPlan = PLANNERS;
  if (known) {
    chosen = await known;
  } else if (condition && (keepsPlan || mayBeOverruled(state))) {
    const explain = (next: SearchPlan): Promise<string> => statements.explain(statement(scanBy(next).shape), values);
    chosen = await learnPlan(cache, planKey, { k, chunks: state.chunks }, explain);
  }
  const findsFew = chosen.findsFew === true && keepsPlan && condition !== undefined && containsOnly(condition);
  if (cache.gaveUp.has(planKey)) notifyExactSearch(notify, "gave up");
  let ran = chosen.plan;
  const found = await orExact(ran, notify, (next) =>
    run((ran = next), next === chosen.plan ? { ...chosen, findsFew } : {}),
  );
  const rows = firstInFixedOrder(found, k, state.layout);
  // The scan of the vector index ends after 20,000 rows (hnsw.max_scan_tuples), even if rows that match the filter are
  // farther away. While VACUUM repairs the index after most chunks were replaced, it may find none at all.
  if (rows.length >= k || !isLarge(state) || ran === "exact") return rows;
  if (keepsPlan) {
    cache.plans.set(planKey, Promise.resolve(GAVE_UP));
    if (state.type !== undefined) cache.gaveUp.add(planKey);
  }
  if (state.type !== undefined) notifyExactSearch(notify, "gave up");
  return firstInFixedOrder(await run("exact"), k, state.layout);
}

/** What the text of a statement depends on. The condition comes last, since it may have any characters. */
function keyOf(
  { limit, type, dimensions, plan, findsFew, candidates, condition }: SearchShape,
  withEmbedding: boolean,
  neighbors: Neighbors | undefined,
): string {
  const around = neighbors && `${neighbors.before}-${neighbors.after}`;
  return [limit, type, dimensions, plan, findsFew, candidates, withEmbedding, around, condition].join();
}

function nameOf({ plan }: SearchShape): StatementName {
  return plan === "exact" ? "search-exactly" : "search-by-vector";
}

function readsOf({ plan }: SearchShape): Reads {
  return plan === "exact" ? "all chunks" : "few chunks";
}

/**
 * How to find the `limit` nearest chunks of a search whose statement is planned with its values: as the planner decides, unless it is better to
 * compare all that match the filter.
 */
export async function planOfNearest(
  { statements, state, dimensions }: SearchTarget,
  search: VectorSearch,
  limit: number,
): Promise<SearchPlan> {
  const { condition } = search;
  if (!condition || !mayBeOverruled(state)) return PLANNERS.plan;
  const vector = encodeVector(search.vector);
  const page: Page = { strategy: "chunks", k: limit, perTraining: undefined };
  const explain = (next: SearchPlan): Promise<string> => {
    const { shape, efSearch } = scanFor(search, dimensions, { limit, plan: next }, state);
    const text = searchChunks(state.layout, shape, page, { withEmbedding: false, neighbors: undefined });
    return statements.explain(text, [vector, efSearch, ...condition.values]);
  };
  const { candidates } = scanFor(search, dimensions, { limit, plan: PLANNERS.plan }, state).shape;
  const key = planKeyOf(limit, candidates, condition);
  const { plan } = await learnPlan(cacheOf(state), key, { k: limit, chunks: state.chunks }, explain);
  return plan === "exact" ? plan : PLANNERS.plan;
}

/** Finds the nearest chunks with a limit for each training, or of the nearest trainings. */
async function nearestOfTrainings(
  target: SearchTarget,
  search: VectorSearch,
  withEmbedding: boolean,
): Promise<HitRow[]> {
  const { statements, state, dimensions } = target;
  const { condition, neighbors, k } = search;
  const vector = encodeVector(search.vector);
  return widenUntilFull(
    k,
    async (limit) => {
      const chosen = limit === undefined ? "exact" : await planOfNearest(target, search, limit);
      return examineNearest(limit, chosen, target, (plan) => {
        const { shape, efSearch } = scanFor(search, dimensions, { limit, plan }, state);
        return statements.query<HitRow & ExaminedRow>(
          nameOf(shape),
          searchChunks(state.layout, shape, search, { withEmbedding, neighbors }),
          [vector, efSearch, ...(condition?.values ?? [])],
          { keepsPlan: false, reads: readsOf(shape) },
        );
      });
    },
    (rows) => isFull(search, rows),
  );
}
