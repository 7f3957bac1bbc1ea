/**
 * The statements of the write path: one pure function a statement. Values are bound, lists through `unnest`,
 * ids and big numbers as text, so that a host's own type parsers of `pg` have no say in what is read.
 */
import { namesOf, type Layout } from "./layout.js";

/** A ticket for a call that starts now. */
export function takeTicket(layout: Layout): string {
  return `SELECT ${nextTicket(layout)} AS ticket`;
}

function nextTicket(layout: Layout): string {
  return `nextval('${namesOf(layout).ticket.replaceAll("'", "''")}')::text`;
}

/** $1 ids, $2 revisions, $3 the scope. A ticket for each, and what is stored of it now, in the order of the ids. */
export function takeTickets(layout: Layout): string {
  return `
SELECT ${nextTicket(layout)} AS ticket,
  (t.revision > n.revision AND ${meets("t", "$3")}) IS TRUE AS outdated, ${stateColumns("$3")}
FROM unnest($1::${layout.idType}[], $2::numeric[]) WITH ORDINALITY AS n (id, revision, place)
${stateTables(layout)}`;
}

/** $1 ids, $2 revisions, $3 the scope, $4 tickets. The same for a call that has its tickets. */
export function readStates(layout: Layout): string {
  return `
SELECT (${meets("t", "$3")} AND NOT (${isNewer("n", "t")})) IS TRUE AS outdated, ${stateColumns("$3")}
FROM unnest($1::${layout.idType}[], $2::numeric[], $4::bigint[]) WITH ORDINALITY AS n (id, revision, ticket, place)
${stateTables(layout)}`;
}

function stateColumns(scope: string): string {
  return `
  CASE WHEN t.deleted_at IS NULL THEN t.content_ticket::text END AS content_ticket,
  (${meets("t", scope)} OR t.deleted_at IS NOT NULL) IS NOT FALSE AS in_scope,
  encode(i.fingerprint, 'hex') AS fingerprint, cardinality(i.chunk_ids) AS chunks`;
}

function stateTables(layout: Layout): string {
  const { training, indexed } = namesOf(layout);
  return `LEFT JOIN ${training} t ON t.id = n.id
LEFT JOIN ${indexed} i ON i.training_id = n.id
ORDER BY n.place`;
}

/**
 * Whether a call's ticket and revision win over the stored ones. Revisions decide where both have one and they
 * differ, else the call that started later wins; but what started before a call without a revision never wins
 * over it. Equal tickets are one call's: it may come again, when a host's transaction rolled back or a connection
 * broke at COMMIT.
 */
function isNewer(call: string, stored: string): string {
  return `${call}.ticket >= ${stored}.barrier AND CASE
    WHEN ${call}.revision > ${stored}.revision THEN true
    WHEN ${call}.revision < ${stored}.revision THEN false
    ELSE ${call}.ticket >= ${stored}.ticket END`;
}

/** Whether a training meets all conditions on its metadata. */
function meets(training: string, conditions: string): string {
  return `${training}.metadata @> ALL (${conditions}::jsonb[])`;
}

/** $1 ids, $2 a splitter. The texts of chunks that it made, with their places, in reading order. */
export function readTexts(layout: Layout): string {
  const { indexed, chunk } = namesOf(layout);
  return `
SELECT i.training_id::text AS key, c.content, p.start_at, p.end_at
FROM ${indexed} i
CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
JOIN ${chunk} c ON c.training_id = i.training_id AND c.id = p.id
WHERE i.training_id = ANY ($1::${layout.idType}[]) AND i.splitter = $2
ORDER BY i.training_id, p.place`;
}

/**
 * For trainings whose stored version is the same: takes note that a newer call wants just that version.
 * $1 ids, $2 tickets, $3 revisions, $4 the content tickets of the versions, $5 the scope. A row that does not come
 * back has changed, or is newer.
 *
 * Rows are locked in the order of their ids, as by the fence. The conditions look at the training's row only: after a
 * wait for a lock Postgres checks that row's new state, but would not look again at other tables.
 */
