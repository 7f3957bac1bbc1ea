import type { EqualityFilter } from "langchain-training-index";

/** One search request to a contender. */
export interface SearchRequest {
  vector: number[];
  k: number;
  filter: EqualityFilter | undefined;
}

/** A competitor that searches chunks: a library, used as its documentation shows, or hand-written SQL. */
export interface Contender {
  /** Its name in the tables. */
  readonly name: string;
  /** The texts of the chunks found, nearest first. */
  search(request: SearchRequest): Promise<string[]>;
}

/** Names of the contenders, by which figures are looked up. */
export const LIBRARY = "this library";
export const LIBRARY_WIDE = "this library, efSearch 100";
export const LIBRARY_PARALLEL = "this library, 2 workers";
export const LIBRARY_HALFVEC = 'this library, "halfvec"';
export const LIBRARY_BIT = 'this library, "bit"';
export const BARE_SQL = "bare SQL, index used";
/** Prefix of the names of the hand-written plans for filtered searches. */
export const HAND_WRITTEN = "bare SQL, plan: ";
export const BARE_SQL_WRITE = "bare SQL, binary unnest";
export const BARE_SQL_WRITE_METADATA_INDEX = "bare SQL, with metadata index";
export const PGVECTOR_STORE = "PGVectorStore";
export const MASTRA = "@mastra/pg";
export const LLAMAINDEX = "@llamaindex/postgres";

/** HNSW parameters for every contender that accepts them: the defaults of pgvector and of this library. */
export const HNSW = { m: 16, efConstruction: 64 };
