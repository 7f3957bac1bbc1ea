import { SchemaError } from "../errors.js";
import type { IdType } from "../types.js";
import { encodeTextArray } from "../postgres/codec.js";
import { query, type Queryable } from "../postgres/database.js";
import { chunkTable, namesOf, type Layout } from "./layout.js";
import { textSearchLanguages } from "./lexemes.js";
import { idTypeOf } from "./training-id.js";
import { vectorIndexName, vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** The model whose vectors a profile holds, as it is recorded. */
export interface RecordedModel {
  model: string;
  queryPrefix: string;
  documentPrefix: string;
}

/** What statements are written for: the schema as it stood at one look. */
export interface SchemaState {
  layout: Layout;
  /** The oid of pgvector's type `vector`. */
  vectorOid: number;
  chunkOid: number;
  /** Components of a vector. */
  dimensions: number;
  /** `undefined` until the first write has recorded it. */
  recorded: RecordedModel | undefined;
  /** The type of the vector index that Postgres can use; `undefined` without one: then every search is exact. */
  type: VectorIndexType | undefined;
  /** Size of the chunk table, in pages. */
  pages: number;
  /** Of the schema; see {@link versionOf}. */
  version: string;
  /** The versions in which statements may search, as a parameter: that of this look, with nobody's or the own model recorded. */
  acceptedVersions: Buffer;
}

/** From here on a search by the vector index costs less than comparing all chunks, and so does a plan that is kept. */
export const FEWEST_PAGES_OF_LARGE = 100;

/** Whether the chunk table is so large that the vector index is worth its while. */
export function isLarge({ pages }: Pick<SchemaState, "pages">): boolean {
  return pages >= FEWEST_PAGES_OF_LARGE;
}

/**
 * SQL for one row with the `version` of a schema: it changes with all that the statement of a search depends on. A table
 * that is made anew has another oid; one that is rewritten or emptied, another file.
 *
 * @param chunkOid - of the chunk table. Also tells the texts of statements apart, so that none is run under a name that a
 * connection has prepared before the table was made anew.
 */
export function versionOf(layout: Layout, chunkOid: number | string): string {
  const { profileId } = layout;
  return `SELECT pg_catalog.concat_ws(',', p.tableoid, pg_catalog.pg_relation_filenode(${chunkOid}::oid), p.dimensions,
    p.text_search, p.model, p.query_prefix, p.document_prefix) AS version
    FROM ${namesOf(layout).profile} p WHERE p.id = ${profileId}`;
}

/** The last part of a version, which is not there until the model is recorded. */
function claimIn(model: string, queryPrefix: string | null, documentPrefix: string | null): string {
  return [model, queryPrefix, documentPrefix].map((part) => (part === null ? "" : `,${part}`)).join("");
}

interface StateRow {
  recorded: string;
  dimensions: string;
  model: string | null;
  query_prefix: string | null;
  document_prefix: string | null;
  text_search: string | null;
  extension_schema: string;
  vector_oid: string;
  chunk_oid: string;
  id_type: string;
  indexes: string | null;
  bytes: string;
  page: string;
  version: string;
}

/** $1 schema, $2 the chunk table. */
function readState(layout: Layout): string {
  return `
SELECT p.vector_index AS recorded, p.dimensions::text AS dimensions, p.model, p.query_prefix, p.document_prefix, p.text_search,
  en.nspname::text AS extension_schema, t.oid::text AS vector_oid, c.oid::text AS chunk_oid, it.typname::text AS id_type,
  pg_catalog.pg_relation_size(c.oid)::text AS bytes, pg_catalog.current_setting('block_size') AS page,
  (SELECT pg_catalog.json_agg(ic.relname)::text FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisvalid) AS indexes,
  (${versionOf(layout, "c.oid")}) AS version
FROM ${namesOf(layout).profile} p
JOIN pg_catalog.pg_namespace n ON n.nspname = $1
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'training_id' AND NOT a.attisdropped
JOIN pg_catalog.pg_type it ON it.oid = a.atttypid
JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
JOIN pg_catalog.pg_namespace en ON en.oid = e.extnamespace
JOIN pg_catalog.pg_type t ON t.typnamespace = en.oid AND t.typname = 'vector'
WHERE p.id = ${layout.profileId}`;
}

/**
 * Looks at all that statements depend on, in one statement.
 *
 * @param own - the model of the index that is open: once it is recorded, the schema is not another one for that
 * @throws {@link SchemaError} when there is nothing to look at
 * @throws {@link DatabaseError}
 */
export async function readSchemaState(
  database: Queryable,
  { schema, profileId }: { schema: string; profileId: number },
  own?: RecordedModel,
): Promise<SchemaState> {
  // What is asked is the same whatever the schema of the extension and the ids are.
  const place: Layout = { schema, profileId, idType: "text", extensionSchema: "public" };
  const [row] = await query<StateRow>(database, readState(place), [schema, chunkTable(profileId)]);
  const idType: IdType | undefined = row && idTypeOf(row.id_type);
  if (!row || !idType) {
    throw new SchemaError(
      "SCHEMA_DAMAGED",
      `Parts of schema ${JSON.stringify(schema)} are missing: migrationStatus(pool, { schema: ${JSON.stringify(schema)} }) says which`,
    );
  }
  const valid = new Set(JSON.parse(row.indexes ?? "[]") as string[]);
  const usable = vectorIndexTypes.filter((type) => valid.has(vectorIndexName(profileId, type)));
  const recorded =
    row.model === null
      ? undefined
      : {
          model: row.model,
          queryPrefix: row.query_prefix ?? "",
          documentPrefix: row.document_prefix ?? "",
        };
  const claim = row.model === null ? "" : claimIn(row.model, row.query_prefix, row.document_prefix);
  const unclaimed = row.version.slice(0, row.version.length - claim.length);
  const versions = new Set([unclaimed]);
  if (own) versions.add(unclaimed + claimIn(own.model, own.queryPrefix, own.documentPrefix));
  return {
    layout: {
      schema,
      profileId,
      idType,
      extensionSchema: row.extension_schema,
      textSearch: textSearchLanguages.find((language) => language === row.text_search),
    },
    vectorOid: Number(row.vector_oid),
    chunkOid: Number(row.chunk_oid),
    dimensions: Number(row.dimensions),
    recorded,
    // While one takes the place of another both are good; the recorded one is there to stay.
    type: usable.find((type) => type === row.recorded) ?? usable.at(-1),
    pages: Number(row.bytes) / Number(row.page),
    version: row.version,
    acceptedVersions: encodeTextArray([...versions]),
  };
}
