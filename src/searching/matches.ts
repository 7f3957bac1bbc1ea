/** Where the question's words are in a hit's content. */
import type { TextRange } from "../hit-types.js";

/** A letter with its marks, so that folding knows the place of each. */
const LETTER = /\P{M}?\p{M}*/gsu;
const MARKS = /\p{M}/gu;
const SPECIAL = /[\\^$.*+?()[\]{}|/]/g;

/**
 * The places of words in a text, in reading order, in UTF-16 units. Case and accents do not matter, and a place is a whole word.
 *
 * @param words - with or without accents
 */
export function placesOf(words: readonly string[], text: string): TextRange[] {
  // A word of marks only folds to nothing, which would be everywhere. The longest first: a compound rather than its parts.
  const longestFirst = [...new Set(words.map((word) => fold(word).folded))]
    .filter((word) => word !== "")
    .sort((left, right) => right.length - left.length);
  if (longestFirst.length === 0) return [];
  const { folded, places } = fold(text);
  const any = longestFirst.map((word) => word.replaceAll(SPECIAL, "\\$&")).join("|");
  const found = folded.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])(?:${any})(?![\\p{L}\\p{N}])`, "gu"));
  return Array.from(found, ({ 0: word, index }) => ({
    start: places[index] ?? text.length,
    end: places[index + word.length] ?? text.length,
  }));
}

/** The text in lower case and without accents, and for each of its units the place in the original. */
function fold(text: string): { folded: string; places: number[] } {
  const places: number[] = [];
  let folded = "";
  for (const { 0: letter, index } of text.matchAll(LETTER)) {
    const plain = letter.normalize("NFD").replaceAll(MARKS, "").toLowerCase();
    folded += plain;
    places.push(...Array.from({ length: plain.length }, () => index));
  }
  return { folded, places };
}
