import type { TextSearchLanguage } from "../schema/lexemes.js";
import type { VectorIndexType } from "../schema/vector-index.js";

/** The state of an index and of the schema that it is stored in, as `status` reports it. */
export interface IndexStatus {
  /** The schema, the version of its tables, and the version that this library knows. */
  schema: { name: string; version: number; latest: number };
  /** The embedding model; `recorded` is `false` until the first write records it in the schema. */
  model: { name: string; dimensions: number; recorded: boolean };
  /** The model that a switch builds or has left beside this one; `undefined` if there is none. */
  otherModel: OtherModelStatus | undefined;
  /** How much is stored; `undefined` with the option `counts: false`. */
  counts: StatusCounts | undefined;
  /** Bytes on disk of all tables of the schema, whatever the filter of the index. `total` is the sum of the other two. */
  sizes: { total: number; tables: number; indexes: number };
  /** The tables of the schema, by name. */
  tables: TableStatus[];
  vectorIndex: VectorIndexStatus;
  /** The language of text search; `undefined` if the schema has none. */
  textSearch: TextSearchLanguage | undefined;
  server: {
    /** The version of Postgres, such as `17.2`. */
    postgres: string;
    /** The version of pgvector that is installed in the database. */
    pgvector: string;
    /** Whether the server is a hot standby. */
    isStandby: boolean;
  };
  /** What an operator should know. Each message says what to do. Empty for a healthy index. */
  warnings: StatusWarning[];
}

/** A model that is built, or was in use before. */
export interface OtherModelStatus {
  name: string;
  dimensions: number;
  /** `building`: `switchModel` fills it. `retired`: it was in use before, and is kept until `retireModel`. */
  state: "building" | "retired";
  /** Trainings that are not built with it, or were written since. */
  behind: number;
  /** When the switch to it began; of one that was in use before, the last switch. */
  createdAt: Date;
}

/** How much is stored, as far as the filter of the index matches it. */
export interface StatusCounts {
  trainings: number;
  chunks: number;
  /** Deleted trainings that `prune` has not removed yet. */
  tombstones: number;
  /**
   * Whether these are counts, and not the estimates of Postgres. They are counted while the tables of trainings and chunks have
   * less than 1 GB (about 200,000 chunks of 1,024 dimensions), and for an index with a filter. `count` always counts.
   */
  exact: boolean;
}

/** A table of the schema. */
export interface TableStatus {
  name: string;
  /** Bytes of the table, without its indexes. */
  bytes: number;
  /** Bytes of its indexes. */
  indexBytes: number;
  /** Estimated rows that were replaced or deleted, and that VACUUM has not removed; `undefined` on a standby, which does not know. */
  deadRows: number | undefined;
  /** By hand or by autovacuum; `undefined` if never since the statistics were reset, and on a standby. */
  lastVacuum: Date | undefined;
  /** As `lastVacuum`. */
  lastAnalyze: Date | undefined;
}

/**
 * Whether a search by vector, with the filter of the index and `k` 5, finds chunks by the vector index.
 *
 * - `used`: it does, as Postgres' planner says now.
 * - `tableIsSmall`: not needed: the table has fewer than 100 pages, and comparing all chunks is as fast.
 * - `notUsable`: the vector index is missing, invalid, or being built. All chunks are compared.
 * - `notChosen`: the planner takes another plan, and all chunks that match the filter are compared. With few chunks, or a filter
 *   that matches few, that is the faster plan.
 */
export type VectorIndexUse = "used" | "tableIsSmall" | "notUsable" | "notChosen";

/** The vector index. */
export interface VectorIndexStatus {
  type: VectorIndexType;
  exists: boolean;
  /** Whether searches can use it. One that a failed build left is not valid. */
  valid: boolean;
  /** Whether writes enter new chunks into it. */
  ready: boolean;
  /** Bytes on disk. */
  bytes: number;
  /**
   * A running build of an index of the chunks, with Postgres' name of its phase and the share of the work that is done in
   * this phase, 0 to 1; `undefined` if there is none, or if it is another role's and this role lacks `pg_read_all_stats`.
   */
  build: { phase: string; progress: number | undefined } | undefined;
  use: VectorIndexUse;
}

/** All codes of warnings. */
export const statusWarningCodes = [
  "SCHEMA_OUTDATED",
  "SCHEMA_NEWER",
  "WORDS_INCOMPLETE",
  "VECTOR_INDEX_MISSING",
  "VECTOR_INDEX_INVALID",
  "VECTOR_INDEX_BUILDING",
  "VECTOR_INDEX_NOT_CHOSEN",
  "EF_SEARCH_NOT_CHOSEN",
  "NEVER_ANALYZED",
  "DEAD_ROWS",
  "MANY_TOMBSTONES",
  "SWITCH_ABANDONED",
  "PGVECTOR_OUTDATED",
  "PGVECTOR_UPDATE_PENDING",
] as const;

/**
 * What is wrong, as a constant that code can branch on.
 *
 * | code | meaning |
 * |---|---|
 * | `SCHEMA_OUTDATED` | the schema is older than this library |
 * | `SCHEMA_NEWER` | the schema is newer than this library |
 * | `WORDS_INCOMPLETE` | searches by words find only part of the chunks, or not all forms of their words |
 * | `VECTOR_INDEX_MISSING` | there is no vector index: searches compare all chunks |
 * | `VECTOR_INDEX_INVALID` | a build of the vector index failed: searches compare all chunks |
 * | `VECTOR_INDEX_BUILDING` | the vector index is being built: until then searches compare all chunks |
 * | `VECTOR_INDEX_NOT_CHOSEN` | Postgres prefers to compare all of 10,000 or more chunks |
 * | `EF_SEARCH_NOT_CHOSEN` | the index is large, and this process searches with the default `efSearch`, which probably misses many of the nearest chunks |
 * | `NEVER_ANALYZED` | Postgres has no statistics of a large table |
 * | `DEAD_ROWS` | autovacuum does not keep up with a table |
 * | `MANY_TOMBSTONES` | more trainings are deleted than stored |
 * | `SWITCH_ABANDONED` | a switch of the model began more than a week ago and has not ended |
 * | `PGVECTOR_OUTDATED` | the version of pgvector has a fault that affects vector indexes |
 * | `PGVECTOR_UPDATE_PENDING` | a newer pgvector is installed on the server than in the database |
 */
export type StatusWarningCode = (typeof statusWarningCodes)[number];

/** Something that an operator should know. */
export interface StatusWarning {
  code: StatusWarningCode;
  /** What is wrong, and what to do about it. */
  message: string;
}
