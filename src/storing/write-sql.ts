/**
 * The statements of the write path, one pure function each. Values are bound, lists through `unnest`. All results are
 * read as text, so that type parsers that the host has set in `pg` do not affect them.
 */
import { numberedFrom, type Condition } from "../filtering/condition.js";
import {
  activeProfile,
  barrierOf,
  claimedProfile,
  contentTicketOf,
  inLockOrder,
  isNewer,
  meets,
  reasonOf,
} from "./fence-sql.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { namesOf, type Layout } from "../schema/layout.js";

/**
 * $1 ids. A ticket for a call on them that starts now, and their newest stored ticket. The statement sees only what was
 * stored before it took the ticket, so a stored ticket that is not lower proves that the sequence is behind.
 */
export function takeTicket(layout: Layout): string {
  return `
WITH stored AS MATERIALIZED (
  SELECT max(${newestTicketOf("t")})::text AS newest FROM ${namesOf(layout).training} t WHERE t.id = ANY ($1::${layout.idType}[])
)
SELECT ${nextTicket(layout)} AS ticket, newest FROM stored`;
}

/**
 * For a delete by filter: takes its ticket, and finds the trainings that it deletes. Returns the ticket, the ids as a JSON
 * array, and the newest ticket that is stored with them, see {@link takeTicket}. $1 the scope, $2... the condition's values.
 */
export function takeTicketOfMatching(layout: Layout, condition: Condition): string {
  return `
WITH found AS MATERIALIZED (
  SELECT t.id, ${newestTicketOf("t")} AS newest FROM ${namesOf(layout).training} t
  WHERE t.deleted_at IS NULL AND ${meets("t", "$1")} AND ${numberedFrom(2, condition.text)}
)
SELECT ${nextTicket(layout)} AS ticket, max(newest)::text AS newest,
  (json_agg(id::text ${inLockOrder(layout, "id")}))::text AS keys FROM found`;
}

/** A ticket for a call on any trainings that starts now, and the newest stored ticket, see {@link takeTicket}. */
export function takeTicketForAll(layout: Layout): string {
  return `
WITH stored AS MATERIALIZED (SELECT max(${newestTicketOf("t")})::text AS newest FROM ${namesOf(layout).training} t)
SELECT ${nextTicket(layout)} AS ticket, newest FROM stored`;
}

function newestTicketOf(stored: string): string {
  return `greatest(${stored}.ticket, ${stored}.barrier)`;
}

function nextTicket(layout: Layout): string {
  return `nextval(${quoteLiteral(namesOf(layout).ticket)})::text`;
}

/** $1 ids, $2 revisions, $3 the scope. A ticket for each training and its stored state, in the given order. */
export function takeTickets(layout: Layout): string {
  // The sequence is on the coordinator of a Citus cluster: with it in the same SELECT, Citus would fetch whole tables.
  return `
WITH ${storedStates(layout)}state AS MATERIALIZED (
SELECT ${newestTicketOf("t")}::text AS newest,
  CASE WHEN t.revision > n.revision AND ${meets("t", "$3")} THEN ${reasonOf("t")} END AS superseded_by,
  ${stateColumns(layout, "$3")}, n.place
FROM unnest($1::${layout.idType}[], $2::numeric[]) WITH ORDINALITY AS n (id, revision, place)
${stateTables(layout)})
SELECT ${nextTicket(layout)} AS ticket, state.* FROM state ORDER BY place`;
}

/** $1 ids, $2 revisions, $3 the scope, $4 tickets. As {@link takeTickets}, for a call that already has its tickets. */
export function readStates(layout: Layout): string {
  const stored = storedStates(layout).replace(/, $/, "");
  return `
${stored === "" ? "" : `WITH ${stored}`}
SELECT CASE WHEN ${meets("t", "$3")} AND NOT (${isNewer("n", "t")}) THEN ${reasonOf("t")} END AS superseded_by,
  ${stateColumns(layout, "$3")}
FROM unnest($1::${layout.idType}[], $2::numeric[], $4::bigint[]) WITH ORDINALITY AS n (id, revision, ticket, place)
${stateTables(layout)}`;
}

