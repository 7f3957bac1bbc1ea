/** The words of a text, as typing errors are corrected: whole words, lower case, without accents. */
import { plainWordsOf } from "./searched-words.js";

/** Shorter words have too many neighbors. Longer ones are hardly words. */
const MIN_LETTERS = 4;
const MAX_LETTERS = 32;
/** Words from this length on may have two errors. Their fragments are of their first and last letters. */
const MIN_LETTERS_OF_LONG_WORD = 8;
/** How many letters at each end of a long word its fragments are made of. */
const LETTERS_OF_END = 6;

/** Digits, and letters of more than one UTF-16 unit, which no language of text search has. */
const NOT_CORRECTED = /[\p{N}\u{10000}-\u{10FFFF}]/u;

/**
 * The different words of a text that typing errors can be corrected in, or to, in the order of the text. A token with a digit
 * is a number or a code, where each character counts.
 */
export function wordsOf(text: string): Set<string> {
  return new Set(correctable(plainWordsOf(text)));
}

/** Those of the words that can be corrected. */
export function* correctable(words: Iterable<string>): Generator<string> {
  for (const word of words) {
    if (word.length >= MIN_LETTERS && word.length <= MAX_LETTERS && !NOT_CORRECTED.test(word)) yield word;
  }
}

/** How many errors a word may have. */
export function maxErrorsIn(word: string): number {
  return isLong(word) ? 2 : 1;
}

/**
 * What a word is found by. Two words with one error between them share a fragment, for each fragment is the word without one of
 * its letters, or whole. Long words are found by either end, so each end may have an error, or one end several.
 *
 * @see https://github.com/wolfgarbe/SymSpell on symmetric deletes
 */
export function fragmentsOf(word: string): string[] {
  return [...new Set(isLong(word) ? endFragments(word) : wholeFragments(word))];
}

/** As {@link fragmentsOf}, for a word with an error: with a letter too many or too few it may be of the other kind. */
export function fragmentsOfTyped(word: string): string[] {
  const mayBeEither = word.length === MIN_LETTERS_OF_LONG_WORD || word.length === MIN_LETTERS_OF_LONG_WORD - 1;
  return mayBeEither ? [...new Set([...wholeFragments(word), ...endFragments(word)])] : fragmentsOf(word);
}

function isLong(word: string): boolean {
  return word.length >= MIN_LETTERS_OF_LONG_WORD;
}

function wholeFragments(word: string): string[] {
  return [word, ...withoutOneLetter(word)];
}

/** Marked, so that the beginnings, the ends and short words do not match each other. Ends have the same length, so none is whole. */
function endFragments(word: string): string[] {
  return [
    ...withoutOneLetter(word.slice(0, LETTERS_OF_END)).map((fragment) => `^${fragment}`),
    ...withoutOneLetter(word.slice(-LETTERS_OF_END)).map((fragment) => `${fragment}$`),
  ];
}

function withoutOneLetter(word: string): string[] {
  return Array.from({ length: word.length }, (_, index) => word.slice(0, index) + word.slice(index + 1));
}
