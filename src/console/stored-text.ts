import type { ChunkPassage } from "../index.js";

/** A chunk's text and its place in the content of the training. */
export type PlacedText = Pick<ChunkPassage, "content" | "start" | "end">;

/**
 * The text of a training, made of its chunks in their order. Overlaps are not repeated. The blank text between two chunks is not
 * stored: a single character of it becomes a space if the chunks have no line breaks, and everything else line breaks. Every other
 * character is as it was given, so chunks that are not edited keep their vectors.
 */
export function storedText(chunks: readonly PlacedText[]): string {
  const hasLines = chunks.some(({ content }) => content.includes("\n"));
  let text = "";
  let end = 0;
  for (const chunk of chunks) {
    if (chunk.end <= end) continue;
    if (text === "") text = chunk.content;
    else if (chunk.start < end) text += chunk.content.slice(end - chunk.start);
    else text += blank(chunk.start - end, hasLines) + chunk.content;
    end = chunk.end;
  }
  return text;
}

function blank(length: number, hasLines: boolean): string {
  if (length <= 1) return (hasLines ? "\n" : " ").repeat(length);
  return "\n\n";
}
