import { InvalidArgumentError } from "../errors.js";
import { awaitHostCode, runHostCode } from "../calls/host-code.js";
import { isBlank, isInsidePair, skipBlank } from "../text.js";

/**
 * Splits a text into chunks, in reading order. Every `TextSplitter` of `@langchain/textsplitters` is one. Chunks may
 * overlap; text that the splitter drops is added to the next chunk, or at the end to the last one.
 */
export interface Splitter {
  splitText(text: string): Promise<string[]>;
}

/** The span of a chunk in its text, in UTF-16 units, `end` exclusive. */
export interface TextSpan {
  start: number;
  end: number;
}

/**
 * Describes a splitter by its class and its visible settings: strings, numbers, booleans, functions, and lists of them.
 * Splitters with the same description are assumed to split alike. The description can hold keys and passwords.
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

/** A JSON value that is the same in every process; `undefined` for other objects. */
function settingOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settingOf);
  if (typeof value === "function" || typeof value === "bigint" || value instanceof RegExp) return String(value);
  return ["string", "number", "boolean"].includes(typeof value) ? value : undefined;
}

/**
 * Splits a text and finds the span of each chunk. Together the spans cover every non-blank character of the text, in
 * order; no span is blank or cuts a surrogate pair.
 *
 * A splitter returns texts without offsets. Each chunk is searched for at or before the first character that no chunk
 * covers yet. Text that the splitter drops, such as a separator, goes to the next chunk.
 *
 * @throws {@link InvalidArgumentError} if the splitter throws, does not return a list of strings, or returns text that
 * is not in the content
 */
export async function splitText(text: string, splitter: Splitter): Promise<TextSpan[]> {
  if (isBlank(text)) return [];
  const spans: TextSpan[] = [];
  /** Everything before this offset is in a span or blank. */
  let covered = skipBlank(text, 0);
  let previousStart = 0;
  for (const chunk of await splitWith(splitter, text)) {
    const found = locate(text, chunk, previousStart, covered);
    if (!found) continue;
    const start = wholeCharacterStart(text, Math.min(found.start, covered));
    const end = wholeCharacterEnd(text, found.end);
    if (end <= covered && spans.length > 0) continue; // it adds nothing to the previous chunk
    spans.push({ start, end });
    previousStart = found.start;
    covered = skipBlank(text, end);
  }
  if (covered < text.length) coverRest(text, spans, covered);
  return spans;
}

function splitWith(splitter: Splitter, text: string): Promise<string[]> {
  return awaitHostCode("splitter", async () => {
    const returned: unknown = await splitter.splitText(text);
    // A copy: it turns holes into `undefined`, and an array whose getters throw does so here.
    const chunks: unknown[] = Array.isArray(returned) ? [...(returned as unknown[])] : [undefined];
    if (chunks.every((chunk) => typeof chunk === "string")) return chunks;
    throw new InvalidArgumentError("splitter", "must return a list of strings");
  });
}

/**
 * The last occurrence that begins at or before `limit`, otherwise the first one after it; none for a blank chunk.
 * Taking the last keeps repetitive texts from being found too early, which would leave their ends uncovered.
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
 * For splitters that change white space or drop separators inside a chunk (`CharacterTextSplitter` does both), or that
 * cut inside a character (token splitters leave U+FFFD there): the shortest span that has the chunk's characters in
 * order and ends after `limit`.
 */
function locateLoosely(text: string, chunk: string, from: number, limit: number): TextSpan | undefined {
  const characters = chunk.replace(/[\s\uFFFD]+/g, "");
  if (characters === "") return undefined;
  const span = shortestSpan(text, characters, from, limit);
  if (span) return span;
  // An earlier occurrence only repeats what the previous chunks already cover.
  if (text.includes(chunk) || shortestSpan(text, characters, 0, 0)) return undefined;
  throw new InvalidArgumentError("splitter", "returned text that is not in the content");
}

/** How many other characters a span may contain, as a share and in number, before it counts as a false match. */
const MAX_DROPPED_SHARE = 1;
const MAX_DROPPED_CHARACTERS = 16;

function shortestSpan(text: string, characters: string, from: number, limit: number): TextSpan | undefined {
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
  const isMatch = dropped <= MAX_DROPPED_SHARE * characters.length + MAX_DROPPED_CHARACTERS;
  return isMatch ? { start, end } : undefined;
}

/** Adds uncovered text at the end, such as a separator that the splitter dropped, to the last chunk. */
function coverRest(text: string, spans: TextSpan[], covered: number): void {
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
