/**
 * Tokens without a tokenizer. Shipping a vocabulary for each model would weigh more than this library; splitting needs
 * no exact count, but one that is not too low.
 */

/** What no text of eight characters and more comes to: Korean takes three, and the safe side one. */
export const MOST_TOKENS_PER_CHARACTER = 4;

/** Letters, digits and marks in one piece; anything else stands by itself, and separates. */
const WORD = /[\p{L}\p{N}\p{M}]+|\S/gu;
const LATIN_WORD = /^[\p{Script=Latin}\p{M}]+$/u;
const NUMBER = /^\p{Nd}+$/u;
const LATIN_OR_DIGITS = /^[\p{Script=Latin}\p{M}\p{Nd}]+$/u;
const HANGUL = /\p{Script=Hangul}/gu;
/** Letters side by side as words seldom have them: keys, codes and abbreviations do, and break into tokens there. */
const SEAM =
  /([bcdfgjkpqtvwxz])(?!\1)(?=[bcdfgjkmnpqtvwxz])|[hlmnrs](?=[jqxwz])|[hl](?=[bdfgkmn])|[jqvw](?![a-zà-ÿ])/gi;

/**
 * How many tokens a model may make of a text, its own markers not counted: an estimate on the safe side.
 *
 * The figures are those of WordPiece with the vocabulary of `bert-base-uncased`, which `mxbai-embed-large` has. It is an
 * English one, so Portuguese comes out longest with it: vocabularies of many languages need fewer tokens.
 *
 * On FaQuAD (chunks, passages and questions) it was never below the real count, and 21 % above it in the mean of the
 * chunks; nor was it on source code, JSON, tables of numbers and URLs. English comes out one and a half to two times as
 * long as it is; Turkish and Finnish up to 5 % too short, random syllables up to 12 %.
 * `test/embedding/tokens.test.ts` counts again.
 */
export function estimateTokens(text: string): number {
  let expected = 0;
  for (const word of text.match(WORD) ?? []) expected += expectedTokens(word);
  // Words differ from the mean, and in a short text that does not even out.
  return Math.ceil(expected + Math.sqrt(expected));
}

/** The mean for words like this one. */
function expectedTokens(word: string): number {
  const { length } = word;
  if (LATIN_WORD.test(word)) {
    const seams = word.match(SEAM)?.length ?? 0;
    return Math.min(1 + 0.36 * Math.max(length - 2, 0) + 0.9 * seams, 0.2 + 0.8 * length);
  }
  if (NUMBER.test(word)) return length <= 2 ? 1 : 0.66 * length;
  if (LATIN_OR_DIGITS.test(word)) return length <= 4 ? length : 0.8 * length;
  // Of other scripts a token for each character, of a Korean syllable one for each of its letters; an emoji is two units.
  return length + 2 * (word.match(HANGUL)?.length ?? 0);
}
