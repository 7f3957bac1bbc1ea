/** Statements of text search: BM25 over the lexemes of the chunks, and its fusion with vector search. */
import { quoteLiteral } from "../postgres/identifiers.js";
import { chunkTable, namesOf, type Layout } from "../schema/layout.js";
import { lexemesOf, type TextSearchLanguage } from "../schema/lexemes.js";
import { distanceOf, nearestChunks, type SearchShape } from "./vector-search-sql.js";
import {
  IN_READING_ORDER,
  limitPerTraining,
  withPositions,
  withContent,
  type Neighbors,
  type Page,
} from "./page-sql.js";
import { VisibleChunks } from "./visible-chunks.js";

/** The layout of a schema with text search. */
export type TextLayout = Layout & { textSearch: TextSearchLanguage };

/** What a text search statement depends on besides its bound values. */
export interface TextSearchShape {
  /** A checked integer; `undefined` for all chunks that match. */
  limit: number | undefined;
  /** On the metadata, with parameters from `$1`; `undefined` without a filter. */
  condition: string | undefined;
  /** Percentage of the chunk table's pages to sample for averages. */
  samplePercent: number;
  /**
   * In a large table, the planner's statistics say how common a word is, and at most 20,000 chunks are ranked. In a smaller
   * one the chunks of each word are counted, and all of them are ranked.
   */
  hasManyChunks: boolean;
  /** Whether to search for the question's rare words only, or for all of them. */
  onlyRareWords: boolean;
}

/** Number of the condition's first parameter in a text search: after the question. */
const FIRST_TEXT_CONDITION_PARAMETER = 2;
/** The same in a hybrid search: after the vector, `hnsw.ef_search` and the question. */
const FIRST_HYBRID_CONDITION_PARAMETER = 4;

/** BM25's usual parameters, k1 and b. @see https://www.staff.city.ac.uk/~sbrp622/papers/foundations_bm25_review.pdf §3.5 */
const SATURATION = 1.2;
const LENGTH_NORMALIZATION = 0.75;

/** Words are searched from the rarest on, as long as they match no more chunks than this: as many as are quickly read. */
const MAX_CANDIDATES = 5000;
/** Bounds the chunks that are ranked where even the rarest word is common, or all words are searched. */
const MAX_RANKED = 20_000;
/**
 * Only the first different words of a question count: more than a long paragraph has. Each costs an index lookup, and a
 * comparison with the words of each ranked chunk.
 */
const MAX_QUESTION_WORDS = 128;
/** Counting stops here. A word missing from the planner's statistics is rare, unless the table was never analyzed. */
const MAX_COUNTED = 10_000;

/** Columns that say how many chunks matched, and how many of the question's words were left out. */
const WORD_SEARCH_COLUMNS = ", (SELECT count(*) FROM matching) AS matched, (SELECT left_out FROM chosen) AS left_out";