/**
 * `stored_chunks` counts by the whole key of each chunk. By the training's id alone, Postgres expects many rows in a table that
 * was never analyzed, and compiles the statement (JIT) for longer than it runs: loads then took a third longer.
 */
function stateColumns(layout: Layout, scope: string): string {
  return `(${contentTicketOf("t")})::text AS content_ticket,
  ((${meets("t", scope)} OR t.deleted_at IS NOT NULL) IS NOT FALSE)::text AS in_scope,
  ${storedChunkColumns(layout)}`;
}

function storedChunkColumns(layout: Layout): string {
  if (layout.citus === "tables") {
    return `encode(t.fingerprint, 'hex') AS fingerprint, t.chunks::text AS chunks, coalesce(t.stored_chunks, 0)::text AS stored_chunks`;
  }
  return `encode(i.fingerprint, 'hex') AS fingerprint, cardinality(i.chunk_ids)::text AS chunks,
  (SELECT count(*) FROM unnest(i.chunk_ids) AS listed (id)
    WHERE EXISTS (SELECT 1 FROM ${namesOf(layout).chunk} c WHERE c.training_id = i.training_id AND c.id = listed.id))::text
    AS stored_chunks`;
}

function stateTables(layout: Layout): string {
  const { training, indexed } = namesOf(layout);
  if (layout.citus === "tables") return "LEFT JOIN stored t ON t.id = n.id\nORDER BY n.place";
  return `LEFT JOIN ${training} t ON t.id = n.id
LEFT JOIN ${indexed} i ON i.training_id = n.id
ORDER BY n.place`;
}

/**
 * For trainings that are spread over a cluster: the beginning of a WITH clause with what is stored of the trainings $1. A join of the given ids with
 * the tables would fetch the tables whole.
 */
function storedStates(layout: Layout): string {
  if (layout.citus !== "tables") return "";
  const { training, indexed, chunk } = namesOf(layout);
  const given = `= ANY ($1::${layout.idType}[])`;
  return `stored AS MATERIALIZED (
SELECT t.*, i.fingerprint, i.chunks, i.stored_chunks
FROM ${training} t LEFT JOIN (
  SELECT l.training_id, l.fingerprint, cardinality(l.chunk_ids) AS chunks, count(c.id) AS stored_chunks
  FROM ${indexed} l LEFT JOIN ${chunk} c ON c.training_id = l.training_id AND c.id = ANY (l.chunk_ids)
  WHERE l.training_id ${given} GROUP BY l.training_id, l.fingerprint, l.chunk_ids
) i ON i.training_id = t.id
WHERE t.id ${given}
), `;
}

/** $1 ids, $2 a splitter. The texts of the chunks that it made, with their offsets, in reading order. */
export function readTexts(layout: Layout): string {
  const { indexed, chunk } = namesOf(layout);
  return `
SELECT i.training_id::text AS key, c.content, p.start_at::text AS start_at, p.end_at::text AS end_at
FROM ${indexed} i
CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
JOIN ${chunk} c ON c.training_id = i.training_id AND c.id = p.id
WHERE i.training_id = ANY ($1::${layout.idType}[]) AND i.splitter = $2
ORDER BY i.training_id, p.place`;
}

/**
 * Records a newer call's ticket and revision on trainings whose stored version equals the given one. $1 ids, $2
 * tickets, $3 revisions, $4 the content tickets of the versions, $5 the scope, $6 the claim. A training that is not
 * returned has changed or is newer. A row without an id means that the schema is not claimed for the model of the
 * index.
 *
 * Rows are locked in the order of their ids, as in the fence. The conditions read only the training's row: after a wait
 * for a lock Postgres checks the new state of that row, but does not read other tables again.
 */
export function touchTrainings(layout: Layout): string {
  const { training } = namesOf(layout);
  return `
WITH claimed AS MATERIALIZED (${claimedProfile(layout, "$6")}
), locked AS MATERIALIZED (
  SELECT id FROM ${training} WHERE id = ANY ($1::${layout.idType}[]) AND EXISTS (SELECT 1 FROM claimed)
  ORDER BY id FOR NO KEY UPDATE
), touched AS (
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
RETURNING t.id::text AS key)
SELECT key FROM touched
UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM claimed)`;
}

