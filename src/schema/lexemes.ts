/** Lexemes: the words of a text as Postgres compares them, reduced to their stems and without accents. */
import type { Names } from "./layout.js";

/**
 * The languages with a Postgres stemmer, and `simple`, which does not stem.
 *
 * @see https://www.postgresql.org/docs/current/textsearch-dictionaries.html#TEXTSEARCH-SNOWBALL-DICTIONARY
 */
export const textSearchLanguages = [
  "simple",
  "arabic",
  "armenian",
  "basque",
  "catalan",
  "danish",
  "dutch",
  "english",
  "finnish",
  "french",
  "german",
  "greek",
  "hindi",
  "hungarian",
  "indonesian",
  "irish",
  "italian",
  "lithuanian",
  "nepali",
  "norwegian",
  "portuguese",
  "romanian",
  "russian",
  "serbian",
  "spanish",
  "swedish",
  "tamil",
  "turkish",
  "yiddish",
] as const;

/** A language that text search knows: one with a stemmer in every Postgres since 13. */
export type TextSearchLanguage = (typeof textSearchLanguages)[number];

/**
 * The indexed characters of a text, chosen so that they fit a `tsvector`, which holds at most 1 MB. A longer chunk, which
 * only `split: false` allows, is found only by the words in its first part.
 */
export const MAX_INDEXED_CHARACTERS = 100_000;

const ACCENTED = "ÁÀÂÃÄÅáàâãäåÇçÉÈÊËéèêëÍÌÎÏíìîïÑñÓÒÔÕÖóòôõöÚÙÛÜúùûüÝýÿ";
const PLAIN = "AAAAAAaaaaaaCcEEEEeeeeIIIIiiiiNnOOOOOoooooUUUUuuuuYyy";

const PLAIN_LETTERS = new Map(Array.from(ACCENTED, (letter, index) => [letter, PLAIN[index] ?? letter]));
const ANY_ACCENTED = new RegExp(`[${ACCENTED}]`, "g");

/** A text in NFC without the accents that {@link lexemesOf} removes. */
export function foldAccents(text: string): string {
  return text.replace(ANY_ACCENTED, (letter) => PLAIN_LETTERS.get(letter) ?? letter);
}

/**
 * SQL for the indexed part of a text, without accents.
 *
 * Normalizes to NFC first: texts from PDFs often have the accent as a separate character after its letter.
 */
export function withoutAccents(text: string): string {
  return `translate(normalize(left(${text}, ${MAX_INDEXED_CHARACTERS}), NFC), '${ACCENTED}', '${PLAIN}')`;
}

/** SQL for the indexed part of a text in lower case, with its compounds in one word: to find a word that was found in it before. */
export function plainTextOf(text: string): string {
  return `lower(regexp_replace(${withoutAccents(text)}, E'[-\\u2010\\u2011''\\u2019_\\u00ad\\u200b-\\u200d\\u2060\\ufeff]', '', 'g'))`;
}

/** Corrections for word forms that a language's stemmer does not unify. */
const UNIFY_FORMS: Partial<Record<TextSearchLanguage, (text: string) => string>> = {
  // "estação" and "estações", the plural of most nouns in technical texts.
  // An E'' string, since in other strings the meaning of a backslash depends on `standard_conforming_strings`.
  portuguese: (text) => `regexp_replace(${text}, E'oes\\\\M', 'ao', 'gi')`,
};

/**
 * SQL for the lexemes of words without accents, in texts and questions alike, since people often omit accents in questions. This
 * needs no extension, unlike `unaccent`.
 *
 * @param words - an SQL expression for words with a space between them, each of letters and digits only: Postgres' parser would
 *   take `débito/crédito` for the path of a file
 */
export function lexemesOf(language: TextSearchLanguage, words: string): string {
  return `to_tsvector('pg_catalog.${language}'::regconfig, ${UNIFY_FORMS[language]?.(words) ?? words})`;
}

/** The name of the function that reads the statistics of the lexemes on the node of a Citus cluster that has them. */
export function statisticsFunction({ schema, profileId }: Pick<Names, "schema" | "profileId">): string {
  return `${schema}.common_lexemes_${profileId}`;
}
