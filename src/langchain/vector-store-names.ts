/** The names of the options of a `TrainingVectorStore`'s methods. What is not listed here is refused. */
import type {
  MaxMarginalRelevanceSearchOptions,
  VectorStoreInterface,
  VectorStoreRetrieverInput,
} from "@langchain/core/vectorstores";
import { checkNames, namesOfProperties } from "../calls/checks.js";
import type { Filter } from "../types.js";

/** Options of `addDocuments` and `addVectors`. */
export interface AddOptions {
  /** One for each document. */
  ids?: string[];
}

/** Names of the options of `addDocuments` and `addVectors`. */
export const ADD_OPTIONS = namesOfProperties<AddOptions>({ ids: true });
/** Names of the options of `maxMarginalRelevanceSearch`. */
export const MMR_OPTIONS = namesOfProperties<MaxMarginalRelevanceSearchOptions<Filter>>({
  k: true,
  fetchK: true,
  lambda: true,
  filter: true,
});
type MmrRetrieverInput = Extract<VectorStoreRetrieverInput<VectorStoreInterface>, { searchType: "mmr" }>;
const RETRIEVER_FIELDS = namesOfProperties<MmrRetrieverInput>({
  vectorStore: true,
  k: true,
  filter: true,
  searchType: true,
  searchKwargs: true,
  callbacks: true,
  tags: true,
  metadata: true,
  verbose: true,
});
const RETRIEVER_MMR = namesOfProperties<NonNullable<MmrRetrieverInput["searchKwargs"]>>({
  fetchK: true,
  lambda: true,
});

/** @throws {@link InvalidArgumentError} for a name that LangChain's `asRetriever` would ignore */
export function checkRetrieverFields(fields: unknown): void {
  checkNames(fields, RETRIEVER_FIELDS, "asRetriever");
  const { searchKwargs } = (fields ?? {}) as { searchKwargs?: unknown };
  checkNames(searchKwargs, RETRIEVER_MMR, "asRetriever", "searchKwargs");
}
