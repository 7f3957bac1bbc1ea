import { createHash } from "node:crypto";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import type { EmbeddingProfile } from "../embedding/profiles.js";
import { estimateTokens, MOST_TOKENS_PER_CHARACTER } from "../embedding/tokens.js";
import { InvalidArgumentError } from "../errors.js";
import { splitInTwo } from "./split-in-two.js";
import { LineFeedText } from "./line-endings.js";
import { describeSplitter, splitText, type Splitter, type TextSpan } from "./splitter.js";

/**
 * LangChain's own splitter at 1000/150 characters: of Portuguese prose no such chunk came over the 510 tokens
 * that `mxbai-embed-large` reads (largest seen 375; research: 275,000 characters of UD Bosque, WordPiece count).
 * Retrieval is best at 200 to 400 tokens (research: perf.md §7), so a larger window makes no larger chunks.
 */
const LARGEST_CHUNK_SIZE = 1000;
/** Characters of Portuguese that are surely no more than a token, where the window is smaller. */
const CHARACTERS_PER_TOKEN = 2;
const OVERLAP = 0.15;
/** What most models put around a text: a beginning and an end. */
const MARKERS = 2;
/** A header that leaves less than this to the text is a mistake. */
const FEWEST_TOKENS = 32;

/** Splits texts into chunks that the model reads whole, as far as can be told without its tokenizer. */
export class Chunker {
  /**
   * A digest of the splitter and the window, the same in each process: chunks of chunkers with the same one are taken to be
   * made alike. It is stored, and a splitter can hold an API key: so nothing in it can be read.
   */
  readonly description: string;
  readonly #splitter: Splitter;
  /** Tokens for header and text; `Infinity` when nobody has said how many the model reads. */
  readonly #maxTokens: number;

  /** @throws {@link InvalidArgumentError} for a window that has no room for a text */
  constructor(splitter: Splitter | undefined, { maxTokens = Infinity, documentPrefix }: EmbeddingProfile) {
    this.#maxTokens = maxTokens - MARKERS - estimateTokens(documentPrefix);
    if (!(this.#maxTokens >= FEWEST_TOKENS)) {
      throw new InvalidArgumentError("profile.maxTokens", "must be a number that leaves room for a text");
    }
    this.#splitter = splitter ?? defaultSplitter(maxTokens);
    const description = `${describeSplitter(this.#splitter)} ${this.#maxTokens}`;
    this.description = createHash("sha256").update(description).digest("hex");
  }

  /**
   * The places of the chunks: see {@link splitText}. One that looks longer than the model reads is cut again. The splitter
   * gets the text with line feeds, so that its line endings do not decide where chunks begin.
   *
   * @param header - what is embedded with each chunk, and takes its part of the window
   * @throws {@link InvalidArgumentError} when the header leaves no room
   */
  async split(given: string, header: string): Promise<TextSpan[]> {
    const maxTokens = this.#maxTokens - estimateTokens(header);
    if (maxTokens < FEWEST_TOKENS) {
      throw new InvalidArgumentError("header", "is so long that the model could not read a text with it");
    }
    const lines = new LineFeedText(given);
    const spans = await splitText(lines.text, this.#splitter);
    const fitting = inOrder(spans.flatMap((span) => fit(lines.text, span, maxTokens)));
    return fitting.map((span) => lines.spanToGiven(span));
  }
}

/** Where chunks overlap, a part of one can lie in, or begin before, the last part of the one before it. */
function inOrder(spans: readonly TextSpan[]): TextSpan[] {
  const ordered: TextSpan[] = [];
  for (const { start, end } of spans) {
    const last = ordered.at(-1);
    if (!last || end > last.end) ordered.push({ start: Math.max(start, last?.start ?? 0), end });
  }
  return ordered;
}

function fit(text: string, span: TextSpan, maxTokens: number): TextSpan[] {
  if (MOST_TOKENS_PER_CHARACTER * (span.end - span.start) <= maxTokens) return [span];
  if (estimateTokens(text.slice(span.start, span.end)) <= maxTokens) return [span];
  return splitInTwo(text, span)?.flatMap((part) => fit(text, part, maxTokens)) ?? [span];
}

function defaultSplitter(maxTokens: number): Splitter {
  const chunkSize = Math.min(LARGEST_CHUNK_SIZE, Math.floor(CHARACTERS_PER_TOKEN * maxTokens));
  return new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap: Math.floor(OVERLAP * chunkSize) });
}
