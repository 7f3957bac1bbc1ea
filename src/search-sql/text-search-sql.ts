/** Statements of text search: BM25 over the lexemes of the chunks. */
import { quoteLiteral } from "../postgres/identifiers.js";
import { chunkTable, namesOf, type Layout } from "../schema/layout.js";
import { lexemesOf, statisticsFunction, type TextSearchLanguage } from "../schema/lexemes.js";
import { queryOf } from "../words/close-words.js";
import { CORRECTED_SHARE, readings } from "../words/readings-sql.js";
import { IN_READING_ORDER, pageColumns, pageOf, withPositions, type Neighbors, type Page } from "./page-sql.js";
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
  /** Whether words of the question that no chunk has are read as close words of the index, which are then bound. */
  corrects: boolean;
}

/** Number of the condition's first parameter in a text search: after the question, and the close words if there are any. */
const FIRST_TEXT_CONDITION_PARAMETER = 2;

/** BM25's usual parameters, k1 and b. @see https://www.staff.city.ac.uk/~sbrp622/papers/foundations_bm25_review.pdf §3.5 */
const SATURATION = 1.2;
const LENGTH_NORMALIZATION = 0.75;

/** Words are searched from the rarest on, as long as they match no more chunks than this: as many as are quickly read. */
const MAX_CANDIDATES = 3000;
/**
 * As long as the words searched so far have less than this share of the weight of all words, more chunks than that are read: else the
 * best chunks may have none of these words. On 900 questions among 100,000 chunks, 98.6 % of the passages that are among the ten best
 * of all chunks were found, and 96.8 % when only the number of chunks counted.
 */
const MIN_WEIGHT_SHARE = 0.3;
/** Bounds the chunks that are ranked where even the rarest word is common, or all words are searched. */
const MAX_RANKED = 20_000;
/**
 * Only the first different words of a question count: more than a long paragraph has. Each costs an index lookup, and a
 * comparison with the words of each ranked chunk.
 */
const MAX_QUESTION_WORDS = 128;
/** Words whose score is written out in the statement. Most questions have no more words that tell something. */
const WRITTEN_OUT_WORDS = 8;
/** Counting stops here. A word missing from the planner's statistics is rare, unless the table was never analyzed. */
const MAX_COUNTED = 10_000;

/**
 * Columns that say how many chunks matched, how many of the question's words were left out, which of them no chunk has, and for
 * each hit what such words were read as.
 */
export function wordSearchColumns(chunks: VisibleChunks, { corrects }: TextSearchShape): string {
  const ownLexemes = chunks.select("lexemes", "training_id = c.training_id AND id = c.id");
  return `, (SELECT count(*) FROM matching) AS matched, (SELECT left_out FROM chosen) AS left_out,
  ${
    corrects
      ? `(SELECT json_agg(json_build_array(typed, word) ORDER BY place)::text FROM reading WHERE (${ownLexemes}) @@ query) AS readings`
      : "(SELECT json_agg(lexeme)::text FROM word WHERE found = 0) AS unknown"
  }`;
}

/**
 * SQL of the positions in a found chunk that have words of the question, or words that those are read as, as JSON; a column of the
 * page. The words themselves are found in the content, so none is stemmed again.
 */
export function matchedPositions(chunks: VisibleChunks, { corrects }: TextSearchShape): string {
  const lexemes = chunks.select("lexemes", "training_id = c.training_id AND id = c.id");
  const asked = corrects
    ? "(SELECT lexemes || ARRAY(SELECT lexeme FROM reading) FROM question)"
    : "(SELECT lexemes FROM question)";
  return `, (SELECT json_agg(position) FROM (SELECT unnest(positions) AS position
      FROM unnest(ts_filter(setweight((${lexemes}), 'A', ${asked}), '{a}'))) p)::text AS matched_positions`;
}

/** What a text search returns of the chunks that it found. */
export interface TextPage extends Page {
  neighbors: Neighbors | undefined;
  /** Whether to return the positions of the question's words in each chunk. */
  matches: boolean;
}

/**
 * Finds the chunks that best match a question's words, best first. $1 the question's words, if it corrects $2 close words, then the condition's
 * parameters.
 */
export function matchingChunks(layout: TextLayout, shape: TextSearchShape, page: TextPage): string {
  const { neighbors, matches } = page;
  const firstParameter = FIRST_TEXT_CONDITION_PARAMETER + (shape.corrects ? 1 : 0);
  const chunks = new VisibleChunks(layout, shape.condition, firstParameter);
  return `
WITH ${ranking(layout, chunks, shape, { question: "$1", closeWords: "$2" })},
found AS MATERIALIZED (SELECT training_id, id, ${coverageOf("bm25", shape)} AS score FROM matching)
${withPositions(chunks, pageOf(chunks, "found", "score DESC", page), {
  columns: `, c.score::text AS score${wordSearchColumns(chunks, shape)}${pageColumns(page)}${
    matches ? matchedPositions(chunks, shape) : ""
  }`,
  order: `c.score DESC, ${IN_READING_ORDER}`,
  neighbors,
})}`;
}

