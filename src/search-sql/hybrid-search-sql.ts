/** The statement of hybrid search: scores the candidates of vector search and text search by both. */
import { IN_READING_ORDER, isFirstFound, pageColumns, pageOf, withPositions } from "./page-sql.js";
import {
  bm25Of,
  coverageOf,
  matchedPositions,
  ranking,
  saturationOf,
  wordSearchColumns,
  type TextLayout,
  type TextPage,
  type TextSearchShape,
} from "./text-search-sql.js";
import { distanceOf, nearestChunks, type SearchShape } from "./vector-search-sql.js";
import { VisibleChunks } from "./visible-chunks.js";

/** Number of the condition's first parameter: after the vector, `hnsw.ef_search`, the question, and the close words if there are any. */
const FIRST_CONDITION_PARAMETER = 4;

/** What a hybrid search returns of its candidates. */
export interface HybridPage extends TextPage {
  /** Their sum is 1. */
  weights: { vector: number; text: number };
}

/**
 * Finds the best chunks by vector and words. Candidates are the best of each search. Each one gets the score of the other search
 * as well, so a score does not depend on what else was found. Each row says how many chunks either search found (`near` and
 * `matched`), so that each can be widened on its own.
 *
 * $1 vector, $2 ef_search as text, $3 question, if it corrects $4 close words, then the condition's parameters.
 */
export function scoredChunks(
  layout: TextLayout,
  nearest: SearchShape,
  matching: TextSearchShape,
  page: HybridPage,
): string {
  const { weights, neighbors, matches } = page;
  const firstParameter = FIRST_CONDITION_PARAMETER + (matching.corrects ? 1 : 0);
  const chunks = new VisibleChunks(layout, matching.condition, firstParameter);
  const ofChunk = chunks.select(distanceOf(layout), "training_id = c.training_id AND id = c.id");
  return `
WITH ${ranking(layout, chunks, matching, { question: "$3", closeWords: "$4" })},
nearest AS MATERIALIZED (${nearestChunks(chunks, nearest, ["training_id", "id", "lexemes"], { scanOrder: "relaxed_order" })}
),
found AS MATERIALIZED (
  SELECT training_id, id, distance, coverage, ${weights.vector} * (1 - distance) + ${weights.text} * coverage AS score
  FROM (SELECT training_id, id, distance, ${coverageOf("bm25", matching)} AS coverage
    FROM (SELECT training_id, id, coalesce(distance, (${ofChunk})) AS distance,
        coalesce(bm25, ${bm25Of("lexemes", "saturation", matching)}) AS bm25
      FROM (SELECT *, ${saturationOf("lexemes")} AS saturation
        FROM nearest FULL JOIN matching USING (training_id, id) CROSS JOIN searched OFFSET 0) c OFFSET 0) c OFFSET 0) c
  ORDER BY score DESC, training_id, id${isFirstFound(page) ? `\n  LIMIT ${page.k}` : ""}
)
${withPositions(chunks, pageOf(chunks, "found", "score DESC", page), {
  columns: `, c.distance::text AS distance, c.coverage::text AS coverage, c.score::text AS score,
    (SELECT count(*) FROM nearest)::text AS near${wordSearchColumns(chunks, matching)}${pageColumns(page)}${
      matches ? matchedPositions(chunks, matching) : ""
    }`,
  order: `c.score DESC, ${IN_READING_ORDER}`,
  neighbors,
})}`;
}
