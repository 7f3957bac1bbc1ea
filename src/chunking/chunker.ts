import { createHash } from "node:crypto";
import type { EmbeddingProfile } from "../embedding/profiles.js";
import { estimateTokens, MAX_TOKENS_PER_CHARACTER } from "../embedding/tokens.js";
import { InvalidArgumentError } from "../errors.js";
import { splitInTwo } from "./split-in-two.js";
import { LineFeedText } from "./line-endings.js";
import { describeSplitter, splitText, type Splitter, type TextSpan } from "./splitter.js";

/**
 * Characters per chunk of LangChain's splitter, with an overlap of 150. No such chunk of Portuguese prose exceeded the
 * 510 tokens that `mxbai-embed-large` reads (largest seen: 375, in 275,000 characters of UD Bosque counted by
 * WordPiece). Retrieval is best at 200 to 400 tokens, so models with a larger window do not get larger chunks.
 */
const MAX_CHUNK_SIZE = 1000;
/** Conservative for Portuguese; it sizes the chunks of models with a smaller window. */
const CHARACTERS_PER_TOKEN = 2;
const OVERLAP = 0.15;
/** Most models add a start and an end token to each text. */
const SPECIAL_TOKENS = 2;
/** A prefix or header that leaves less than this for the text is a mistake. */
const MIN_TEXT_TOKENS = 32;

/** Splits texts into chunks that fit the model's window, estimated without its tokenizer. */
export class Chunker {
  #description: string | undefined;
  /**
   * The default one is loaded when it is first needed: with the tokenizer that it brings along it takes about 100 ms.
   */
  #splitter: Splitter | undefined;
  readonly #chunkSize: number;
  /** Tokens available for header and text; `Infinity` if the model's limit is not known. */
  readonly #maxTokens: number;

  /** @throws {@link InvalidArgumentError} if the window is too small for a text */
  constructor(splitter: Splitter | undefined, { maxTokens = Infinity, documentPrefix }: EmbeddingProfile) {
    this.#maxTokens = maxTokens - SPECIAL_TOKENS - estimateTokens(documentPrefix);
    if (!(this.#maxTokens >= MIN_TEXT_TOKENS)) {
      throw new InvalidArgumentError(
        "profile.maxTokens",
        `must be a number that leaves ${MIN_TEXT_TOKENS} tokens for the text after the document prefix`,
      );
    }
    this.#chunkSize = Math.min(MAX_CHUNK_SIZE, Math.floor(CHARACTERS_PER_TOKEN * maxTokens));
    this.#splitter = splitter;
    if (splitter) this.#description = this.#describe(splitter);
  }

  /**
   * A digest of the splitter and the window, equal in every process: chunkers with the same description are assumed to
   * split alike. It is a digest because it is stored, and a splitter's settings can hold an API key.
   */
  async describe(): Promise<string> {
    return (this.#description ??= this.#describe(await this.#loadSplitter()));
  }

  /**
   * The spans of the chunks, see {@link splitText}. A chunk estimated to exceed the model's window is cut again. The
   * splitter gets the text with line feeds, so that line endings do not affect where chunks begin.
   *
   * @param header - embedded with each chunk, so it takes up part of the window
   * @throws {@link InvalidArgumentError} if the header leaves too little for the text
   */
  async split(given: string, header: string): Promise<TextSpan[]> {
    const maxTokens = this.#maxTokens - estimateTokens(header);
    if (maxTokens < MIN_TEXT_TOKENS) {
      throw new InvalidArgumentError(
        "header",
        `is too long: it must leave ${MIN_TEXT_TOKENS} tokens of the model's window for the text`,
      );
    }
    const lines = new LineFeedText(given);
    const spans = await splitText(lines.text, await this.#loadSplitter());
    const fitting = inOrder(spans.flatMap((span) => fit(lines.text, span, maxTokens)));
    return fitting.map((span) => lines.spanToGiven(span));
  }

  async #loadSplitter(): Promise<Splitter> {
    if (this.#splitter) return this.#splitter;
    const { RecursiveCharacterTextSplitter } = await import("@langchain/textsplitters");
    const chunkOverlap = Math.floor(OVERLAP * this.#chunkSize);
    return (this.#splitter ??= new RecursiveCharacterTextSplitter({
      chunkSize: this.#chunkSize,
      chunkOverlap,
    }));
  }

  #describe(splitter: Splitter): string {
    return createHash("sha256")
      .update(`${describeSplitter(splitter)} ${this.#maxTokens}`)
      .digest("hex");
  }
}

/** If chunks overlap, a part of one can lie within, or begin before, the last part of the previous one. */
function inOrder(spans: readonly TextSpan[]): TextSpan[] {
  const ordered: TextSpan[] = [];
  for (const { start, end } of spans) {
    const last = ordered.at(-1);
    if (!last || end > last.end) ordered.push({ start: Math.max(start, last?.start ?? 0), end });
  }
  return ordered;
}

function fit(text: string, span: TextSpan, maxTokens: number): TextSpan[] {
  if (MAX_TOKENS_PER_CHARACTER * (span.end - span.start) <= maxTokens) return [span];
  if (estimateTokens(text.slice(span.start, span.end)) <= maxTokens) return [span];
  return splitInTwo(text, span)?.flatMap((part) => fit(text, part, maxTokens)) ?? [span];
}
