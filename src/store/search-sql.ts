import { namesOf, type Layout } from "./layout.js";

/** What a search statement depends on besides its bound values. */
export interface SearchShape {
  /** A checked integer: Citus pushes only constants down, and the planner prices a bound LIMIT as 10 % of all rows. */
  limit: number;
  /** How many conditions on the metadata are bound. */
  conditions: number;
  withEmbedding: boolean;
}

/** The parameters before the conditions: the vector, and `hnsw.ef_search`. */
const FIRST_CONDITION = 3;

/**
 * The nearest chunks, in one statement. $1 vector, $2 ef_search as text, $3... conditions.
 *
 * The settings are those of the scan, not of the session: the subquery is a one-time filter, evaluated before
 * the first row, and `true` makes them local to the transaction, which is this statement. `iterative_scan`
 * goes on past the first `ef_search` candidates until the filter has let enough through (pgvector >= 0.8).
 */
export function searchChunks(layout: Layout, { limit, conditions, withEmbedding }: SearchShape): string {
  const { chunk, indexed, vector, distance } = namesOf(layout);
  const filters = Array.from(
    { length: conditions },
    (_, index) => `\n    AND metadata @> $${FIRST_CONDITION + index}::jsonb`,
  ).join("");
  const embedding = withEmbedding ? ", c.embedding::text AS embedding" : "";
  return `
SELECT c.training_id::text AS key, c.id, c.content, c.metadata::text AS metadata, c.distance,
  p.place - 1 AS position, i.starts[p.place] AS start, i.ends[p.place] AS "end"${embedding}
FROM (
  SELECT training_id, id, content, metadata, embedding, embedding ${distance} $1::${vector} AS distance
  FROM ${chunk}
  WHERE (SELECT set_config('hnsw.ef_search', $2, true) || set_config('hnsw.iterative_scan', 'strict_order', true))
    IS NOT NULL${filters}
  ORDER BY embedding ${distance} $1::${vector}
  LIMIT ${limit}
) c
JOIN ${indexed} i ON i.training_id = c.training_id
CROSS JOIN LATERAL (SELECT array_position(i.chunk_ids, c.id) AS place) p
ORDER BY c.distance, c.training_id, p.place`;
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
