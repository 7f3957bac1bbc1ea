import { SchemaError } from "../errors.js";
import { readActiveProfile, type ActiveProfile } from "./catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import { chunkTable, FIRST_PROFILE_ID, indexedTable, SCHEMA_VERSION } from "./layout.js";

/** The kinds of parts that a schema consists of. */
export type PartKind = "extension" | "table" | "sequence" | "column" | "primary key" | "foreign key" | "index" | "row";

/** A part of a schema, with its name within the schema: a column is `training.ticket`. */
export interface Part {
  kind: PartKind;
  name: string;
}

/** The columns of each table; `chunk` and `indexed` are those of the active profile. A column that was added after version 1 has the version that added it. */
const COLUMNS: Readonly<Record<string, readonly (string | readonly [column: string, since: number])[]>> = {
  training: [
    ...["id", "ticket", "content_ticket", "revision", "barrier", "metadata", "deleted_at", "updated_at"],
    ["replaced_ticket", 3],
  ],
  profile: [
    ...["id", "status", "dimensions", "model", "query_prefix", "document_prefix"],
    ...(["vector_index", "vector_index_next", "vector_index_claimed_at"] as const).map((name) => [name, 2] as const),
    ...(["hnsw_m", "hnsw_ef_construction"] as const).map((name) => [name, 2] as const),
    ["text_search", 4],
    ["words_filled_at", 6],
  ],
  indexed: ["training_id", "fingerprint", "splitter", "chunk_ids", "starts", "ends"],
  chunk: ["training_id", "id", "content", "metadata", "content_hash", "embedding"],
  migration: ["version", "name", "breaking"],
};

const INDEXES = ["training_deleted", "profile_active"];
/** Those of the chunks of the active profile, without its id. */
const CHUNK_INDEXES = ["id", "metadata"];
/** The parts of the table of words, since version 6. */
const WORDS: readonly Part[] = [
  { kind: "table", name: "word" },
  { kind: "column", name: "word.word" },
  { kind: "column", name: "word.fragments" },
  { kind: "column", name: "word.offered_at" },
  { kind: "index", name: "word_word" },
  { kind: "index", name: "word_fragments" },
];

/** Columns, keys and indexes are looked up by their tables: without statistics of the catalogs, Postgres would read those of all schemas. */
const READ_PARTS = `
WITH c AS MATERIALIZED (
  SELECT c.oid, c.relname, c.relkind FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1
),
t AS MATERIALIZED (SELECT pg_catalog.array_agg(oid) AS oids FROM c WHERE relkind IN ('r', 'p'))
SELECT p.kind::text AS kind, p.name::text AS name FROM (
SELECT 'extension' AS kind, 'vector' AS name FROM pg_catalog.pg_extension WHERE extname = 'vector'
UNION ALL SELECT 'table', relname FROM c WHERE relkind IN ('r', 'p')
UNION ALL SELECT 'sequence', relname FROM c WHERE relkind = 'S'
UNION ALL SELECT 'column', c.relname || '.' || a.attname FROM pg_catalog.pg_attribute a JOIN c ON c.oid = a.attrelid
  WHERE a.attrelid = ANY ((SELECT oids FROM t)::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT CASE k.contype WHEN 'p' THEN 'primary key' ELSE 'foreign key' END, c.relname
  FROM pg_catalog.pg_constraint k JOIN c ON c.oid = k.conrelid
  WHERE k.conrelid = ANY ((SELECT oids FROM t)::oid[])
    AND (k.contype = 'p' OR k.contype = 'f' AND k.confrelid = (SELECT oid FROM c WHERE relname = 'training'))
UNION ALL SELECT 'index', c.relname FROM pg_catalog.pg_index i JOIN c ON c.oid = i.indexrelid
  WHERE i.indrelid = ANY ((SELECT oids FROM t)::oid[]) AND i.indisvalid) p`;

/** Reads the existing parts of a schema. */
async function readParts(database: Queryable, schema: string): Promise<Set<string>> {
  const rows = await query<Part>(database, "find-damage", READ_PARTS, [schema]);
  return new Set(rows.map(nameOf));
}

/**
 * The parts that a schema of this version should have but lacks.
 *
 * @param version - the highest recorded migration; 0 if none is recorded
 */