export function touchTrainings(layout: Layout): string {
  const { training } = namesOf(layout);
  return `
WITH locked AS MATERIALIZED (
  SELECT id FROM ${training} WHERE id = ANY ($1::${layout.idType}[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE ${training} t SET
  ticket = n.ticket,
  revision = greatest(t.revision, n.revision),
  barrier = greatest(t.barrier, ${barrierOf("n")}),
  updated_at = now()
FROM unnest($1::${layout.idType}[], $2::bigint[], $3::numeric[], $4::bigint[])
  AS n (id, ticket, revision, content_ticket)
JOIN locked ON locked.id = n.id
WHERE t.id = n.id AND t.content_ticket = n.content_ticket AND t.deleted_at IS NULL
  AND ${isNewer("n", "t")}
  AND ${meets("t", "$5")}
RETURNING t.id::text AS key`;
}

/** A call without a revision supersedes all that started before it; one with a revision only what is lower. */
function barrierOf(call: string): string {
  return `CASE WHEN ${call}.revision IS NULL THEN ${call}.ticket ELSE 0 END`;
}

/**
 * The fence: locks the trainings' rows, in the order of their ids, and lets those through that are newer than
 * what is stored. A row that comes back is this call's until its transaction ends, and says which version it
 * replaces; one that does not come back is superseded.
 *
 * A tombstone outside the scope is somebody else's: it holds nothing up, and a delete leaves it as it is.
 *
 * $1 ids, $2 tickets, $3 revisions, $4 metadata, $5 whether it is a delete, $6 the scope.
 */
export function passFence(layout: Layout): string {
  return `
INSERT INTO ${namesOf(layout).training} AS t
  (id, ticket, content_ticket, revision, barrier, metadata, deleted_at)
SELECT n.id, n.ticket, n.ticket, n.revision, ${barrierOf("n")}, n.metadata, CASE WHEN $5::boolean THEN now() END
FROM unnest($1::${layout.idType}[], $2::bigint[], $3::numeric[], $4::jsonb[]) AS n (id, ticket, revision, metadata)
ORDER BY n.id${collationOf(layout)}
ON CONFLICT (id) DO UPDATE SET
  ticket = excluded.ticket,
  content_ticket = excluded.ticket,
  replaced_ticket = CASE WHEN t.deleted_at IS NULL THEN t.content_ticket END,
  revision = CASE WHEN ${meets("t", "$6")} THEN greatest(t.revision, excluded.revision) ELSE excluded.revision END,
  barrier = CASE WHEN ${meets("t", "$6")} THEN greatest(t.barrier, excluded.barrier) ELSE excluded.barrier END,
  metadata = CASE WHEN $5::boolean THEN t.metadata ELSE excluded.metadata END,
  deleted_at = excluded.deleted_at,
  updated_at = now()
WHERE CASE WHEN ${meets("t", "$6")} THEN ${isNewer("excluded", "t")} ELSE t.deleted_at IS NOT NULL AND NOT $5 END
RETURNING t.id::text AS key, t.replaced_ticket::text AS replaced_ticket`;
}

/** Of given ids, so that they are in the order of the stored ones. */
function collationOf({ idType }: Layout): string {
  return idType === "text" ? ' COLLATE "C"' : "";
}

/** $1 ids. The chunks that stand, to be compared with the new ones. */
export function readChunks(layout: Layout): string {
  return `
SELECT training_id::text AS key, id, encode(content_hash, 'hex') AS hash, metadata::text AS metadata
FROM ${namesOf(layout).chunk} WHERE training_id = ANY ($1::${layout.idType}[])
ORDER BY training_id, id`;
}

/**
 * Texts: $1 training ids, $2 chunk ids, $3 contents, $4 metadata, $5 hashes; $6 vectors. None of the ids may stand: that
 * makes it a plain INSERT, which need not look into the primary key for each row before it enters it there.
 *
 * The lists are unnested side by side in the SELECT, which hands row after row to the INSERT; in a FROM they would all be
 * written down first, for lists of vectors in a file.
 */
export function insertChunks(layout: Layout): string {
  return `
${insertIntoChunk(layout)}
SELECT unnest($1::text[])::${layout.idType}, unnest($2::text[]), unnest($3::text[]), unnest($4::text[])::jsonb,
  unnest($5::text[])::bytea, unnest($6::${namesOf(layout).vector}[])`;
}

