/** The statements that put new chunks in the place of old ones. */
import { claimedProfile, admitUpserts } from "./fence-sql.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** What the rows that are added meet. */
export interface InsertOptions {
  /** Whether one may have the id of a row that stands, and takes its place then. */
  overwrites: boolean;
}

/** What a swap has to do. */
export interface SwapOptions extends InsertOptions {
  /** Whether chunks of any of the trainings stand. */
  replaces: boolean;
}

/**
 * The swap of some trainings, in one statement: so a call that stops halfway has done nothing, and nobody waits for its
 * locks while it, or the way to it, is slow. All of its parts see what stood before it.
 *
 * - $1 ids, $2 tickets, $3 revisions, $4 metadata, $5 content tickets of the versions that they replace, $6 fingerprints,
 *   $7 splitters, and as array literals $8 chunk ids, $9 starts, $10 ends; $11 the scope, $12 the claim
 * - chunks with a vector of their own: texts $13 training ids, $14 chunk ids, $15 contents, $16 metadata, $17 hashes; $18
 *   vectors
 *
 * Where it replaces chunks, also
 *
 * - chunks that get the vector of one that stands, with the same text: texts as above, $19 to $23. A chunk id that the
 *   caller chose may stand already, with another text.
 * - chunks to remove: $24 training ids, $25 chunk ids
 * - chunks that get other metadata: $26 training ids, $27 chunk ids, $28 metadata
 *
 * Returns the ids of those that came through the fence; of the others nothing has changed. A row without an id says that
 * the schema is not claimed for the model of the index: then none came through.
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
), passed AS (${admitUpserts(layout, "claimed", "given", "$11")}
), added AS (${insertInto(chunk)}
  SELECT n.* FROM (SELECT ${unnested(layout, 13)}, unnest($18::${vector}[]))
    AS n (training_id, id, content, metadata, content_hash, embedding)
  WHERE ${HAS_PASSED}
  ${overwrites ? OVERWRITE : ""}
), recorded AS (
  INSERT INTO ${indexed} (training_id, fingerprint, splitter, chunk_ids, starts, ends)
  SELECT n.id, n.fingerprint, n.splitter, n.chunk_ids::text[], n.starts::integer[], n.ends::integer[]
  FROM given n JOIN passed USING (id)
  ON CONFLICT (training_id) DO UPDATE SET fingerprint = excluded.fingerprint, splitter = excluded.splitter,
    chunk_ids = excluded.chunk_ids, starts = excluded.starts, ends = excluded.ends
)${replaces ? replaceChunks(layout) : ""}
SELECT id::text AS key FROM passed
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
  WHERE ${HAS_PASSED}
  ${OVERWRITE}
), removed AS (
  DELETE FROM ${chunk} c
  USING unnest($24::${idType}[], $25::text[]) AS n (training_id, id)
  WHERE c.training_id = n.training_id AND c.id = n.id AND ${HAS_PASSED}
), described AS (
  UPDATE ${chunk} c SET metadata = n.metadata
  FROM unnest($26::${idType}[], $27::text[], $28::jsonb[]) AS n (training_id, id, metadata)
  WHERE c.training_id = n.training_id AND c.id = n.id AND c.metadata <> n.metadata AND ${HAS_PASSED}
)`;
}

/**
 * More chunks with vectors of their own, of trainings that came through the fence in the same transaction. Texts: $1
 * training ids, $2 chunk ids, $3 contents, $4 metadata, $5 hashes; $6 vectors.
 */
export function insertChunks(layout: Layout, { overwrites }: InsertOptions): string {
  const { chunk, vector } = namesOf(layout);
  return `${insertInto(chunk)}
  SELECT ${unnested(layout, 1)}, unnest($6::${vector}[])
  ${overwrites ? OVERWRITE : ""}`;
}

/** An array, and no join: a join could first write down all rows on one of its sides, with their vectors. */
const HAS_PASSED = "n.training_id = ANY (ARRAY(SELECT id FROM passed))";

/** Only where it may be needed: a plain INSERT need not look into the primary key for each row before it enters it. */
const OVERWRITE = `ON CONFLICT (training_id, id) DO UPDATE SET content = excluded.content, metadata = excluded.metadata,
    content_hash = excluded.content_hash, embedding = excluded.embedding`;

function insertInto(chunk: string): string {
  return `
  INSERT INTO ${chunk} (training_id, id, content, metadata, content_hash, embedding)`;
}

/**
 * The columns of five texts, from this parameter on, side by side in a SELECT: that hands on row after row. In a FROM they
 * would all be written down first, lists of vectors in a file.
 */
function unnested({ idType }: Layout, first: number): string {
  return `unnest($${first}::text[])::${idType}, unnest($${first + 1}::text[]), unnest($${first + 2}::text[]),
    unnest($${first + 3}::text[])::jsonb, unnest($${first + 4}::text[])::bytea`;
}
