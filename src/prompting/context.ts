import { checkFunction, checkOptions, isObject, namesOfProperties } from "../calls/checks.js";
import { addPassage, blocksOf, type Block, type Passage } from "./context-blocks.js";
import { InvalidArgumentError } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import type { Metadata, TrainingId } from "../types.js";

export type { Passage } from "./context-blocks.js";

/** Options of {@link formatContext} and {@link citedContext}. */
export interface FormatContextOptions {
  /** Passages are left out, from the last, until the text has no more UTF-16 units than this. Default: all are kept. */
  maxChars?: number | undefined;
  /** As `maxChars`, by what `countTokens` says. Both can be given. */
  maxTokens?: number | undefined;
  /** How many tokens a text has for the model that reads it, for example by `js-tiktoken`. Needed for `maxTokens`. */
  countTokens?: ((text: string) => number) | undefined;
  /** The line above a passage, after its number. Default: the metadata's `tag - grupo`, where there are such. */
  header?: ((passage: { content: string; metadata: Metadata }) => string) | undefined;
}

const FORMAT_OPTIONS = namesOfProperties<FormatContextOptions>({
  maxChars: true,
  maxTokens: true,
  countTokens: true,
  header: true,
});

/** What stands behind a number in the text of {@link citedContext}. */
export interface Citation {
  /** As in the text: 1 for the first passage. */
  number: number;
  /** `undefined` for a passage that does not say where it comes from; so are `start` and `end`. */
  trainingId: TrainingId | undefined;
  /** Where the passage begins in the training's content, in UTF-16 units. */
  start: number | undefined;
  /** Where it ends, exclusive; for a passage that was cut, where it was cut. */
  end: number | undefined;
  /** The chunks that were found in it, best first. */
  chunkIds: string[];
  /** Of the best of its chunks. */
  metadata: Metadata;
}

/** The text that a prompt gets, and what its numbers stand for. */
export interface CitedContext {
  text: string;
  citations: Citation[];
}

const SEPARATOR = "\n---\n";

/**
 * The text that a prompt gets: passages with numbers to cite them by, in the order given. Empty for no passages.
 * Passages of one training that overlap or follow on each other are joined, at the place of the best, with nothing twice.
 *
 * ```text
 * [1] entregas - suporte
 * O prazo de entrega é de três dias úteis.
 * ---
 * [2] trocas - suporte
 * ...
 * ```
 *
 * The first passage is kept even when it alone is too long, cut at the limit. Pass the text to a LangChain prompt as a
 * variable, not as part of the template: braces in it are then safe.
 *
 * @throws {@link InvalidArgumentError} for a limit that is no positive integer, `maxTokens` without `countTokens`, or what
 * is no list of passages
 */
export function formatContext(passages: readonly Passage[], options: FormatContextOptions = {}): string {
  return citedContext(passages, options).text;
}

/**
 * As {@link formatContext}, with what each number stands for.
 *
 * @throws as {@link formatContext}
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

/** As a step of a chain, `retriever.pipe(formatContext)`, LangChain passes on its config. */
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
  const { trainingId, start, end, chunkIds = [] } = source ?? {};
  return { number: index + 1, trainingId, start, end, chunkIds, metadata };
}

function defaultHeader({ metadata }: { metadata: Metadata }): string {
  return [metadata["tag"], metadata["grupo"]]
    .filter((part) => typeof part === "string" && part !== "")
    .join(" - ");
}

/** As much of the first passage as fits. */
function cut({ text, citations }: CitedContext, fits: (text: string) => boolean): CitedContext {
  let [length, tooLong] = [0, text.length];
  while (tooLong - length > 1) {
    const middle = Math.floor((length + tooLong) / 2);
    if (fits(text.slice(0, middle))) length = middle;
    else tooLong = middle;
  }
  const kept = endsInPair(text, length) ? length - 1 : length;
  return {
    text: text.slice(0, kept),
    citations: citations.map((citation) => {
      const { start, end } = citation;
      if (start === undefined || end === undefined) return citation;
      return { ...citation, end: Math.max(start, end - (text.length - kept)) };
    }),
  };
}

/** Whether a text would end in half a surrogate pair. */
function endsInPair(text: string, length: number): boolean {
  const last = text.charCodeAt(length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

/** Whether a text is within the limits. */
function checkLimits({
  maxChars,
  maxTokens,
  countTokens,
  header,
}: FormatContextOptions): (text: string) => boolean {
  checkLimit("maxChars", maxChars);
  checkLimit("maxTokens", maxTokens);
  checkFunction("header", header);
  checkFunction("countTokens", countTokens);
  if (maxTokens !== undefined && !countTokens) {
    throw new InvalidArgumentError(
      "countTokens",
      "must say how many tokens a text has: there is a maxTokens",
    );
  }
  return (text) =>
    text.length <= (maxChars ?? Infinity) &&
    (maxTokens === undefined || tokensOf(text, countTokens) <= maxTokens);
}

function tokensOf(text: string, countTokens: FormatContextOptions["countTokens"]): number {
  const tokens: unknown = runHostCode("countTokens", () => countTokens?.(text));
  // A promise, for example: LangChain's models count by one.
  if (typeof tokens !== "number" || Number.isNaN(tokens)) {
    throw new InvalidArgumentError("countTokens", "must return a number");
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
