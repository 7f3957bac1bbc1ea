import { checkFunction, checkOptions, isObject, namesOfProperties } from "../calls/checks.js";
import { addPassage, blocksOf, type Block, type Passage } from "./context-blocks.js";
import { InvalidArgumentError } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import type { Metadata, TrainingId } from "../types.js";
import type { TextRange } from "../hit-types.js";

export type { Passage } from "./context-blocks.js";

/** Options of {@link formatContext} and {@link citedContext}. */
export interface FormatContextOptions {
  /** The longest text, in UTF-16 units: passages are dropped from the end until it fits. Default: no limit. */
  maxChars?: number | undefined;
  /** As `maxChars`, in tokens as `countTokens` counts them. Both limits can be set. Default: no limit. */
  maxTokens?: number | undefined;
  /** Counts the tokens of a text, for example with `js-tiktoken`. Required with `maxTokens`; must not return a promise. */
  countTokens?: ((text: string) => number) | undefined;
  /** Returns a passage's heading, which follows its number. Default: the metadata's `tag - grupo`, as far as it has them. */
  header?: ((passage: { content: string; metadata: Metadata }) => string) | undefined;
}

/** The option names of {@link citedContext}. */
export const FORMAT_OPTIONS = namesOfProperties<FormatContextOptions>({
  maxChars: true,
  maxTokens: true,
  countTokens: true,
  header: true,
});

/** The passage that a number in the text of {@link citedContext} refers to. */
export interface Citation {
  /** The number in the text: 1 for the first passage. */
  number: number;
  /** `undefined`, as `start` and `end`, for a passage that does not say where it comes from. */
  trainingId: TrainingId | undefined;
  /** Where the passage begins in the training's content, in UTF-16 units. */
  start: number | undefined;
  /** Where it ends, exclusive. For a passage that was cut to fit, where it was cut. */
  end: number | undefined;
  /** Ids of the chunks that were found in it, best first. */
  chunkIds: string[];
  /** The metadata of its best chunk. */
  metadata: Metadata;
  /**
   * Where the question's words are in the training's content, in UTF-16 units and in its order. Only if the hits were searched
   * with the option `matches`.
   */
  matches?: TextRange[] | undefined;
}

/** The text for a prompt, and the passages that its numbers refer to. */
export interface CitedContext {
  text: string;
  citations: Citation[];
}

const SEPARATOR = "\n---\n";

/**
 * Formats hits or documents as the text for a prompt: passages in the order given, numbered so that a model can cite them.
 * Passages of one training that overlap or directly follow each other are joined without repeating text, at the place of
 * the best one. Without passages the text is empty.
 *
 * ```text
 * [1] entregas - suporte
 * O prazo de entrega é de três dias úteis.
 * ---
 * [2] trocas - suporte
 * ...
 * ```
 *
 * If the first passage alone is longer than a limit, it is cut there. Pass the text to a LangChain prompt as a variable, not
 * as part of the template, so that braces in it are not read as variables.
 *
 * @example
 * ```ts
 * const passages = await index.similar("Qual é o prazo de entrega?", { k: 4 });
 * const context = formatContext(passages, { maxChars: 5000 });
 * ```
 *
 * @throws {@link InvalidArgumentError} if a limit is not a positive integer, for `maxTokens` without `countTokens`, and for
 * anything that is not a list of hits or documents
 */
export function formatContext(passages: readonly Passage[], options: FormatContextOptions = {}): string {
  return citedContext(passages, options).text;
}

/**
 * As {@link formatContext}, but also returns the passage that each number refers to.
 *
 * @example
 * ```ts
 * const { text, citations } = citedContext(await index.similar("Qual é o prazo de entrega?"));
 * for (const { number, trainingId } of citations) console.log(`[${number}] training ${trainingId ?? "unknown"}`);
 * ```
 *
 * @throws {@link InvalidArgumentError} as {@link formatContext}
 */
