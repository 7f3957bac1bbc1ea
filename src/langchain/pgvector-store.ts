/**
 * LangChain's `PGVectorStore`, typed with the members that `TrainingVectorStore` does not override.
 *
 * The build bundles its module. Its own types would make our declarations import `@langchain/community`, which consumers
 * do not have.
 */
import { PGVectorStore as CommunityPGVectorStore } from "@langchain/community/vectorstores/pgvector";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { VectorStore } from "@langchain/core/vectorstores";
import type { DatabasePool } from "../postgres/database.js";

/** The options that we pass to the constructor of `PGVectorStore`. */
export interface PGVectorStoreFields {
  pool: DatabasePool;
  tableName: string;
  schemaName: string;
  extensionSchemaName: string;
  columns: {
    idColumnName: string;
    vectorColumnName: string;
    contentColumnName: string;
    metadataColumnName: string;
  };
  distanceStrategy: "cosine";
  scoreNormalization: "similarity";
  /** Keeps it from running DDL. */
  skipInitializationCheck: true;
}

/** A `PGVectorStore` of `@langchain/community` 1.1.29. */
export interface PGVectorStore extends VectorStore {
  tableName: string;
  schemaName: string | null;
  idColumnName: string;
  vectorColumnName: string;
  contentColumnName: string;
  metadataColumnName: string;
  pool: DatabasePool;
}

type PGVectorStoreConstructor = abstract new (
  embeddings: EmbeddingsInterface,
  fields: PGVectorStoreFields,
) => PGVectorStore;

/** The class to extend. */
export const PGVectorStoreBase = CommunityPGVectorStore as unknown as PGVectorStoreConstructor;
