import { scriptEnvironment, type ScriptEnvironment } from "../tooling/environment.js";
import { compareResults, type Result } from "./comparisons.js";
import { withIndexedSet, type Indexing } from "./evaluation.js";
import { ModelError, openModel, type Model } from "./models.js";
import { readOptions, USAGE, UsageError, type EvaluationOptions, type QuestionForm } from "./options.js";
import { typeOnPhone } from "./phone-noise.js";
import { QuestionSetError, readQuestionSet, type QuestionSet } from "./question-set.js";
import { comparisonTable, indexingTable, resultTable, VariantNames } from "./report.js";
import { headerOf, splitOf, variantsOf, type Variant } from "./variants.js";

/**
 * Evaluates what the arguments say, and prints the results, or on stderr what is wrong with them.
 *
 * @returns the exit code: 2 for arguments, a model or a question set that cannot be used
 */
export async function runEvaluation(args: string[]): Promise<number> {
  try {
    const options = readOptions(args);
    const sets = await readSets(options);
    const environment = scriptEnvironment();
    try {
      await evaluate(options, sets, environment);
    } finally {
      await environment.pool.end();
    }
    return 0;
  } catch (error) {
    if (error instanceof ModelError) console.error(error.message);
    else if (error instanceof UsageError || error instanceof QuestionSetError) {
      console.error(`${error.message}\n\n${USAGE}`.trim());
    } else throw error;
    return 2;
  }
}

/** The set, once for each value of `--split`. */
async function readSets({ source, splits }: EvaluationOptions): Promise<Map<string, QuestionSet>> {
  const sets = new Map<string, QuestionSet>();
  for (const name of splits) sets.set(name, await readQuestionSet(source, splitOf(name)?.split ?? "auto"));
  return sets;
}

async function evaluate(
  options: EvaluationOptions,
  sets: ReadonlyMap<string, QuestionSet>,
  environment: ScriptEnvironment,
): Promise<void> {
  const models = new Map<string, Model>();
  for (const name of options.models) models.set(name, await openModel(name, environment));
  printHead(options, models, environment);
  const results: Result[] = [];
  const indexings: { variant: Variant; indexing: Indexing }[] = [];
  const variants = variantsOf(options);
  for (const variant of variants) {
    const [model, set] = [models.get(variant.model), sets.get(variant.split)];
    if (!model || !set) throw new Error(`No model or set was read for ${JSON.stringify(variant)}`);
    const { splitter } = splitOf(variant.split) ?? {};
    const settings = {
      set,
      language: options.language,
      indexOptions: { splitter, ...headerOf(variant.header) },
    };
    await withIndexedSet(environment, model, settings, async ({ indexing, ask }) => {
      indexings.push({ variant, indexing });
      for (const form of options.questions) {
        const texts = questionTexts(set, form, options);
        for (const mode of options.modes) results.push({ variant, form, mode, ...(await ask(texts, mode)) });
      }
    });
  }
  const names = new VariantNames(variants);
  const comparisons = compareResults(results, options.seed);
  console.log(`questions: ${results[0]?.ranks.length ?? 0}; in brackets: 95 % confidence intervals`);
  console.log(resultTable(results, names, options.seed));
  if (comparisons.length > 0) console.log(comparisonTable(comparisons, names));
  console.log(indexingTable(indexings, names));
}

function printHead(
  { source, splits, headers, language }: EvaluationOptions,
  models: ReadonlyMap<string, Model>,
  { database }: ScriptEnvironment,
): void {
  console.log(`set: ${source} (${language})\ndatabase: ${database}`);
  for (const { description } of models.values()) console.log(`embedder: ${description}`);
  console.log(`split: ${splits.join(", ")}\nheader: ${headers.join(", ")}`);
}

function questionTexts(
  { questions }: QuestionSet,
  form: QuestionForm,
  { language, seed }: EvaluationOptions,
): string[] {
  const texts = questions.map(({ text }) => text);
  return form === "clean" ? texts : typeOnPhone(texts, language, seed);
}
