import { FIRST_PROFILE_ID, type Names } from "../schema/layout.js";
import { vectorIndexTypes } from "../schema/vector-index.js";
import { createVectorIndex } from "../schema/vector-index-sql.js";
import { hostReference } from "./host-table.js";
import type { MigrationPlan } from "./options.js";
import { createWordTable, wordIndexes } from "../words/word-table.js";
import { addGeneratedTextSearch, PENDING_KILOBYTES, stopGeneratingLexemes } from "./text-search.js";

/** One step from one layout of the schema to the next. A published one is never changed. */
export interface Migration {
  version: number;
  name: string;
  /** Whether library versions that do not know this migration must refuse the schema. */
  breaking: boolean;
  statements(plan: MigrationPlan): string[];
}

/**
 * All migrations, in order. Options affect their statements, but never which of them run. Every statement works in
 * `migrate`'s transaction and for hosts that run the SQL themselves.
 */
export const migrations: readonly Migration[] = [
  { version: 1, name: "trainings and chunks", breaking: true, statements: trainingsAndChunks },
  { version: 2, name: "recorded index", breaking: false, statements: recordedVectorIndex },
  { version: 3, name: "replaced version", breaking: false, statements: replacedVersion },
  { version: 4, name: "text search", breaking: false, statements: textSearch },
  { version: 5, name: "ids in byte order", breaking: false, statements: idsInByteOrder },
  { version: 6, name: "words", breaking: false, statements: wordsOfChunks },
];

function trainingsAndChunks(plan: MigrationPlan): string[] {
  const { names, idType, dimensions } = plan;
  const { training, indexed, chunk, profile, vector } = names;
  return [
    // Orders calls by their start.
    `CREATE SEQUENCE ${names.ticket} AS bigint`,

    `CREATE TABLE ${training} (
  id ${idType} PRIMARY KEY${plan.trainings ? ` ${hostReference(plan.trainings)}` : ""},
  ticket bigint NOT NULL, -- of the call that won last
  content_ticket bigint NOT NULL, -- of the call that stored the chunks: identifies the version
  revision numeric, -- the highest seen
  barrier bigint NOT NULL, -- ticket of the last call without a revision: calls that started before it are superseded
  metadata jsonb NOT NULL,
  deleted_at timestamptz, -- set: a tombstone, which has no chunks
  updated_at timestamptz NOT NULL DEFAULT now()
)`,

    plainIndexes.training_deleted(names),

    `CREATE TABLE ${profile} (
  id integer PRIMARY KEY, -- names the tables chunk_<id> and indexed_<id>
  status text NOT NULL CHECK (status IN ('building', 'active', 'retired')),
  dimensions integer NOT NULL,
  model text, -- null until the first write
  query_prefix text,
  document_prefix text,
  created_at timestamptz NOT NULL DEFAULT now()
)`,
    plainIndexes.profile_active(names),
    `INSERT INTO ${profile} (id, status, dimensions) VALUES (${FIRST_PROFILE_ID}, 'active', ${dimensions})`,

    // One row per training, besides its chunks. A chunk that only moves changes this row and not its own: an update of
    // its own row would enter it into the vector index again.
    `CREATE TABLE ${indexed} (
  training_id ${idType} PRIMARY KEY REFERENCES ${training} ON DELETE CASCADE,
  fingerprint bytea NOT NULL, -- of everything that determines the chunks
  splitter text NOT NULL, -- which one made them
  chunk_ids text[] NOT NULL, -- in reading order
  starts integer[] NOT NULL,
  ends integer[] NOT NULL
)`,

    // The vector stays in the row (toast_tuple_target, MAIN). If it were out of line, the planner would not see its
    // size, would price a sequential scan too low, and would never use the vector index. In the row, exact scans also
    // read a third of the pages.
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
    plainIndexes.chunk_id(names),
    plainIndexes.chunk_metadata(names),
    createVectorIndex(names, FIRST_PROFILE_ID, {
      type: plan.vectorIndex,
      dimensions,
      ...plan.hnsw,
      method: plan.method,
    }),
  ];
}

/**
 * Adds the content ticket of the replaced version, NULL if there was none. A write that read the chunks before it took
 * the lock can tell by it whether they are the ones that it replaces.
 */
function replacedVersion({ names }: MigrationPlan): string[] {
  return [`ALTER TABLE ${names.training} ADD COLUMN replaced_ticket bigint`];
}

/** Records the settings of the vector index, so that an index that was dropped can be rebuilt with them. */
function recordedVectorIndex({ names, vectorIndex, hnsw }: MigrationPlan): string[] {
  const isType = `IN (${vectorIndexTypes.map((type) => `'${type}'`).join(", ")})`;
  return [
    `ALTER TABLE ${names.profile}
  ADD COLUMN vector_index text NOT NULL DEFAULT '${vectorIndex}' CHECK (vector_index ${isType}),
  ADD COLUMN vector_index_next text CHECK (vector_index_next ${isType}), -- the type being built to replace it
  ADD COLUMN vector_index_claimed_at timestamptz, -- by a process that is about to build
  ADD COLUMN hnsw_m integer NOT NULL DEFAULT ${hnsw.m},
  ADD COLUMN hnsw_ef_construction integer NOT NULL DEFAULT ${hnsw.efConstruction}`,
    // The defaults fill in the existing profile; a further one must give its own values.
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
    ...(language === undefined ? [] : addGeneratedTextSearch(names, language)),
  ];
}

/**
 * Gives ids the collation "C". Ids need no linguistic order, and bytes compare several times faster. Byte order also
 * never changes: an upgrade of the system's collation library can corrupt indexes with a linguistic order. Rewrites the
 * indexes on ids, but no table.
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

/**
 * Adds the words of the chunks, for the correction of typing errors, and lets writes store the lexemes. `words_filled_at` is NULL
 * until `migrate` has stored both for the chunks of older versions. In a schema without text search the table stays empty.
 */
function wordsOfChunks({ names, textSearch: language }: MigrationPlan): string[] {
  return [
    createWordTable(names),
    ...Object.values(wordIndexes).map((create) => create(names)),
    ...(language === undefined ? [] : stopGeneratingLexemes(names)),
    `ALTER TABLE ${names.profile} ADD COLUMN words_filled_at timestamptz`,
  ];
}

/** The statements that create the indexes other than vector and text search indexes, by index name; those of chunks by its last part. */
export const plainIndexes = {
  training_deleted: ({ training }: Names) =>
    `CREATE INDEX training_deleted ON ${training} (deleted_at) WHERE deleted_at IS NOT NULL`,
  profile_active: ({ profile }: Names) =>
    `CREATE UNIQUE INDEX profile_active ON ${profile} (status) WHERE status = 'active'`,
  chunk_id: ({ profileId, chunk }: Names) => `CREATE INDEX chunk_${profileId}_id ON ${chunk} (id)`,
  chunk_metadata: ({ profileId, chunk }: Names) =>
    `CREATE INDEX chunk_${profileId}_metadata ON ${chunk} USING gin (metadata jsonb_path_ops)`,
} as const;
