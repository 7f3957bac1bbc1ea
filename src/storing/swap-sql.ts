/** The statements that replace stored chunks by new ones. */
import { claimedProfile, admitUpserts } from "./fence-sql.js";
import { namesOf, type Layout } from "../schema/layout.js";

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
 *   $7 splitters, and as array literals $8 chunk ids, $9 starts, $10 ends; $11 the scope, $12 the claim
 * - chunks with a new vector: texts $13 training ids, $14 chunk ids, $15 contents, $16 metadata, $17 hashes; $18
 *   vectors
 *
 * If it replaces chunks, also
 *
 * - chunks that copy the vector of a stored chunk with the same text: texts as above, $19 to $23. They overwrite,
 *   because a stored chunk with another text may have an id that the caller chose.
 * - chunks to remove: $24 training ids, $25 chunk ids
 * - chunks whose metadata changes: $26 training ids, $27 chunk ids, $28 metadata
 *
 * Returns the ids of the trainings that the fence admitted; the others are unchanged. A row without an id means that
 * the schema is not claimed for the model of the index: then none was admitted.
 */
export function swapTrainings(layout: Layout, { replaces, overwrites }: SwapOptions): string {
  const { indexed, chunk, vector } = namesOf(layout);
  const { idType } = layout;
  return `
WITH given AS MATERIALIZED (
  SELECT * FROM unnest($1::${idType}[], $2::bigint[], $3::numeric[], $4::jsonb[], $5::bigint[], $6::bytea[], $7::text[],
    $8::text[], $9::text[], $10::text[])
    AS n (id, ticket, revision, metadata, replaced_ticket, fingerprint, splitter, chunk_ids, starts, ends)
), claimed AS MATERIALIZED (${claimedProfile(layout, "$12")}
), admitted AS (${admitUpserts(layout, "claimed", "given", "$11")}
), added AS (${insertInto(chunk)}
  SELECT n.* FROM (SELECT ${unnested(layout, 13)}, unnest($18::${vector}[]))
    AS n (training_id, id, content, metadata, content_hash, embedding)
  WHERE ${IS_ADMITTED}
  ${overwrites ? OVERWRITE : ""}
), recorded AS (
  INSERT INTO ${indexed} (training_id, fingerprint, splitter, chunk_ids, starts, ends)
  SELECT n.id, n.fingerprint, n.splitter, n.chunk_ids::text[], n.starts::integer[], n.ends::integer[]
  FROM given n JOIN admitted USING (id)
  ON CONFLICT (training_id) DO UPDATE SET fingerprint = excluded.fingerprint, splitter = excluded.splitter,
    chunk_ids = excluded.chunk_ids, starts = excluded.starts, ends = excluded.ends
)${replaces ? replaceChunks(layout) : ""}
SELECT id::text AS key FROM admitted
UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT FROM claimed)`;
}

function replaceChunks(layout: Layout): string {
  const { chunk } = namesOf(layout);
  const { idType } = layout;
  return `, copied AS (${insertInto(chunk)}
  SELECT n.training_id, n.id, n.content, n.metadata, n.content_hash,
    (SELECT s.embedding FROM ${chunk} s
      WHERE s.training_id = n.training_id AND s.content_hash = n.content_hash LIMIT 1)
  FROM (SELECT ${unnested(layout, 19)}) AS n (training_id, id, content, metadata, content_hash)
  WHERE ${IS_ADMITTED}
  ${OVERWRITE}
), removed AS (
  DELETE FROM ${chunk} c
  USING unnest($24::${idType}[], $25::text[]) AS n (training_id, id)
  WHERE c.training_id = n.training_id AND c.id = n.id AND ${IS_ADMITTED}
), updated AS (
  UPDATE ${chunk} c SET metadata = n.metadata
  FROM unnest($26::${idType}[], $27::text[], $28::jsonb[]) AS n (training_id, id, metadata)
  WHERE c.training_id = n.training_id AND c.id = n.id AND c.metadata <> n.metadata AND ${IS_ADMITTED}
)`;
}

/**
 * Inserts more chunks with new vectors, of trainings that were admitted in the same transaction. Texts: $1 training
 * ids, $2 chunk ids, $3 contents, $4 metadata, $5 hashes; $6 vectors.
 */
export function insertChunks(layout: Layout, { overwrites }: InsertOptions): string {
  const { chunk, vector } = namesOf(layout);
  return `${insertInto(chunk)}
  SELECT ${unnested(layout, 1)}, unnest($6::${vector}[])
  ${overwrites ? OVERWRITE : ""}`;
}

/** An array instead of a join: a join could first materialize all rows of one side, with their vectors. */
const IS_ADMITTED = "n.training_id = ANY (ARRAY(SELECT id FROM admitted))";

/** Used only where needed: a plain INSERT does not have to look up each row in the primary key first. */
const OVERWRITE = `ON CONFLICT (training_id, id) DO UPDATE SET content = excluded.content, metadata = excluded.metadata,
    content_hash = excluded.content_hash, embedding = excluded.embedding`;

function insertInto(chunk: string): string {
  return `
  INSERT INTO ${chunk} (training_id, id, content, metadata, content_hash, embedding)`;
}

/**
 * Five text arrays as columns, starting at parameter `first`. In a SELECT list `unnest` streams row by row; in FROM all
 * rows would be materialized first, and large lists of vectors spilled to a file.
 */
function unnested({ idType }: Layout, first: number): string {
  return `unnest($${first}::text[])::${idType}, unnest($${first + 1}::text[]), unnest($${first + 2}::text[]),
    unnest($${first + 3}::text[])::jsonb, unnest($${first + 4}::text[])::bytea`;
}
