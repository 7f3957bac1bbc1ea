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
 * Translates the structured query that a language model writes for LangChain's `SelfQueryRetriever` into a filter of a
 * {@link TrainingVectorStore}.
 *
 * Unlike LangChain's own translator it supports `not`, and applies the caller's filter even if the model asks for none. As
 * there, strings that look like numbers are compared as numbers.
 *
 * @example
 * ```ts
 * import { SelfQueryRetriever } from "@langchain/classic/retrievers/self_query";
 *
 * const retriever = SelfQueryRetriever.fromLLM({
 *   llm,
 *   vectorStore: index.vectorStore,
 *   documentContents: "Treinamentos de uma loja",
 *   attributeInfo: [{ name: "ano", type: "integer", description: "Ano da tabela de preços" }],
 *   structuredQueryTranslator: new TrainingTranslator(),
 * });
 * ```
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

  /** A string of digits beyond 2^53 (an account, a barcode) stays a string, as in metadata: no number is exact there. */
  override visitComparison(comparison: Comparison): VisitorComparisonResult {
    const { attribute, comparator, value } = comparison;
    const isExact = typeof value !== "string" || !(Math.abs(Number(value)) > Number.MAX_SAFE_INTEGER);
    if (isExact) return super.visitComparison(comparison);
    return { [attribute]: { [this.formatFunction(comparator)]: value } };
  }

  /**
   * Merges the caller's filter and the model's. If the model asked for none, the caller's applies, whatever the merge type.
   *
   * @param mergeType - `replace` uses the model's filter instead of the caller's
   */
  override mergeFilters(
    defaultFilter: StructuredFilter,
    generatedFilter: StructuredFilter,
    mergeType: "and" | "or" | "replace" = "and",
  ): StructuredFilter {
    return super.mergeFilters(defaultFilter, generatedFilter, isEmpty(generatedFilter) ? "and" : mergeType, true);
  }
}

function isEmpty(filter: StructuredFilter): boolean {
  return filter === undefined || Object.keys(filter).length === 0;
}
