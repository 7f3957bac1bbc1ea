import {
  BasicTranslator,
  Comparators,
  Operators,
  type Comparison,
  type Operation,
  type VisitorComparisonResult,
  type VisitorOperationResult,
  type VisitorStructuredQueryResult,
} from "@langchain/core/structured_query";
import { InvalidArgumentError } from "../errors.js";
import type { TrainingVectorStore } from "./vector-store.js";

type StructuredFilter = VisitorStructuredQueryResult["filter"];

/**
 * Writes what a language model asked for, as LangChain's `SelfQueryRetriever` has it, as a filter of a
 * {@link TrainingVectorStore}.
 *
 * Differs from LangChain's own translator in that it knows `not`, and in that a filter of the caller's holds also where
 * the model asked for none. As there, texts that are written as numbers are compared as numbers.
 */
export class TrainingTranslator extends BasicTranslator<TrainingVectorStore> {
  constructor() {
    super({ allowedOperators: Object.values(Operators), allowedComparators: Object.values(Comparators) });
  }

  override visitOperation(operation: Operation): VisitorOperationResult {
    const [argument, ...others] = operation.args ?? [];
    if (!argument) throw new InvalidArgumentError(operation.operator, "must have an operand");
    if (operation.operator !== "not") return super.visitOperation(operation);
    if (others.length > 0) throw new InvalidArgumentError("not", "must have one operand");
    return { $not: argument.accept(this) } as unknown as VisitorOperationResult;
  }

  /** A text of so many digits that no number holds it exactly (an account, a barcode) is a text, as it is in metadata. */
  override visitComparison(comparison: Comparison): VisitorComparisonResult {
    const { attribute, comparator, value } = comparison;
    const isExact = typeof value !== "string" || !(Math.abs(Number(value)) > Number.MAX_SAFE_INTEGER);
    if (isExact) return super.visitComparison(comparison);
    return { [attribute]: { [this.formatFunction(comparator)]: value } };
  }

  /**
   * Where the model asked for no filter the caller's stands, whether that is forced or not.
   *
   * @param mergeType - `replace` puts the model's filter in the place of the caller's
   */
  override mergeFilters(
    defaultFilter: StructuredFilter,
    generatedFilter: StructuredFilter,
    mergeType: "and" | "or" | "replace" = "and",
  ): StructuredFilter {
    return super.mergeFilters(
      defaultFilter,
      generatedFilter,
      isEmpty(generatedFilter) ? "and" : mergeType,
      true,
    );
  }
}

function isEmpty(filter: StructuredFilter): boolean {
  return filter === undefined || Object.keys(filter).length === 0;
}
