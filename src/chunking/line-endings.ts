const LINE_BREAK = /\r\n?/g;

/**
 * The text with a line feed for each of its line breaks. It is what is split, hashed and embedded: browsers' forms send
 * CRLF for whatever they were given, and a text that comes back from one is the same text.
 */
export function withLineFeeds(text: string): string {
  return text.includes("\r") ? text.replace(LINE_BREAK, "\n") : text;
}

/** A text with line feeds, and where its places are in the text as it was given. */
export class LineFeedText {
  /** With line feeds. */
  readonly text: string;
  /** The places in `text` of the line feeds that were CRLF, one unit longer; in order. */
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

  /** The same place in the text as it was given: never between the two units of a CRLF. */
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

  /** The same span in the text as it was given. */
  spanToGiven({ start, end }: { start: number; end: number }): { start: number; end: number } {
    return { start: this.toGiven(start), end: this.toGiven(end) };
  }
}
