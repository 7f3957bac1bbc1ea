/** Finds the words of the index that are close to the words of a question that no chunk has. */
import { encodeTextArray } from "../postgres/codec.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { lexemesOf, type TextSearchLanguage } from "../schema/lexemes.js";
import { editDistance } from "./edit-distance.js";
import { isStopWord } from "./stop-words.js";
import { fragmentsLiteral } from "./word-table.js";
import { fragmentsOfTyped, maxErrorsIn, wordsOf } from "./correctable-words.js";

/** A word of a question, and a word of the index that it may stand for. */
export interface CloseWord {
  typed: string;
  /** Orders the words as in the question. */
  place: number;
  word: string;
  /** The number of errors between them. */
  errors: number;
}

/** Only the first words of a question are corrected: more than a long question has. */
const MAX_TYPED = 64;
/** Of those, only so many that no chunk has. Each costs a lookup by about ten fragments. */
const MAX_CORRECTED = 32;
/** Words that share a fragment with a typed one, most of which are not close. */
const MAX_SHARING = 5000;
/** Close words of one typed word. The search keeps the closest of them that it may see. */
const MAX_CLOSE = 50;

/** Runs a statement that reads. */
export type Read = <Row>(text: string, values: unknown[]) => Promise<Row[]>;

/** The words of a question that may be corrected if no chunk has them. */
export function correctableWords(question: string, language: TextSearchLanguage): string[] {
  return [...wordsOf(question)].filter((word) => !isStopWord(word, language)).slice(0, MAX_TYPED);
}

/**
 * The words of the index, seen or not, that are close to those of `typed` that no chunk has.
 *
 * @param unknown - the lexemes of the question that no chunk has; `undefined` if they are not known
 */
export async function findCloseWords(
  read: Read,
  layout: Layout & { textSearch: TextSearchLanguage },
  typed: readonly string[],
  unknown: readonly string[] | undefined,
): Promise<CloseWord[]> {
  const rows = await read<{ typed: string; words: string }>(wordsSharingFragments(layout), [
    encodeTextArray(typed),
    encodeTextArray(typed.map((word) => fragmentsLiteral(fragmentsOfTyped(word)))),
    encodeTextArray(typed.map((word) => String(maxErrorsIn(word)))),
    unknown === undefined ? null : encodeTextArray(unknown),
  ]);
  return rows.flatMap((row) => closestOf(row.typed, typed.indexOf(row.typed), JSON.parse(row.words) as string[]));
}

function closestOf(typed: string, place: number, words: readonly string[]): CloseWord[] {
  const most = maxErrorsIn(typed);
  return words
    .map((word) => ({ typed, place, word, errors: editDistance(typed, word, most) }))
    .filter(({ errors }) => errors <= most)
    .sort((left, right) => left.errors - right.errors || (left.word < right.word ? -1 : 1))
    .slice(0, MAX_CLOSE);
}

/**
 * $1 words, $2 their fragments, $3 how many errors each may have, $4 the lexemes that no chunk has, or NULL to look for each
 * word. Returns those of the words that no chunk has, and the listed words that share a fragment with each. A word without a
 * lexeme is a stop word.
 */
function wordsSharingFragments(layout: Layout & { textSearch: TextSearchLanguage }): string {
  const { word, chunk } = namesOf(layout);
  const isUnknown = `CASE WHEN $4::text[] IS NULL
    THEN (SELECT count(*) FROM (SELECT 1 FROM ${chunk} c WHERE c.lexemes @@ t.query LIMIT 10000) c) = 0
    ELSE t.lexeme = ANY ($4::text[]) END`;
  return `
SELECT t.typed, (SELECT coalesce(json_agg(word), '[]')::text FROM (SELECT DISTINCT word FROM (
    SELECT w.word FROM ${word} w
    WHERE w.fragments && t.fragments AND abs(length(w.word) - length(t.typed)) <= t.most LIMIT ${MAX_SHARING}) w) w) AS words
FROM (
  SELECT typed, fragments, most, lexeme, ${queryOf("lexeme")} AS query FROM (
    SELECT n.typed, n.fragments::text[] AS fragments, n.most::integer AS most, n.place,
      (tsvector_to_array(${lexemesOf(layout.textSearch, "n.typed")}))[1] AS lexeme
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (typed, fragments, most, place) OFFSET 0) t
  WHERE lexeme IS NOT NULL ORDER BY place OFFSET 0) t
WHERE ${isUnknown} LIMIT ${MAX_CORRECTED}`;
}

/** SQL of the query for one lexeme. */
export function queryOf(lexeme: string): string {
  return `('''' || replace(replace(${lexeme}, E'\\\\', E'\\\\\\\\'), '''', '''''') || '''')::tsquery`;
}