/**
 * Texts: $1 training ids, $2 chunk ids, $3 contents, $4 metadata, $5 hashes. Each gets the vector of a standing chunk of
 * its training that has the same text. A chunk id that the caller chose may stand already, with another text.
 */
export function copyChunks(layout: Layout): string {
  return `
${insertIntoChunk(layout)}
SELECT n.training_id, n.id, n.content, n.metadata::jsonb, n.content_hash,
  (SELECT s.embedding FROM ${namesOf(layout).chunk} s
    WHERE s.training_id = n.training_id AND s.content_hash = n.content_hash LIMIT 1)
FROM (SELECT unnest($1::text[])::${layout.idType}, unnest($2::text[]), unnest($3::text[]), unnest($4::text[]),
  unnest($5::text[])::bytea) AS n (training_id, id, content, metadata, content_hash)
ON CONFLICT (training_id, id) DO UPDATE SET content = excluded.content, metadata = excluded.metadata,
  content_hash = excluded.content_hash, embedding = excluded.embedding`;
}

function insertIntoChunk(layout: Layout): string {
  return `INSERT INTO ${namesOf(layout).chunk} (training_id, id, content, metadata, content_hash, embedding)`;
}

/** $1 training ids, $2 chunk ids, $3 metadata. */
export function updateMetadata(layout: Layout): string {
  return `
UPDATE ${namesOf(layout).chunk} c SET metadata = n.metadata
FROM unnest($1::${layout.idType}[], $2::text[], $3::jsonb[]) AS n (training_id, id, metadata)
WHERE c.training_id = n.training_id AND c.id = n.id AND c.metadata <> n.metadata`;
}

/** $1 training ids, $2 chunk ids. */
export function deleteChunks(layout: Layout): string {
  return `
DELETE FROM ${namesOf(layout).chunk} c
USING unnest($1::${layout.idType}[], $2::text[]) AS n (training_id, id)
WHERE c.training_id = n.training_id AND c.id = n.id`;
}

/** $1 training ids, $2 fingerprints, $3 splitters, and as array literals $4 chunk ids, $5 starts, $6 ends. */
export function writeIndexed(layout: Layout): string {
  return `
INSERT INTO ${namesOf(layout).indexed} AS i (training_id, fingerprint, splitter, chunk_ids, starts, ends)
SELECT n.training_id, n.fingerprint, n.splitter, n.chunk_ids::text[], n.starts::integer[], n.ends::integer[]
FROM unnest($1::${layout.idType}[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[])
  AS n (training_id, fingerprint, splitter, chunk_ids, starts, ends)
ON CONFLICT (training_id) DO UPDATE SET fingerprint = excluded.fingerprint, splitter = excluded.splitter,
  chunk_ids = excluded.chunk_ids, starts = excluded.starts, ends = excluded.ends`;
}

/** $1 ids. Returns those that were indexed, with the number of their chunks. */
export function deleteIndexed(layout: Layout): string {
  return `
DELETE FROM ${namesOf(layout).indexed} WHERE training_id = ANY ($1::${layout.idType}[])
RETURNING training_id::text AS key, cardinality(chunk_ids) AS chunks`;
}

/** $1 ids. */
export function deleteAllChunks(layout: Layout): string {
  return `DELETE FROM ${namesOf(layout).chunk} WHERE training_id = ANY ($1::${layout.idType}[])`;
}

/** $1 conditions on the metadata, $2 ids or NULL for any. The living trainings that meet all conditions. */
export function findTrainings(layout: Layout): string {
  return `
SELECT id::text AS key FROM ${namesOf(layout).training}
WHERE deleted_at IS NULL AND metadata @> ALL ($1::jsonb[])
  AND ($2::${layout.idType}[] IS NULL OR id = ANY ($2)) ORDER BY id`;
}

/**
 * $1 age in milliseconds, $2 the scope. Forgets deletes that are older. A training that came back meanwhile is none of
 * them: its row is looked at again after a wait for its lock.
 */
export function pruneTombstones(layout: Layout): string {
  return `
WITH pruned AS (
  DELETE FROM ${namesOf(layout).training}
  WHERE deleted_at < now() - $1::double precision * interval '1 millisecond'
    AND (metadata @> ALL ($2::jsonb[]))
  RETURNING 1
)
SELECT count(*) AS pruned FROM pruned`;
}
