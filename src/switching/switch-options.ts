import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkFunction, checkInteger, checkNames, isPromise, namesOfProperties } from "../calls/checks.js";
import type { Splitter } from "../chunking/splitter.js";
import type { TrainingHeader } from "../chunking/training-input.js";
import type { EmbeddingProfile } from "../embedding/profiles.js";
import { InvalidArgumentError } from "../errors.js";
import type { TextSearchLanguage } from "../schema/lexemes.js";
import { textSearchLanguages } from "../schema/lexemes.js";
import { vectorIndexTypes, type VectorIndexType } from "../schema/vector-index.js";
import type { Training, TrainingId } from "../types.js";
import type { SwitchProgress, SwitchReport } from "./switch-types.js";

/** Loads the trainings with these ids as the host has them now. Ids that the host does not have are left out of the result. */
export type LoadTrainings = (
  ids: TrainingId[],
) => Iterable<Training<object>> | AsyncIterable<Training<object>> | Promise<Iterable<Training<object>>>;

/** Options of `switchModel`. */
export interface SwitchOptions {
  /** The model behind the embedder, as in the options of `initialize`. */
  profile?: (Partial<EmbeddingProfile> & { model: string }) | undefined;
  /** Components of a vector of the new model. Default: those of its profile, else of a vector that it makes of a word. */
  dimensions?: number | undefined;
  /** The type of the new vector index. Default: that of the one in use, or the next one that can hold the dimensions. */
  vectorIndex?: VectorIndexType | undefined;
  /** Parameters of the new vector index. Default: those of the one in use. */
  hnsw?: { m?: number | undefined; efConstruction?: number | undefined } | undefined;
  /** The language of text search from then on; `false` for none. Default: as it is. */
  textSearch?: TextSearchLanguage | false | undefined;
  /**
   * Loads trainings of the host. Needed if the index has a `header`, which is embedded but not stored, or if `splitter` or `header` are to
   * change: without it the stored chunks are embedded as they are. Called with up to 20 ids.
   */
  source?: LoadTrainings | undefined;
  /** With `source`: the splitter from then on. Default: that of the index. */
  splitter?: Splitter | undefined;
  /** With `source`: the header from then on. Default: that of the index. */
  header?: TrainingHeader | undefined;
  /** Batches of trainings that are embedded at the same time, 1 to 16. Default 2. */
  concurrency?: number | undefined;
  /** The most texts that this call embeds in a minute, so that searches and writes keep their embedder. Default: no limit. */
  maxTextsPerMinute?: number | undefined;
  /** Questions for the comparison of both models. Default: the beginnings of stored chunks. */
  questions?: readonly string[] | undefined;
  /** How many stored chunks are chosen as questions without `questions`, 0 to 1000. Default 20. */
  sample?: number | undefined;
  /** Decides, by the comparison of both models, whether the new one is used. Default: always. */
  check?: ((report: SwitchReport) => boolean | Promise<boolean>) | undefined;
  /** Only reports what there is to do. Embeds one word with the new model, and stores nothing. Default `false`. */
  dryRun?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Called after each batch, and with each new phase. What it throws ends the switch. */
  onProgress?: ((progress: SwitchProgress) => void) | undefined;
}

const SWITCH_OPTIONS = namesOfProperties<SwitchOptions>({
  profile: true,
  dimensions: true,
  vectorIndex: true,
  hnsw: true,
  textSearch: true,
  source: true,
  splitter: true,
  header: true,
  concurrency: true,
  maxTextsPerMinute: true,
  questions: true,
  sample: true,
  check: true,
  dryRun: true,
  signal: true,
  onProgress: true,
});
const SWITCH_HNSW = namesOfProperties<NonNullable<SwitchOptions["hnsw"]>>({ m: true, efConstruction: true });

const MAX_CONCURRENCY = 16;
const DEFAULT_CONCURRENCY = 2;
const MAX_SAMPLE = 1000;
const DEFAULT_SAMPLE = 20;
/** No embedder is as fast; the number bounds a typing error. */
const MAX_TEXTS_PER_MINUTE = 1_000_000_000;

/** Options with the defaults that need no database. */
export interface CheckedSwitch extends SwitchOptions {
  concurrency: number;
  sample: number;
  dryRun: boolean;
}

/** @throws {@link InvalidArgumentError} naming the option */
export function checkSwitch(embeddings: unknown, options: SwitchOptions): CheckedSwitch {
  const { embedDocuments, embedQuery } = (embeddings ?? {}) as Partial<EmbeddingsInterface>;
  if (typeof embedDocuments !== "function" || typeof embedQuery !== "function") {
    const problem = isPromise(embeddings)
      ? "is a promise: await it first"
      : "must be LangChain Embeddings of the new model";
    throw new InvalidArgumentError("embeddings", problem);
  }
  checkNames(options, SWITCH_OPTIONS, "switchModel");
  checkNames(options.hnsw, SWITCH_HNSW, "switchModel", "hnsw");
  for (const name of ["source", "header", "check", "onProgress"] as const) checkFunction<unknown>(name, options[name]);
  const { vectorIndex, textSearch, splitter, questions, dryRun = false, source } = options;
  if (vectorIndex !== undefined && !vectorIndexTypes.includes(vectorIndex)) {
    throw new InvalidArgumentError("vectorIndex", `must be one of ${vectorIndexTypes.join(", ")}`);
  }
  if (textSearch !== undefined && textSearch !== false && !textSearchLanguages.includes(textSearch)) {
    throw new InvalidArgumentError("textSearch", `must be false or one of ${textSearchLanguages.join(", ")}`);
  }
  if (splitter !== undefined && typeof (splitter as Partial<Splitter>).splitText !== "function") {
    throw new InvalidArgumentError(
      "splitter",
      "must be a LangChain text splitter, an object with the method splitText",
    );
  }
  for (const name of ["splitter", "header"] as const) {
    if (options[name] !== undefined && source === undefined) {
      throw new InvalidArgumentError(name, "needs source, which loads the texts: stored chunks cannot be split again");
    }
  }
  if (typeof dryRun !== "boolean") throw new InvalidArgumentError("dryRun", "must be true or false");
  if (questions !== undefined && !isListOfTexts(questions)) {
    throw new InvalidArgumentError("questions", "must be a list of texts that are not blank");
  }
  if (options.dimensions !== undefined) checkInteger("dimensions", options.dimensions, 1, 16_000);
  if (options.maxTextsPerMinute !== undefined) {
    checkInteger("maxTextsPerMinute", options.maxTextsPerMinute, 1, MAX_TEXTS_PER_MINUTE);
  }
  return {
    ...options,
    dryRun,
    concurrency: checkInteger("concurrency", options.concurrency ?? DEFAULT_CONCURRENCY, 1, MAX_CONCURRENCY),
    sample: checkInteger("sample", options.sample ?? DEFAULT_SAMPLE, 0, MAX_SAMPLE),
  };
}

function isListOfTexts(questions: readonly unknown[]): boolean {
  return (
    Array.isArray(questions) &&
    questions.length <= MAX_SAMPLE &&
    questions.every((text) => typeof text === "string" && text.trim() !== "")
  );
}
