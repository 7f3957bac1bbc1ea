/** The statements that replace stored chunks by new ones. */
import { claimedProfile, admitUpserts } from "./fence-sql.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { lexemesOf } from "../schema/lexemes.js";

/** Options of the statements that insert chunks. */
export interface InsertOptions {
  /** Whether an inserted row may have the id of a stored one and then overwrites it. */
  overwrites: boolean;
}

/** Options of {@link swapTrainings}. */
export interface SwapOptions extends InsertOptions {
  /** Whether any of the trainings has stored chunks. */
  replaces: boolean;
}

/**
 * Swaps the versions of several trainings in a single statement. A call that dies halfway has changed nothing, and no
 * one waits for its locks while the process or the network is slow. All parts of the statement see the state before it.
 *
 * - $1 ids, $2 tickets, $3 revisions, $4 metadata, $5 content tickets of the versions they replace, $6 fingerprints,
 *   $7 splitters, and as array literals $8 chunk ids, $9 starts, $10 ends; $11 the scope, $12 the claim, $13 the vectors
 * - chunks with a new vector, from $14 on: {@link columnsOfChunks}
 *
 * If it replaces chunks, also
 *
 * - chunks that copy the vector of a stored chunk with the same text: columns as above. They overwrite, because a stored chunk with
 *   another text may have an id that the caller chose.
 * - chunks to remove: training ids, chunk ids
 * - chunks whose metadata changes: training ids, chunk ids, metadata
 *
 * Returns the ids of the trainings that the fence admitted; the others are unchanged. A row without an id means that
 * the schema is not claimed for the model of the index: then none was admitted.
 */
export function swapTrainings(layout: Layout, { replaces, overwrites }: SwapOptions): string {
  const { indexed, vector } = namesOf(layout);
  const { idType } = layout;
  return `
WITH given AS MATERIALIZED (
  SELECT * FROM unnest($1::${idType}[], $2::bigint[], $3::numeric[], $4::jsonb[], $5::bigint[], $6::bytea[], $7::text[],
    $8::text[], $9::text[], $10::text[])
    AS n (id, ticket, revision, metadata, replaced_ticket, fingerprint, splitter, chunk_ids, starts, ends)
), claimed AS MATERIALIZED (${claimedProfile(layout, "$12")}
), admitted AS (${admitUpserts(layout, "claimed", "given", "$11")}
), added AS (${insertInto(layout)}
  SELECT n.* FROM (SELECT unnest($13::${vector}[]), ${unnested(layout, FIRST_ADDED)})
    AS n (embedding, ${columnsOfChunks(layout).join(", ")})
  WHERE ${IS_ADMITTED}
  ${overwrites ? overwrite(layout) : ""}
), recorded AS (
  INSERT INTO ${indexed} (training_id, fingerprint, splitter, chunk_ids, starts, ends)
  SELECT n.id, n.fingerprint, n.splitter, n.chunk_ids::text[], n.starts::integer[], n.ends::integer[]
  FROM given n JOIN admitted USING (id)
  ON CONFLICT (training_id) DO UPDATE SET fingerprint = excluded.fingerprint, splitter = excluded.splitter,
    chunk_ids = excluded.chunk_ids, starts = excluded.starts, ends = excluded.ends
)${replaces ? replaceChunks(layout) : ""}
SELECT id::text AS key FROM admitted
UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM claimed)`;
}

function replaceChunks(layout: Layout): string {
  const { chunk } = namesOf(layout);
  const { idType } = layout;
  const columns = columnsOfChunks(layout);
  const firstCopied = FIRST_ADDED + columns.length;
  const next = firstCopied + columns.length;
  return `, copied AS (${insertInto(layout)}
  SELECT (SELECT s.embedding FROM ${chunk} s
      WHERE s.training_id = n.training_id AND s.content_hash = n.content_hash LIMIT 1), n.*
  FROM (SELECT ${unnested(layout, firstCopied)}) AS n (${columns.join(", ")})
  WHERE ${IS_ADMITTED}
  ${overwrite(layout)}
), removed AS (
  DELETE FROM ${chunk} c
  USING unnest($${next}::${idType}[], $${next + 1}::text[]) AS n (training_id, id)
  WHERE c.training_id = n.training_id AND c.id = n.id AND ${IS_ADMITTED}
), updated AS (
  UPDATE ${chunk} c SET metadata = n.metadata
  FROM unnest($${next + 2}::${idType}[], $${next + 3}::text[], $${next + 4}::jsonb[]) AS n (training_id, id, metadata)
  WHERE c.training_id = n.training_id AND c.id = n.id AND c.metadata <> n.metadata AND ${IS_ADMITTED}
)`;
}

/**
 * Inserts more chunks with new vectors, of trainings that were admitted in the same transaction. $1 vectors, then
 * {@link columnsOfChunks}.
 */
export function insertChunks(layout: Layout, { overwrites }: InsertOptions): string {
  return `${insertInto(layout)}
  SELECT unnest($1::${namesOf(layout).vector}[]), ${unnested(layout, 2)}
  ${overwrites ? overwrite(layout) : ""}`;
}

/** Number of the first column of the added chunks. */
const FIRST_ADDED = 14;

/** An array instead of a join: a join could first materialize all rows of one side, with their vectors. */
const IS_ADMITTED = "n.training_id = ANY (ARRAY(SELECT id FROM admitted))";

/**
 * All columns of the chunk table except the vector, in the order of their parameters, which are arrays of texts. For the lexemes they
 * are the words of the text; see `joinWords`.
 */
function columnsOfChunks({ textSearch }: Layout): string[] {
  const columns = ["training_id", "id", "content", "metadata", "content_hash"];
  return textSearch === undefined ? columns : [...columns, "lexemes"];
}

/** Used only where needed: a plain INSERT does not have to look up each row in the primary key first. */
function overwrite(layout: Layout): string {
  const written = ["embedding", ...columnsOfChunks(layout).slice(2)].map((column) => `${column} = excluded.${column}`);
  return `ON CONFLICT (training_id, id) DO UPDATE SET ${written.join(", ")}`;
}

function insertInto(layout: Layout): string {
  return `
  INSERT INTO ${namesOf(layout).chunk} (embedding, ${columnsOfChunks(layout).join(", ")})`;
}

/**
 * The columns of chunks from their arrays, the first of which is parameter `first`. In a SELECT list `unnest` streams row by row; in
 * FROM all rows would be materialized first, and large lists of vectors spilled to a file.
 */
function unnested({ idType, textSearch }: Layout, first: number): string {
  const [key, id, content, metadata, hash, words] = Array.from(
    { length: 6 },
    (_, place) => `unnest($${first + place}::text[])`,
  ) as [string, string, string, string, string, string];
  return `${key}::${idType}, ${id}, ${content}, ${metadata}::jsonb, ${hash}::bytea${
    textSearch === undefined ? "" : `, ${lexemesOf(textSearch, words)}`
  }`;
}
