/**
 * The statements that `verify` and `reconcile` read with. `condition` is the filter of the index. All results are read as text.
 */
import { optionalFrom } from "../filtering/condition.js";
import { namesOf, type Layout, type Names } from "../schema/layout.js";
import {
  findUnsettledOnShards,
  listStoredOnShards,
  readStoredOnShards,
  readVectorsOnShards,
} from "./sharded-check-sql.js";

/** $1 the schema. The last ticket that was taken; NULL if none was, or if the role may not read the sequence. */
export const READ_LAST_TICKET = `
SELECT (SELECT CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') THEN pg_catalog.pg_sequence_last_value(c.oid) END
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'ticket' AND c.relkind = 'S')::text AS ticket`;

/** Stored trainings that one statement lists. */
const PAGE_ROWS = 500;

/**
 * $1 the id that the page begins after, NULL for the first page, $2 a ticket, $3... the values of the condition. One row: the `keys` of
 * the trainings that are living and not newer than the ticket, as a JSON array, which is less garbage than a row for each; how
 * many `chunks` they have; and the `last` id of the page, whatever its training is, NULL for an empty page.
 */
export function listStored(layout: Layout, condition: string | undefined): string {
  const { training, indexed } = namesOf(layout);
  if (layout.citus === "tables") return listStoredOnShards(layout, condition, PAGE_ROWS);
  return `
SELECT (json_agg(p.id::text ORDER BY p.id) FILTER (WHERE p.living))::text AS keys,
  coalesce(sum(cardinality(i.chunk_ids)) FILTER (WHERE p.living), 0)::text AS chunks, (array_agg(p.id ORDER BY p.id DESC))[1]::text AS last
FROM (
  SELECT t.id, t.deleted_at IS NULL AND ${optionalFrom(3, condition)} AND (t.ticket > $2::bigint) IS NOT TRUE AS living
  FROM ${training} t WHERE ($1::${layout.idType} IS NULL OR t.id > $1::${layout.idType})
  ORDER BY t.id LIMIT ${PAGE_ROWS}
) p LEFT JOIN ${indexed} i ON i.training_id = p.id`;
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

/** Characters of a training from which on it is read instead: the time of a statement is bounded. */
const MAX_CHARACTERS = 1_000_000;

/**
 * The items that need a closer look: `missing` ones, and `others` whose rows are not plainly those of the item, each as a JSON array of
 * their places in the list, from 0. Postgres checks all rows, so that those that are sound need not be read.
 *
 * $1 ids, $2 revisions, $3 a ticket, $4 what whole trainings must be, as JSON of `ExpectedRows`, $5 dimensions, $6... the values of
 * the condition. An empty text stands for an item without a revision or text.
 */
export function findUnsettled(layout: Layout, condition: string | undefined): string {
  const { training, indexed } = namesOf(layout);
  if (layout.citus === "tables") return findUnsettledOnShards(layout, condition, digestOfSoundChunks(layout));
  const living = `t.id IS NOT NULL AND t.deleted_at IS NULL AND ${optionalFrom(6, condition)}`;
  return `
SELECT json_agg(place ORDER BY place) FILTER (WHERE is_missing)::text AS missing,
  json_agg(place ORDER BY place) FILTER (WHERE NOT is_missing)::text AS others
FROM (
  SELECT n.place - 1 AS place, NOT (${living}) AS is_missing
  FROM unnest($1::text[]::${layout.idType}[], $2::text[], $4::text[]) WITH ORDINALITY AS g (id, revision, expected, place)
  CROSS JOIN LATERAL (
    SELECT g.id, nullif(g.revision, '')::numeric AS revision, nullif(g.expected, '')::jsonb AS expected, g.place
  ) n
  LEFT JOIN ${training} t ON t.id = n.id
  LEFT JOIN ${indexed} i ON i.training_id = n.id
  WHERE (t.ticket > $3::bigint) IS NOT TRUE AND (${living}
    AND (n.revision IS NULL OR t.revision = n.revision)
    AND (n.expected IS NULL
      OR (encode(i.fingerprint, 'hex') = n.expected ->> 'fingerprint' AND t.metadata = n.expected -> 'metadata'))
    AND ${hasSoundChunks(layout)}) IS NOT TRUE
) u`;
}

/** List `i` is too long to be checked here, or is not a list of chunks with their offsets. */
const CANNOT_BE_SOUND = `i.ends[cardinality(i.ends)] > ${MAX_CHARACTERS} OR cardinality(i.chunk_ids) <> cardinality(i.starts)
      OR cardinality(i.chunk_ids) <> cardinality(i.ends)`;

/** The digest of checked chunks. */
const DIGEST = "encode(sha256(convert_to(coalesce(string_agg(c.entry, ';' ORDER BY c.place), ''), 'UTF8')), 'hex')";

/** Whether the checked chunks are those of list `i`, each of them sound. @param id - SQL of the id of the training */
function areSound({ chunk }: Names, id: string): string {
  return `count(DISTINCT c.id) = cardinality(i.chunk_ids)
        AND count(c.id) = (SELECT count(*) FROM ${chunk} WHERE training_id = ${id})
        AND coalesce(bool_and(coalesce(c.is_sound, false)), true)`;
}

/** Whether the chunks of a training are those of its list, each of them sound, and those that an item expects. */
function hasSoundChunks(layout: Layout): string {
  const listed = `(SELECT * FROM ${namesOf(layout).chunk} WHERE training_id = n.id AND id = p.id OFFSET 0) c ON true`;
  return `CASE WHEN ${CANNOT_BE_SOUND} THEN false
    ELSE (
      SELECT ${areSound(namesOf(layout), "n.id")}
        AND (n.expected IS NULL OR n.expected ->> 'digest' =
          ${DIGEST})
      FROM (${checkedChunks(layout, `LATERAL ${listed}`)}) c)
    END`;
}

/** For training `t` with list `i`: the digest of its chunks, NULL if they are not those of its list, each of them sound. */
function digestOfSoundChunks(layout: Layout): string {
  const { chunk } = namesOf(layout);
  const listed = `${chunk} c ON c.training_id = t.id AND c.id = p.id`;
  return `CASE WHEN ${CANNOT_BE_SOUND} THEN NULL
    ELSE (SELECT CASE WHEN ${areSound(namesOf(layout), "t.id")} THEN ${DIGEST} END FROM (${checkedChunks(layout, listed)}) c) END`;
}

/**
 * The listed chunks of one training. A sound one has the hash of its text, a usable vector, the metadata of its training, and
 * offsets as long as its text that overlap the chunk before it only with the same text. `char_length` counts the characters that
 * JavaScript counts as two once, so texts with such characters are never plainly sound; neither are chunks with a header, a carriage
 * return, or a given vector, whose hash is of more than their text.
 *
 * @param listed - SQL of the join with chunk `c` of place `p`
 */
function checkedChunks(layout: Layout, listed: string): string {
  const { extension } = namesOf(layout);
  const overlap = "least(lag(p.end_at) OVER w, p.end_at) - p.start_at";
  return `
        SELECT p.place, c.id, concat_ws(',', p.start_at, p.end_at, encode(c.content_hash, 'hex')) AS entry,
          c.content_hash = sha256(convert_to(c.content, 'UTF8'))
            AND ${extension}.vector_dims(c.embedding) = $5::integer AND ${extension}.vector_norm(c.embedding) <> 0
            AND c.metadata = t.metadata
            AND p.start_at >= 0 AND p.end_at - p.start_at = char_length(c.content)
            AND c.content !~ '[\\U00010000-\\U0010ffff]'
            AND coalesce(p.start_at >= lag(p.start_at) OVER w, true)
            AND coalesce(p.start_at >= lag(p.end_at) OVER w
              OR substr(lag(c.content) OVER w, p.start_at - lag(p.start_at) OVER w + 1, ${overlap}) = left(c.content, ${overlap}), true)
            AS is_sound
        FROM unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
        JOIN ${listed}
        WINDOW w AS (ORDER BY p.place)`;
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
  const { training, indexed } = namesOf(layout);
  if (layout.citus === "tables") return readStoredOnShards(layout, condition, storedColumns(layout, "t.id"));
  return `
SELECT (t.id IS NOT NULL AND t.deleted_at IS NULL AND ${optionalFrom(4, condition)})::text AS living,
  coalesce(t.ticket > $3::bigint, false)::text AS is_newer,
  CASE WHEN n.revision IS NULL THEN 'same' WHEN t.revision IS NULL OR t.revision < n.revision THEN 'older'
    WHEN t.revision > n.revision THEN 'newer' ELSE 'same' END AS version,
  t.metadata::text AS metadata, encode(i.fingerprint, 'hex') AS fingerprint,
  ${storedColumns(layout, "n.id")}
FROM unnest($1::${layout.idType}[], $2::numeric[]) WITH ORDINALITY AS n (id, revision, place)
LEFT JOIN ${training} t ON t.id = n.id
LEFT JOIN ${indexed} i ON i.training_id = n.id
ORDER BY n.place`;
}

/** SQL of list `i` and of the chunks of a training, as JSON. */
function storedColumns(layout: Layout, id: string): string {
  const { chunk, extension } = namesOf(layout);
  return `CASE WHEN i.training_id IS NOT NULL
    THEN json_build_object('ids', i.chunk_ids, 'starts', i.starts, 'ends', i.ends)::text END AS places,
  (SELECT json_agg(json_build_object('id', c.id, 'content', c.content, 'metadata', c.metadata,
      'hash', encode(c.content_hash, 'hex'), 'dimensions', ${extension}.vector_dims(c.embedding),
      'isZero', ${extension}.vector_norm(c.embedding) = 0))::text
    FROM ${chunk} c WHERE c.training_id = ${id}) AS chunks`;
}

/** $1 training ids, $2 chunk ids. The vectors of the chunks, in base64. */
export function readVectors(layout: Layout): string {
  const { chunk, extension } = namesOf(layout);
  if (layout.citus === "tables") return readVectorsOnShards(layout);
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
