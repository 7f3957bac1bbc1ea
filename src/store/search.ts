import { createHash } from "node:crypto";
import { InvalidArgumentError } from "../errors.js";
import type { ChunkHit, ChunkPassage, Metadata } from "../types.js";
import { query, type HostNumber, type Queryable } from "./database.js";
import type { Condition } from "./condition.js";
import type { Conditions } from "./filter.js";
import type { Layout } from "./layout.js";
import type { NamedStatements } from "./named-statements.js";
import * as sql from "./search-sql.js";
import type { SearchPlan } from "./search-sql.js";
import type { ServingIndex, ServingState } from "./serving-index.js";
import { decodeTrainingId } from "./training-id.js";
import { decodeVector, encodeVector } from "./codec.js";

/** A search whose arguments have been checked. */
export interface Search {
  vector: Float32Array;
  k: number;
  efSearch: number;
  condition: Condition | undefined;
  withEmbedding?: boolean | undefined;
  /** How many candidates of a `bit` index are compared on their full vectors for each chunk that is returned. */
  rerankFactor: number;
}

/** What searches run on. */
export interface SearchTarget {
  statements: NamedStatements;
  layout: Layout;
  dimensions: number;
  serving: ServingIndex;
}

/**
 * From here on the planner takes the vector index whatever it knows about the table, and so does a plan that is kept.
 * Below it the plan of the moment is the better one, and costs less than what it finds.
 */
const FEWEST_PAGES_TO_KEEP_A_PLAN = 100;
/** What `hnsw.ef_search` goes up to. */
export const MAX_EF_SEARCH = 1000;

/** A hit, with its vector where that was asked for. */
export interface FoundChunk {
  hit: ChunkHit;
  embedding: number[] | undefined;
}

/** A chunk with its place, as statements return it. */
export interface PassageRow {
  key: string;
  id: string;
  content: string;
  metadata: string;
  position: HostNumber;
  start: HostNumber;
  end: HostNumber;
}

interface HitRow extends PassageRow {
  distance: HostNumber;
  embedding?: string;
}

/**
 * The nearest chunks, nearest first. One statement, one round trip, no transaction; one more for a look at the catalogs
 * once a minute, for a filter that was not asked for in that time, and where the vector index has found too few.
 */
export async function search(
  { statements, layout, dimensions, serving }: SearchTarget,
  { vector, k, efSearch, rerankFactor, condition, withEmbedding = false }: Search,
): Promise<FoundChunk[]> {
  const state = await serving.current();
  const candidates = state.type === "bit" ? Math.max(k * rerankFactor, efSearch) : k;
  const values = [
    encodeVector(vector),
    Math.min(Math.max(efSearch, candidates), MAX_EF_SEARCH).toString(),
    ...(condition?.values ?? []),
  ];
  const statement = (plan: SearchPlan): string =>
    sql.searchChunks(layout, {
      limit: k,
      condition: condition?.text,
      withEmbedding,
      // What the filter lets through is few: their full vectors can be compared at once.
      type: plan === "by filter" ? undefined : state.type,
      dimensions,
      candidates,
      plan,
    });
  const isLarge = state.pages >= FEWEST_PAGES_TO_KEEP_A_PLAN;
  const keepsPlan = statements.areKept && isLarge;
  const run = (plan: SearchPlan): Promise<HitRow[]> =>
    statements.query<HitRow>(statement(plan), values, { keepsPlan });
  const question = condition ? questionOf(k, candidates, condition) : "";
  const plan =
    keepsPlan && condition
      ? await learnPlan(state, question, () => statements.explain(statement("planner's"), values))
      : "planner's";
  let rows = await run(plan);
  // The scan of the vector index gives up after 20,000 rows (hnsw.max_scan_tuples), though what the filter lets through
  // may lie behind them.
  if (rows.length < k && condition && isLarge && plan !== "by filter") {
    if (keepsPlan) state.plans.set(question, Promise.resolve("by filter"));
    rows = await run("by filter");
  }
  return rows.map((row) => ({
    hit: toHit(row, layout),
    embedding: row.embedding === undefined ? undefined : decodeVector(row.embedding),
  }));
}

/** Short, whatever the filter: it may have a thousand values. */
function questionOf(...question: [k: number, candidates: number, condition: Condition]): string {
  return createHash("sha1").update(JSON.stringify(question)).digest("base64");
}

/** How many filters are kept in mind; those of a host are few, and these are forgotten every minute. */
const MOST_PLANS = 1000;

/** Asks the planner how it would search, and keeps that in mind: it takes as long as the search itself. */
async function learnPlan(
  { plans }: ServingState,
  key: string,
  explain: () => Promise<string>,
): Promise<SearchPlan> {
  const known = plans.get(key);
  if (known) return known;
  const learning = explain().then((plan) => (VECTOR_INDEX_SCAN.test(plan) ? "by vector" : "by filter"));
  if (plans.size < MOST_PLANS) plans.set(key, learning);
  learning.catch(() => plans.delete(key));
  return learning;
}

const VECTOR_INDEX_SCAN = /Index Scan using \S*_embedding/;

function toHit(row: HitRow, layout: Layout): ChunkHit {
  const distance = Number(row.distance);
  return { ...toPassage(row, layout), score: 1 - distance, distance };
}

/** What hits of all searches have. */
export function toPassage(row: PassageRow, { idType }: Layout): ChunkPassage {
  return {
    trainingId: decodeTrainingId(row.key, idType),
    chunkId: row.id,
    position: Number(row.position),
    start: Number(row.start),
    end: Number(row.end),
    content: row.content,
    metadata: JSON.parse(row.metadata) as Metadata,
  };
}

/** A chunk without its place. */
export interface StoredChunk {
  id: string;
  content: string;
  metadata: Metadata;
}

/** The chunks with these ids, in the order of the ids; unknown ids are left out. */
export async function readById(
  database: Queryable,
  layout: Layout,
  ids: readonly string[],
  conditions: Conditions,
): Promise<StoredChunk[]> {
  const rows = await query<{ id: string; content: string; metadata: string }>(
    database,
    sql.readChunksById(layout),
    [ids, conditions],
  );
  const byId = new Map(
    rows.map(({ id, content, metadata }) => [
      id,
      { id, content, metadata: JSON.parse(metadata) as Metadata },
    ]),
  );
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** @throws {@link InvalidArgumentError} when an id is that of a chunk which is one of several of a training */
export async function refusePartsOfTrainings(
  database: Queryable,
  layout: Layout,
  ids: readonly string[],
  scope: Conditions,
): Promise<void> {
  const rows = await query<{ id: string }>(database, sql.findPartsOfTrainings(layout), [ids, scope]);
  const [part] = rows;
  if (!part) return;
  throw new InvalidArgumentError(
    `ids[${ids.indexOf(part.id)}]`,
    "names a chunk of a longer training, not a training: delete that by its own id",
  );
}
