/**
 * The fence is a guarded `INSERT ... ON CONFLICT`. It locks the rows of the trainings, in the order of their ids, and
 * admits a call if it is newer than what is stored. The row of an admitted call stays locked until the transaction
 * ends. A call that is not admitted is superseded, or, if it is an upsert, has prepared against a version that was
 * replaced.
 */
import { numberedFrom, type Condition } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";

/**
 * A relation with one row if the schema is claimed for the index's model, and no row otherwise. The profile row is
 * locked until the write commits, so that no one can claim the schema for another model in between. At REPEATABLE READ
 * a claim that changed since the snapshot ends in a serialization failure.
 *
 * @param claim - placeholder of an array of model, query prefix, document prefix and dimensions, see `profile-claim.ts`
 */
export function claimedProfile(layout: Layout, claim: string): string {
  return `SELECT id FROM ${namesOf(layout).profile} WHERE id = ${layout.profileId} AND status = 'active'
  AND ${CLAIM_COLUMNS} = ${claim}::text[] FOR SHARE`;
}

/** For writes that store no vectors: as {@link claimedProfile}, whatever its model. */
export function activeProfile(layout: Layout): string {
  return `SELECT id FROM ${namesOf(layout).profile} WHERE id = ${layout.profileId} AND status = 'active' FOR SHARE`;
}

/** The recorded columns of a profile, in the order of a claim. */
export const CLAIM_COLUMNS = "ARRAY[model, query_prefix, document_prefix, dimensions::text]";

/**
 * Whether a call's ticket and revision win over the stored ones. If both have a revision and they differ, the higher
 * one wins; otherwise the call that started later wins. A call that started before a stored call without a revision
 * never wins over it. Equal tickets belong to one call, which may be repeated after the host's transaction rolled back
 * or a connection broke at COMMIT.
 */
export function isNewer(call: string, stored: string): string {
  return `${call}.ticket >= ${stored}.barrier AND CASE
    WHEN ${call}.revision > ${stored}.revision THEN true
    WHEN ${call}.revision < ${stored}.revision THEN false
    ELSE ${call}.ticket >= ${stored}.ticket END`;
}

/**
 * Whether a call may replace the stored row. A tombstone outside the scope belongs to another index and may always be
 * replaced. A living training outside the scope never is.
 */
export function wins(call: string, stored: string, scope: string): string {
  return `CASE WHEN ${meets(stored, scope)} THEN ${isNewer(call, stored)} ELSE ${stored}.deleted_at IS NOT NULL END`;
}

/** Whether a training's metadata meets all conditions. */
export function meets(training: string, conditions: string): string {
  return `${training}.metadata @> ALL (${conditions}::jsonb[])`;
}

/** A call without a revision supersedes every call that started before it; one with a revision sets no barrier. */
export function barrierOf(call: string): string {
  return `CASE WHEN ${call}.revision IS NULL THEN ${call}.ticket ELSE 0 END`;
}

/** The `SupersededReason` of a call that does not win. */
export function reasonOf(stored: string): string {
  return `CASE WHEN ${stored}.deleted_at IS NULL THEN 'newer' ELSE 'deleted' END`;
}

/** The ticket of the call that wrote the stored chunks; NULL for a tombstone. */
export function contentTicketOf(stored: string): string {
  return `CASE WHEN ${stored}.deleted_at IS NULL THEN ${stored}.content_ticket END`;
}

/** Orders given ids as stored ids are ordered. Calls that locked rows in different orders could deadlock. */
export function inLockOrder({ idType }: Layout, id: string): string {
  return `ORDER BY ${id}${idType === "text" ? ' COLLATE "C"' : ""}`;
}

/**
 * $1 ids, $2 tickets, $3 revisions, $4 the scope, $5 the claim. Locks the rows that exist and returns their state.
 * Without the claim it locks and returns none. Statements that lock both always lock the profile before the trainings,
 * so that they do not deadlock.
 */
export function lockTrainings(layout: Layout): string {
  return `
WITH claimed AS MATERIALIZED (${claimedProfile(layout, "$5")}
)
SELECT t.id::text AS key, (${contentTicketOf("t")})::text AS content_ticket,
  CASE WHEN NOT ${wins("n", "t", "$4")} THEN ${reasonOf("t")} END AS superseded_by
FROM unnest($1::${layout.idType}[], $2::bigint[], $3::numeric[]) AS n (id, ticket, revision)
JOIN ${namesOf(layout).training} t ON t.id = n.id
WHERE EXISTS (SELECT 1 FROM claimed)
ORDER BY t.id FOR NO KEY UPDATE OF t`;
}

