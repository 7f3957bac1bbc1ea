import {
  DOCUMENT_SEPARATOR,
  placeSources,
  planChunk,
  sourceAt,
  type PlacedSource,
  type PlannedChunk,
} from "./chunk-plan.js";
import type { Chunker } from "./chunker.js";
import { LineFeedText, withLineFeeds } from "./line-endings.js";
import type { TextSpan } from "./splitter.js";
import type { Piece } from "./pieces.js";
import { isBlank, skipBlank } from "../text.js";
import type { NormalizedTraining } from "./training-input.js";

/**
 * Plans the chunks of an edited training around those that stand: what is the same at the beginning and at the end of
 * the text keeps its chunks, and only the place of the edit is split anew.
 *
 * A splitter that packs paragraphs until a chunk is full would move the boundaries of all chunks behind an edit: in
 * FaQuAD's text one inserted sentence made 36 of 243 chunks new, and up to 212 of 212 where it is one long line; here
 * at most 3. The price: after thousands of edits there are 4 to 33 % more chunks than a fresh split would make.
 *
 * @param stored - the stored chunks in reading order, made by the same chunker
 * @returns `undefined` when nothing stays
 */
export async function planEdit(
  training: NormalizedTraining,
  stored: readonly Piece[],
  chunker: Chunker,
): Promise<PlannedChunk[] | undefined> {
  const text = placeText(training);
  const storedLines = placeInLineFeeds(stored);
  const { before, after } = absorbFragments(text, keepEnds(text, storedLines), storedLines);
  if (before.length + after.length === 0) return undefined;
  const gap = gapBetween(text, { before, after });
  const spans = [
    ...before,
    ...(await splitGap(text, gap, (part) => chunker.split(part, training.header))),
    ...after,
  ];
  return spans.map(({ start, end }) => {
    const { base, lines, given } = sourceAt(text.sources, start);
    return planChunk(training, given, lines.spanToGiven({ start: start - base, end: end - base }));
  });
}

/** The content with line feeds: all places below are places in it, so that line endings are no edit. */
interface PlacedText {
  content: string;
  sources: readonly PlacedLines[];
}

interface PlacedLines {
  base: number;
  lines: LineFeedText;
  given: PlacedSource;
}

function placeText(training: NormalizedTraining): PlacedText {
  let base = 0;
  const sources = placeSources(training).map((given) => {
    const placed = { base, lines: new LineFeedText(given.source.text), given };
    base += placed.lines.text.length + DOCUMENT_SEPARATOR.length;
    return placed;
  });
  return { content: sources.map(({ lines }) => lines.text).join(DOCUMENT_SEPARATOR), sources };
}

/** Stored chunks with line feeds. What is blank between two of them is not stored, and counts as it was given. */
function placeInLineFeeds(stored: readonly Piece[]): Piece[] {
  const placed: Piece[] = [];
  for (const [index, { content: given, start: givenStart }] of stored.entries()) {
    const content = withLineFeeds(given);
    const previous = stored[index - 1];
    const last = placed.at(-1);
    let start = givenStart;
    if (previous && last) {
      const distance = givenStart - previous.start;
      const blank = Math.max(givenStart - previous.end, 0);
      start = last.start + withLineFeeds(previous.content.slice(0, distance)).length + blank;
    }
    placed.push({ content, start, end: start + content.length });
  }
  return placed;
}

interface KeptEnds {
  before: TextSpan[];
  after: TextSpan[];
}

