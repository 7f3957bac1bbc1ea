/** Lexemes: the words of a text as Postgres compares them, cut down to their stems and without accents. */

/**
 * The languages whose words Postgres knows how to cut down to their stems; `simple` leaves words as they are.
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

/** A language of {@link textSearchLanguages}. */
export type TextSearchLanguage = (typeof textSearchLanguages)[number];

/**
 * Characters of a text that are searched for words: the most that surely fits a `tsvector`, which holds 1 MB. A chunk
 * that is longer, which only a caller of `split: false` has, is found by the words before.
 */
const MAX_CHARACTERS = 100_000;

const ACCENTED = "ÁÀÂÃÄÅáàâãäåÇçÉÈÊËéèêëÍÌÎÏíìîïÑñÓÒÔÕÖóòôõöÚÙÛÜúùûüÝýÿ";
const PLAIN = "AAAAAAaaaaaaCcEEEEeeeeIIIIiiiiNnOOOOOoooooUUUUuuuuYyy";

/** Texts from PDFs often have each accent as a character of its own, behind its letter: NFC puts them together. */
function withoutAccents(text: string): string {
  return `translate(normalize(left(${text}, ${MAX_CHARACTERS}), NFC), '${ACCENTED}', '${PLAIN}')`;
}

/** What a language's stemmer leaves different though people take it for the same word. */
const EVEN_OUT: Partial<Record<TextSearchLanguage, (text: string) => string>> = {
  // "estação" and "estações": the plural that most nouns of technical texts have.
  // As an E'' string, since a backslash in another one is what `standard_conforming_strings` says.
  portuguese: (text) => `regexp_replace(${text}, E'oes\\\\M', 'ao', 'gi')`,
};

/**
 * SQL for the lexemes of a text. Immutable, so that it can be stored with each chunk.
 *
 * Accents are taken off before the stem is looked for, on both sides, as people leave them out of questions; it needs no
 * extension, as `unaccent` would.
 *
 * @param text - SQL for the text
 */
export function lexemesOf(language: TextSearchLanguage, text: string): string {
  const plain = withoutAccents(text);
  return `to_tsvector('pg_catalog.${language}'::regconfig, ${EVEN_OUT[language]?.(plain) ?? plain})`;
}
