import { MarkdownTextSplitter, RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import type { Splitter, Training, TrainingIndexOptions } from "langchain-training-index";
import type { Split } from "./question-set.js";

/** A way to index a set. Variants are what an evaluation compares. */
export interface Variant {
  /** See `openModel`. */
  model: string;
  /** See {@link splitOf}. */
  split: string;
  /** See {@link headerOf}. */
  header: string;
}

/** Every combination of the given values. */
export function variantsOf(values: {
  models: readonly string[];
  splits: readonly string[];
  headers: readonly string[];
}): Variant[] {
  return values.models.flatMap((model) =>
    values.splits.flatMap((split) => values.headers.map((header) => ({ model, split, header }))),
  );
}

const SPLITTER = /^(recursive|markdown):(\d{1,6}):(\d{1,6})$/;
const SPLITTERS = { recursive: RecursiveCharacterTextSplitter, markdown: MarkdownTextSplitter };

/**
 * What a value of `--split` means: `auto` and `passages`, or one of LangChain's splitters with the size of its chunks and
 * their overlap in characters, such as `recursive:500:75`. `undefined` for any other value.
 */
export function splitOf(name: string): { split: Split; splitter?: Splitter } | undefined {
  if (name === "auto" || name === "passages") return { split: name };
  const [, kind, chunkSize, chunkOverlap] = SPLITTER.exec(name) ?? [];
  if (kind === undefined || !(Number(chunkSize) > Number(chunkOverlap))) return undefined;
  const Splitting = SPLITTERS[kind as keyof typeof SPLITTERS];
  return {
    split: "auto",
    splitter: new Splitting({ chunkSize: Number(chunkSize), chunkOverlap: Number(chunkOverlap) }),
  };
}

/** Options of `TrainingIndex.initialize` for each value of `--headers`. */
const HEADERS: ReadonlyMap<string, Pick<TrainingIndexOptions, "header">> = new Map([
  ["none", {}],
  ["title", { header: titleOf }],
]);

/** What a value of `--headers` means: nothing, or the title of its text, is embedded above each chunk. */
export function headerOf(name: string): Pick<TrainingIndexOptions, "header"> | undefined {
  return HEADERS.get(name);
}

function titleOf({ metadata }: Training): string {
  const title = metadata?.["title"];
  return typeof title === "string" ? title : "";
}