/** The stored chunks that the text still has at its beginning and at its end, at their places in it. */
function keepEnds(text: PlacedText, stored: readonly Piece[]): KeptEnds {
  const { content } = text;
  const before: TextSpan[] = [];
  for (const [index, chunk] of stored.entries()) {
    const span = findBehind(text, chunk, stored[index - 1], before.at(-1));
    // What stands between two kept chunks has to be blank still: else it would be in no chunk.
    if (!span || !isBlank(content.slice(before.at(-1)?.end ?? 0, span.start))) break;
    before.push(span);
  }
  const after: TextSpan[] = [];
  for (let index = stored.length - 1; index >= before.length; index--) {
    const span = findBefore(text, stored[index], stored[index + 1], after[0]);
    if (!span || !isBlank(content.slice(span.end, after[0]?.start ?? content.length))) break;
    const last = before.at(-1);
    if (last && (span.start <= last.start || span.end <= last.end)) break;
    after.unshift(span);
  }
  return { before, after };
}

/** @param kept - the place that the chunk before it, `previous`, has in the text; none for the first one */
function findBehind(
  text: PlacedText,
  chunk: Piece,
  previous: Piece | undefined,
  kept: TextSpan | undefined,
): TextSpan | undefined {
  const places = [(kept?.start ?? 0) + chunk.start - (previous?.start ?? 0)];
  // The line breaks between two chunks can be others, and more or fewer.
  if (chunk.start >= (previous?.end ?? 0)) places.push(skipBlank(text.content, kept?.end ?? 0));
  return spanAt(text, chunk, places);
}

/** @param kept - the place that the chunk behind it, `next`, has in the text; none for the last one */
function findBefore(
  text: PlacedText,
  chunk: Piece | undefined,
  next: Piece | undefined,
  kept: TextSpan | undefined,
): TextSpan | undefined {
  if (!chunk) return undefined;
  const places: number[] = [];
  if (next && kept) places.push(kept.start - (next.start - chunk.start));
  if (chunk.end <= (next?.start ?? Infinity)) {
    places.push(text.content.slice(0, kept?.start).trimEnd().length - chunk.content.length);
  }
  return spanAt(text, chunk, places);
}

/** The first of the places at which the text has the chunk. */
function spanAt(text: PlacedText, chunk: Piece, places: readonly number[]): TextSpan | undefined {
  const start = places.find((place) => isThere(text, chunk, place));
  return start === undefined ? undefined : { start, end: start + chunk.content.length };
}

function isThere({ content, sources }: PlacedText, chunk: Piece, start: number): boolean {
  if (start < 0 || !content.startsWith(chunk.content, start)) return false;
  const { base, lines } = sourceAt(sources, start);
  return start + chunk.content.length <= base + lines.text.length;
}

function gapBetween({ content }: PlacedText, { before, after }: KeptEnds): TextSpan {
  return { start: before.at(-1)?.end ?? 0, end: after[0]?.start ?? content.length };
}

/**
 * Gives up kept chunks beside the gap that are, like the gap itself, much shorter than the others: else many edits of
 * one place would leave a crumb each.
 */
function absorbFragments(text: PlacedText, kept: KeptEnds, stored: readonly Piece[]): KeptEnds {
  const before = [...kept.before];
  const after = [...kept.after];
  const usual = stored.reduce((sum, { content }) => sum + content.length, 0) / stored.length;
  const gapLength = (): number => {
    const { start, end } = gapBetween(text, { before, after });
    return text.content.slice(start, end).trim().length;
  };
  const isFragment = (span: TextSpan | undefined): boolean =>
    span !== undefined && span.end - span.start < usual / 2;
  if (gapLength() === 0) return kept;
  if (isFragment(after[0])) after.shift();
  if (isFragment(before.at(-1))) before.pop();
  if (gapLength() < usual / 2) before.pop();
  return { before, after };
}

async function splitGap(
  { sources }: PlacedText,
  gap: TextSpan,
  split: (text: string) => Promise<TextSpan[]>,
): Promise<TextSpan[]> {
  const spans: TextSpan[] = [];
  for (const { lines, base } of sources) {
    const from = Math.max(gap.start - base, 0);
    const to = Math.min(gap.end - base, lines.text.length);
    if (from >= to) continue;
    for (const { start, end } of await split(lines.text.slice(from, to))) {
      spans.push({ start: base + from + start, end: base + from + end });
    }
  }
  return spans;
}