export function citedContext(passages: readonly Passage[], options: FormatContextOptions = {}): CitedContext {
  const given = isRunnableConfig(options) ? {} : options;
  checkOptions(given, FORMAT_OPTIONS, "formatContext");
  const fits = checkLimits(given);
  const { header = defaultHeader } = given;
  const whole = write(blocksOf(passages), header);
  if (fits(whole.text)) return whole;
  let context = write([], header);
  let blocks: Block[] = [];
  for (const [index, passage] of passages.entries()) {
    blocks = addPassage(blocks, passage, index);
    const longer = write(blocks, header);
    if (!fits(longer.text)) return index === 0 ? cut(longer, fits) : context;
    context = longer;
  }
  return context;
}

/** In a chain, `retriever.pipe(formatContext)`, LangChain passes its config as the second argument. */
function isRunnableConfig(options: object | null): boolean {
  return isObject(options) && "recursionLimit" in options;
}

function write(blocks: readonly Block[], header: NonNullable<FormatContextOptions["header"]>): CitedContext {
  const texts = blocks.map(({ content, metadata }, index) => {
    const heading = `[${index + 1}] ${headerOf({ content, metadata }, header)}`.trimEnd();
    return `${heading}\n${content}`;
  });
  return { text: texts.join(SEPARATOR), citations: blocks.map(toCitation) };
}

function toCitation({ metadata, source }: Block, index: number): Citation {
  const { trainingId, start, end, chunkIds = [], matches } = source ?? {};
  const citation = { number: index + 1, trainingId, start, end, chunkIds, metadata };
  return matches ? { ...citation, matches } : citation;
}

function defaultHeader({ metadata }: { metadata: Metadata }): string {
  return [metadata["tag"], metadata["grupo"]].filter((part) => typeof part === "string" && part !== "").join(" - ");
}

/** Cuts the first passage to what fits. */
function cut({ text, citations }: CitedContext, fits: (text: string) => boolean): CitedContext {
  let [length, tooLong] = [0, text.length];
  while (tooLong - length > 1) {
    const middle = Math.floor((length + tooLong) / 2);
    if (fits(text.slice(0, middle))) length = middle;
    else tooLong = middle;
  }
  const kept = splitsSurrogatePair(text, length) ? length - 1 : length;
  return {
    text: text.slice(0, kept),
    citations: citations.map((citation) => {
      const { start, end, matches } = citation;
      if (start === undefined || end === undefined) return citation;
      const cutAt = Math.max(start, end - (text.length - kept));
      const shorter = { ...citation, end: cutAt };
      return matches ? { ...shorter, matches: matches.filter((match) => match.end <= cutAt) } : shorter;
    }),
  };
}

/** Whether a cut at this length would split a surrogate pair. */
function splitsSurrogatePair(text: string, length: number): boolean {
  const last = text.charCodeAt(length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

/** Checks the options; returns a function that says whether a text is within the limits. */
function checkLimits({ maxChars, maxTokens, countTokens, header }: FormatContextOptions): (text: string) => boolean {
  checkLimit("maxChars", maxChars);
  checkLimit("maxTokens", maxTokens);
  checkFunction("header", header);
  checkFunction("countTokens", countTokens);
  if (maxTokens !== undefined && !countTokens) {
    throw new InvalidArgumentError("countTokens", "is required with maxTokens: (text: string) => number");
  }
  return (text) =>
    text.length <= (maxChars ?? Infinity) && (maxTokens === undefined || tokensOf(text, countTokens) <= maxTokens);
}

function tokensOf(text: string, countTokens: FormatContextOptions["countTokens"]): number {
  const tokens: unknown = runHostCode("countTokens", () => countTokens?.(text));
  // For example a promise: LangChain's models count tokens asynchronously.
  if (typeof tokens !== "number" || Number.isNaN(tokens)) {
    throw new InvalidArgumentError("countTokens", "must return a number, and not a promise");
  }
  return tokens;
}

function headerOf(
  passage: { content: string; metadata: Metadata },
  header: NonNullable<FormatContextOptions["header"]>,
): string {
  const text: unknown = runHostCode("header", () => header(passage));
  if (typeof text !== "string") throw new InvalidArgumentError("header", "must return a string");
  return text;
}

function checkLimit(option: string, limit: number | undefined): void {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) {
    throw new InvalidArgumentError(option, "must be a positive integer");
  }
}
