import { damagedSchema, nameOf, readDamage, type Part } from "../schema/damage.js";
import { query, type HostNumber, type Queryable } from "../postgres/database.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { namesOf, type Names } from "../schema/layout.js";
import type { TextSearchLanguage } from "../schema/lexemes.js";
import { DEFAULT_HNSW } from "./options.js";
import { plainIndexes } from "./list.js";
import { forgetFilling } from "../words/stored-words.js";
import { createWordTable, wordIndexes } from "../words/word-table.js";
import { run } from "./run.js";
import {
  addGeneratedLexemes,
  addLexemes,
  addLexemesTrigger,
  dropLexemes,
  grantWords,
  indexLexemes,
  PENDING_KILOBYTES,
} from "./text-search.js";

/** More tickets than calls in progress can have taken without storing them. */
const MAX_UNSTORED_TICKETS = 1_000_000;

/**
 * The parts that can be derived from the rest of the schema, in the order in which they are recreated. Those of the active profile are
 * named without its id: `chunk` is `chunk_1`.
 */
const REPAIRS: Readonly<Record<string, (names: Names) => string[]>> = {
  "column training.replaced_ticket": ({ training }) => [`ALTER TABLE ${training} ADD COLUMN replaced_ticket bigint`],
  "column training.updated_at": ({ training }) => [
    `ALTER TABLE ${training} ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now()`,
  ],
  "column profile.vector_index_next": ({ profile }) => [`ALTER TABLE ${profile} ADD COLUMN vector_index_next text`],
  "column profile.vector_index_claimed_at": ({ profile }) => [
    `ALTER TABLE ${profile} ADD COLUMN vector_index_claimed_at timestamptz`,
  ],
  "column profile.words_filled_at": ({ profile }) => [`ALTER TABLE ${profile} ADD COLUMN words_filled_at timestamptz`],
  // All words can be read from the chunks again, which `migrate` then does.
  "table word": (names) => recreateWords(names),
  "column word.word": (names) => recreateWords(names),
  "column word.fragments": (names) => recreateWords(names),
  "column word.offered_at": (names) => recreateWords(names),
  "index word_word": (names) => recreateWordIndex(names, "word_word"),
  "index word_fragments": (names) => recreateWordIndex(names, "word_fragments"),
  "primary key training": ({ training }) => [`ALTER TABLE ${training} ADD PRIMARY KEY (id)`],
  "primary key profile": ({ profile }) => [`ALTER TABLE ${profile} ADD PRIMARY KEY (id)`],
  "primary key indexed": ({ indexed }) => [`ALTER TABLE ${indexed} ADD PRIMARY KEY (training_id)`],
  "primary key chunk": ({ chunk }) => [`ALTER TABLE ${chunk} ADD PRIMARY KEY (training_id, id)`],
  "foreign key indexed": (names) => [foreignKey(names.indexed, names)],
  "foreign key chunk": (names) => [foreignKey(names.chunk, names)],
  "index training_deleted": (names) => recreateIndex(names, "training_deleted", plainIndexes.training_deleted),
  "index profile_active": (names) => recreateIndex(names, "profile_active", plainIndexes.profile_active),
  "index chunk_id": (names) => recreateIndex(names, `chunk_${names.profileId}_id`, plainIndexes.chunk_id),
  "index chunk_metadata": (names) => [
    ...recreateIndex(names, `chunk_${names.profileId}_metadata`, plainIndexes.chunk_metadata),
    `ALTER INDEX ${names.schema}.chunk_${names.profileId}_metadata SET (gin_pending_list_limit = ${PENDING_KILOBYTES})`,
  ],
  // Set beyond all stored tickets, and beyond those that calls in progress have taken.
  "sequence ticket": ({ ticket, training }) => [
    `CREATE SEQUENCE ${ticket} AS bigint`,
    `SELECT pg_catalog.setval(${quoteLiteral(ticket)}, ${MAX_UNSTORED_TICKETS} + (SELECT
      coalesce(max(greatest(ticket, content_ticket, barrier)), 0) FROM ${training}))`,
  ],
};

/**
 * Recreates the missing parts of a schema that can be derived from the rest.
 *
 * @returns the names of the recreated parts
 * @throws {@link SchemaError} naming the missing parts if some cannot be recreated; nothing has changed then
 */
