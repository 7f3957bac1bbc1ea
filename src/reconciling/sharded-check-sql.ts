/**
 * The statements of `check-sql.ts` that are written in another way for trainings that are spread over a Citus cluster: what is stored comes first, from
 * the shards that have it, and is joined with the given items afterwards. Parameters and results are the same.
 */
import { optionalFrom } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** As `listStored`, pages of so many `rows`. */
export function listStoredOnShards(layout: Layout, condition: string | undefined, rows: number): string {
  const { training, indexed } = namesOf(layout);
  const id = layout.idType === "text" ? 'p.id COLLATE "C"' : "p.id";
  return `
WITH page AS MATERIALIZED (
  SELECT t.id, t.deleted_at IS NULL AND ${optionalFrom(3, condition)} AND (t.ticket > $2::bigint) IS NOT TRUE AS living,
    cardinality(i.chunk_ids) AS chunks
  FROM ${training} t LEFT JOIN ${indexed} i ON i.training_id = t.id
  WHERE ($1::${layout.idType} IS NULL OR t.id > $1::${layout.idType})
  ORDER BY t.id LIMIT ${rows}
)
SELECT (json_agg(p.id::text ORDER BY ${id}) FILTER (WHERE p.living))::text AS keys,
  coalesce(sum(p.chunks) FILTER (WHERE p.living), 0)::text AS chunks, (array_agg(p.id ORDER BY ${id} DESC))[1]::text AS last
FROM page p`;
}

/**
 * As `findUnsettled`.
 *
 * @param digest - SQL of the digest of the chunks of training `t` with list `i`; NULL if they are not sound
 */
export function findUnsettledOnShards(layout: Layout, condition: string | undefined, digest: string): string {
  const { training, indexed } = namesOf(layout);
  return `
WITH stored AS MATERIALIZED (
  SELECT t.id, t.deleted_at IS NULL AND ${optionalFrom(6, condition)} AS living, t.ticket, t.revision, t.metadata,
    encode(i.fingerprint, 'hex') AS fingerprint, ${digest} AS digest
  FROM ${training} t LEFT JOIN ${indexed} i ON i.training_id = t.id
  WHERE t.id = ANY ($1::text[]::${layout.idType}[])
)
SELECT json_agg(place ORDER BY place) FILTER (WHERE is_missing)::text AS missing,
  json_agg(place ORDER BY place) FILTER (WHERE NOT is_missing)::text AS others
FROM (
  SELECT n.place - 1 AS place, t.living IS NOT TRUE AS is_missing
  FROM (
    SELECT g.id, nullif(g.revision, '')::numeric AS revision, nullif(g.expected, '')::jsonb AS expected, g.place
    FROM unnest($1::text[]::${layout.idType}[], $2::text[], $4::text[]) WITH ORDINALITY AS g (id, revision, expected, place)
  ) n
  LEFT JOIN stored t ON t.id = n.id
  WHERE (t.ticket > $3::bigint) IS NOT TRUE AND (t.living AND (n.revision IS NULL OR t.revision = n.revision)
    AND (n.expected IS NULL
      OR (t.fingerprint = n.expected ->> 'fingerprint' AND t.metadata = n.expected -> 'metadata' AND t.digest = n.expected ->> 'digest'))
    AND t.digest IS NOT NULL) IS NOT TRUE
) u`;
}

/**
 * As `readStored`.
 *
 * @param columns - SQL of `places` and `chunks`, of training `t` with list `i`
 */
export function readStoredOnShards(layout: Layout, condition: string | undefined, columns: string): string {
  const { training, indexed } = namesOf(layout);
  const given = `$1::${layout.idType}[]`;
  return `
WITH stored AS MATERIALIZED (
  SELECT t.id, t.deleted_at IS NULL AND ${optionalFrom(4, condition)} AS living, t.ticket, t.revision, t.metadata,
    encode(i.fingerprint, 'hex') AS fingerprint, ${columns}
  FROM ${training} t LEFT JOIN ${indexed} i ON i.training_id = t.id
  WHERE t.id = ANY (${given})
)
SELECT coalesce(t.living, false)::text AS living, coalesce(t.ticket > $3::bigint, false)::text AS is_newer,
  CASE WHEN n.revision IS NULL THEN 'same' WHEN t.revision IS NULL OR t.revision < n.revision THEN 'older'
    WHEN t.revision > n.revision THEN 'newer' ELSE 'same' END AS version,
  t.metadata::text AS metadata, t.fingerprint, t.places, t.chunks
FROM unnest(${given}, $2::numeric[]) WITH ORDINALITY AS n (id, revision, place)
LEFT JOIN stored t ON t.id = n.id
ORDER BY n.place`;
}

/** As `readVectors`; may return more chunks of the trainings than were asked for. */
export function readVectorsOnShards(layout: Layout): string {
  const { chunk, extension } = namesOf(layout);
  return `
SELECT c.training_id::text AS key, c.id, encode(${extension}.vector_send(c.embedding), 'base64') AS embedding
FROM ${chunk} c WHERE c.training_id = ANY ($1::${layout.idType}[]) AND c.id = ANY ($2::text[])`;
}