/**
 * SQL of a chunk's BM25 as a share of the highest that any text could reach for the question: a text that repeats each of its
 * words without end. Words that no chunk has are the rarest and weigh most, unless they are read as another word. So a question
 * with such words is covered less by every chunk.
 */
export function coverageOf(bm25: string, { corrects }: Pick<TextSearchShape, "corrects">): string {
  const weight = corrects
    ? "coalesce((SELECT max(r.weight) FROM reading r WHERE r.asked = word.lexeme), weight)"
    : "weight";
  return `coalesce(${bm25} / (SELECT ${SATURATION + 1} * sum(${weight}) FROM word), 0)`;
}

/**
 * SQL of the BM25 of a chunk's lexemes for the question; `NULL` if it has none of the question's words. `queries` and `weights` are
 * those of `searched`.
 *
 * The first words are written out, since a subquery over the words of each chunk takes several times as long.
 *
 * @param saturation - SQL of {@link saturationOf} these lexemes
 */
export function bm25Of(lexemes: string, saturation: string, { corrects }: Pick<TextSearchShape, "corrects">): string {
  const score = (query: string, weight: string): string =>
    `${weight} * (1 - ${saturation} / (${timesOf(lexemes, query)} + ${saturation}))`;
  const writtenOut = Array.from({ length: WRITTEN_OUT_WORDS }, (_, place) => {
    return `coalesce(${score(`queries[${place + 1}]`, `weights[${place + 1}]`)}, 0)`;
  });
  const others = `(SELECT sum(${score("w.query", "w.weight")}) FROM unnest(queries[${WRITTEN_OUT_WORDS + 1}:], weights[${WRITTEN_OUT_WORDS + 1}:]) AS w (query, weight))`;
  const exact = `${writtenOut.join("\n      + ")}
      + CASE WHEN cardinality(queries) > ${WRITTEN_OUT_WORDS} THEN ${others} ELSE 0 END`;
  // Of the words that one word is read as, the best one counts.
  const corrected = `(SELECT coalesce(sum(best), 0) FROM (SELECT max(${score("r.query", "r.weight")}) AS best FROM reading r GROUP BY r.asked) r)`;
  return `nullif(${SATURATION + 1} * (${exact}${corrects ? `\n      + ${CORRECTED_SHARE} * ${corrected}` : ""}), 0)`;
}

/** SQL of how slowly BM25 grows with the occurrences of a word: the longer the chunk, the more slowly. */
export function saturationOf(lexemes: string): string {
  return `${SATURATION}::float8 * (${1 - LENGTH_NORMALIZATION}::float8
      + ${LENGTH_NORMALIZATION}::float8 * length(${lexemes}) / (SELECT average_length FROM sample))`;
}

/**
 * SQL of how often lexemes have a word: the inverse of `ts_rank`, which is a function of this number for a query of one word. With n
 * positions, it is the sum of 1 / i² for i from 1 to n, divided by that sum for all i, π² / 6. What is missing to the whole sum is
 * close to 1 / (n + 0.5), so n is its inverse, rounded. `unnest` and `ts_filter` copy the lexemes and take much longer.
 *
 * @see https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/tsrank.c calc_rank_or
 * @see https://dlmf.nist.gov/5.15 the asymptotic expansion of the trigamma function
 */
function timesOf(lexemes: string, query: string): string {
  return `round(1 / (${Math.PI ** 2 / 6}::float8 * (1 - ts_rank('{1, 1, 1, 1}', ${lexemes}, ${query}))) - 0.5::float8)`;
}

/**
 * Common table expressions that end with `matching`: the ids of the best chunks by BM25, with `bm25`.
 *
 * A compound that no chunk has does not count, as its parts do, nor do unknown parts of one that chunks have: `e-mail` and `email` are the
 * same word.
 *
 * OFFSET 0 keeps Postgres from counting a word again for each use of its count.
 *
 * @param parameters - those that hold the question, and the close words if it corrects
 */
