import { FIRST_PROFILE_ID } from "../schema/layout.js";
import { vectorIndexTypes } from "../schema/vector-index.js";
import { createVectorIndex } from "../schema/vector-index-sql.js";
import { hostReference } from "./host-table.js";
import type { MigrationPlan } from "./options.js";
import { plainIndexes } from "./plain-indexes.js";
import { addTextSearch, PENDING_KILOBYTES } from "./text-search.js";

/** One step from one layout of the schema to the next. A published one is never changed. */
export interface Migration {
  version: number;
  name: string;
  /** Whether a library that does not know it must not work on the schema any more. */
  breaking: boolean;
  statements(plan: MigrationPlan): string[];
}

/**
 * All migrations, in order. Which of them run never depends on options; only what they say does.
 * Every statement is good for `migrate` (in one transaction) and for hosts that run the SQL themselves.
 */
export const migrations: readonly Migration[] = [
  { version: 1, name: "trainings and chunks", breaking: true, statements: trainingsAndChunks },
  { version: 2, name: "recorded index", breaking: false, statements: recordedVectorIndex },
  { version: 3, name: "replaced version", breaking: false, statements: replacedVersion },
  { version: 4, name: "text search", breaking: false, statements: textSearch },
  { version: 5, name: "ids in byte order", breaking: false, statements: idsInByteOrder },
];

function trainingsAndChunks(plan: MigrationPlan): string[] {
  const { names, idType, dimensions } = plan;
  const { training, indexed, chunk, profile, vector } = names;
  return [
    // Orders calls by their start, whatever order they end in.
    `CREATE SEQUENCE ${names.ticket} AS bigint`,

    `CREATE TABLE ${training} (
  id ${idType} PRIMARY KEY${plan.trainings ? ` ${hostReference(plan.trainings)}` : ""},
  ticket bigint NOT NULL, -- of the call that won last
  content_ticket bigint NOT NULL, -- of the call whose chunks stand: tells one version from the next
  revision numeric, -- the highest seen
  barrier bigint NOT NULL, -- ticket of the last call without a revision: what started before it is superseded
  metadata jsonb NOT NULL,
  deleted_at timestamptz, -- set: a tombstone, which has no chunks
  updated_at timestamptz NOT NULL DEFAULT now()
)`,

    plainIndexes.training_deleted(names),

    `CREATE TABLE ${profile} (
  id integer PRIMARY KEY, -- names the tables chunk_<id> and indexed_<id>
  status text NOT NULL CHECK (status IN ('building', 'active', 'retired')),
  dimensions integer NOT NULL,
  model text, -- null until an index is opened
  query_prefix text,
  document_prefix text,
  created_at timestamptz NOT NULL DEFAULT now()
)`,
    plainIndexes.profile_active(names),
    `INSERT INTO ${profile} (id, status, dimensions) VALUES (${FIRST_PROFILE_ID}, 'active', ${dimensions})`,

    // One row a training, beside its chunks: a chunk that only moves changes this row and not its own, so it
    // does not enter the vector index again (any update that moves a row does).
    `CREATE TABLE ${indexed} (
  training_id ${idType} PRIMARY KEY REFERENCES ${training} ON DELETE CASCADE,
  fingerprint bytea NOT NULL, -- of all that decides the chunks
  splitter text NOT NULL, -- which one made them
  chunk_ids text[] NOT NULL, -- in reading order
  starts integer[] NOT NULL,
  ends integer[] NOT NULL
)`,

    // The vector stays in the row (toast_tuple_target, MAIN). Out of line the planner does not see its size,
    // takes a sequential scan for cheap, and never touches the vector index; in the row it decides rightly,
    // and exact scans read a third of the pages.
    `CREATE TABLE ${chunk} (
  training_id ${idType} NOT NULL REFERENCES ${training} ON DELETE CASCADE,
  id text NOT NULL,
  content text NOT NULL,
  metadata jsonb NOT NULL,
  content_hash bytea NOT NULL,
  embedding ${vector}(${dimensions}) NOT NULL,
  PRIMARY KEY (training_id, id)
) WITH (toast_tuple_target = 8160)`,
    `ALTER TABLE ${chunk} ALTER COLUMN embedding SET STORAGE MAIN`,
    plainIndexes.chunk_1_id(names),
    plainIndexes.chunk_1_metadata(names),
    createVectorIndex(names, FIRST_PROFILE_ID, { type: plan.vectorIndex, dimensions, ...plan.hnsw }),
  ];
}

/**
 * The content ticket of the version before, NULL where none stood: so a write that has read the chunks before it took the
 * lock knows whether they are the ones that it replaces.
 */
function replacedVersion({ names }: MigrationPlan): string[] {
  return [`ALTER TABLE ${names.training} ADD COLUMN replaced_ticket bigint`];
}

/** So that an index that somebody dropped is built again as it was. */
function recordedVectorIndex({ names, vectorIndex, hnsw }: MigrationPlan): string[] {
  const isType = `IN (${vectorIndexTypes.map((type) => `'${type}'`).join(", ")})`;
  return [
    `ALTER TABLE ${names.profile}
  ADD COLUMN vector_index text NOT NULL DEFAULT '${vectorIndex}' CHECK (vector_index ${isType}),
  ADD COLUMN vector_index_next text CHECK (vector_index_next ${isType}), -- is built beside it, to take its place
  ADD COLUMN vector_index_claimed_at timestamptz, -- by a process that is about to build
  ADD COLUMN hnsw_m integer NOT NULL DEFAULT ${hnsw.m},
  ADD COLUMN hnsw_ef_construction integer NOT NULL DEFAULT ${hnsw.efConstruction}`,
    // They were for the profile that stands; another one has to say what it has.
    `ALTER TABLE ${names.profile}
  ALTER COLUMN vector_index DROP DEFAULT,
  ALTER COLUMN hnsw_m DROP DEFAULT,
  ALTER COLUMN hnsw_ef_construction DROP DEFAULT`,
    `ALTER INDEX ${names.schema}.chunk_1_metadata SET (gin_pending_list_limit = ${PENDING_KILOBYTES})`,
  ];
}

function textSearch({ names, textSearch: language }: MigrationPlan): string[] {
  return [
    `ALTER TABLE ${names.profile} ADD COLUMN text_search text`,
    ...(language === undefined ? [] : addTextSearch(names, language)),
  ];
}

/**
 * Ids are looked up and never read in order. Bytes are compared several times faster than words of a language, and
 * always in the same way: a system library that sorts otherwise after an upgrade leaves indexes on words corrupt.
 * Rewrites the indexes on ids, and no table.
 */
function idsInByteOrder({ names, idType }: MigrationPlan): string[] {
  const inByteOrder = (column: string): string => `ALTER COLUMN ${column} TYPE text COLLATE "C"`;
  if (idType !== "text") return [`ALTER TABLE ${names.chunk} ${inByteOrder("id")}`];
  return [
    `ALTER TABLE ${names.training} ${inByteOrder("id")}`,
    `ALTER TABLE ${names.indexed} ${inByteOrder("training_id")}`,
    `ALTER TABLE ${names.chunk} ${inByteOrder("training_id")}, ${inByteOrder("id")}`,
  ];
}
