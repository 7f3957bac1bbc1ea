import { resolve } from "node:path";
import { searchModes } from "../hit-types.js";
import type { SearchMode, TrainingIndex } from "../index.js";
import { findGoldTrainings, isRight, type AnsweredQuestion } from "./evaluating/gold-trainings.js";
import { mean, type Interval } from "./evaluating/interval.js";
import { K, MEASURES, type Rank } from "./evaluating/measures.js";
import { QUESTION_FILE, readQuestions } from "./evaluating/question-file.js";
import type { Arguments } from "./session/arguments.js";
import {
  efSearchOption,
  embedderOptions,
  exitCodes,
  filterOption,
  InputError,
  jsonOption,
  schemaOption,
  UsageError,
  type Command,
} from "./session/command.js";
import { withIndex } from "./session/connection.js";
import { Progress } from "./session/progress.js";
import { printJson, printLine, printTable, type Terminal } from "./session/terminal.js";

/** The part of `--ids` that an id of the questions takes the place of. */
const PLACEHOLDER = "{id}";
/** Of the bootstrap: the same questions and hits give the same intervals. */
const SEED = 1;

/** What one mode found. */
interface ModeResult {
  mode: SearchMode;
  /** `R@1`, `R@5`, `R@10` and `MRR@10`, each with its 95 % interval. */
  measures: Record<string, Interval & { value: number }>;
  /** The mean time of a search, with the embedding of its question. */
  msPerQuestion: number;
}

/** Measures how well the searches of an index answer questions. */
export const evaluate: Command = {
  name: "eval",
  summary: "Measures how well searches find the trainings that answer given questions",
  positionals: "DIR",
  positionalCount: { least: 1, most: 1 },
  details: [
    `DIR has a file ${QUESTION_FILE} with a question a line: {"text":"...","doc_id":"frete"}. doc_id, or passage_id, is the id of the`,
    'training that answers it. With "answers":[{"start":26,"end":49}], places in the text of doc_id, a right hit overlaps one of them.',
    "Asks the index as it is, and changes nothing. R@5 is the share of the questions with a right hit among the first 5, MRR@10 the",
    "mean of 1 / the place of the first right hit. Each with its 95 % interval.",
  ],
  options: {
    ...schemaOption,
    ...filterOption,
    modes: {
      type: "string",
      value: "MODE,MODE",
      help: `some of ${searchModes.join(", ")}; default those that the index has`,
    },
    ids: {
      type: "string",
      value: "TEMPLATE",
      help: `makes the id of a training of that of a question: docs/${PLACEHOLDER}.md; default ${PLACEHOLDER}`,
    },
    ...efSearchOption,
    ...embedderOptions,
    ...jsonOption,
  },
  examples: [
    "training-index eval questions",
    "training-index eval questions --ids 'docs/{id}.md' --modes vector,hybrid --json",
  ],
  async run(args, terminal) {
    const chosen = readModes(args);
    const idFor = readTemplate(args);
    const efSearch = args.number("ef-search");
    const [folder = ""] = args.positionals;
    const questions = await readQuestions(resolve(terminal.cwd, folder), folder);
    const needsEmbedder = !chosen || chosen.some((mode) => mode !== "text");
    return withIndex(args, terminal, { embeds: needsEmbedder, filter: args.filter() }, async ({ index }) => {
      const { signal } = terminal;
      const answered = await findGoldTrainings(index, questions, idFor, signal);
      if (answered.length === 0) {
        throw new InputError(
          `the index has no training that answers a question of ${folder}: their doc_id and passage_id must be ids of trainings; see --ids`,
        );
      }
      const { textSearch } = await index.status({ counts: false, signal });
      const modes = chosen ?? (textSearch === undefined ? (["vector"] as const) : searchModes);
      const results: ModeResult[] = [];
      for (const mode of modes) results.push(await ask(index, answered, { mode, efSearch }, terminal));
      await print(results, { asked: answered.length, leftOut: questions.length - answered.length }, args, terminal);
      return exitCodes.fine;
    });
  },
};

async function ask(
  index: TrainingIndex,
  questions: readonly AnsweredQuestion[],
  { mode, efSearch }: { mode: SearchMode; efSearch: number | undefined },
  { stderr, signal }: Terminal,
): Promise<ModeResult> {
  const progress = new Progress(stderr, `${mode}: asked`, questions.length);
  const ranks: Rank[] = [];
  let ms = 0;
  try {
    for (const question of questions) {
      const started = performance.now();
      const hits = await index.similar<SearchMode>(question.text, { k: K, mode, efSearch, signal });
      ms += performance.now() - started;
      const place = hits.findIndex((hit) => isRight(question, hit));
      ranks.push(place < 0 ? undefined : place + 1);
      progress.update(ranks.length);
    }
  } finally {
    progress.end();
  }
  const measures = MEASURES.map(({ name, scoreOf, intervalOf }) => {
    const scores = ranks.map(scoreOf);
    return [name, { value: mean(scores), ...intervalOf(scores, SEED) }] as const;
  });
  return { mode, measures: Object.fromEntries(measures), msPerQuestion: ms / questions.length };
}

async function print(
  results: readonly ModeResult[],
  questions: { asked: number; leftOut: number },
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  if (args.flag("json")) {
    await printJson(terminal, { questions, modes: results });
    return;
  }
  const head = ["mode", ...MEASURES.map(({ name }) => name), "ms"];
  const rows = results.map(({ mode, measures, msPerQuestion }) => [
    mode,
    ...Object.values(measures).map(({ value, low, high }) => `${share(value)} [${share(low)}-${share(high)}]`),
    msPerQuestion.toFixed(1),
  ]);
  await printTable(terminal, [head, ...rows]);
  await printLine(terminal, `${questions.asked} questions, with 95 % intervals`);
  if (questions.leftOut > 0) {
    await printLine(terminal, `${questions.leftOut} others left out: the index has no training that answers them`);
  }
}

function share(value: number): string {
  return value.toFixed(3);
}

/** @throws {@link UsageError} */
function readModes(args: Arguments): SearchMode[] | undefined {
  return args
    .text("modes")
    ?.split(",")
    .map((name) => {
      const mode = searchModes.find((candidate) => candidate === name.trim());
      if (!mode) throw new UsageError(`--modes must be some of ${searchModes.join(", ")}, not ${JSON.stringify(name)}`);
      return mode;
    });
}

/** @throws {@link UsageError} */
function readTemplate(args: Arguments): (id: string) => string {
  const template = args.text("ids") ?? PLACEHOLDER;
  if (!template.includes(PLACEHOLDER))
    throw new UsageError(`--ids must have ${PLACEHOLDER}, such as docs/${PLACEHOLDER}.md`);
  return (id) => template.replaceAll(PLACEHOLDER, id);
}
