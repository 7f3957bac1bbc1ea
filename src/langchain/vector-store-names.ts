/** The option names of `TrainingVectorStore`'s methods. All others are refused. */
import type {
  MaxMarginalRelevanceSearchOptions,
  VectorStoreInterface,
  VectorStoreRetrieverInput,
} from "@langchain/core/vectorstores";
import { checkNames, namesOfProperties } from "../calls/checks.js";
import type { Filter } from "../types.js";

/** Options of `addDocuments`. */
export interface AddOptions {
  /** One per document. */
  ids?: string[];
}

/** Options of `addVectors`. */
export interface AddVectorsOptions extends AddOptions {
  /** The name of the model that made the vectors. Needed if the index was opened with several models. */
  model?: string | undefined;
}

/** The option names of `addDocuments`. */
export const ADD_OPTIONS = namesOfProperties<AddOptions>({ ids: true });
/** The option names of `addVectors`. */
export const ADD_VECTORS_OPTIONS = namesOfProperties<AddVectorsOptions>({ ids: true, model: true });
/** The option names of `maxMarginalRelevanceSearch`. */
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