/** Finds the chunks that best match a question's words, best first. $1 question, $2... the condition's parameters. */
export function matchingChunks(
  layout: TextLayout,
  shape: TextSearchShape,
  page: Page,
  neighbors: Neighbors | undefined,
): string {
  const chunks = new VisibleChunks(layout, shape.condition, FIRST_TEXT_CONDITION_PARAMETER);
  const order = "text_score DESC";
  return `
WITH ${ranking(layout, chunks, shape, "$1")}
${withPositions(chunks, withContent(chunks, limitPerTraining("matching", order, page)), {
  columns: `, c.text_score::text AS text_score${WORD_SEARCH_COLUMNS}`,
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
 * Finds the best chunks of both searches. A chunk's score is the sum of weight / (60 + rank) over the searches that found
 * it. Each row says how many chunks either search found (`near` and `matched`), so that each can be widened on its own.
 *
 * $1 vector, $2 ef_search as text, $3 question, $4... the condition's parameters.
 */
export function fusedChunks(
  layout: TextLayout,
  nearest: SearchShape,
  matching: TextSearchShape,
  { page, weights, neighbors }: FusionShape,
): string {
  const chunks = new VisibleChunks(layout, matching.condition, FIRST_HYBRID_CONDITION_PARAMETER);
  const share = (rank: string, weight: number): string =>
    `coalesce(${weight}::float8 / (${RANK_CONSTANT} + ${rank}), 0)`;
  const distance = chunks.select(distanceOf(layout), "training_id = t.training_id AND id = t.id");
  return `
WITH ${ranking(layout, chunks, matching, "$3")},
nearest AS MATERIALIZED (${nearestChunks(chunks, nearest)}
),
by_vector AS (SELECT *, row_number() OVER (ORDER BY distance, training_id, id) AS rank FROM nearest),
by_text AS (SELECT *, row_number() OVER (ORDER BY text_score DESC, training_id, id) AS rank FROM matching),
fused AS MATERIALIZED (
  SELECT coalesce(v.training_id, t.training_id) AS training_id, coalesce(v.id, t.id) AS id,
    coalesce(v.distance, (${distance})) AS distance, t.text_score,
    ${share("v.rank", weights.vector)} + ${share("t.rank", weights.text)} AS fused_score
  FROM by_vector v FULL JOIN by_text t ON t.training_id = v.training_id AND t.id = v.id
  ORDER BY fused_score DESC, distance, training_id, id
  LIMIT ${(page.perTraining === undefined ? page.k : undefined) ?? "ALL"}
)
${withPositions(chunks, withContent(chunks, limitPerTraining("fused", "fused_score DESC, distance", page)), {
  columns: `, c.distance::text AS distance, c.text_score::text AS text_score, c.fused_score::text AS fused_score,
    (SELECT count(*) FROM nearest)::text AS near${WORD_SEARCH_COLUMNS}`,
  order: `c.fused_score DESC, c.distance, ${IN_READING_ORDER}`,
  neighbors,
})}`;
}

/**
 * Common table expressions that end with `matching`: the ids of the best chunks by BM25, with `text_score`.
 *
 * Unnesting lexemes takes most of the time, so only the question's are unnested. OFFSET 0 keeps Postgres from counting a
 * word again for each use of its count.
 *
 * @param question - the parameter that holds the question
 */
function ranking(
  layout: TextLayout,
  chunks: VisibleChunks,
  { limit, samplePercent, hasManyChunks, onlyRareWords }: TextSearchShape,
  question: string,
): string {
  const { chunk } = namesOf(layout);
  const [known, found] = hasManyChunks ? estimatedChunks(layout) : ["", countedChunks(layout, undefined)];
  const isChosen = onlyRareWords ? `total <= ${MAX_CANDIDATES} OR total - found < ${limit ?? MAX_CANDIDATES}` : "true";
  return `question AS MATERIALIZED (
  SELECT array_agg(lexeme) AS lexemes FROM (
    SELECT lexeme FROM unnest(${lexemesOf(layout.textSearch, question)})
    ORDER BY positions[1], lexeme LIMIT ${MAX_QUESTION_WORDS}) first
),
sample AS MATERIALIZED (
  SELECT count(*) * ${100 / samplePercent}::float8 AS chunks, coalesce(avg(length(lexemes)), 1)::float8 AS average_length
  FROM ${chunk} TABLESAMPLE SYSTEM (${samplePercent}) REPEATABLE (0)
),
${known}word AS MATERIALIZED (
  SELECT lexeme, query, found, ln(1 + (greatest(chunks, found) - found + 0.5) / (found + 0.5)) AS weight
  FROM (
    SELECT w.lexeme, w.query, ${found}::float8 AS found
    FROM question CROSS JOIN LATERAL (
      SELECT lexeme, ('''' || replace(replace(lexeme, E'\\\\', E'\\\\\\\\'), '''', '''''') || '''')::tsquery AS query
      FROM unnest(lexemes) AS lexeme OFFSET 0
    ) w OFFSET 0
  ) w CROSS JOIN sample
),
chosen AS MATERIALIZED (
  SELECT (string_agg(query::text, ' | ') FILTER (WHERE is_chosen))::tsquery AS query,
    count(*) FILTER (WHERE NOT is_chosen) AS left_out
  FROM (SELECT query, ${isChosen} AS is_chosen
    FROM (SELECT query, found, sum(found) OVER rarest AS total FROM word WHERE found > 0
      WINDOW rarest AS (ORDER BY found, lexeme ROWS UNBOUNDED PRECEDING)) w) w
),
matching AS MATERIALIZED (
  SELECT c.training_id, c.id, s.text_score
  FROM (${chunks.select("training_id, id, lexemes", "lexemes @@ (SELECT query FROM chosen)", "may find rows")}
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

/** SQL that counts the chunks with the word `w`, up to a limit. */
function countedChunks(layout: TextLayout, limit: number | undefined): string {
  return `(SELECT count(*) FROM (SELECT FROM ${namesOf(layout).chunk} c WHERE c.lexemes @@ w.query LIMIT ${limit ?? "ALL"}) c)`;
}

/**
 * SQL for the number of chunks with the word `w`: taken from the planner's statistics if it is common, else counted. The
 * statistics are read once for all words of the question, by a table expression of their own.
 */
function estimatedChunks(layout: TextLayout): [expression: string, found: string] {
  return [
    `common AS MATERIALIZED (
  SELECT known.lexeme, known.frequency FROM question, pg_catalog.pg_stats s
    CROSS JOIN LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS known (lexeme, frequency)
    WHERE s.schemaname = ${quoteLiteral(layout.schema)} AND s.tablename = '${chunkTable(layout.profileId)}'
      AND s.attname = 'lexemes' AND known.lexeme = ANY (question.lexemes)
),
`,
    `coalesce(
      (SELECT common.frequency * sample.chunks FROM common, sample WHERE common.lexeme = w.lexeme),
      ${countedChunks(layout, MAX_COUNTED)})`,
  ];
}