/**
 * The fence of an upsert. It admits a training if it is newer, and if the stored version is still the one that the call
 * compared its own with.
 *
 * @param claimed - a relation that has a row if the index may write, see {@link claimedProfile}
 * @param given - a relation of `id`, `ticket`, `revision`, `metadata` and `replaced_ticket`: the content ticket of the
 *   version that must be stored, NULL if none may be. A row that must exist is locked first: if it vanished in between,
 *   the INSERT would create it again without its chunks.
 */
export function admitUpserts(layout: Layout, claimed: string, given: string, scope: string): string {
  const { training } = namesOf(layout);
  return `
INSERT INTO ${training} AS t (id, ticket, content_ticket, replaced_ticket, revision, barrier, metadata)
SELECT n.id, n.ticket, n.ticket, n.replaced_ticket, n.revision, ${barrierOf("n")}, n.metadata
FROM (SELECT * FROM ${given} ${inLockOrder(layout, "id")}) n
LEFT JOIN LATERAL (
  SELECT true AS is_stored FROM ${training} s WHERE s.id = n.id AND n.replaced_ticket IS NOT NULL FOR NO KEY UPDATE
) s ON true
WHERE (n.replaced_ticket IS NULL OR s.is_stored) AND EXISTS (SELECT 1 FROM ${claimed})
${unlessNewerIsStored(scope)}
RETURNING t.id`;
}

/**
 * The guard of the fence of an upsert into `training AS t`. Every function in it is immutable, as Citus demands: the time of the update
 * is the default of the inserted row.
 */
export function unlessNewerIsStored(scope: string): string {
  return `ON CONFLICT (id) DO UPDATE SET
  ticket = excluded.ticket,
  content_ticket = excluded.ticket,
  replaced_ticket = excluded.replaced_ticket,
  revision = CASE WHEN ${meets("t", scope)} THEN greatest(t.revision, excluded.revision) ELSE excluded.revision END,
  barrier = CASE WHEN ${meets("t", scope)} THEN greatest(t.barrier, excluded.barrier) ELSE excluded.barrier END,
  metadata = excluded.metadata,
  deleted_at = NULL,
  updated_at = excluded.updated_at
WHERE ${contentTicketOf("t")} IS NOT DISTINCT FROM excluded.replaced_ticket
  AND ${wins("excluded", "t", scope)}`;
}

/** The guard of the fence of a delete; see {@link unlessNewerIsStored}. `stillMeets` is a further condition that begins with AND. */
export function unlessNewerOrOutside(scope: string, stillMeets = ""): string {
  return `ON CONFLICT (id) DO UPDATE SET
  ticket = excluded.ticket,
  content_ticket = excluded.ticket,
  replaced_ticket = NULL,
  revision = CASE WHEN excluded.revision IS NOT NULL THEN greatest(t.revision, excluded.revision) END,
  barrier = greatest(t.barrier, excluded.barrier),
  deleted_at = excluded.deleted_at,
  updated_at = excluded.updated_at
WHERE ${meets("t", scope)}${stillMeets} AND ${isNewer("excluded", "t")}`;
}

/**
 * The fence of a delete: it turns the row of an older version into a tombstone. A delete without a revision also ends
 * the revision history: its barrier stops calls that started before it, and later calls are compared with no revision.
 * $1 ids, $2 tickets, $3 revisions, $4 metadata of tombstones for ids that have no row, $5 the scope, $6... the values of
 * the condition that the trainings still have to meet. A row without an id means that another profile is active: none was admitted.
 */
export function admitDeletes(layout: Layout, condition: Condition | undefined): string {
  const stillMeets = condition
    ? ` AND (SELECT ${numberedFrom(6, condition.text)} FROM (SELECT t.metadata) AS stored (metadata))`
    : "";
  return `
WITH active AS MATERIALIZED (${activeProfile(layout)}
), admitted AS (
INSERT INTO ${namesOf(layout).training} AS t (id, ticket, content_ticket, revision, barrier, metadata, deleted_at)
SELECT n.id, n.ticket, n.ticket, n.revision, ${barrierOf("n")}, n.metadata, now()
FROM unnest($1::${layout.idType}[], $2::bigint[], $3::numeric[], $4::jsonb[]) AS n (id, ticket, revision, metadata)
WHERE EXISTS (SELECT 1 FROM active)
${inLockOrder(layout, "n.id")}
${unlessNewerOrOutside("$5", stillMeets)}
RETURNING t.id::text AS key)
SELECT key FROM admitted
UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM active)`;
}
