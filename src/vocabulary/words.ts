/** The words of a text, as typing errors are corrected: whole words, lower case, without accents. */
import { foldAccents, MAX_INDEXED_CHARACTERS } from "../schema/lexemes.js";

/** Shorter words have too many neighbors. Longer ones are hardly words. */
const MIN_LETTERS = 4;
const MAX_LETTERS = 32;
/** Words from this length on may have two errors. Their fragments are of their first and last letters. */
const MIN_LETTERS_OF_LONG_WORD = 8;
/** How many letters at each end of a long word its fragments are made of. */
const LETTERS_OF_END = 6;

const TOKEN = /[\p{L}\p{M}\p{N}]+/gu;
const DIGIT = /\p{N}/u;

/**
 * The different words of a text that typing errors can be corrected in, or to, in the order of the text. A token with a digit
 * is a number or a code, where each character counts.
 */
export function wordsOf(text: string): Set<string> {
  const words = new Set<string>();
  const tokens = foldAccents(text.slice(0, MAX_INDEXED_CHARACTERS).normalize("NFC").toLowerCase()).match(TOKEN) ?? [];
  for (const token of tokens) {
    if (words.has(token) || token.length < MIN_LETTERS || DIGIT.test(token)) continue;
    const letters = lettersOf(token).length;
    if (letters >= MIN_LETTERS && letters <= MAX_LETTERS) words.add(token);
  }
  return words;
}

/** How many errors a word may have. */
export function maxErrorsIn(word: string): number {
  return lettersOf(word).length < MIN_LETTERS_OF_LONG_WORD ? 1 : 2;
}

/**
 * What a word is found by. Two words with one error between them share a fragment, for each fragment is the word without one of
 * its letters, or whole. Long words are found by either end, so each end may have an error, or one end several.
 *
 * @see https://github.com/wolfgarbe/SymSpell on symmetric deletes
 */
export function fragmentsOf(word: string): string[] {
  const letters = lettersOf(word);
  return [...new Set(letters.length < MIN_LETTERS_OF_LONG_WORD ? wholeFragments(letters) : endFragments(letters))];
}

/** As {@link fragmentsOf}, for a word with an error: with a letter too many or too few it may be of the other kind. */
export function fragmentsOfTyped(word: string): string[] {
  const letters = lettersOf(word);
  const mayBeEither = Math.abs(letters.length - MIN_LETTERS_OF_LONG_WORD + 0.5) < 1;
  return mayBeEither ? [...new Set([...wholeFragments(letters), ...endFragments(letters)])] : fragmentsOf(word);
}

function wholeFragments(letters: readonly string[]): string[] {
  return [letters.join(""), ...letters.map((_, index) => letters.toSpliced(index, 1).join(""))];
}

/** Marked, so that the ends of words do not match each other or short words. */
function endFragments(letters: readonly string[]): string[] {
  return [
    ...wholeFragments(letters.slice(0, LETTERS_OF_END)).map((fragment) => `^${fragment}`),
    ...wholeFragments(letters.slice(-LETTERS_OF_END)).map((fragment) => `${fragment}$`),
  ];
}

function lettersOf(word: string): string[] {
  return Array.from(word);
}
