import { InvalidArgumentError } from "../errors.js";
import { awaitHostCode, runHostCode } from "../calls/host-code.js";
import { isBlank, isInsidePair, skipBlank } from "../text.js";

/** What splits a text; every `TextSplitter` of `@langchain/textsplitters` does. */
export interface Splitter {
  splitText(text: string): Promise<string[]>;
}

/** A chunk's place in its text, in UTF-16 units, `end` exclusive. */
export interface TextSpan {
  start: number;
  end: number;
}

/**
 * What can be seen of a splitter's settings, as text: its class, and the texts, numbers, flags and functions that it has, and
 * lists of them. Chunks of splitters with the same description are taken to be made alike. It can hold keys and passwords.
 */
export function describeSplitter(splitter: Splitter): string {
  return runHostCode("splitter", () => {
    const { constructor } = splitter as { constructor?: { name?: unknown } };
    const settings = Object.entries(splitter as object)
      .map(([name, value]) => [name, settingOf(value)] as const)
      .filter(([, setting]) => setting !== undefined)
      .sort(([left], [right]) => (left < right ? -1 : 1));
    return JSON.stringify([constructor?.name, settings]);
  });
}

/** Something that JSON can write, and that is the same in each process; `undefined` for other objects. */
function settingOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settingOf);
  if (typeof value === "function" || typeof value === "bigint" || value instanceof RegExp)
    return String(value);
  return ["string", "number", "boolean"].includes(typeof value) ? value : undefined;
}

/**
 * Splits a text and says where each chunk stands in it. Between them the spans hold every non-blank character
 * of the text, in order; no span is blank or cuts a surrogate pair.
 *
 * A splitter returns texts, not places, so each is looked for where it can only be: not beyond the first
 * character that no chunk holds yet. What a splitter drops (a separator, say) goes to the chunk behind it.
 *
 * @throws {@link InvalidArgumentError} when the splitter throws, or returns no list of texts, or text that the content does
 * not hold
 */
export async function splitText(text: string, splitter: Splitter): Promise<TextSpan[]> {
  if (isBlank(text)) return [];
  const spans: TextSpan[] = [];
  /** Everything before it lies in a span, or is blank. */
  let covered = skipBlank(text, 0);
  let previousStart = 0;
  for (const chunk of await splitWith(splitter, text)) {
    const found = locate(text, chunk, previousStart, covered);
    if (!found) continue;
    const start = wholeCharacterStart(text, Math.min(found.start, covered));
    const end = wholeCharacterEnd(text, found.end);
    if (end <= covered && spans.length > 0) continue; // it adds nothing to the chunk before it
    spans.push({ start, end });
    previousStart = found.start;
    covered = skipBlank(text, end);
  }
  if (covered < text.length) holdRest(text, spans, covered);
  return spans;
}

function splitWith(splitter: Splitter, text: string): Promise<string[]> {
  return awaitHostCode("splitter", async () => {
    const returned: unknown = await splitter.splitText(text);
    // A copy, so that holes are found, and a list that changes or throws does so here.
    const chunks: unknown[] = Array.isArray(returned) ? [...(returned as unknown[])] : [undefined];
    if (chunks.every((chunk) => typeof chunk === "string")) return chunks;
    throw new InvalidArgumentError("splitter", "must return a list of strings");
  });
}

/**
 * The last occurrence that begins at or before `limit`, else the first one behind it; none for a chunk without words.
 * Taking the last keeps texts that repeat themselves from being found too early, which would leave their ends
 * uncovered.
 */
function locate(text: string, chunk: string, from: number, limit: number): TextSpan | undefined {
  if (isBlank(chunk)) return undefined;
  const window = text.slice(from, limit + chunk.length);
  const inWindow = window.lastIndexOf(chunk);
  const start = inWindow >= 0 ? from + inWindow : text.indexOf(chunk, limit);
  if (start >= 0) return { start, end: start + chunk.length };
  return locateLoosely(text, chunk, from, limit);
}

/**
 * For splitters that change white space or drop separators inside a chunk (`CharacterTextSplitter` does both), or
 * cut inside a character (token splitters leave U+FFFD at the seam): the tightest place that has the chunk's
 * characters in order, and that reaches behind `limit`.
 */
function locateLoosely(text: string, chunk: string, from: number, limit: number): TextSpan | undefined {
  const characters = chunk.replace(/[\s\uFFFD]+/g, "");
  if (characters === "") return undefined;
  const place = tightestPlace(text, characters, from, limit);
  if (place) return place;
  // Before that it could only repeat what the chunks before it hold.
  if (text.includes(chunk) || tightestPlace(text, characters, 0, 0)) return undefined;
  throw new InvalidArgumentError("splitter", "returned text that the content does not hold");
}

/** What a place may have more than the characters looked for, before it is somewhere else altogether. */
const MAX_DROPPED_SHARE = 1;
const MAX_DROPPED_CHARACTERS = 16;

function tightestPlace(text: string, characters: string, from: number, limit: number): TextSpan | undefined {
  let end = from;
  for (let index = 0; index < characters.length; index++) {
    const earliest = index === characters.length - 1 ? Math.max(end, limit) : end;
    const found = text.indexOf(characters.charAt(index), earliest);
    if (found < 0) return undefined;
    end = found + 1;
  }
  let start = end;
  for (let index = characters.length - 1; index >= 0; index--) {
    start = text.lastIndexOf(characters.charAt(index), start - 1);
  }
  const dropped = text.slice(start, end).replace(/\s+/g, "").length - characters.length;
  const isSamePlace = dropped <= MAX_DROPPED_SHARE * characters.length + MAX_DROPPED_CHARACTERS;
  return isSamePlace ? { start, end } : undefined;
}

/** What no chunk holds at the end (a separator that the splitter drops) goes to the last one. */
function holdRest(text: string, spans: TextSpan[], covered: number): void {
  const last = spans.at(-1);
  const end = text.trimEnd().length;
  if (last) last.end = end;
  else spans.push({ start: covered, end });
}

function wholeCharacterStart(text: string, start: number): number {
  return isInsidePair(text, start) ? start - 1 : start;
}

function wholeCharacterEnd(text: string, end: number): number {
  return isInsidePair(text, end) ? end + 1 : end;
}
