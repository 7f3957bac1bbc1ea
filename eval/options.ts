import { parseArgs } from "node:util";
import type { SearchMode } from "langchain-training-index";
import type { TextSearchLanguage } from "langchain-training-index/migrations";
import { QUESTION_SETS } from "./question-set.js";
import { headerOf, splitOf } from "./variants.js";

/** The questions as the set has them, or as typed on a phone. */
export type QuestionForm = "clean" | "phone";

/** The arguments of `npm run eval`. */
export interface EvaluationOptions {
  /** The question set. */
  source: string;
  language: TextSearchLanguage;
  modes: SearchMode[];
  questions: QuestionForm[];
  models: string[];
  splits: string[];
  headers: string[];
  seed: number;
}

/** Arguments that cannot be used; the message says why. */
export class UsageError extends Error {}

const MODES: readonly SearchMode[] = ["vector", "text", "hybrid"];
const FORMS: readonly QuestionForm[] = ["clean", "phone"];

/** How to use the command, for a person. */
export const USAGE = `usage: npm run eval -- SET [options]

  --language portuguese    the language of text search
  --modes ${MODES.join(",")}
  --questions clean        or phone: as typed on a phone; clean,phone asks both
  --seed 1                 of the typing errors and of the bootstrap

These make variants, each compared with the first:
  --models environment     also hashing, use (a sentence model for English: npm ci --prefix eval) and ollama:NAME
  --split auto             the library's default; also passages, recursive:500:75 and markdown:500:75 (characters and overlap)
  --headers none           or title: the title of a text is embedded above each of its chunks

Several values have commas between them: --models hashing,use

${QUESTION_SETS}`;

/** Reads the command line. @throws {@link UsageError} */
export function readOptions(args: string[]): EvaluationOptions {
  const { values, positionals } = parse(args);
  const [source, ...others] = positionals;
  if (source === undefined) throw new UsageError("");
  if (others.length > 0) throw new UsageError(`One set at a time: ${others.join(" ")} is one too many`);
  if (!/^\d{1,9}$/.test(values.seed)) throw new UsageError(`--seed must be a whole number, not ${values.seed}`);
  return {
    source,
    language: values.language as TextSearchLanguage, // `migrate` checks it
    modes: list("--modes", values.modes, (name): name is SearchMode => MODES.some((mode) => mode === name)),
    questions: list("--questions", values.questions, (name): name is QuestionForm =>
      FORMS.some((form) => form === name),
    ),
    models: list("--models", values.models, (name): name is string => name !== ""),
    splits: list("--split", values.split, (name): name is string => splitOf(name) !== undefined),
    headers: list("--headers", values.headers, (name): name is string => headerOf(name) !== undefined),
    seed: Number(values.seed),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        language: { type: "string", default: "portuguese" },
        modes: { type: "string", default: MODES.join(",") },
        questions: { type: "string", default: "clean" },
        models: { type: "string", default: "environment" },
        split: { type: "string", default: "auto" },
        headers: { type: "string", default: "none" },
        seed: { type: "string", default: "1" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The values of an option, each once. */
function list<Value extends string>(option: string, text: string, isValue: (name: string) => name is Value): Value[] {
  const names = [...new Set(text.split(",").map((name) => name.trim()))];
  return names.map((name) => {
    if (!isValue(name)) throw new UsageError(`${option} does not take "${name}"`);
    return name;
  });
}
