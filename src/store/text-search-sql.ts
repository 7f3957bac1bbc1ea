/** Statements of text search: BM25 over the lexemes of the chunks, and its fusion with vector search. */
import { numberedFrom } from "./condition.js";
import { chunkTable, namesOf, type Layout } from "./layout.js";
import { lexemesOf, type TextSearchLanguage } from "./lexemes.js";
import {
  CHUNK_COLUMNS,
  IN_READING_ORDER,
  nearestChunks,
  placed,
  reachedColumn,
  spread,
  type Neighbors,
  type Page,
  type SearchShape,
} from "./search-sql.js";

/** The layout of a schema whose chunks can be searched for words. */
export type TextLayout = Layout & { textSearch: TextSearchLanguage };

/** What a text search statement depends on besides its bound values. */
export interface TextSearchShape {
  /** A checked integer; `undefined` for all chunks that match. */
  limit: number | undefined;
  /** On the metadata, with parameters from `$1`; `undefined` where nothing narrows the search. */
  condition: string | undefined;
  /** Share of the chunk table's pages that averages are taken of, in percent. */
  samplePercent: number;
  /**
   * Whether there are so many chunks that common words are known from the planner's statistics, and no more than 20,000
   * chunks are ranked; else words are counted one by one, and all chunks that have one are ranked.
   */
  hasManyChunks: boolean;
  /** Whether only chunks with the rare words of the question are looked at, or those with any. */
  onlyRareWords: boolean;
}

/** In a text search the condition's parameters come after the question. */
const FIRST_OF_TEXT_CONDITION = 2;
/** In a search by both they come after the vector, `hnsw.ef_search` and the question. */
const FIRST_OF_HYBRID_CONDITION = 4;

/** What BM25 is usually set to. @see https://www.staff.city.ac.uk/~sbrp622/papers/foundations_bm25_review.pdf §3.5 */
const SATURATION = 1.2;
const LENGTH_NORMALIZATION = 0.75;

/** Chunks whose words are compared: those with the rarest words of the question, as many as are quickly read. */
const MAX_CANDIDATES = 5000;
/** Where even the rarest word is a common one, or any word will do. */
const MAX_RANKED = 20_000;
/** A word that the planner's statistics do not know is rare, or the table was never analyzed; then counting ends here. */
const MAX_COUNTED = 10_000;

/** The chunks that best match a question by its words, best first. $1 question, $2... those of the condition. */
export function matchingChunks(
  layout: TextLayout,
  shape: TextSearchShape,
  page: Page,
  neighbors: Neighbors | undefined,
): string {
  const order = "text_score DESC";
  return `
WITH ${ranking(layout, shape, { question: "$1", firstOfCondition: FIRST_OF_TEXT_CONDITION })}
${placed(layout, spread("matching", order, page), {
  columns: `, c.text_score${reachedColumn(page)}`,
  order: `c.${order}, ${IN_READING_ORDER}`,
  neighbors,
})}`;
}

/** What the fusion of both searches depends on. */
export interface FusionShape {
  page: Page;
  /** Of each search. */
  weights: { vector: number; text: number };
  neighbors: Neighbors | undefined;
}

/** The rank constant of reciprocal rank fusion. @see https://plg.uwaterloo.ca/~gvcormac/cormacksigir09-rrf.pdf */
export const RANK_CONSTANT = 60;

/**
 * The chunks that are best by both searches, in one statement: of each chunk 1 / (60 + its rank) of either search counts.
 * $1 vector, $2 ef_search as text, $3 question, $4... those of the condition.
 */
export function fusedChunks(
  layout: TextLayout,
  nearest: SearchShape,
  matching: TextSearchShape,
  { page, weights, neighbors }: FusionShape,
): string {
  const names = namesOf(layout);
  const share = (rank: string, weight: number): string =>
    `coalesce(${weight}::float8 / (${RANK_CONSTANT} + ${rank}), 0)`;
  return `
WITH ${ranking(layout, matching, { question: "$3", firstOfCondition: FIRST_OF_HYBRID_CONDITION })},
nearest AS MATERIALIZED (${nearestChunks(layout, nearest, FIRST_OF_HYBRID_CONDITION)}
),
by_vector AS (SELECT *, row_number() OVER (ORDER BY distance, training_id, id) AS rank FROM nearest),
by_text AS (SELECT *, row_number() OVER (ORDER BY text_score DESC, training_id, id) AS rank FROM matching),
fused AS MATERIALIZED (
  SELECT ${CHUNK_COLUMNS.map((column) => `coalesce(v.${column}, t.${column}) AS ${column}`).join(", ")},
    coalesce(v.distance, t.embedding ${names.distance} $1::${names.vector}) AS distance, t.text_score,
    ${share("v.rank", weights.vector)} + ${share("t.rank", weights.text)} AS fused_score
  FROM by_vector v FULL JOIN by_text t ON t.training_id = v.training_id AND t.id = v.id
  ORDER BY fused_score DESC, distance
  LIMIT ${(page.perTraining === undefined ? page.k : undefined) ?? "ALL"}
)
${placed(layout, spread("fused", "fused_score DESC, distance", page), {
  columns: `, c.distance, c.text_score, c.fused_score${reachedColumn(page)}`,
  order: `c.fused_score DESC, c.distance, ${IN_READING_ORDER}`,
  neighbors,
})}`;
}

