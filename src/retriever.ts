import { Document } from "@langchain/core/documents";
import { BaseRetriever, type BaseRetrieverInput } from "@langchain/core/retrievers";
import { InvalidArgumentError } from "./errors.js";
import { checkOptions } from "./checks.js";
import type { ChunkPassage, Hit, HybridHit, Metadata, SearchMode, SimilarOptions } from "./types.js";

/** What a retriever searches: a `TrainingIndex`. */
export interface SearchableIndex {
  similar(query: string, options?: SimilarOptions<SearchMode>): Promise<Hit[]>;
}

/** Options of {@link TrainingRetriever}: those of a search, and LangChain's `callbacks`, `tags`, `metadata`. */
export interface TrainingRetrieverOptions
  extends BaseRetrieverInput, Omit<SimilarOptions<SearchMode>, "signal"> {}

/** The metadata of a document that a retriever returns: the chunk's own, and where it comes from. */
export type RetrievedMetadata = Metadata &
  Pick<ChunkPassage, "trainingId" | "chunkId" | "position" | "start" | "end"> &
  Partial<Pick<HybridHit, "score" | "distance" | "textScore" | "fusedScore">>;

/** A hit as LangChain passes it on. `id` is the chunk's. */
export function toDocument({ content, metadata, ...place }: Hit): Document<RetrievedMetadata> {
  return new Document({ id: place.chunkId, pageContent: content, metadata: { ...metadata, ...place } });
}

/** A LangChain retriever over a `TrainingIndex`: `invoke`, `batch`, `stream`, `pipe`, callbacks and tags work. */
export class TrainingRetriever extends BaseRetriever<RetrievedMetadata> {
  static override lc_name(): string {
    return "TrainingRetriever";
  }

  override lc_namespace = ["langchain_training_index", "retrievers"];
  readonly #index: SearchableIndex;
  readonly #options: SimilarOptions<SearchMode>;

  /** @throws {@link InvalidArgumentError} for an index that cannot be searched, or options that are no object */
  constructor(index: SearchableIndex, options: TrainingRetrieverOptions = {}) {
    if (typeof (index as SearchableIndex | undefined)?.similar !== "function") {
      throw new InvalidArgumentError("index", "must be a TrainingIndex");
    }
    checkOptions(options);
    const { callbacks, tags, metadata, verbose, ...search } = options;
    super({
      ...(callbacks === undefined ? {} : { callbacks }),
      ...(tags === undefined ? {} : { tags }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(verbose === undefined ? {} : { verbose }),
    });
    this.#index = index;
    this.#options = search;
  }

  /** The chunks that answer the query, best first, with their scores in the metadata. */
  override async _getRelevantDocuments(query: string): Promise<Document<RetrievedMetadata>[]> {
    const hits = await this.#index.similar(query, this.#options);
    return hits.map(toDocument);
  }
}
