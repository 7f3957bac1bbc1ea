import type { TextSpan } from "./splitter.js";
import { isBlank, isInsidePair } from "../text.js";

/** Preferred places to cut a text, best first. The cut comes after the match. */
const BOUNDARIES = [/\n\s*\n/g, /\n/g, /[.!?…;:]\s+/g, /\s+/g, /[^\p{L}\p{N}\p{M}]/gu];

/**
 * Finds the characters that a reader sees: a letter with its accents, or an emoji of several code points, is one. Made when it is first needed:
 * making one takes 11 ms, a fifth of what the import of this package adds to that of LangChain's core.
 */
let characters: Intl.Segmenter | undefined;

/**
 * Cuts a span in two: as near to the middle as possible, after a paragraph, line, sentence or word that ends in the
 * middle half, otherwise between two characters. White space at the cut is dropped.
 *
 * @returns one part if the other would be blank; `undefined` for a span that cannot be cut
 */
export function splitInTwo(text: string, { start, end }: TextSpan): TextSpan[] | undefined {
  const cut = bestCut(text.slice(start, end));
  if (cut === undefined) return undefined;
  const parts = [trimSpan(text, { start, end: start + cut }), trimSpan(text, { start: start + cut, end })];
  return parts.filter((part) => part.start < part.end);
}

function bestCut(text: string): number | undefined {
  const middle = text.length / 2;
  for (const boundary of BOUNDARIES) {
    let best: number | undefined;
    for (const match of text.matchAll(boundary)) {
      const cut = match.index + match[0].length;
      if (Math.abs(cut - middle) > middle / 2) continue;
      if (best === undefined || Math.abs(cut - middle) < Math.abs(best - middle)) best = cut;
    }
    if (best !== undefined) return betweenCharacters(text, best);
  }
  return betweenCharacters(text, Math.floor(middle));
}

/**
 * The given cut, moved so that it does not split a visible character. A text of only one such character is cut between
 * two of its code points.
 */
function betweenCharacters(text: string, cut: number): number | undefined {
  characters ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  const { index, segment } = characters.segment(text).containing(cut) ?? { index: cut, segment: "" };
  const whole = isInsidePair(text, cut) ? cut + 1 : cut;
  return [index, index + segment.length, whole].find((offset) => offset > 0 && offset < text.length);
}

function trimSpan(text: string, { start, end }: TextSpan): TextSpan {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charAt(from))) from++;
  while (to > from && isBlank(text.charAt(to - 1))) to--;
  return { start: from, end: to };
}
