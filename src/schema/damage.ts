import { SchemaError } from "../errors.js";
import { readActiveProfile, type ActiveProfile } from "./catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import { SCHEMA_VERSION } from "./layout.js";

/** What a schema consists of, by the kind of thing. */
export type PartKind =
  "extension" | "table" | "sequence" | "column" | "primary key" | "foreign key" | "index" | "row";

/** A part of the schema, by its name in it: `training.ticket` is a column. */
export interface Part {
  kind: PartKind;
  name: string;
}

/** Columns of each table, with the version that added those which the first one did not. */
const COLUMNS: Readonly<Record<string, readonly (string | readonly [column: string, since: number])[]>> = {
  training: [
    ...["id", "ticket", "content_ticket", "revision", "barrier", "metadata", "deleted_at", "updated_at"],
    ["replaced_ticket", 3],
  ],
  profile: [
    ...["id", "status", "dimensions", "model", "query_prefix", "document_prefix"],
    ...(["vector_index", "vector_index_next", "vector_index_claimed_at"] as const).map(
      (name) => [name, 2] as const,
    ),
    ...(["hnsw_m", "hnsw_ef_construction"] as const).map((name) => [name, 2] as const),
    ["text_search", 4],
  ],
  indexed_1: ["training_id", "fingerprint", "splitter", "chunk_ids", "starts", "ends"],
  chunk_1: ["training_id", "id", "content", "metadata", "content_hash", "embedding"],
  migration: ["version", "name", "breaking"],
};

const INDEXES = ["training_deleted", "profile_active", "chunk_1_id", "chunk_1_metadata"];
/** Only a schema whose chunks can be searched for words has them. */
const TEXT_SEARCH: readonly Part[] = [
  { kind: "column", name: "chunk_1.lexemes" },
  { kind: "index", name: "chunk_1_lexemes" },
];

const READ_PARTS = `
WITH n AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1),
c AS (SELECT c.* FROM pg_catalog.pg_class c JOIN n ON n.oid = c.relnamespace)
SELECT p.kind::text AS kind, p.name::text AS name FROM (
SELECT 'extension' AS kind, 'vector' AS name FROM pg_catalog.pg_extension WHERE extname = 'vector'
UNION ALL SELECT 'table', relname FROM c WHERE relkind IN ('r', 'p')
UNION ALL SELECT 'sequence', relname FROM c WHERE relkind = 'S'
UNION ALL SELECT 'column', c.relname || '.' || a.attname FROM c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
  WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT CASE k.contype WHEN 'p' THEN 'primary key' ELSE 'foreign key' END, c.relname
  FROM pg_catalog.pg_constraint k JOIN c ON c.oid = k.conrelid
  WHERE k.contype = 'p' OR k.contype = 'f' AND k.confrelid = (SELECT oid FROM c WHERE relname = 'training')
UNION ALL SELECT 'index', ic.relname FROM pg_catalog.pg_index i JOIN c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid WHERE i.indisvalid) p`;

/** What is there of a schema. */
async function readParts(database: Queryable, schema: string): Promise<Set<string>> {
  const rows = await query<Part>(database, READ_PARTS, [schema]);
  return new Set(rows.map(nameOf));
}

/**
 * What a schema should have at its version and does not have.
 *
 * @param version - the highest migration that is recorded; 0 where none is
 */
function missingParts(parts: ReadonlySet<string>, version: number): Part[] {
  const lacks = (part: Part): boolean => !parts.has(nameOf(part));
  const tables = Object.keys(COLUMNS).map((name): Part => ({ kind: "table", name }));
  if (version === 0) {
    const own = tables.filter(({ name }) => name !== "migration" && name !== "training");
    // Another application may have a table of trainings; not one of each of these names.
    if (own.some(lacks)) return [];
    const migration: Part = { kind: "table", name: "migration" };
    return [lacks(migration) ? migration : { kind: "row", name: "migration" }];
  }
  const known = Math.min(version, SCHEMA_VERSION);
  const columns = Object.entries(COLUMNS).flatMap(([table, names]) =>
    names.flatMap((given): Part[] => {
      const [name, since] = typeof given === "string" ? [given, 1] : given;
      // Where the table is gone, that says it.
      const counts = since <= known && !lacks({ kind: "table", name: table });
      return counts ? [{ kind: "column", name: `${table}.${name}` }] : [];
    }),
  );
  const keyed = (kind: PartKind, names: string[]): Part[] =>
    names.filter((name) => !lacks({ kind: "table", name })).map((name) => ({ kind, name }));
  const indexes = INDEXES.filter(
    (name) => !lacks({ kind: "table", name: name.replace(/_(deleted|active|id|metadata)$/, "") }),
  );
  return [
    { kind: "extension" as const, name: "vector" },
    ...tables,
    { kind: "sequence" as const, name: "ticket" },
    ...columns,
    ...keyed("primary key", ["training", "profile", "indexed_1", "chunk_1"]),
    ...keyed("foreign key", ["indexed_1", "chunk_1"]),
    ...indexes.map((name): Part => ({ kind: "index", name })),
  ].filter(lacks);
}

/** What text search lacks, where the profile says that there is text search. */
function missingTextSearch(parts: ReadonlySet<string>): Part[] {
  return TEXT_SEARCH.filter((part) => !parts.has(nameOf(part)));
}

/** Parts without which searches are slower, and nothing else. */
export function isOnlySlower({ kind }: Part): boolean {
  return kind === "index";
}

/** What is missing of a schema, and what is left of its profile. */
export interface Damage {
  missing: Part[];
  /** `undefined` where it cannot be read. */
  active: ActiveProfile | undefined;
}

/**
 * Compares the catalogs with what a schema should have.
 *
 * @param version - the highest migration that is recorded; 0 where none is
 */
export async function readDamage(client: Queryable, schema: string, version: number): Promise<Damage> {
  const parts = await readParts(client, schema);
  const missing = missingParts(parts, version);
  if (version === 0) return { missing, active: undefined };
  const isReadable = !missing.some(
    ({ kind, name }) => name === "profile" || (kind === "column" && name.startsWith("profile.")),
  );
  const active = isReadable ? await readActiveProfile(client, schema) : undefined;
  if (isReadable && !active) missing.push({ kind: "row", name: "profile" });
  if (active?.textSearch !== undefined && parts.has("table chunk_1"))
    missing.push(...missingTextSearch(parts));
  return { missing, active };
}

/** A part as messages and `migrationStatus` name it: `column training.ticket`. */
export function nameOf({ kind, name }: Part): string {
  return kind === "row" ? `rows of ${name}` : `${kind} ${name}`;
}

/** Of what is gone for good. */
export function damagedSchema(schema: string, parts: readonly Part[], remedy?: string): SchemaError {
  const quoted = JSON.stringify(schema);
  const what = parts.map(nameOf).join(", ");
  return new SchemaError(
    "SCHEMA_DAMAGED",
    `Schema ${quoted} is damaged: ${what} ${parts.length === 1 ? "is" : "are"} missing. ` +
      (remedy ??
        `What was in it cannot be made again: restore it from a backup, or run DROP SCHEMA ${quoted} CASCADE, ` +
          `migrate(pool, { schema: ${quoted} }), and index the trainings anew`),
  );
}
