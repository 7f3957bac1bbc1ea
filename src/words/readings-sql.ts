/** SQL for the words that a search reads the unknown words of its question as. */
import { lexemesOf, plainTextOf, type TextSearchLanguage } from "../schema/lexemes.js";
import { queryOf } from "./close-words.js";

/** A corrected word counts less than the same word without an error. */
export const CORRECTED_SHARE = 0.8;
/** Equally close words that a word is read as. */
const MAX_READINGS = 5;
/** How many chunks are searched for a word, before it counts as hidden. They have another form of the word, at least. */
const MAX_SEARCHED_CHUNKS = 100;

/** What {@link readings} is made from. */
export interface ReadingsSql {
  language: TextSearchLanguage;
  /** The parameter that holds the close words, as JSON. */
  closeWords: string;
  /** SQL that selects a column of the chunks that the search may see, under a condition. */
  selectVisible: (column: string, where: string) => string;
  /** SQL that counts the chunks with the query `w.query`. */
  found: string;
}

/**
 * The common table expression `reading`: for each question's word that no chunk has, the closest words that a visible chunk has
 * (`typed` at its `place` in the question, `word`), with the `lexeme` they are searched by, the lexeme that they replace (`asked`), and their weight. A word
 * of hidden or deleted chunks is no reading, though it is listed: so a search reveals nothing about them.
 */
export function readings({ language, closeWords, selectVisible, found }: ReadingsSql): string {
  return `reading AS MATERIALIZED (
  SELECT typed, place, word, asked, lexeme, query, found, ln(1 + (greatest(chunks, found) - found + 0.5) / (found + 0.5)) AS weight
  FROM (
    SELECT w.*, ${found}::float8 AS found
    FROM (
      SELECT w.*, rank() OVER (PARTITION BY typed ORDER BY errors) AS closeness,
        row_number() OVER (PARTITION BY typed ORDER BY errors, word) AS nth
      FROM (
        SELECT g.*, l.lexeme, ${queryOf("l.lexeme")} AS query
        FROM (SELECT g.*, (tsvector_to_array(${lexemesOf(language, "g.typed")}))[1] AS asked
          FROM json_to_recordset(${closeWords}::json) AS g (typed text, place integer, word text, errors integer) OFFSET 0) g
        JOIN word unknown ON unknown.lexeme = g.asked AND unknown.found = 0
        CROSS JOIN LATERAL unnest(tsvector_to_array(${lexemesOf(language, "g.word")})) AS l (lexeme)
        OFFSET 0
      ) w
      WHERE EXISTS (SELECT 1 FROM (${selectVisible("content", "lexemes @@ w.query")} LIMIT ${MAX_SEARCHED_CHUNKS}) c
        WHERE strpos(${plainTextOf("c.content")}, w.word) > 0)
      OFFSET 0
    ) w
    WHERE closeness = 1 AND nth <= ${MAX_READINGS}
    OFFSET 0
  ) w CROSS JOIN sample
)`;
}