function missingParts(parts: ReadonlySet<string>, version: number, profileId: number): Part[] {
  const lacks = (part: Part): boolean => !parts.has(nameOf(part));
  const columnsOf = Object.entries(COLUMNS).map(([table, names]) => [tableOf(table, profileId), names] as const);
  const [chunk, indexed] = [chunkTable(profileId), indexedTable(profileId)];
  const tables = columnsOf.map(([name]): Part => ({ kind: "table", name }));
  if (version === 0) {
    const own = tables.filter(({ name }) => name !== "migration" && name !== "training");
    // Another application may have a table `training`, but hardly all of the other names.
    if (own.some(lacks)) return [];
    const migration: Part = { kind: "table", name: "migration" };
    return [lacks(migration) ? migration : { kind: "row", name: "migration" }];
  }
  const known = Math.min(version, SCHEMA_VERSION);
  const columns = columnsOf.flatMap(([table, names]) =>
    names.flatMap((given): Part[] => {
      const [name, since] = typeof given === "string" ? [given, 1] : given;
      // Columns of a missing table are not listed.
      const isExpected = since <= known && !lacks({ kind: "table", name: table });
      return isExpected ? [{ kind: "column", name: `${table}.${name}` }] : [];
    }),
  );
  const keyed = (kind: PartKind, names: string[]): Part[] =>
    names.filter((name) => !lacks({ kind: "table", name })).map((name) => ({ kind, name }));
  const indexes = [
    ...INDEXES.filter((name) => !lacks({ kind: "table", name: name.replace(/_(deleted|active)$/, "") })),
    ...(lacks({ kind: "table", name: chunk }) ? [] : CHUNK_INDEXES.map((name) => `${chunk}_${name}`)),
  ];
  return [
    { kind: "extension" as const, name: "vector" },
    ...tables,
    { kind: "sequence" as const, name: "ticket" },
    ...columns,
    ...keyed("primary key", ["training", "profile", indexed, chunk]),
    ...keyed("foreign key", [indexed, chunk]),
    ...indexes.map((name): Part => ({ kind: "index", name })),
    ...(known < 6 ? [] : WORDS.filter(({ kind }) => kind === "table" || !lacks({ kind: "table", name: "word" }))),
  ].filter(lacks);
}

function tableOf(name: string, profileId: number): string {
  if (name === "chunk") return chunkTable(profileId);
  return name === "indexed" ? indexedTable(profileId) : name;
}

/** The missing parts of text search. Only for a schema whose profile has a language of text search. */
function missingTextSearch(parts: ReadonlySet<string>, profileId: number): Part[] {
  const chunk = chunkTable(profileId);
  const wanted: readonly Part[] = [
    { kind: "column", name: `${chunk}.lexemes` },
    { kind: "index", name: `${chunk}_lexemes` },
  ];
  return wanted.filter((part) => !parts.has(nameOf(part)));
}

/** Whether the loss of a part only makes searches slower. */
export function affectsSpeedOnly({ kind }: Part): boolean {
  return kind === "index";
}

/** The missing parts of a schema, and its active profile. */
export interface Damage {
  missing: Part[];
  /** `undefined` if there is none or it cannot be read. */
  active: ActiveProfile | undefined;
  /** Whose tables were looked at: the active profile, or without one the first. */
  profileId: number;
}

/**
 * Compares the parts of a schema with those that it should have.
 *
 * @param version - the highest recorded migration; 0 if none is recorded
 */
export async function readDamage(client: Queryable, schema: string, version: number): Promise<Damage> {
  const parts = await readParts(client, schema);
  const isAboutProfile = ({ kind, name }: Part): boolean =>
    name === "profile" || (kind === "column" && name.startsWith("profile."));
  const isReadable = version > 0 && !missingParts(parts, version, FIRST_PROFILE_ID).some(isAboutProfile);
  const active = isReadable ? await readActiveProfile(client, schema) : undefined;
  const profileId = active?.id ?? FIRST_PROFILE_ID;
  const missing = missingParts(parts, version, profileId);
  if (isReadable && !active) missing.push({ kind: "row", name: "profile" });
  if (active?.textSearch !== undefined && parts.has(`table ${chunkTable(profileId)}`)) {
    missing.push(...missingTextSearch(parts, profileId));
  }
  return { missing, active, profileId };
}

/** The name of a part in messages and `migrationStatus`: `column training.ticket`. */
export function nameOf({ kind, name }: Part): string {
  return kind === "row" ? `rows of ${name}` : `${kind} ${name}`;
}

/**
 * The error of a schema with missing parts.
 *
 * @param remedy - what to do. Default: restore a backup or start again, since the content of the parts is lost
 */
export function damagedSchema(schema: string, parts: readonly Part[], remedy?: string): SchemaError {
  const quoted = JSON.stringify(schema);
  const what = parts.map(nameOf).join(", ");
  return new SchemaError(
    "SCHEMA_DAMAGED",
    `Schema ${quoted} is damaged: ${what} ${parts.length === 1 ? "is" : "are"} missing. ` +
      (remedy ??
        `Its content is lost: restore it from a backup, or run DROP SCHEMA ${quoted} CASCADE and ` +
          `migrate(pool, { schema: ${quoted} }), and index the trainings again`),
  );
}
