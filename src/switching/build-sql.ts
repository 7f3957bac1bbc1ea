/** The statements that build trainings for a profile from the active one. Results are read as text. */
import { encodeTextArray } from "../postgres/codec.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** A setting of the transactions that build a profile, which may write to its tables while it is not the active one. */
export const BUILDS = "langchain_training_index.builds";

/** How long a claim of a worker that does not renew it lasts. */
export const LEASE_MS = 6000;

/**
 * Records trainings that the profile has no chunks of, in pages by id. $1 the id that the page begins after, NULL for the first, $2 rows of
 * a page. Returns the last id of the page, NULL after the last one.
 */
export function findUnbuilt(building: Layout): string {
  const { training, indexed } = namesOf(building);
  return `
WITH page AS MATERIALIZED (
  SELECT id, deleted_at FROM ${training} WHERE ($1::${building.idType} IS NULL OR id > $1::${building.idType})
  ORDER BY id LIMIT $2::integer
), added AS (
  INSERT INTO ${namesOf(building).behind} (training_id)
  SELECT id FROM page WHERE deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM ${indexed} i WHERE i.training_id = page.id)
  ON CONFLICT (training_id) DO NOTHING
)
SELECT (array_agg(id ORDER BY id DESC))[1]::text AS last FROM page`;
}

/**
 * $1 how many, $2 the claim, $3 the id that the search begins after, NULL for the first. Claims trainings that nobody builds, in the order of
 * their ids. A search that began with the first one each time would walk over the index entries of all that were built before.
 */
export function claimTrainings(building: Layout): string {
  const behind = namesOf(building).behind;
  return `
WITH free AS MATERIALIZED (
  SELECT training_id FROM ${behind}
  WHERE ($3::${building.idType} IS NULL OR training_id > $3::${building.idType})
    AND (claimed_at IS NULL OR claimed_at < clock_timestamp() - interval '${LEASE_MS} milliseconds')
  ORDER BY training_id LIMIT $1::integer FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE ${behind} SET claimed_at = clock_timestamp(), claimed_by = $2 WHERE training_id = ANY (ARRAY(SELECT training_id FROM free))
  RETURNING training_id
)
SELECT training_id::text AS key FROM claimed ORDER BY training_id`;
}

/** $1 the builder, with whose name its claims begin. */
export function renewClaims(building: Layout): string {
  const behind = namesOf(building).behind;
  return `UPDATE ${behind} SET claimed_at = clock_timestamp()
  WHERE training_id IN (SELECT training_id FROM ${behind} WHERE starts_with(claimed_by, $1) FOR UPDATE SKIP LOCKED)`;
}

/** $1 the builder, with whose name its claims begin. */
export function releaseClaims(building: Layout): string {
  const behind = namesOf(building).behind;
  return `UPDATE ${behind} SET claimed_at = NULL, claimed_by = NULL
  WHERE training_id IN (SELECT training_id FROM ${behind} WHERE starts_with(claimed_by, $1) FOR UPDATE SKIP LOCKED)`;
}

/** $1 ids, $2 a claim. Those that no other builder has claimed since: a write of the training, or its age, gives a claim free. */
export function stillClaimed(building: Layout): string {
  return `SELECT training_id::text AS key FROM ${namesOf(building).behind} WHERE training_id = ANY ($1::${building.idType}[]) AND claimed_by = $2`;
}

/** $1 ids, $2 their claim. Those that were claimed, and could not be built yet. */
export function releaseTrainings(building: Layout): string {
  const behind = namesOf(building).behind;
  return `UPDATE ${behind} SET claimed_at = NULL, claimed_by = NULL
  WHERE training_id IN (SELECT training_id FROM ${behind}
    WHERE training_id = ANY ($1::${building.idType}[]) AND claimed_by = $2 FOR UPDATE SKIP LOCKED)`;
}

/** $1 the most to count. How many trainings are behind, at most that many. */
export function countBehind(building: Layout): string {
  return `SELECT count(*)::text AS behind FROM (SELECT 1 FROM ${namesOf(building).behind} LIMIT $1::bigint) b`;
}

/** $1 how many. */
export function listBehind(building: Layout): string {
  return `SELECT training_id::text AS key FROM ${namesOf(building).behind} LIMIT $1::integer`;
}

/** $1 ids. What is stored of each training, in one snapshot, and which texts the new profile has of it already. */
export function readTrainings(active: Layout, building: Layout): string {
  const { training, indexed, chunk } = namesOf(active);
  return `
SELECT n.id::text AS key, t.content_ticket::text AS content_ticket, (t.deleted_at IS NULL AND t.id IS NOT NULL)::text AS living,
  t.metadata::text AS metadata, encode(i.fingerprint, 'hex') AS fingerprint, i.splitter,
  (SELECT json_agg(json_build_object('id', c.id, 'content', c.content, 'metadata', c.metadata::text,
      'hash', encode(c.content_hash, 'hex'), 'start', p.start_at, 'end', p.end_at) ORDER BY p.place)
    FROM unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
    JOIN ${chunk} c ON c.training_id = i.training_id AND c.id = p.id)::text AS chunks,
  cardinality(i.chunk_ids)::text AS listed,
  (SELECT json_agg(json_build_object('id', b.id, 'hash', encode(b.content_hash, 'hex')))
    FROM ${namesOf(building).chunk} b WHERE b.training_id = n.id)::text AS built
FROM unnest($1::${active.idType}[]) AS n (id)
LEFT JOIN ${training} t ON t.id = n.id
LEFT JOIN ${indexed} i ON i.training_id = t.id`;
}

