import type { SearchMode } from "langchain-training-index";
import { mean } from "../src/cli/evaluating/interval.js";
import { comparePaired, type PairedComparison } from "./bootstrap.js";
import { MEASURES, RECALLS, type Measure, type Rank } from "../src/cli/evaluating/measures.js";
import type { QuestionForm } from "./options.js";
import type { Variant } from "./variants.js";

/** How a variant answered the questions in one form and one mode. */
export interface Result {
  variant: Variant;
  form: QuestionForm;
  mode: SearchMode;
  /** One for each question, in the order of the set. */
  ranks: readonly Rank[];
  millisecondsPerQuestion: number;
}

/** A comparison of two results on the same questions, by one measure. */
export interface ResultComparison extends PairedComparison {
  candidate: Result;
  baseline: Result;
  measure: string;
}

/**
 * Compares, within each variant and form of the questions, hybrid with the better of its halves, which is chosen for each
 * measure; then each variant with the first in the same form and mode.
 */
export function compareResults(results: readonly Result[], seed: number): ResultComparison[] {
  const compare = (baseline: Result, candidate: Result, { name, scoreOf }: Measure): ResultComparison => ({
    candidate,
    baseline,
    measure: name,
    ...comparePaired(baseline.ranks.map(scoreOf), candidate.ranks.map(scoreOf), seed),
  });
  const hybrids = results.flatMap((hybrid) => {
    const halves = hybrid.mode === "hybrid" ? halvesOf(hybrid, results) : undefined;
    return halves ? RECALLS.map((measure) => compare(betterOf(halves, measure), hybrid, measure)) : [];
  });
  const variants = results.flatMap((result) => {
    const first = results.find(({ form, mode }) => form === result.form && mode === result.mode);
    if (first === undefined || first.variant === result.variant) return [];
    return MEASURES.map((measure) => compare(first, result, measure));
  });
  return [...hybrids, ...variants];
}

/** `undefined` unless both were asked. */
function halvesOf({ variant, form }: Result, results: readonly Result[]): [Result, Result] | undefined {
  const [vector, text] = (["vector", "text"] as const).map((mode) =>
    results.find((result) => result.variant === variant && result.form === form && result.mode === mode),
  );
  return vector && text ? [vector, text] : undefined;
}

function betterOf([left, right]: [Result, Result], { scoreOf }: Measure): Result {
  return mean(left.ranks.map(scoreOf)) > mean(right.ranks.map(scoreOf)) ? left : right;
}
