/** Lexemes: the words of a text as Postgres compares them, reduced to their stems and without accents. */

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

/** Corrections for word forms that a language's stemmer does not unify. */
const UNIFY_FORMS: Partial<Record<TextSearchLanguage, (text: string) => string>> = {
  // "estação" and "estações", the plural of most nouns in technical texts.
  // An E'' string, since in other strings the meaning of a backslash depends on `standard_conforming_strings`.
  portuguese: (text) => `regexp_replace(${text}, E'oes\\\\M', 'ao', 'gi')`,
};

/**
 * SQL for the lexemes of a text. The expression is immutable, so that a generated column can store it.
 *
 * Accents are removed before stemming, in texts and questions alike, since people often omit them in questions. This needs
 * no extension, unlike `unaccent`.
 *
 * @param text - an SQL expression for the text
 */
export function lexemesOf(language: TextSearchLanguage, text: string): string {
  const plain = withoutAccents(text);
  return `to_tsvector('pg_catalog.${language}'::regconfig, ${UNIFY_FORMS[language]?.(plain) ?? plain})`;
}
