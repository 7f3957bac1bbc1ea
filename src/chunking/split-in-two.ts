import type { TextSpan } from "./splitter.js";
import { isBlank, isInsidePair } from "../text.js";

/** Where a text is best cut, the best first; the cut is behind what is found. */
const BOUNDARIES = [/\n\s*\n/g, /\n/g, /[.!?…;:]\s+/g, /\s+/g, /[^\p{L}\p{N}\p{M}]/gu];

/** Tells where a reader sees one character: an accent belongs to its letter, and a family of emoji is one. */
const CHARACTERS = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * Cuts a span in two: at the end of a paragraph, a line, a sentence or a word that lies in its middle half, as near to the
 * middle as can be; else between two characters. No white space is left at the cut.
 *
 * @returns one part where the other would be blank; `undefined` for a span that cannot be cut
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

/** The cut, or the next one that tears nothing apart; of what is seen as one character, between two of its code points. */
function betweenCharacters(text: string, cut: number): number | undefined {
  const { index, segment } = CHARACTERS.segment(text).containing(cut) ?? { index: cut, segment: "" };
  const whole = isInsidePair(text, cut) ? cut + 1 : cut;
  return [index, index + segment.length, whole].find((place) => place > 0 && place < text.length);
}

function trimSpan(text: string, { start, end }: TextSpan): TextSpan {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charAt(from))) from++;
  while (to > from && isBlank(text.charAt(to - 1))) to--;
  return { start: from, end: to };
}
