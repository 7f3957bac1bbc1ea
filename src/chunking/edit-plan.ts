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
import type { Piece } from "./join-pieces.js";
import { isBlank, skipBlank } from "../text.js";
import type { NormalizedTraining } from "./training-input.js";

/**
 * Plans the chunks of an edited training around the stored ones: the unchanged beginning and end of the text keep their
 * chunks, and only the edited place is split again.
 *
 * A splitter that packs paragraphs until a chunk is full moves the boundaries of all chunks after an edit. In FaQuAD's
 * text one inserted sentence made a fresh split re-embed 36 of 243 chunks, and up to 212 of 212 if the text is one long
 * line; this plan re-embeds at most 3. The price: after thousands of edits a training has 4 to 33 % more chunks than a
 * fresh split would give.
 *
 * @param stored - the stored chunks in reading order, made by the same chunker
 * @returns `undefined` if no stored chunk can be kept
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
  const spans = [...before, ...(await splitGap(text, gap, (part) => chunker.split(part, training.header))), ...after];
  return spans.map(({ start, end }) => {
    const { base, lines, given } = sourceAt(text.sources, start);
    return planChunk(training, given, lines.spanToGiven({ start: start - base, end: end - base }));
  });
}

/** The content with line feeds. All offsets below refer to it, so that changed line endings do not count as an edit. */
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

/** Stored chunks with line feeds. The blank text between two of them is not stored, so its given length is kept. */
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

/** The spans of the stored chunks that the text still has at its beginning and at its end. */
function keepEnds(text: PlacedText, stored: readonly Piece[]): KeptEnds {
  const { content } = text;
  const before: TextSpan[] = [];
  for (const [index, chunk] of stored.entries()) {
    const span = findAfter(text, chunk, stored[index - 1], before.at(-1));
    // The text between two kept chunks must still be blank: otherwise it would be in no chunk.
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

/** @param kept - the span that the previous chunk has in the text; none for the first chunk */
function findAfter(
  text: PlacedText,
  chunk: Piece,
  previous: Piece | undefined,
  kept: TextSpan | undefined,
): TextSpan | undefined {
  const offsets = [(kept?.start ?? 0) + chunk.start - (previous?.start ?? 0)];
  // The blank text between two chunks may have changed in length.
  if (chunk.start >= (previous?.end ?? 0)) offsets.push(skipBlank(text.content, kept?.end ?? 0));
  return spanAt(text, chunk, offsets);
}

/** @param kept - the span that the next chunk has in the text; none for the last chunk */
function findBefore(
  text: PlacedText,
  chunk: Piece | undefined,
  next: Piece | undefined,
  kept: TextSpan | undefined,
): TextSpan | undefined {
  if (!chunk) return undefined;
  const offsets: number[] = [];
  if (next && kept) offsets.push(kept.start - (next.start - chunk.start));
  if (chunk.end <= (next?.start ?? Infinity)) {
    offsets.push(text.content.slice(0, kept?.start).trimEnd().length - chunk.content.length);
  }
  return spanAt(text, chunk, offsets);
}

/** The span of the chunk at the first of these offsets at which the text has it. */
function spanAt(text: PlacedText, chunk: Piece, offsets: readonly number[]): TextSpan | undefined {
  const start = offsets.find((offset) => hasChunkAt(text, chunk, offset));
  return start === undefined ? undefined : { start, end: start + chunk.content.length };
}

function hasChunkAt({ content, sources }: PlacedText, chunk: Piece, start: number): boolean {
  if (start < 0 || !content.startsWith(chunk.content, start)) return false;
  const { base, lines } = sourceAt(sources, start);
  return start + chunk.content.length <= base + lines.text.length;
}

function gapBetween({ content }: PlacedText, { before, after }: KeptEnds): TextSpan {
  return { start: before.at(-1)?.end ?? 0, end: after[0]?.start ?? content.length };
}

/**
 * Adds kept chunks next to the gap to it if they, or the gap itself, are much shorter than usual. Otherwise repeated
 * edits of one place would each leave a tiny chunk.
 */
function absorbFragments(text: PlacedText, kept: KeptEnds, stored: readonly Piece[]): KeptEnds {
  const before = [...kept.before];
  const after = [...kept.after];
  const averageLength = stored.reduce((sum, { content }) => sum + content.length, 0) / stored.length;
  const gapLength = (): number => {
    const { start, end } = gapBetween(text, { before, after });
    return text.content.slice(start, end).trim().length;
  };
  const isFragment = (span: TextSpan | undefined): boolean =>
    span !== undefined && span.end - span.start < averageLength / 2;
  if (gapLength() === 0) return kept;
  if (isFragment(after[0])) after.shift();
  if (isFragment(before.at(-1))) before.pop();
  if (gapLength() < averageLength / 2) before.pop();
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
