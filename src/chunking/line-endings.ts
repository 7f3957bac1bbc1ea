const LINE_BREAK = /\r\n?/g;

/**
 * The text with every line break as a line feed. This form is split, hashed and embedded: HTML forms convert all line
 * breaks to CRLF, and a text that comes back from one must count as the same text.
 */
export function withLineFeeds(text: string): string {
  return text.includes("\r") ? text.replace(LINE_BREAK, "\n") : text;
}

/** A text with line feeds, and the mapping of its offsets to the given text. */
export class LineFeedText {
  /** The text with line feeds. */
  readonly text: string;
  /** Offsets in `text` of the line feeds that were CRLF, which is one unit longer; ascending. */
  readonly #shortened: readonly number[];

  constructor(given: string) {
    this.text = withLineFeeds(given);
    const shortened: number[] = [];
    if (this.text.length < given.length) {
      for (let at = given.indexOf("\r\n"); at >= 0; at = given.indexOf("\r\n", at + 2)) {
        shortened.push(at - shortened.length);
      }
    }
    this.#shortened = shortened;
  }

  /** The corresponding offset in the given text, never between the two units of a CRLF. */
  toGiven(offset: number): number {
    let low = 0;
    let high = this.#shortened.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#shortened[middle] ?? Infinity) < offset) low = middle + 1;
      else high = middle;
    }
    return offset + low;
  }

  /** The corresponding span in the given text. */
  spanToGiven({ start, end }: { start: number; end: number }): { start: number; end: number } {
    return { start: this.toGiven(start), end: this.toGiven(end) };
  }
}
