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
  AND ${CLAIM_COLUMNS} = ${claim}::text[]${lockOfProfile(layout)}`;
}

/**
 * The lock of a read of the profile. None for trainings that are spread over a cluster, whose claim never changes and whose profile stays active: two
 * transactions that lock a row of a table that all nodes have wait for each other (Citus 14.0).
 */
export function lockOfProfile({ citus }: Pick<Layout, "citus">): string {
  return citus === "tables" ? "" : " FOR SHARE";
}

/** For writes that store no vectors: as {@link claimedProfile}, whatever its model. */
export function activeProfile(layout: Layout): string {
  return `SELECT id FROM ${namesOf(layout).profile} WHERE id = ${layout.profileId} AND status = 'active'${lockOfProfile(layout)}`;
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
 *
 * $1 to $4: {@link givenDeletes}, $5 the scope, $6... the values of the condition that the trainings still have to meet. A row without an
 * id means that another profile is active: none was admitted.
 */
export function admitDeletes(layout: Layout, condition: Condition | undefined): string {
  return `
WITH active AS MATERIALIZED (${activeProfile(layout)}
), admitted AS (${makeTombstones(layout, condition, givenDeletes(layout), "NULL")}
RETURNING t.id::text AS key)
SELECT key FROM admitted
UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM active)`;
}

/**
 * Deletes trainings in a single statement, all parts of which see the state before it. So the fence admits a training only if its row, once
 * locked, is still of the version that the statement sees: then the chunks that it sees are all there are.
 *
 * Values and result as of {@link admitDeletes}, but there is a row for each training, with its `status` and the number of chunks that were
 * `removed`. The status is NULL for a training that another call changed meanwhile: it is left as it is.
 */
export function deleteTrainings(layout: Layout, condition: Condition | undefined): string {
  const { training, indexed, chunk } = namesOf(layout);
  // With a condition a training is not admitted only if it was changed since its id was found. That is too rare to tell why here.
  const status = condition
    ? "NULL"
    : `CASE WHEN t.id IS NULL THEN NULL
    WHEN NOT (${meets("t", "$5")}) THEN 'absent'
    WHEN ${isNewer("n", "t")} THEN NULL
    WHEN t.deleted_at IS NULL THEN 'superseded' ELSE 'absent' END`;
  const given = `
  SELECT n.*, ${contentTicketOf("t")} AS replaced_ticket, ${status} AS status
  FROM ${givenDeletes(layout)} LEFT JOIN ${training} t ON t.id = n.id`;
  // $1 tells the planner how many trainings there are. Of the other list it knows nothing, and could read the whole table.
  const isAdmitted = `training_id = ANY ($1::${layout.idType}[]) AND training_id = ANY (ARRAY(SELECT id FROM admitted))`;
  return `
WITH active AS MATERIALIZED (${activeProfile(layout)}
), given AS MATERIALIZED (${given}
), admitted AS (${makeTombstones(layout, condition, "given n", "n.replaced_ticket")}
  AND ${contentTicketOf("t")} IS NOT DISTINCT FROM excluded.replaced_ticket
RETURNING t.id
), unlisted AS (
  DELETE FROM ${indexed} WHERE ${isAdmitted} RETURNING training_id, cardinality(chunk_ids) AS chunks
), removed AS (
  DELETE FROM ${chunk} WHERE ${isAdmitted}
)
SELECT n.id::text AS key,
  CASE WHEN a.id IS NULL THEN n.status WHEN u.chunks IS NULL THEN 'absent' ELSE 'deleted' END AS status,
  coalesce(u.chunks, 0)::text AS removed
FROM given n LEFT JOIN admitted a ON a.id = n.id LEFT JOIN unlisted u ON u.training_id = n.id
WHERE EXISTS (SELECT 1 FROM active)
UNION ALL SELECT NULL, NULL, NULL WHERE NOT EXISTS (SELECT 1 FROM active)`;
}

/** $1 ids, $2 tickets, $3 revisions, $4 metadata of tombstones for ids that have no row. */
function givenDeletes({ idType }: Layout): string {
  return `unnest($1::${idType}[], $2::bigint[], $3::numeric[], $4::jsonb[]) AS n (id, ticket, revision, metadata)`;
}

/** The fence itself, to which further conditions on the locked row `t` can be added. */
function makeTombstones(layout: Layout, condition: Condition | undefined, given: string, replaced: string): string {
  return `
INSERT INTO ${namesOf(layout).training} AS t (id, ticket, content_ticket, replaced_ticket, revision, barrier, metadata, deleted_at)
SELECT n.id, n.ticket, n.ticket, ${replaced}, n.revision, ${barrierOf("n")}, n.metadata, now()
FROM ${given}
WHERE EXISTS (SELECT 1 FROM active)
${inLockOrder(layout, "n.id")}
${unlessNewerOrOutside("$5", stillMeets(condition))}`;
}

function stillMeets(condition: Condition | undefined): string {
  if (!condition) return "";
  return ` AND (SELECT ${numberedFrom(6, condition.text)} FROM (SELECT t.metadata) AS stored (metadata))`;
}
