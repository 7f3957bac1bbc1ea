/**
 * Keeps the vectors of a bot's trainings (the texts of its knowledge base) in Postgres + pgvector, in step with the texts,
 * and finds the passages that answer a question, from LangChain.js.
 *
 * @module langchain-training-index
 */
export type { BulkLoadOptions } from "./writing/bulk-load.js";
export {
  citedContext,
  formatContext,
  type Citation,
  type CitedContext,
  type FormatContextOptions,
  type Passage,
} from "./prompting/context.js";
export type { EmbeddingProfile } from "./embedding/profiles.js";
export type { IndexingRun, OnFailure, ResultOf } from "./writing/indexing-run.js";
export type {
  ExportOptions,
  ExportProgress,
  ExportSource,
  ImportOptions,
  ImportSummary,
} from "./exporting/export-options.js";
export { configFromEnv, type EnvironmentConfig } from "./environment.js";
export {
  AbortError,
  DatabaseError,
  EmbeddingError,
  InvalidArgumentError,
  SchemaError,
  TrainingIndexError,
  type ErrorCode,
  type EmbeddingErrorCode,
  type ErrorDetails,
} from "./errors.js";
export type { Notice, NoticeCode, NoticeTrace } from "./calls/notices.js";
export type {
  EmbeddingTrace,
  FailureTrace,
  HitTrace,
  SearchTrace,
  StatementTrace,
  UpsertTrace,
  WriteCounts,
  WriteOperation,
} from "./calls/tracing.js";
export type { GivenProfile, TrainingIndexOptions } from "./opening/index-options.js";
export type {
  CommitOptions,
  DeleteOptions,
  PrepareOptions,
  PruneOptions,
  UpsertManyOptions,
  UpsertOptions,
} from "./writing/write-options.js";
export type { DamagedTraining, DamageFinding, DamageKind, Drift, Finding, SchemaProblem } from "./reconciling/drift.js";
export type { ReconcileOptions, ReconcileProgress, VerifyOptions } from "./reconciling/reconcile-options.js";
export type { Reconciliation } from "./reconciling/reconciler.js";
export type { LoadableTraining, TrainingReference, TrainingSource } from "./reconciling/source-items.js";
export type { RecallOptions } from "./recall/recall-options.js";
export type { RetireOptions } from "./switching/retire.js";
export type { LoadTrainings, SwitchOptions } from "./switching/switch-options.js";
export type {
  SwitchedModel,
  SwitchPhase,
  SwitchPlan,
  SwitchProgress,
  SwitchReport,
  SwitchResult,
} from "./switching/switch-types.js";
export type { RecallReport, RecallRow } from "./recall/recall.js";
export type { RetrieverCallSearch, RetrieverSearch } from "./searching/narrowed-search.js";
export type { DocumentCompressor, Reranker, RerankOptions } from "./searching/rerank.js";
export type { PreparedTraining } from "./writing/prepared-training.js";
export {
  TrainingRetriever,
  type RetrieverConfigurable,
  type SearchableIndex,
  type TrainingRetrieverOptions,
} from "./langchain/retriever.js";
export { type RetrievedMetadata } from "./langchain/hit-document.js";
export { TrainingTool, type TrainingToolArtifact, type TrainingToolInput } from "./langchain/tool.js";
export type { ToolFieldValues, TrainingToolOptions, TrainingToolRuntime } from "./langchain/tool-options.js";
export type { FoundHit } from "./searching/hits.js";
export type { MarginalRelevance } from "./searching/marginal-relevance.js";
export type { AnySearchOptions, SimilarOptions } from "./searching/search-options.js";
export type { Splitter } from "./chunking/splitter.js";
export type { TextSearchLanguage } from "./schema/lexemes.js";
export type { VectorIndexType } from "./schema/vector-index.js";
export type { VectorIndexMethod, VectorIndexNames } from "./schema/vector-index-method.js";
export type { DatabaseClient, DatabasePool, Queryable, QueryResult } from "./calls/host-database.js";
export type {
  DrizzleTransaction,
  KnexTransaction,
  KyselyTransaction,
  PrismaAdapterTransaction,
  SequelizeTransaction,
  TransactionClient,
  TypeOrmManager,
  TypeOrmQueryRunner,
} from "./calls/orm-transactions.js";
export type { CountOptions, ListOptions, ReadOptions, StoredReadOptions } from "./inspecting/read-options.js";
export type { Consistency } from "./standby/token.js";
export type { TokenOptions } from "./standby/write-tokens.js";
export type {
  IndexStatus,
  OtherModelStatus,
  StatusCounts,
  StatusWarning,
  StatusWarningCode,
  TableStatus,
  VectorIndexStatus,
  VectorIndexUse,
} from "./inspecting/index-status.js";
export type { StatusOptions } from "./inspecting/status.js";
export type { StoredCount, StoredTraining } from "./inspecting/stored-training.js";
export type { IndexProgress } from "./schema/index-progress.js";
export { TrainingIndex } from "./training-index.js";
export type { TrainingHeader } from "./chunking/training-input.js";
export type {
  DeleteResult,
  DeleteStatus,
  DocumentsTraining,
  EqualityFilter,
  FailedUpsert,
  Filter,
  FilterOperators,
  FilterValue,
  IdType,
  IndexingProgress,
  LogicalFilter,
  Metadata,
  MetadataFilter,
  PythonDocument,
  Revision,
  RunProgress,
  RunSummary,
  SupersededReason,
  TextTraining,
  Training,
  TrainingDocument,
  TrainingId,
  TrainingSelection,
  UpsertResult,
  UpsertStatus,
  WriteToken,
} from "./types.js";
export type {
  ChunkHit,
  ChunkPassage,
  Hit,
  Highlighted,
  HybridHit,
  HybridScores,
  Reranked,
  RetrievedPlace,
  Scores,
  SearchMode,
  SearchStrategy,
  TextHit,
  TextRange,
  TextScores,
  TrainingHit,
  VectorScores,
} from "./hit-types.js";
export { TrainingTranslator } from "./langchain/training-translator.js";
export type { AddOptions, AddVectorsOptions } from "./langchain/vector-store-names.js";
export { TrainingVectorStore, type VectorStoreSelection } from "./langchain/vector-store.js";
export { portugueseSynonyms, type Synonyms } from "./words/synonyms.js";