/** $1 training ids, $2 chunk ids. The vectors of chunks of the active profile, in base64. */
export function readVectors(active: Layout): string {
  const { chunk, extension } = namesOf(active);
  return `
SELECT c.training_id::text AS key, c.id, encode(${extension}.vector_send(c.embedding), 'base64') AS embedding
FROM unnest($1::${active.idType}[], $2::text[]) AS n (training_id, id)
JOIN ${chunk} c ON c.training_id = n.training_id AND c.id = n.id`;
}

/**
 * $1 ids, $2 content tickets; NULL for a training that is deleted or gone. Locks the trainings whose version is still that one, in the order
 * of their ids, if the profile is still being built: a write of them waits, and is recorded afterwards.
 */
export function lockBuilt(building: Layout): string {
  const { training, profile } = namesOf(building);
  return `
WITH building AS MATERIALIZED (
  SELECT id FROM ${profile} WHERE id = ${building.profileId} AND status = 'building'
    AND pg_catalog.set_config('${BUILDS}', 'on', true) IS NOT NULL FOR SHARE
)
SELECT t.id::text AS key FROM unnest($1::${building.idType}[], $2::bigint[]) AS n (id, content_ticket)
JOIN ${training} t ON t.id = n.id
WHERE EXISTS (SELECT 1 FROM building)
  AND (CASE WHEN t.deleted_at IS NULL THEN t.content_ticket END) IS NOT DISTINCT FROM n.content_ticket
ORDER BY t.id FOR NO KEY UPDATE OF t`;
}

/** $1 ids. Deletes the records of trainings that were built, or are gone. */
export function deleteBehind(building: Layout): string {
  return `DELETE FROM ${namesOf(building).behind} b WHERE training_id = ANY ($1::${building.idType}[])`;
}

/**
 * $1 ids. Locks the records of trainings that seem to be gone. A write that stores one again waits, and records it again; only then can
 * the next statement say whether there is a training.
 */
export function lockGone(building: Layout): string {
  return `SELECT training_id::text AS key FROM ${namesOf(building).behind}
  WHERE training_id = ANY ($1::${building.idType}[]) FOR UPDATE SKIP LOCKED`;
}

/** $1 ids, whose records are locked. Deletes the records of those that have no training any more. */
export function deleteGone(building: Layout): string {
  return `DELETE FROM ${namesOf(building).behind} b WHERE training_id = ANY ($1::${building.idType}[])
  AND NOT EXISTS (SELECT 1 FROM ${namesOf(building).training} t WHERE t.id = b.training_id)
  RETURNING training_id::text AS key`;
}

/** $1 training ids, $2 chunk ids: deletes all other chunks of the trainings of $3. */
export function deleteOthers(building: Layout): string {
  return `DELETE FROM ${namesOf(building).chunk} c WHERE c.training_id = ANY ($3::${building.idType}[])
  AND NOT EXISTS (SELECT 1 FROM unnest($1::${building.idType}[], $2::text[]) AS n (training_id, id)
    WHERE n.training_id = c.training_id AND n.id = c.id)`;
}

/** $1 training ids, $2 chunk ids, $3 texts, $4 metadata. Chunks that keep their vectors. */
export function updateKept(building: Layout): string {
  return `UPDATE ${namesOf(building).chunk} c SET content = n.content, metadata = n.metadata::jsonb
FROM unnest($1::text[]::${building.idType}[], $2::text[], $3::text[], $4::text[]) AS n (training_id, id, content, metadata)
WHERE c.training_id = n.training_id AND c.id = n.id AND (c.content <> n.content OR c.metadata <> n.metadata::jsonb)`;
}

/** $1 ids, $2 fingerprints, $3 splitters, and as array literals $4 chunk ids, $5 starts, $6 ends. */
export function recordPlaces(building: Layout): string {
  return `INSERT INTO ${namesOf(building).indexed} (training_id, fingerprint, splitter, chunk_ids, starts, ends)
SELECT n.id, n.fingerprint, n.splitter, n.chunk_ids::text[], n.starts::integer[], n.ends::integer[]
FROM unnest($1::${building.idType}[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[])
  AS n (id, fingerprint, splitter, chunk_ids, starts, ends)
ON CONFLICT (training_id) DO UPDATE SET fingerprint = excluded.fingerprint, splitter = excluded.splitter,
  chunk_ids = excluded.chunk_ids, starts = excluded.starts, ends = excluded.ends`;
}

/** $1 ids. Deletes what the profile has of trainings that are deleted. */
export function deleteBuilt(building: Layout): string[] {
  const { chunk, indexed } = namesOf(building);
  return [chunk, indexed].map((table) => `DELETE FROM ${table} WHERE training_id = ANY ($1::${building.idType}[])`);
}

/** Text arrays as parameters: faster than JavaScript's arrays, which `pg` escapes one by one. */
export function textArrays(...columns: readonly string[][]): Buffer[] {
  return columns.map(encodeTextArray);
}
