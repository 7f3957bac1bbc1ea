/**
 * LangChain's `PGVectorStore`, typed as what is left of it once `TrainingVectorStore` has overridden the rest.
 *
 * The build bundles the one module that it lives in. Its own types would name `@langchain/community` in our
 * declarations, and with it a package that consumers do not have.
 */
import { PGVectorStore as CommunityPGVectorStore } from "@langchain/community/vectorstores/pgvector";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { VectorStore } from "@langchain/core/vectorstores";
import type { DatabasePool } from "../postgres/database.js";

/** The columns and tables that a `PGVectorStore` is told of. */
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
  /** No DDL at run time. */
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

/** The class itself. */
export const PGVectorStoreBase = CommunityPGVectorStore as unknown as PGVectorStoreConstructor;
