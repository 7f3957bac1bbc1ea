/** A piece of a training's text. Its length is `end - start`. */
export interface Piece {
  content: string;
  /** Its start in the training's content, in UTF-16 units. */
  start: number;
  /** Its end, exclusive. */
  end: number;
}

/**
 * Joins pieces of one text, given in the order of their starts, without repeating overlaps. The blank text between them
 * is not stored; line breaks take its place, padded with spaces, so that the result's length is still `end - start`.
 */
export function joinPieces(first: Piece, ...others: Piece[]): Piece {
  const joined = { ...first };
  for (const { content, start, end } of others) {
    if (end <= joined.end) continue;
    joined.content += start < joined.end ? content.slice(joined.end - start) : blank(start - joined.end) + content;
    joined.end = end;
  }
  return joined;
}

function blank(length: number): string {
  return "\n".repeat(Math.min(length, 2)).padEnd(length);
}
