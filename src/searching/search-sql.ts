import { namesOf, type Layout } from "../schema/layout.js";
import { indexedForm, indexOperator, type VectorIndexType } from "../schema/vector-index.js";
import { VisibleChunks } from "./visible-chunks.js";

/**
 * How a search finds the nearest chunks: as the planner sees fit; by the vector index, looking at each row whether the
 * filter lets it through; or exact, comparing all that the filter lets through, which the filter's index finds.
 *
 * A plan that is kept does not know the filter's values, so for those the last two say it for it. Neither forces
 * anything: they are written so that the other way does not come into question.
 */
export type SearchPlan = "planner's" | "by vector" | "exact";

/** What a search statement depends on besides its bound values. */
export interface SearchShape {
  /**
   * A checked integer: Citus pushes only constants down, and the planner prices a bound LIMIT as 10 % of all rows.
   * `undefined` where all chunks are looked at.
   */
  limit: number | undefined;
  /** On the metadata, with parameters from `$1`; `undefined` where nothing narrows the search. */
  condition: string | undefined;
  /** The type of the vector index; without one the order is that of the vectors themselves. */
  type: VectorIndexType | undefined;
  /** Of the vectors. */
  dimensions: number;
  plan: SearchPlan;
  /** How many rows of a compact index are compared again on their full vectors, at least `limit`. */
  candidates: number;
}

/** Which of the chunks that were found make the page. */
export interface Page {
  /** `undefined` for all that there are then. */
  k?: number | undefined;
  /** Chunks of one training at most. */
  perTraining: number | undefined;
}

/** How many chunks before and after each found one come along. */
export interface Neighbors {
  before: number;
  after: number;
}

/** What is returned of each chunk. */
export interface Selection {
  /** Of `c`, with a comma before each. */
  columns: string;
  /** Of `c`, and then maybe {@link IN_READING_ORDER}. */
  order: string;
  neighbors: Neighbors | undefined;
}

/** The condition's parameters come after the vector and `hnsw.ef_search`. */
export const FIRST_OF_CONDITION = 3;

/** Chunks that are as good as each other by their trainings and, within each, by their places. */
export const IN_READING_ORDER = "c.training_id, i.place";

/** All that a page shows of a chunk. */
const WHOLE = ["training_id", "id", "content", "metadata", "embedding"];

/**
 * The nearest chunks, in one statement. Those that are as near as each other come as they come: sorting them would cost
 * all searches some percent.
 *
 * $1 vector, $2 ef_search as text, $3... those of the condition.
 */
export function searchChunks(
  layout: Layout,
  shape: SearchShape,
  page: Page,
  { withEmbedding, neighbors }: { withEmbedding: boolean; neighbors: Neighbors | undefined },
): string {
  const chunks = new VisibleChunks(layout, shape.condition, FIRST_OF_CONDITION);
  const { extension } = namesOf(layout);
  // In binary form, which is read ten times faster than the text form; `pg` passes on base64 unharmed.
  const embedding = withEmbedding
    ? `, encode(${extension}.vector_send(c.embedding), 'base64') AS embedding`
    : "";
  const order = "c.distance";
  if (page.perTraining === undefined) {
    const source = `(${nearestChunks(chunks, shape, WHOLE)}\n)`;
    return withPositions(chunks, source, {
      columns: `, c.distance::text AS distance${embedding}`,
      order,
      neighbors,
    });
  }
  const source = withContent(chunks, limitPerTraining("nearest", "distance", page), withEmbedding);
  return `
WITH nearest AS MATERIALIZED (${nearestChunks(chunks, shape)}
)${withPositions(chunks, source, { columns: `, c.distance::text AS distance, c.examined::text AS examined${embedding}`, order, neighbors })}`;
}

/**
 * Of each training only so many of its best chunks, and of these as many as the page takes, with the number of chunks
 * that were looked at (`examined`); the source itself, which has no more chunks than the page, where trainings do not
 * matter.
 *
 * @param source - the name of a materialized table expression with ids and what they are ordered by
 */
export function limitPerTraining(source: string, order: string, { k, perTraining }: Page): string {
  if (perTraining === undefined) return source;
  return `(
  SELECT *, (SELECT count(*) FROM ${source}) AS examined FROM (
    SELECT *, row_number() OVER (PARTITION BY training_id ORDER BY ${order}, id) AS place_in_training
    FROM ${source}) found
  WHERE place_in_training <= ${perTraining}
  ORDER BY ${order}, training_id, id
  LIMIT ${k ?? "ALL"})`;
}

/**
 * Chunks that are known by their ids with their texts and metadata. Searches that sort, join or count what they find do
 * that with ids, ranks and distances, and read the rest for the page alone. OFFSET 0 keeps it a look-up by key.
 *
 * @param source - a name, or a statement in parentheses
 */
