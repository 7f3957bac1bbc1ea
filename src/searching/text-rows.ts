/** The rows of searches by words, and what they add to a hit. */
import type { HostNumber } from "../postgres/database.js";
import type { ChunkPassage, Highlighted, TextRange, WordScores } from "../hit-types.js";
import { correctionsOf } from "../words/corrections.js";
import { wordsOfText } from "../words/searched-words.js";
import type { HitRow, PassageRow } from "./hits.js";

/** All words from here on have this position. @see https://www.postgresql.org/docs/current/textsearch-limitations.html */
const LAST_POSITION = 16_383;

/** Adds the places of the question's words to a hit, if they were asked for. In a widened passage its neighbors have some too. */
export function withMatches<Hit extends ChunkPassage>(hit: Hit, row: TextRow): Hit & Highlighted {
  const { matched_positions: positions, content } = row;
  if (positions === undefined) return hit;
  const words = wordsOfText(content);
  const found = (JSON.parse(positions ?? "[]") as number[])
    .filter((position) => position < LAST_POSITION)
    .flatMap((position) => words[position - 1] ?? []);
  return Object.assign(hit, {
    matches: placesOf(
      found.map(({ start, end }) => content.slice(start, end)),
      hit.content,
    ),
  });
}

/** A row of a search by words. */
export interface TextRow extends PassageRow, HalvesRow {
  score: HostNumber;
  /** JSON: the positions of the question's words in the chunk; `null` if it has none. Only if they were asked for. */
  matched_positions?: string | null;
  /** JSON: the lexemes of the question that no chunk has. Only if the statement does not correct. */
  unknown?: string | null;
  /** JSON: `[typed, word]` for each word that a word of the question was read as and the hit has. Only if it corrects. */
  readings?: string | null;
}

/** A row of a hybrid search. */
export interface HybridRow extends HitRow, TextRow {
  coverage: HostNumber;
}

/** A row that also says how many chunks each half of the search found. */
export interface HalvesRow {
  /** Chunks found by their vectors; absent in mode `text`. */
  near?: HostNumber;
  /** Chunks found by their words. */
  matched: HostNumber;
  /** Common words of the question that were not searched. */
  left_out: HostNumber;
}

/** What unknown words of the question were read as in the hit. */
export function correctionsOfRow({ readings, content }: TextRow): Pick<WordScores, "corrections"> {
  const corrections = correctionsOf(readings, content);
  return corrections === undefined ? {} : { corrections };
}

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
