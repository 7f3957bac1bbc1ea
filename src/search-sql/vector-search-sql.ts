import { namesOf, type Layout } from "../schema/layout.js";
import { setSettings } from "../schema/vector-index-method.js";
import { indexedForm, indexOperator, type VectorIndexType } from "../schema/vector-index.js";
import {
  IN_READING_ORDER,
  isFirstFound,
  pageColumns,
  pageOf,
  withPositions,
  type Neighbors,
  type Page,
} from "./page-sql.js";
import { VisibleChunks } from "./visible-chunks.js";

/**
 * How a search finds the nearest chunks: as the planner decides; by the vector index, testing the filter on each row; or
 * exactly, comparing all rows that match the filter, which the filter's own index finds.
 *
 * A prepared plan does not know the filter's values, so a prepared statement must be one of the last two. Neither changes
 * a planner setting: each is written so that the planner cannot use the other way.
 */
export type SearchPlan = "planner's" | "by vector" | "exact";

/** What a search statement depends on besides its bound values. */
export interface SearchShape {
  /**
   * A checked integer, written as a constant: Citus pushes only constants down, and the planner prices a bound LIMIT as
   * 10 % of all rows. `undefined` for all chunks.
   */
  limit: number | undefined;
  /** On the metadata, with parameters from `$1`; `undefined` without a filter. */
  condition: string | undefined;
  /** The type of the vector index to use; without it chunks are ordered by the vectors themselves. */
  type: VectorIndexType | undefined;
  /** Of the vectors. */
  dimensions: number;
  plan: SearchPlan;
  /** With the plan `exact`: whether the condition only compares with `@>`, and few chunks match it. Then Postgres can keep the plan. */
  findsFew?: boolean;
  /** How many rows of a compact index to compare again by their full vectors, at least `limit`. */
  candidates: number;
}

/** Number of the condition's first parameter: after the vector and `hnsw.ef_search`. */
export const FIRST_CONDITION_PARAMETER = 3;

/** Columns that the returned page needs of a chunk. Its vector, 4 KB that would be sorted with the row, is added only if it is returned. */
const PAGE_COLUMNS = ["training_id", "id", "content", "metadata"];

/**
 * A search that returns fewer chunks reads up to this many if they are equally near, to choose among them. A text may be in
 * thousands of trainings.
 */
export const MAX_EQUALLY_NEAR = 150;

/**
 * Finds the nearest chunks, nearest first. If the page is what is found first, equally near ones are in no order, and there may be more rows
 * than asked for: all that are as near as the last, up to {@link MAX_EQUALLY_NEAR}. `firstInFixedOrder` chooses among them.
 *
 * $1 vector, $2 ef_search as text, $3... the condition's parameters.
 */
export function searchChunks(
  layout: Layout,
  shape: SearchShape,
  page: Page,
  { withEmbedding, neighbors }: { withEmbedding: boolean; neighbors: Neighbors | undefined },
): string {
  const chunks = new VisibleChunks(layout, shape.condition, FIRST_CONDITION_PARAMETER);
  const { extension } = namesOf(layout);
  // The binary form is decoded ten times faster than the text form. As base64, because `pg` corrupts binary results.
  const embedding = withEmbedding ? `, encode(${extension}.vector_send(c.embedding), 'base64') AS embedding` : "";
  if (isFirstFound(page)) {
    const columnsOfPage = withEmbedding ? [...PAGE_COLUMNS, "embedding"] : PAGE_COLUMNS;
    const source = `(${nearestChunks(chunks, shape, columnsOfPage, { equallyNear: "all" })}\n)`;
    return withPositions(chunks, source, {
      columns: `, c.distance::text AS distance${embedding}`,
      order: "c.distance",
      neighbors,
    });
  }
  const order = `c.distance, ${IN_READING_ORDER}`;
  const columns = `, c.distance::text AS distance, c.examined::text AS examined${embedding}${pageColumns(page)}`;
  return `
WITH nearest AS MATERIALIZED (${nearestChunks(chunks, shape)}
)${withPositions(chunks, pageOf(chunks, "nearest", "distance", page, withEmbedding), { columns, order, neighbors })}`;
}

/** How {@link nearestChunks} reads the vector index. */
interface ScanOptions {
  scanOrder: "strict_order" | "relaxed_order";
  equallyNear: "first" | "all";
}

/**
 * The nearest chunks with their `distance`, nearest first. Of equally near ones those of the first trainings, so that a
 * higher limit only adds chunks.
 *
 * The settings apply to this scan, not to the session: the subquery is a one-time filter, evaluated before the first row,
 * and `true` makes them local to the transaction, which without a host's client is this statement. `iterative_scan` continues
 * past the first `ef_search` candidates until enough rows match the filter (pgvector >= 0.8).
 *
 * @param columns - what to return of each chunk besides `distance`
 * @param scanOrder - `strict_order` drops what a continued scan finds out of order, so that equally near chunks follow each other;
 * `relaxed_order` keeps it, and needs fewer scans for as many chunks
 * @param equallyNear - `all`: the caller chooses among those that are as near as the last. To order whole rows here takes a tenth of a search
 * for forty chunks, though hardly two chunks are equally near.
 */
export function nearestChunks(
  chunks: VisibleChunks,
  shape: SearchShape,
  columns: readonly string[] = ["training_id", "id"],
  { scanOrder = "strict_order", equallyNear = "first" }: Partial<ScanOptions> = {},
): string {
  const { limit, type = "vector", dimensions, candidates, plan, findsFew } = shape;
  const names = namesOf(chunks.layout);
  const indexedOrder = ["embedding", `$1::${names.vector}`]
    .map((vector) => indexedForm(type, names, dimensions, vector))
    .join(` ${indexOperator(type, names)} `);
  const use = plan === "by vector" ? "tests rows" : findsFew ? "finds few rows" : "may find rows";
  const visible = (selected: string): string => `
  ${chunks.select(selected, scanSettings(chunks.layout, scanOrder), use)}`;
  const kept = columns.join(", ");
  const found = `${kept}, ${distanceOf(chunks.layout)} AS distance`;
  const nearest = (rows: string): string => `
  SELECT ${kept}, distance FROM (${rows}) n
  ORDER BY distance, training_id, id
  LIMIT ${limit ?? "ALL"}`;
  // OFFSET 0 keeps the planner from using the vector index for the order, and from computing the distance twice.
  if (plan === "exact" || limit === undefined) return nearest(`${visible(found)} OFFSET 0`);
  // The Hamming distances of bits are small whole numbers: many chunks have the same one.
  if (type === "bit") {
    const candidate = [...new Set([...columns, "embedding"])].join(", ");
    return nearest(`SELECT ${found} FROM (${visible(candidate)}
  ORDER BY ${indexedOrder}
  LIMIT ${candidates}) n`);
  }
  const scanned = `SELECT * FROM (${visible(found)}
  ORDER BY ${indexedOrder}
  FETCH FIRST ${limit} ROWS WITH TIES) n ORDER BY distance LIMIT ${Math.max(limit, MAX_EQUALLY_NEAR)}`;
  return equallyNear === "all" ? scanned : nearest(scanned);
}

function scanSettings({ scanSettings: others }: Layout, order: string): string {
  return `(SELECT set_config('hnsw.ef_search', $2, true) || set_config('hnsw.iterative_scan', '${order}', true)${setSettings(others)})
    IS NOT NULL`;
}

/** SQL of a chunk's distance from the query vector, which is $1 in every statement that has one. */
export function distanceOf(layout: Layout, vector = "embedding"): string {
  const names = namesOf(layout);
  return `${vector} ${names.distance} $1::${names.vector}`;
}
