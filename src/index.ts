/**
 * Keeps the vectors of a bot's trainings in Postgres + pgvector, in step with their texts, and finds the passages
 * that answer a question, from LangChain.js.
 *
 * @module
 */
export type { BulkLoadOptions } from "./bulk-load.js";
export {
  citedContext,
  formatContext,
  type Citation,
  type CitedContext,
  type FormatContextOptions,
  type Passage,
} from "./context.js";
export type { EmbeddingProfile } from "./embedding/profiles.js";
export type { IndexingRun } from "./indexing-run.js";
export { configFromEnv, type EnvironmentConfig } from "./environment.js";
export {
  AbortError,
  DatabaseError,
  EmbeddingError,
  InvalidArgumentError,
  SchemaError,
  TrainingIndexError,
  type ErrorCode,
  type ErrorDetails,
} from "./errors.js";
export type { Notice, NoticeCode } from "./notices.js";
export type {
  CommitOptions,
  DeleteOptions,
  PruneOptions,
  TrainingIndexOptions,
  UpsertManyOptions,
  UpsertOptions,
} from "./options.js";
export type { RetrieverSearch } from "./narrowed-search.js";
export type { PreparedTraining } from "./prepared-training.js";
export {
  TrainingRetriever,
  type RetrievedMetadata,
  type RetrieverConfigurable,
  type SearchableIndex,
  type TrainingRetrieverOptions,
} from "./retriever.js";
export type { SimilarOptions } from "./search-options.js";
export type { Splitter } from "./splitter.js";
export type { DatabaseClient, DatabasePool, Queryable } from "./store/database.js";
export type { IndexProgress } from "./store/index-progress.js";
export { TrainingIndex } from "./training-index.js";
export type { TrainingHeader } from "./training-input.js";
export type {
  ChunkHit,
  ChunkPassage,
  DeleteResult,
  DeleteStatus,
  DocumentsTraining,
  EqualityFilter,
  FailedUpsert,
  Filter,
  FilterOperators,
  FilterValue,
  Hit,
  HybridHit,
  IdType,
  IndexingProgress,
  LogicalFilter,
  Metadata,
  MetadataFilter,
  PythonDocument,
  RetrievedPlace,
  Revision,
  RunProgress,
  RunSummary,
  SearchMode,
  SearchStrategy,
  SupersededReason,
  TextHit,
  TextTraining,
  Training,
  TrainingDocument,
  TrainingHit,
  TrainingId,
  TrainingSelection,
  UpsertResult,
  UpsertStatus,
} from "./types.js";
export { TrainingTranslator } from "./training-translator.js";
export { TrainingVectorStore, type VectorStoreSelection } from "./vector-store.js";
