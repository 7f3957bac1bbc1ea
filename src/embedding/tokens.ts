/**
 * Estimates tokens without a tokenizer. The vocabularies of all models would be larger than this library. Splitting does
 * not need an exact count, only one that is not too low.
 */

/**
 * No text of eight or more characters is estimated at more than this: Korean takes three tokens per character, and the
 * safety margin adds at most one.
 */
export const MAX_TOKENS_PER_CHARACTER = 4;

/** A run of letters, digits and marks, or any other single character that is not blank. */
const WORD = /[\p{L}\p{N}\p{M}]+|\S/gu;
const LATIN_WORD = /^[\p{Script=Latin}\p{M}]+$/u;
const NUMBER = /^\p{Nd}+$/u;
const LATIN_OR_DIGITS = /^[\p{Script=Latin}\p{M}\p{Nd}]+$/u;
const HANGUL = /\p{Script=Hangul}/gu;
/** Pairs of letters that are rare in words but common in keys, codes and abbreviations, which split into tokens there. */
const RARE_PAIR =
  /([bcdfgjkpqtvwxz])(?!\1)(?=[bcdfgjkmnpqtvwxz])|[hlmnrs](?=[jqxwz])|[hl](?=[bdfgkmn])|[jqvw](?![a-zà-ÿ])/gi;

/**
 * Estimates how many tokens a model makes of a text, without the model's own markers. The estimate tends to be too high.
 *
 * It is fitted to WordPiece with the vocabulary of `bert-base-uncased`, which `mxbai-embed-large` uses. That vocabulary is
 * English, so Portuguese takes the most tokens with it: multilingual vocabularies need fewer.
 *
 * On FaQuAD (chunks, passages and questions) the estimate was never below the real count, and on average 21 % above it
 * for chunks. It was never below the real count of source code, JSON, tables of numbers and URLs either. It is one and a
 * half to two times too high for English, up to 5 % too low for Turkish and Finnish, up to 12 % too low for random
 * syllables. `test/embedding/tokens.test.ts` measures it again.
 */
export function estimateTokens(text: string): number {
  let expected = 0;
  for (const word of text.match(WORD) ?? []) expected += expectedTokens(word);
  // A margin for words that differ from the mean, which does not average out in a short text.
  return Math.ceil(expected + Math.sqrt(expected));
}

/** The mean number of tokens for words of this kind. */
function expectedTokens(word: string): number {
  const { length } = word;
  if (LATIN_WORD.test(word)) {
    const rarePairs = word.match(RARE_PAIR)?.length ?? 0;
    return Math.min(1 + 0.36 * Math.max(length - 2, 0) + 0.9 * rarePairs, 0.2 + 0.8 * length);
  }
  if (NUMBER.test(word)) return length <= 2 ? 1 : 0.66 * length;
  if (LATIN_OR_DIGITS.test(word)) return length <= 4 ? length : 0.8 * length;
  // Other scripts: one token per character, but three per Korean syllable. An emoji counts as two UTF-16 units.
  return length + 2 * (word.match(HANGUL)?.length ?? 0);
}