export async function repair(client: Queryable, schema: string, version: number): Promise<string[]> {
  const { missing, active, profileId } = await readDamage(client, schema, version);
  if (missing.length === 0) return [];
  const names = namesOf({ schema, extensionSchema: "public", profileId });
  const isProfile = (part: Part): boolean => nameOf(part) === "rows of profile";
  const repairs: Readonly<Record<string, (names: Names) => string[]>> = {
    ...REPAIRS,
    ...(active?.textSearch === undefined ? {} : lexemeRepairs(active.textSearch, version)),
  };
  const nameIn = (part: Part): string =>
    nameOf(part).replace(new RegExp(`\\b(chunk|indexed)_${profileId}(?=$|[._])`), "$1");
  const lost = missing.filter((part) => !repairs[nameIn(part)] && !isProfile(part));
  if (lost.length > 0) throw damagedSchema(schema, missing);
  if (missing.some(isProfile)) await restoreProfile(client, schema, names);
  for (const [name, statements] of Object.entries(repairs)) {
    if (!missing.some((part) => nameIn(part) === name)) continue;
    for (const statement of statements(names)) await run(client, statement);
  }
  if (missing.some((part) => nameOf(part) === "table word")) await grantWords(client, names);
  return missing.map(nameOf);
}

/** In a schema with text search. From version 6 on `migrate` then stores the lexemes again; before, Postgres generated them. */
function lexemeRepairs(language: TextSearchLanguage, version: number): Record<string, (names: Names) => string[]> {
  return {
    "column chunk.lexemes": (names) =>
      version < VERSION_WITH_STORED_LEXEMES
        ? [addGeneratedLexemes(names, language)]
        : [addLexemes(names), ...addLexemesTrigger(names), forgetFilling(names, names.profileId)],
    "index chunk_lexemes": (names) => [
      `DROP INDEX IF EXISTS ${names.schema}.chunk_${names.profileId}_lexemes`,
      indexLexemes(names),
    ],
  };
}

const VERSION_WITH_STORED_LEXEMES = 6;

function foreignKey(table: string, { training }: Names): string {
  return `ALTER TABLE ${table} ADD FOREIGN KEY (training_id) REFERENCES ${training} ON DELETE CASCADE`;
}

function recreateWords(names: Names): string[] {
  return [
    `DROP TABLE IF EXISTS ${names.word}`,
    createWordTable(names),
    ...Object.values(wordIndexes).map((create) => create(names)),
    forgetFilling(names, names.profileId),
  ];
}

function recreateWordIndex(names: Names, name: keyof typeof wordIndexes): string[] {
  return [`DROP INDEX IF EXISTS ${names.schema}.${name}`, wordIndexes[name](names)];
}

/** Drops first: an invalid index, left by a failed build, may still have the name. */
function recreateIndex(names: Names, name: string, create: (names: Names) => string): string[] {
  return [`DROP INDEX IF EXISTS ${names.schema}.${name}`, create(names)];
}

/** @throws {@link SchemaError} if vectors are stored: only the lost row told which model made them */
async function restoreProfile(client: Queryable, schema: string, names: Names): Promise<void> {
  const [row] = await query<{ rows: string; dimensions: HostNumber; lexemes: string }>(
    client,
    "migrate",
    `SELECT ((SELECT count(*) FROM (SELECT 1 FROM ${names.chunk} LIMIT 1) c) + (SELECT count(*) FROM ${names.profile}))::text AS rows,
      a.atttypmod::text AS dimensions, (SELECT count(*)::text FROM pg_catalog.pg_attribute l
        WHERE l.attrelid = a.attrelid AND l.attname = 'lexemes' AND NOT l.attisdropped) AS lexemes
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::regclass AND a.attname = 'embedding'`,
    [names.chunk],
  );
  const columns =
    "id, status, dimensions, model, query_prefix, document_prefix, vector_index, hnsw_m, hnsw_ef_construction";
  if (row?.rows !== "0") {
    throw damagedSchema(
      schema,
      [{ kind: "row", name: "profile" }],
      "Only they told which model made the vectors. If you know it, insert the row again: " +
        `INSERT INTO ${names.profile} (${columns}, text_search) VALUES (${names.profileId}, 'active', ` +
        `${row?.dimensions ?? "<dimensions>"}, '<model>', '<query prefix>', '<document prefix>', 'vector', ` +
        `${DEFAULT_HNSW.m}, ${DEFAULT_HNSW.efConstruction}, <the language of text search, or NULL>). Otherwise restore it from a ` +
        "backup, or drop the schema, migrate, and index the trainings again",
    );
  }
  if (row.lexemes !== "0") for (const statement of dropLexemes(names)) await run(client, statement);
  await run(
    client,
    `INSERT INTO ${names.profile} (${columns}) VALUES (${names.profileId}, 'active', ${Number(row.dimensions)},
      NULL, NULL, NULL, 'vector', ${DEFAULT_HNSW.m}, ${DEFAULT_HNSW.efConstruction})`,
  );
}
