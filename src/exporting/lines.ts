import { InvalidArgumentError } from "../errors.js";
import type { ExportSource } from "./export-options.js";

/** A line of a text, without its line feed. */
export interface Line {
  /** From 1. */
  number: number;
  text: string;
  /** Whether the text ends in it: what follows may be missing. */
  isCut: boolean;
}

/** More than any line of an export has; a text without line feeds would fill the memory. */
const MAX_LENGTH = 256 * 1024 * 1024;
const LINE_FEED = 10;
const NO_BYTES = new Uint8Array();

/**
 * The lines of a text in UTF-8 that comes in parts, cut anywhere.
 *
 * @throws {@link InvalidArgumentError} for other bytes, or a line that is too long; errors of the source are rethrown unchanged
 */
export async function* linesOf(source: ExportSource): AsyncGenerator<Line, void, undefined> {
  let number = 1;
  /** Joined only when the line is complete: adding each part to a string would copy a long line again and again. */
  let pending: string[] = [];
  let length = 0; // in characters or bytes
  const takeLine = (isCut: boolean): Line => {
    const line = { number: number++, text: pending.join(""), isCut };
    pending = [];
    length = 0;
    return line;
  };
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes: Uint8Array, isEnd: boolean): string => {
    try {
      return decoder.decode(bytes, { stream: !isEnd });
    } catch {
      throw new InvalidArgumentError(`source:${number}`, "is not UTF-8");
    }
  };
  for await (const part of source) {
    const isText = typeof part === "string";
    const cut = (start: number, end: number, isEnd: boolean): string =>
      isText ? part.slice(start, end) : decode(part.subarray(start, end), isEnd);
    const endAfter = (start: number): number => (isText ? part.indexOf("\n", start) : part.indexOf(LINE_FEED, start));
    let start = 0;
    for (let end = endAfter(start); end >= 0; end = endAfter(start)) {
      pending.push(cut(start, end, true));
      yield takeLine(false);
      start = end + 1;
    }
    if (start === part.length) continue;
    pending.push(cut(start, part.length, false));
    length += part.length - start;
    if (length > MAX_LENGTH) throw new InvalidArgumentError(`source:${number}`, "is too long for a line of an export");
  }
  pending.push(decode(NO_BYTES, true));
  if (length > 0) yield takeLine(true);
}
