import { table } from "../tooling/table.js";
import { mean, type Interval } from "../src/cli/evaluating/interval.js";
import type { Result, ResultComparison } from "./comparisons.js";
import type { Indexing } from "./evaluation.js";
import { MEASURES } from "../src/cli/evaluating/measures.js";
import type { Variant } from "./variants.js";

/** Names the variants of a run by what differs among them. */
export class VariantNames {
  readonly #differing: (keyof Variant)[];

  constructor(variants: readonly Variant[]) {
    const options: readonly (keyof Variant)[] = ["model", "split", "header"];
    this.#differing = options.filter((option) => new Set(variants.map((variant) => variant[option])).size > 1);
  }

  /** The columns of a table that tell variants apart; none if there is only one variant. */
  get columns(): string[] {
    return this.#differing;
  }

  /** A variant's values in {@link columns}. */
  cells(variant: Variant): string[] {
    return this.#differing.map((option) => variant[option]);
  }

  /** A variant in a sentence: `use, header title`. */
  nameOf(variant: Variant): string {
    return this.#differing
      .map((option) => (option === "model" ? variant.model : `${option} ${variant[option]}`))
      .join(", ");
  }
}

/** Each variant, form of the questions and mode: its measures with their 95 % confidence intervals, and its time. */
export function resultTable(results: readonly Result[], names: VariantNames, seed: number): string {
  return table(
    [...names.columns, "questions", "mode", ...MEASURES.map(({ name }) => name), "ms a question"],
    results.map(({ variant, form, mode, ranks, millisecondsPerQuestion }) => [
      ...names.cells(variant),
      form,
      mode,
      ...MEASURES.map(({ scoreOf, intervalOf }) => {
        const scores = ranks.map(scoreOf);
        return `${mean(scores).toFixed(3)} ${inBrackets(intervalOf(scores, seed))}`;
      }),
      millisecondsPerQuestion.toFixed(1),
    ]),
  );
}

/** Each comparison: the difference with the 95 % interval of the paired bootstrap, and whether it is more than noise. */
export function comparisonTable(comparisons: readonly ResultComparison[], names: VariantNames): string {
  return table(
    ["questions", "compared", "measure", "difference (95 %)", "gained", "lost", "verdict"],
    comparisons.map((comparison) => [
      comparison.candidate.form,
      describe(comparison, names),
      comparison.measure,
      `${signed(comparison.difference)} (${signed(comparison.interval.low)} to ${signed(comparison.interval.high)})`,
      comparison.gained,
      comparison.lost,
      comparison.verdict,
    ]),
  );
}

/** What indexing took, for each variant. */
export function indexingTable(
  indexings: readonly { variant: Variant; indexing: Indexing }[],
  names: VariantNames,
): string {
  return table(
    [...names.columns, "trainings", "chunks", "texts embedded", "embedding calls", "seconds to index"],
    indexings.map(({ variant, indexing }) => [
      ...names.cells(variant),
      indexing.trainings,
      indexing.chunks,
      indexing.textsEmbedded,
      indexing.embeddingCalls,
      indexing.seconds.toFixed(1),
    ]),
  );
}

function describe({ candidate, baseline }: ResultComparison, names: VariantNames): string {
  if (candidate.variant === baseline.variant) {
    const name = names.nameOf(candidate.variant);
    return `${name === "" ? "" : `${name}: `}${candidate.mode} against ${baseline.mode}`;
  }
  return `${candidate.mode}: ${names.nameOf(candidate.variant)} against ${names.nameOf(baseline.variant)}`;
}

function inBrackets({ low, high }: Interval): string {
  return `(${low.toFixed(3)}–${high.toFixed(3)})`;
}

function signed(value: number): string {
  const rounded = value.toFixed(3);
  if (Number(rounded) === 0) return "0.000";
  return value > 0 ? `+${rounded}` : rounded;
}