export function ranking(
  layout: TextLayout,
  chunks: VisibleChunks,
  { limit, samplePercent, hasManyChunks, onlyRareWords, condition, corrects }: TextSearchShape,
  { question, closeWords }: { question: string; closeWords: string },
): string {
  const { chunk } = namesOf(layout);
  const [known, found] = hasManyChunks ? estimatedChunks(layout) : ["", countedChunks(layout, undefined)];
  const isChosen = onlyRareWords
    ? `total <= ${MAX_CANDIDATES} OR total - found < ${limit ?? MAX_CANDIDATES}
      OR total <= ${MAX_RANKED} AND rarer_weight < ${MIN_WEIGHT_SHARE} * whole_weight`
    : "true";
  // The common words of a question are in most chunks: under a filter, only the filter's index is of use.
  const finds = onlyRareWords || !hasManyChunks || condition === undefined;
  const matches = finds ? IS_CHOSEN : `CASE WHEN ${IS_CHOSEN} THEN true ELSE false END`;
  const reading = readings({
    language: layout.textSearch,
    closeWords,
    selectVisible: (column, where) => chunks.select(column, where),
    found: countedChunks(layout, hasManyChunks ? MAX_COUNTED : undefined),
  });
  const lineOf = (number: number): string => `split_part(${question}, E'\\n', ${number})`;
  return `question AS MATERIALIZED (
  SELECT array_agg(lexeme) AS lexemes, array_agg(numbers[place]) AS compounds
  FROM (SELECT lexeme, positions[1] AS place FROM unnest(${lexemesOf(layout.textSearch, lineOf(1))})
      ORDER BY place, lexeme LIMIT ${MAX_QUESTION_WORDS}) first,
    (SELECT string_to_array(${lineOf(2)}, ' ')::integer[] AS numbers OFFSET 0) n
),
sample AS MATERIALIZED (
  SELECT count(*) * ${100 / samplePercent}::float8 AS chunks, coalesce(avg(length(lexemes)), 1)::float8 AS average_length
  FROM ${chunk} TABLESAMPLE SYSTEM (${samplePercent}) REPEATABLE (0)
),
${known}counted AS MATERIALIZED (
  SELECT w.lexeme, w.query, w.compound, ${found}::float8 AS found
  FROM question CROSS JOIN LATERAL (
    SELECT lexeme, compound, ${queryOf("lexeme")} AS query
    FROM unnest(lexemes, compounds) AS n (lexeme, compound) OFFSET 0
  ) w OFFSET 0
),
word AS MATERIALIZED (
  SELECT lexeme, query, found, ln(1 + (greatest(chunks, found) - found + 0.5) / (found + 0.5)) AS weight
  FROM counted w CROSS JOIN sample
  WHERE found > 0 OR compound = 0 OR compound > 0 AND NOT EXISTS (SELECT 1 FROM counted j WHERE j.compound = -w.compound AND j.found > 0)
),
${corrects ? `${reading},\n` : ""}chosen AS MATERIALIZED (
  SELECT (string_agg(query::text, ' | ') FILTER (WHERE is_chosen))::tsquery AS query,
    count(*) FILTER (WHERE NOT is_chosen) AS left_out
  FROM (SELECT query, ${isChosen} AS is_chosen
    FROM (SELECT query, found, sum(found) OVER rarest AS total, sum(weight) OVER rarest - weight AS rarer_weight,
        sum(weight) OVER () AS whole_weight
      FROM ${corrects ? ANY_WORD : "word WHERE found > 0"}
      WINDOW rarest AS (ORDER BY found, lexeme ROWS UNBOUNDED PRECEDING)) w) w
),
searched AS MATERIALIZED (
  SELECT array_agg(query) AS queries, array_agg(weight) AS weights FROM word WHERE found > 0
),
matching AS MATERIALIZED (
  SELECT training_id, id, bm25
  FROM (SELECT training_id, id, ${bm25Of("lexemes", "saturation", { corrects })} AS bm25
    FROM (SELECT training_id, id, lexemes, queries, weights, ${saturationOf("lexemes")} AS saturation
      FROM searched CROSS JOIN (${chunks.select("training_id, id, lexemes", matches, "may find rows")}
        ${hasManyChunks ? `LIMIT ${MAX_RANKED}` : "OFFSET 0"}) c OFFSET 0) c OFFSET 0) c
  ORDER BY bm25 DESC, training_id, id
  LIMIT ${limit ?? "ALL"}
)`;
}

const IS_CHOSEN = "lexemes @@ (SELECT query FROM chosen)";
/** Words of the question that chunks have, and those that others are read as. */
const ANY_WORD = `(SELECT lexeme, query, found, weight FROM word WHERE found > 0
        UNION SELECT lexeme, query, found, weight FROM reading) w`;

/** SQL that counts the chunks with the word `w`, up to a limit. */
function countedChunks(layout: TextLayout, limit: number | undefined): string {
  return `(SELECT count(*) FROM (SELECT 1 FROM ${namesOf(layout).chunk} c WHERE c.lexemes @@ w.query LIMIT ${limit ?? "ALL"}) c)`;
}

/**
 * SQL for the number of chunks with the word `w`: taken from the planner's statistics if it is common, else counted. The
 * statistics are read once for all words of the question, by a table expression of their own.
 */
function estimatedChunks(layout: TextLayout): [expression: string, found: string] {
  const statistics = layout.citus
    ? `FROM question CROSS JOIN LATERAL ${statisticsFunction(namesOf(layout))}() AS known (lexeme, frequency)
    WHERE known.lexeme = ANY (question.lexemes)`
    : `FROM question, pg_catalog.pg_stats s
    CROSS JOIN LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS known (lexeme, frequency)
    WHERE s.schemaname = ${quoteLiteral(layout.schema)} AND s.tablename = '${chunkTable(layout.profileId)}'
      AND s.attname = 'lexemes' AND known.lexeme = ANY (question.lexemes)`;
  return [
    `common AS MATERIALIZED (
  SELECT known.lexeme, known.frequency ${statistics}
),
`,
    `coalesce(
      (SELECT common.frequency * sample.chunks FROM common, sample WHERE common.lexeme = w.lexeme),
      ${countedChunks(layout, MAX_COUNTED)})`,
  ];
}
