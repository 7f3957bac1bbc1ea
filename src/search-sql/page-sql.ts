import { namesOf } from "../schema/layout.js";
import type { SearchStrategy } from "../hit-types.js";
import type { VisibleChunks } from "./visible-chunks.js";

/** Which of the found chunks to return. */
export interface Page {
  strategy: SearchStrategy;
  /** How many chunks, or with strategy `trainings` how many trainings. */
  k: number;
  /** The most chunks of one training; `undefined` for no limit. */
  perTraining: number | undefined;
}

/** Whether the page is what a search finds first. If not, it must examine more chunks than it returns. */
export function isFirstFound({ strategy, perTraining }: Page): boolean {
  return strategy === "chunks" && perTraining === undefined;
}

/** Best chunks of each training that strategy `trainings` returns by default. */
export const DEFAULT_CHUNKS_PER_TRAINING = 3;

/** The column that chunks are ordered by. */
export type PageOrder = "distance" | "score DESC";

/** How many chunks before and after each found one to return with it. */
export interface Neighbors {
  before: number;
  after: number;
}

/** What a statement returns of each chunk, besides its content, metadata and place. */
export interface Selection {
  /** Expressions over `c`, each with a comma before it. */
  columns: string;
  /** Expressions over `c`, optionally followed by {@link IN_READING_ORDER}. */
  order: string;
  neighbors: Neighbors | undefined;
}

/** Orders equally good chunks by training, and by position within each. */
export const IN_READING_ORDER = "c.training_id, i.place";

/**
 * The chunks of the page with their content, and in `examined` the number of chunks that the source has. With strategy
 * `trainings`: the best chunks of the best trainings, with `training_metadata`.
 *
 * @param source - the name of a materialized table expression with the ids and the column of `order`; unless more chunks are
 *   examined than returned, it has the chunks of the page only
 */
export function pageOf(
  chunks: VisibleChunks,
  source: string,
  order: PageOrder,
  page: Page,
  withEmbedding = false,
): string {
  if (isFirstFound(page)) return withContent(chunks, source, withEmbedding);
  const { strategy, k, perTraining } = page;
  const ranked = `
    SELECT *, (SELECT count(*) FROM ${source}) AS examined,
      row_number() OVER (PARTITION BY training_id ORDER BY ${order}, id) AS place_in_training,
      ${order === "distance" ? "min(distance)" : "-max(score)"} OVER (PARTITION BY training_id) AS order_of_training
    FROM ${source}`;
  if (strategy === "chunks") {
    const limited = `(SELECT * FROM (${ranked}) found
  WHERE place_in_training <= ${perTraining}
  ORDER BY ${order}, training_id, id
  LIMIT ${k})`;
    return withContent(chunks, limited, withEmbedding);
  }
  const trainings = `(SELECT * FROM (
    SELECT *, dense_rank() OVER (ORDER BY order_of_training, training_id) AS place_of_training FROM (${ranked}) found) placed
  WHERE place_of_training <= ${k} AND place_in_training <= ${perTraining ?? DEFAULT_CHUNKS_PER_TRAINING})`;
  return `(SELECT n.*, ${chunks.metadataOfTraining("n")} AS training_metadata FROM ${withContent(chunks, trainings)} n)`;
}

/** Columns of the page that its rows need besides those of each search. */
export function pageColumns({ strategy }: Page): string {
  return strategy === "trainings" ? ", c.training_metadata::text AS training_metadata" : "";
}

/**
 * Adds content and metadata to chunks known by their ids. Searches sort, join and count with ids, ranks and distances only,
 * and read the rest for the returned page. OFFSET 0 keeps it a lookup by key.
 *
 * @param source - a name, or a statement in parentheses
 */
function withContent(chunks: VisibleChunks, source: string, withEmbedding = false): string {
  const columns = `content, metadata${withEmbedding ? ", embedding" : ""}`;
  return `(SELECT found.*, whole.* FROM ${source} found CROSS JOIN LATERAL (
    ${chunks.select(columns, "training_id = found.training_id AND id = found.id")} OFFSET 0) whole)`;
}

/**
 * Adds each chunk's position and offsets in its training.
 *
 * Without OFFSET 0, Postgres would search the training's chunk ids for the chunk once per column made from its place, and
 * the planner would read all trainings instead of the few that were found.
 */
export function withPositions(chunks: VisibleChunks, source: string, { columns, order, neighbors }: Selection): string {
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
 * Each found chunk and its visible neighbors, in reading order: `[position, start, end, content]` as JSON.
 *
 * The planner knows the length of a constant array. Of `generate_series` it would expect a thousand places for each chunk, take the statement
 * for very expensive, and compile it (`jit_above_cost`), which takes many times as long as the search.
 */
function surroundings(chunks: VisibleChunks, { before, after }: Neighbors): { column: string; join: string } {
  const distances = Array.from({ length: before + 1 + after }, (_, step) => step - before);
  return {
    column: ", s.surroundings",
    join: `
CROSS JOIN LATERAL (
  SELECT json_agg(json_build_array(place - 1, i.starts[place], i.ends[place], n.content) ORDER BY place)::text AS surroundings
  FROM (SELECT i.place + distance AS place FROM unnest('{${distances.join(",")}}'::integer[]) AS distance) places
  CROSS JOIN LATERAL (
    ${chunks.select("content", "training_id = c.training_id AND id = i.chunk_ids[place]")} OFFSET 0) n
) s`,
  };
}