export function withContent(chunks: VisibleChunks, source: string, withEmbedding = false): string {
  const columns = `content, metadata${withEmbedding ? ", embedding" : ""}`;
  return `(SELECT found.*, whole.* FROM ${source} found CROSS JOIN LATERAL (
    ${chunks.select(columns, "training_id = found.training_id AND id = found.id")} OFFSET 0) whole)`;
}

/**
 * Chunks with their places in their trainings.
 *
 * OFFSET 0 keeps the place of a chunk from being looked for once for each column that is made of it, which costs a walk
 * through the chunk ids of the training; and the planner from reading all trainings for the few that are found.
 */
export function withPositions(
  chunks: VisibleChunks,
  source: string,
  { columns, order, neighbors }: Selection,
): string {
  const { indexed } = namesOf(chunks.layout);
  const around = neighbors ? surroundings(chunks, neighbors) : { column: "", join: "" };
  return `
SELECT c.training_id::text AS key, c.id, c.content, c.metadata::text AS metadata,
  (i.place - 1)::text AS position, i.starts[i.place]::text AS start, i.ends[i.place]::text AS "end"${around.column}${columns}
FROM ${source} c
CROSS JOIN LATERAL (
  SELECT chunk_ids, starts, ends, array_position(chunk_ids, c.id) AS place
  FROM ${indexed} WHERE training_id = c.training_id OFFSET 0
) i${around.join}
ORDER BY ${order}`;
}

/**
 * The visible chunks around each found one, itself among them, in reading order: `[position, start, end, content]` as
 * JSON.
 */
function surroundings(chunks: VisibleChunks, { before, after }: Neighbors): { column: string; join: string } {
  return {
    column: ", s.surroundings",
    join: `
CROSS JOIN LATERAL (
  SELECT json_agg(json_build_array(place - 1, i.starts[place], i.ends[place], n.content) ORDER BY place)::text AS surroundings
  FROM generate_series(i.place - ${before}, i.place + ${after}) AS place
  CROSS JOIN LATERAL (
    ${chunks.select("content", "training_id = c.training_id AND id = i.chunk_ids[place]")} OFFSET 0) n
) s`,
  };
}

/**
 * The nearest chunks with their `distance`, nearest first.
 *
 * The settings are those of the scan, not of the session: the subquery is a one-time filter, evaluated before
 * the first row, and `true` makes them local to the transaction, which is this statement. `iterative_scan`
 * goes on past the first `ef_search` candidates until the filter has let enough through (pgvector >= 0.8).
 *
 * @param columns - what is kept of each chunk
 */
export function nearestChunks(
  chunks: VisibleChunks,
  shape: SearchShape,
  columns: readonly string[] = ["training_id", "id"],
): string {
  const { limit, type = "vector", dimensions, candidates, plan } = shape;
  const names = namesOf(chunks.layout);
  const indexedOrder = ["embedding", `$1::${names.vector}`]
    .map((vector) => indexedForm(type, names, dimensions, vector))
    .join(` ${indexOperator(type, names)} `);
  const narrowed = (selected: string): string => `
  ${chunks.select(selected, SCAN_SETTINGS, plan === "by vector" ? "tests rows" : "may find rows")}`;
  const first = (rows: string, order: string, count: number | undefined): string => `${rows}
  ORDER BY ${order}
  LIMIT ${count ?? "ALL"}`;
  const kept = columns.join(", ");
  const found = `${kept}, ${distanceOf(chunks.layout)} AS distance`;
  // OFFSET 0 keeps the order from the vector index, and the distance from being computed twice.
  if (plan === "exact")
    return first(
      `
  SELECT ${kept}, distance FROM (${narrowed(found)} OFFSET 0) n`,
      "distance",
      limit,
    );
  if (type === "vector") return first(narrowed(found), indexedOrder, limit);
  const nearest = first(
    narrowed([...new Set([...columns, "embedding"])].join(", ")),
    indexedOrder,
    candidates,
  );
  return first(
    `
  SELECT ${found} FROM (${nearest}) n`,
    "distance",
    limit,
  );
}

const SCAN_SETTINGS = `(SELECT set_config('hnsw.ef_search', $2, true) || set_config('hnsw.iterative_scan', 'strict_order', true))
    IS NOT NULL`;

/** SQL of a chunk's distance from the vector, which is $1 in every statement that has one. */
export function distanceOf(layout: Layout, vector = "embedding"): string {
  const names = namesOf(layout);
  return `${vector} ${names.distance} $1::${names.vector}`;
}

/** $1 chunk ids, $2 conditions. */
export function readChunksById(layout: Layout): string {
  return `
SELECT id, content, metadata::text AS metadata FROM ${namesOf(layout).chunk}
WHERE id = ANY ($1::text[]) AND metadata @> ALL ($2::jsonb[])`;
}

/** $1 chunk ids, $2 conditions. Those that are not at the same time the id of their training. */
export function findPartsOfTrainings(layout: Layout): string {
  return `
SELECT id FROM ${namesOf(layout).chunk}
WHERE id = ANY ($1::text[]) AND id <> training_id::text AND metadata @> ALL ($2::jsonb[]) LIMIT 1`;
}