/** $1 ids. The stored chunks, to be compared with the new ones. */
export function readChunks(layout: Layout): string {
  return `
SELECT training_id::text AS key, id, encode(content_hash, 'hex') AS hash, metadata::text AS metadata,
  CASE WHEN strpos(content, chr(13)) > 0 THEN content END AS given_content
FROM ${namesOf(layout).chunk} WHERE training_id = ANY ($1::${layout.idType}[])
ORDER BY training_id, id`;
}

/** $1 ids. Returns the trainings that were indexed, with the number of their chunks. */
export function deleteIndexed(layout: Layout): string {
  return `
DELETE FROM ${namesOf(layout).indexed} WHERE training_id = ANY ($1::${layout.idType}[])
RETURNING training_id::text AS key, cardinality(chunk_ids)::text AS chunks`;
}

/** $1 ids. */
export function deleteAllChunks(layout: Layout): string {
  return `DELETE FROM ${namesOf(layout).chunk} WHERE training_id = ANY ($1::${layout.idType}[])`;
}

/**
 * $1 ids, $2 the scope. Deletes chunks and lists of chunks that deleted trainings, or ids without a training, still have.
 * Locks the rows of the trainings, so that one that is being stored again is not touched.
 */
export function deleteLeftovers(layout: Layout): string {
  const { training, indexed, chunk } = namesOf(layout);
  const ids = `$1::${layout.idType}[]`;
  const isLeft = (owner: string): string =>
    `${owner}.training_id = ANY (${ids}) AND (${owner}.training_id = ANY (ARRAY(SELECT id FROM locked))
    OR NOT EXISTS (SELECT 1 FROM ${training} t WHERE t.id = ${owner}.training_id))`;
  return `
WITH locked AS MATERIALIZED (
  SELECT id FROM ${training} t WHERE id = ANY (${ids}) AND deleted_at IS NOT NULL AND ${meets("t", "$2")}
  ORDER BY id FOR NO KEY UPDATE
), deleted AS (
  DELETE FROM ${chunk} c WHERE ${isLeft("c")}
)
DELETE FROM ${indexed} i WHERE ${isLeft("i")}`;
}

/** $1 the scope, $2 ids, $3... the values of the condition. The living trainings among them that meet both. */
export function findTrainings(layout: Layout, condition: Condition | undefined): string {
  return `
SELECT id::text AS key FROM ${namesOf(layout).training}
WHERE deleted_at IS NULL AND metadata @> ALL ($1::jsonb[])
  AND id = ANY ($2::${layout.idType}[])${condition ? ` AND ${numberedFrom(3, condition.text)}` : ""} ORDER BY id`;
}

/**
 * $1 age in milliseconds, $2 the scope. Removes older tombstones, and returns how many; NULL if another profile is active, and then none. A training that is upserted again at the same time is
 * safe: Postgres checks its row again after waiting for the lock.
 */
export function pruneTombstones(layout: Layout): string {
  return `
WITH active AS MATERIALIZED (${activeProfile(layout)}
), pruned AS (
  DELETE FROM ${namesOf(layout).training}
  WHERE deleted_at < now() - $1::double precision * interval '1 millisecond'
    AND (metadata @> ALL ($2::jsonb[])) AND EXISTS (SELECT 1 FROM active)
  RETURNING 1
)
SELECT CASE WHEN EXISTS (SELECT 1 FROM active) THEN (SELECT count(*) FROM pruned)::text END AS pruned`;
}

/** As {@link pruneTombstones} for trainings that are spread over a cluster, whose profile is always active. Returns a row for each tombstone. */
export function deleteTombstones(layout: Layout): string {
  return `DELETE FROM ${namesOf(layout).training}
WHERE deleted_at < now() - $1::double precision * interval '1 millisecond' AND (metadata @> ALL ($2::jsonb[])) RETURNING id`;
}
