/**
 * The statements that `verify` and `reconcile` read with. `condition` is the filter of the index. All results are read as text.
 */
import { optionalFrom } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** $1 the schema. The last ticket that was taken; NULL if none was, or if the role may not read the sequence. */
export const READ_LAST_TICKET = `
SELECT (SELECT s.last_value FROM pg_catalog.pg_sequences s WHERE s.schemaname = $1 AND s.sequencename = 'ticket')::text AS ticket`;

/** Stored trainings that one statement lists. */
const PAGE_ROWS = 5000;

/** $1 the id that the page begins after, NULL for the first page, $2 a ticket, $3... the values of the condition. */
export function listStored(layout: Layout, condition: string | undefined): string {
  const { training, indexed } = namesOf(layout);
  return `
SELECT t.id::text AS key, (t.deleted_at IS NULL AND ${optionalFrom(3, condition)})::text AS living,
  coalesce(t.ticket > $2::bigint, false)::text AS is_newer, coalesce(cardinality(i.chunk_ids), 0)::text AS chunks
FROM ${training} t LEFT JOIN ${indexed} i ON i.training_id = t.id
WHERE ($1::${layout.idType} IS NULL OR t.id > $1::${layout.idType})
ORDER BY t.id LIMIT ${PAGE_ROWS}`;
}

/**
 * Chunks and lists of chunks in a range of ids whose training is deleted or has no row. $1 the id that the range begins after,
 * $2 its last id; NULL for no bound; $3... the values of the condition.
 */
export function findLeftovers(layout: Layout, condition: string | undefined): string {
  const { training, indexed, chunk } = namesOf(layout);
  const { idType } = layout;
  const matches = optionalFrom(3, condition);
  const inRange = `WHERE ($1::${idType} IS NULL OR training_id > $1::${idType})
    AND ($2::${idType} IS NULL OR training_id <= $2::${idType})`;
  return `
SELECT l.training_id::text AS key
FROM (SELECT training_id FROM ${chunk} ${inRange} UNION SELECT training_id FROM ${indexed} ${inRange}) l
LEFT JOIN ${training} t ON t.id = l.training_id
WHERE CASE WHEN t.id IS NOT NULL THEN t.deleted_at IS NOT NULL AND ${matches}
  ELSE ${condition === undefined} OR EXISTS (
    SELECT FROM ${chunk} WHERE training_id = l.training_id AND ${matches}) END
ORDER BY l.training_id`;
}

/** $1 ids. About how many characters each training has. */
export function readSizes(layout: Layout): string {
  return `
SELECT training_id::text AS key, coalesce(ends[cardinality(ends)], 0)::text AS size
FROM ${namesOf(layout).indexed} WHERE training_id = ANY ($1::${layout.idType}[])`;
}

/**
 * $1 ids, $2 revisions, $3 a ticket, $4... the values of the condition. For each id, in order, all that is stored of the training, in
 * one snapshot. `version` is how the stored revision compares with the given one.
 */
export function readStored(layout: Layout, condition: string | undefined): string {
  const { training, indexed, chunk, extension } = namesOf(layout);
  return `
SELECT (t.id IS NOT NULL AND t.deleted_at IS NULL AND ${optionalFrom(4, condition)})::text AS living,
  coalesce(t.ticket > $3::bigint, false)::text AS is_newer,
  CASE WHEN n.revision IS NULL THEN 'same' WHEN t.revision IS NULL OR t.revision < n.revision THEN 'older'
    WHEN t.revision > n.revision THEN 'newer' ELSE 'same' END AS version,
  t.metadata::text AS metadata, encode(i.fingerprint, 'hex') AS fingerprint,
  CASE WHEN i.training_id IS NOT NULL
    THEN json_build_object('ids', i.chunk_ids, 'starts', i.starts, 'ends', i.ends)::text END AS places,
  (SELECT json_agg(json_build_object('id', c.id, 'content', c.content, 'metadata', c.metadata,
      'hash', encode(c.content_hash, 'hex'), 'dimensions', ${extension}.vector_dims(c.embedding),
      'isZero', ${extension}.vector_norm(c.embedding) = 0))::text
    FROM ${chunk} c WHERE c.training_id = n.id) AS chunks
FROM unnest($1::${layout.idType}[], $2::numeric[]) WITH ORDINALITY AS n (id, revision, place)
LEFT JOIN ${training} t ON t.id = n.id
LEFT JOIN ${indexed} i ON i.training_id = n.id
ORDER BY n.place`;
}

/** $1 training ids, $2 chunk ids. The vectors of the chunks, in base64. */
export function readVectors(layout: Layout): string {
  const { chunk, extension } = namesOf(layout);
  return `
SELECT c.training_id::text AS key, c.id, encode(${extension}.vector_send(c.embedding), 'base64') AS embedding
FROM unnest($1::${layout.idType}[], $2::text[]) AS n (training_id, id)
JOIN ${chunk} c ON c.training_id = n.training_id AND c.id = n.id`;
}

/** $1 the schema. Tables of profiles, with the status of the profile; NULL for a table that no profile has. */
export function readProfileTables(layout: Layout): string {
  return `
SELECT c.relname::text AS name, p.status FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN ${namesOf(layout).profile} p ON p.id::text = substring(c.relname FROM '[0-9]+$')
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname ~ '^(chunk|indexed)_[0-9]+$'
ORDER BY c.relname`;
}
