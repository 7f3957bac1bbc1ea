import { InvalidArgumentError } from "./errors.js";
import type { ChunkHit, Metadata } from "./types.js";

/** A passage for {@link formatContext}: a hit of `similar`, or a document of a retriever. */
export type Passage = Pick<ChunkHit, "content" | "metadata"> | { pageContent: string; metadata: Metadata };

/** Options of {@link formatContext}. */
export interface FormatContextOptions {
  /** Passages are left out, from the last, until the text is no longer than this. Default: all are kept. */
  maxChars?: number | undefined;
  /** The line above a passage, after its number. Default: the metadata's `tag - grupo`, where there are such. */
  header?: ((passage: { content: string; metadata: Metadata }) => string) | undefined;
}

const SEPARATOR = "\n---\n";

/**
 * The text that a prompt gets: passages with numbers to cite them by, in the order given. Empty for no passages.
 *
 * ```text
 * [1] entregas - suporte
 * O prazo de entrega é de três dias úteis.
 * ---
 * [2] trocas - suporte
 * ...
 * ```
 *
 * The first passage is kept even when it alone is longer than `maxChars`, cut at the limit. Pass the text to a
 * LangChain prompt as a variable, not as part of the template: braces in it are then safe.
 *
 * @throws {@link InvalidArgumentError} for a `maxChars` that is no positive integer
 */
export function formatContext(passages: readonly Passage[], options: FormatContextOptions = {}): string {
  const { maxChars = Number.MAX_SAFE_INTEGER, header = defaultHeader } = options;
  if (!Number.isSafeInteger(maxChars) || maxChars < 1) {
    throw new InvalidArgumentError("maxChars", "must be a positive integer");
  }
  let text = "";
  for (const [index, passage] of passages.entries()) {
    const { metadata } = passage;
    const content = "content" in passage ? passage.content : passage.pageContent;
    const heading = `[${index + 1}] ${header({ content, metadata })}`.trimEnd();
    const block = `${index === 0 ? "" : SEPARATOR}${heading}\n${content}`;
    if (text.length + block.length > maxChars) return index === 0 ? cut(block, maxChars) : text;
    text += block;
  }
  return text;
}

function defaultHeader({ metadata }: { metadata: Metadata }): string {
  return [metadata["tag"], metadata["grupo"]]
    .filter((part) => typeof part === "string" && part !== "")
    .join(" - ");
}

/** Cuts without leaving half a surrogate pair. */
function cut(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
