import type { EqualityFilter } from "langchain-training-index";

/** One question to a contender. */
export interface SearchRequest {
  vector: number[];
  k: number;
  filter: EqualityFilter | undefined;
}

/** Something that finds chunks: a library as its documentation shows it, or SQL written by hand. */
export interface Contender {
  /** As the tables call it. */
  readonly name: string;
  /** The texts of the chunks found, nearest first. */
  search(request: SearchRequest): Promise<string[]>;
}

/** The names that figures are looked up by. */
export const LIBRARY = "this library";
export const LIBRARY_WIDE = "this library, efSearch 100";
export const LIBRARY_PARALLEL = "this library, 2 workers";
export const LIBRARY_HALFVEC = 'this library, "halfvec"';
export const LIBRARY_BIT = 'this library, "bit"';
export const BARE_SQL = "bare SQL, index used";
/** Begins the names of the plans that a narrowed search is written with by hand. */
export const HAND_WRITTEN = "bare SQL, plan: ";
export const BARE_SQL_WRITE = "bare SQL, binary unnest";
export const BARE_SQL_WRITE_METADATA_INDEX = "bare SQL, with metadata index";
export const PGVECTOR_STORE = "PGVectorStore";
export const MASTRA = "@mastra/pg";
export const LLAMAINDEX = "@llamaindex/postgres";

/** Of the HNSW index of every contender that lets them be chosen: the defaults of pgvector and of this library. */
export const HNSW = { m: 16, efConstruction: 64 };