/**
 * Common table expressions that end with `matching`: the best chunks by BM25, with `text_score`.
 *
 * Of a chunk's lexemes only those of the question are unnested, which is what takes the time.
 */
function ranking(
  layout: TextLayout,
  { limit, condition, samplePercent, hasManyChunks, onlyRareWords }: TextSearchShape,
  { question, firstOfCondition }: { question: string; firstOfCondition: number },
): string {
  const { chunk } = namesOf(layout);
  const filter = condition === undefined ? "" : ` AND ${numberedFrom(firstOfCondition, condition)}`;
  const found = hasManyChunks
    ? estimatedChunks(layout)
    : `(SELECT count(*) FROM ${chunk} c WHERE c.lexemes @@ w.query)`;
  return `question AS MATERIALIZED (
  SELECT array_agg(lexeme) AS lexemes FROM unnest(${lexemesOf(layout.textSearch, question)})
),
sample AS MATERIALIZED (
  SELECT count(*) * ${100 / samplePercent}::float8 AS chunks, coalesce(avg(length(lexemes)), 1)::float8 AS average_length
  FROM ${chunk} TABLESAMPLE SYSTEM (${samplePercent}) REPEATABLE (0)
),
word AS MATERIALIZED (
  SELECT lexeme, query, found, ln(1 + (greatest(chunks, found) - found + 0.5) / (found + 0.5)) AS weight
  FROM (
    SELECT w.lexeme, w.query, ${found}::float8 AS found
    FROM question CROSS JOIN LATERAL (
      SELECT lexeme, ('''' || replace(replace(lexeme, E'\\\\', E'\\\\\\\\'), '''', '''''') || '''')::tsquery AS query
      FROM unnest(lexemes) AS lexeme OFFSET 0
    ) w
  ) w CROSS JOIN sample
),
chosen AS MATERIALIZED (
  SELECT string_agg(query::text, ' | ')::tsquery AS query
  FROM (SELECT query, found, sum(found) OVER rarest AS total FROM word WHERE found > 0
    WINDOW rarest AS (ORDER BY found, lexeme ROWS UNBOUNDED PRECEDING)) w
  ${onlyRareWords ? `WHERE total <= ${MAX_CANDIDATES} OR total - found < ${limit ?? MAX_CANDIDATES}` : ""}
),
matching AS MATERIALIZED (
  SELECT c.*, s.text_score
  FROM (SELECT ${CHUNK_COLUMNS.join(", ")}, lexemes FROM ${chunk}
    WHERE lexemes @@ (SELECT query FROM chosen)${filter}
    ${hasManyChunks ? `LIMIT ${MAX_RANKED}` : "OFFSET 0"}) c
  CROSS JOIN sample
  CROSS JOIN LATERAL (
    SELECT sum(w.weight * times * ${SATURATION + 1} / (times + ${SATURATION} * (${1 - LENGTH_NORMALIZATION}
      + ${LENGTH_NORMALIZATION} * length(c.lexemes) / average_length))) AS text_score
    FROM unnest(ts_filter(setweight(c.lexemes, 'A', (SELECT lexemes FROM question)), '{a}')) AS u
    CROSS JOIN LATERAL (SELECT cardinality(u.positions) AS times) t
    JOIN word w ON w.lexeme = u.lexeme
  ) s
  ORDER BY s.text_score DESC, c.training_id, c.id
  LIMIT ${limit ?? "ALL"}
)`;
}

/** In how many chunks a word is: a common one from the planner's statistics, a rare one counted. */
function estimatedChunks(layout: TextLayout): string {
  const { chunk } = namesOf(layout);
  return `coalesce(
      (SELECT known.frequency * sample.chunks FROM sample, pg_catalog.pg_stats s
        CROSS JOIN LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS known (lexeme, frequency)
        WHERE s.schemaname = ${literal(layout.schema)} AND s.tablename = '${chunkTable(layout.profileId)}'
          AND s.attname = 'lexemes' AND known.lexeme = w.lexeme),
      (SELECT count(*) FROM (SELECT FROM ${chunk} c WHERE c.lexemes @@ w.query LIMIT ${MAX_COUNTED}) c))`;
}

/** Of a name that has been checked. */
function literal(text: string): string {
  return `E'${text.replace(/[\\']/g, "$&$&")}'`;
}
