/** A piece of a training's text: as long as its place says. */
export interface Piece {
  content: string;
  /** Where it begins in the training's content, in UTF-16 units. */
  start: number;
  /** Where it ends, exclusive. */
  end: number;
}

/**
 * Joins pieces of one text, in the order of their places, with nothing twice. What lies between them is blank, and is
 * not stored: line breaks stand for it, and spaces where it is longer, so that the whole is as long as its place says.
 */
export function joinPieces(first: Piece, ...others: Piece[]): Piece {
  const joined = { ...first };
  for (const { content, start, end } of others) {
    if (end <= joined.end) continue;
    joined.content +=
      start < joined.end ? content.slice(joined.end - start) : blank(start - joined.end) + content;
    joined.end = end;
  }
  return joined;
}

function blank(length: number): string {
  return "\n".repeat(Math.min(length, 2)).padEnd(length);
}
