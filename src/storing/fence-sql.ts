/**
 * The fence: it locks trainings' rows, in the order of their ids, and lets those calls through that are newer than what
 * is stored. A row that it lets through is the call's until its transaction ends; what it does not let through is
 * superseded, or, of an upsert, meets another version than the call has seen.
 */
import { namesOf, type Layout } from "../schema/layout.js";

/**
 * A relation with one row if the schema's vectors are of the index's model, and none else. The row of the profile is
 * locked until the write has committed, so that nobody can claim an index for another model in between; at REPEATABLE
 * READ a claim that has changed since ends in a serialization failure.
 *
 * @param claim - parameter: an array of model, query prefix, document prefix and dimensions, see `profile-claim.ts`
 */
export function claimedProfile(layout: Layout, claim: string): string {
  return `SELECT id FROM ${namesOf(layout).profile} WHERE id = ${layout.profileId} AND status = 'active'
  AND ${CLAIM_COLUMNS} = ${claim}::text[] FOR SHARE`;
}

/** What is recorded of a profile, in the form of a claim. */
const CLAIM_COLUMNS = "ARRAY[model, query_prefix, document_prefix, dimensions::text]";

/**
 * Whether a call's ticket and revision win over the stored ones. Revisions decide where both have one and they
 * differ, else the call that started later wins; but what started before a call without a revision never wins
 * over it. Equal tickets are one call's: it may come again, when a host's transaction rolled back or a connection
 * broke at COMMIT.
 */
export function isNewer(call: string, stored: string): string {
  return `${call}.ticket >= ${stored}.barrier AND CASE
    WHEN ${call}.revision > ${stored}.revision THEN true
    WHEN ${call}.revision < ${stored}.revision THEN false
    ELSE ${call}.ticket >= ${stored}.ticket END`;
}

/**
 * Whether a call may take the place of what is stored. A tombstone outside the scope is somebody else's: it holds nothing
 * up. Nothing else outside the scope is touched.
 */
function wins(call: string, stored: string, scope: string): string {
  return `CASE WHEN ${meets(stored, scope)} THEN ${isNewer(call, stored)} ELSE ${stored}.deleted_at IS NOT NULL END`;
}

/** Whether a training meets all conditions on its metadata. */
export function meets(training: string, conditions: string): string {
  return `${training}.metadata @> ALL (${conditions}::jsonb[])`;
}

/** A call without a revision supersedes all that started before it; one with a revision only what is lower. */
export function barrierOf(call: string): string {
  return `CASE WHEN ${call}.revision IS NULL THEN ${call}.ticket ELSE 0 END`;
}

/** Why a call that does not win is superseded, as `SupersededReason` has it. */
export function reasonOf(stored: string): string {
  return `CASE WHEN ${stored}.deleted_at IS NULL THEN 'newer' ELSE 'deleted' END`;
}

/** The ticket of the call whose chunks stand; NULL where none do. */
export function contentTicketOf(stored: string): string {
  return `CASE WHEN ${stored}.deleted_at IS NULL THEN ${stored}.content_ticket END`;
}

/** Orders given ids as the stored ones are: who locks rows in another order than others may wait for them forever. */
export function inLockOrder({ idType }: Layout, id: string): string {
  return `ORDER BY ${id}${idType === "text" ? ' COLLATE "C"' : ""}`;
}

/**
 * $1 ids, $2 tickets, $3 revisions, $4 the scope, $5 the claim. Locks the rows that are there, and says what stands in them;
 * none without the claim. The profile is locked before the trainings everywhere, so that those that wait do not wait for each
 * other.
 */
export function lockTrainings(layout: Layout): string {
  return `
WITH claimed AS MATERIALIZED (${claimedProfile(layout, "$5")}
)
SELECT t.id::text AS key, (${contentTicketOf("t")})::text AS content_ticket,
  CASE WHEN NOT ${wins("n", "t", "$4")} THEN ${reasonOf("t")} END AS superseded_by
FROM unnest($1::${layout.idType}[], $2::bigint[], $3::numeric[]) AS n (id, ticket, revision)
JOIN ${namesOf(layout).training} t ON t.id = n.id
WHERE EXISTS (SELECT FROM claimed)
ORDER BY t.id FOR NO KEY UPDATE OF t`;
}

/**
 * The fence of an upsert. It lets a training through if also the version that stands is the one that the call has
 * compared its own with: so what it changes is what it has seen.
 *
 * @param claimed - a relation that has a row if the index may write, see {@link claimedProfile}
 * @param given - a relation of `id`, `ticket`, `revision`, `metadata` and `replaced_ticket`, the content ticket of the
 *   version that is to stand, NULL for none. A row that was to be there is locked before: else it could vanish, and be
 *   made anew without its chunks.
 */
export function admitUpserts(layout: Layout, claimed: string, given: string, scope: string): string {
  const { training } = namesOf(layout);
  return `
INSERT INTO ${training} AS t (id, ticket, content_ticket, replaced_ticket, revision, barrier, metadata)
SELECT n.id, n.ticket, n.ticket, n.replaced_ticket, n.revision, ${barrierOf("n")}, n.metadata
FROM (SELECT * FROM ${given} ${inLockOrder(layout, "id")}) n
LEFT JOIN LATERAL (
  SELECT true AS stands FROM ${training} s WHERE s.id = n.id AND n.replaced_ticket IS NOT NULL FOR NO KEY UPDATE
) s ON true
WHERE (n.replaced_ticket IS NULL OR s.stands) AND EXISTS (SELECT FROM ${claimed})
ON CONFLICT (id) DO UPDATE SET
  ticket = excluded.ticket,
  content_ticket = excluded.ticket,
  replaced_ticket = excluded.replaced_ticket,
  revision = CASE WHEN ${meets("t", scope)} THEN greatest(t.revision, excluded.revision) ELSE excluded.revision END,
  barrier = CASE WHEN ${meets("t", scope)} THEN greatest(t.barrier, excluded.barrier) ELSE excluded.barrier END,
  metadata = excluded.metadata,
  deleted_at = NULL,
  updated_at = now()
WHERE ${contentTicketOf("t")} IS NOT DISTINCT FROM excluded.replaced_ticket
  AND ${wins("excluded", "t", scope)}
RETURNING t.id`;
}

/**
 * The fence of a delete: a tombstone takes the place of what is older. A delete without a revision also ends the history
 * of revisions: its barrier keeps out what started before it, and what starts later is compared with no revision. $1 ids, $2 tickets, $3 revisions, $4 metadata of
 * tombstones where nothing is there, $5 the scope.
 */
export function admitDeletes(layout: Layout): string {
  return `
INSERT INTO ${namesOf(layout).training} AS t (id, ticket, content_ticket, revision, barrier, metadata, deleted_at)
SELECT n.id, n.ticket, n.ticket, n.revision, ${barrierOf("n")}, n.metadata, now()
FROM unnest($1::${layout.idType}[], $2::bigint[], $3::numeric[], $4::jsonb[]) AS n (id, ticket, revision, metadata)
${inLockOrder(layout, "n.id")}
ON CONFLICT (id) DO UPDATE SET
  ticket = excluded.ticket,
  content_ticket = excluded.ticket,
  replaced_ticket = NULL,
  revision = CASE WHEN excluded.revision IS NOT NULL THEN greatest(t.revision, excluded.revision) END,
  barrier = greatest(t.barrier, excluded.barrier),
  deleted_at = excluded.deleted_at,
  updated_at = now()
WHERE ${meets("t", "$5")} AND ${isNewer("excluded", "t")}
RETURNING t.id::text AS key`;
}
