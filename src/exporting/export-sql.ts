/** The statements of an export. `condition` is the filter of the index. All results are read as text. */
import { optionalFrom } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** $1... the values of the condition. How many trainings and tombstones an export has. */
export function countExported(layout: Layout, condition: string | undefined): string {
  return `
SELECT count(*) FILTER (WHERE deleted_at IS NULL)::text AS trainings,
  count(*) FILTER (WHERE deleted_at IS NOT NULL)::text AS tombstones
FROM ${namesOf(layout).training} t WHERE ${isExported(layout, condition, 1)}`;
}

/** $1 the id that the page begins after, NULL for the first page, $2... the values of the condition. */
export function pageOfTrainings(layout: Layout, condition: string | undefined, rows: number): string {
  const { training, indexed } = namesOf(layout);
  return `
SELECT t.id::text AS key, t.metadata::text AS metadata, t.revision::text AS revision,
  encode(i.fingerprint, 'hex') AS fingerprint, i.splitter, cardinality(i.chunk_ids)::text AS chunks
FROM ${training} t LEFT JOIN ${indexed} i ON i.training_id = t.id
WHERE ${isAfter(layout)} AND t.deleted_at IS NULL AND ${isExported(layout, condition, 2)}
ORDER BY t.id LIMIT ${rows}`;
}

/** $1 the id that the page begins after, NULL for the first page, $2... the values of the condition. */
export function pageOfTombstones(layout: Layout, condition: string | undefined, rows: number): string {
  return `
SELECT t.id::text AS key, t.metadata::text AS metadata, t.revision::text AS revision FROM ${namesOf(layout).training} t
WHERE ${isAfter(layout)} AND t.deleted_at IS NOT NULL AND ${isExported(layout, condition, 2)}
ORDER BY t.id LIMIT ${rows}`;
}

/**
 * $1 ids, $2 the place of a chunk, from 1, that the rows begin after, $3 the last place. The chunks of each training, in the order of
 * the ids and in reading order, each found by its primary key: a join could scan the whole table, with its vectors.
 */
export function readChunks(layout: Layout): string {
  const { indexed, chunk, extension } = namesOf(layout);
  if (layout.citus === "tables") return readChunksOnShards(layout);
  return `
SELECT i.training_id::text AS key, p.id, p.start_at::text AS start, p.end_at::text AS end, c.*
FROM unnest($1::${layout.idType}[]) WITH ORDINALITY AS n (id, place)
JOIN ${indexed} i ON i.training_id = n.id
CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
LEFT JOIN LATERAL (
  SELECT content, metadata::text AS metadata, encode(content_hash, 'hex') AS hash,
    encode(${extension}.vector_send(embedding), 'base64') AS vector
  FROM ${chunk} WHERE training_id = i.training_id AND id = p.id OFFSET 0
) c ON true
WHERE p.place > $2::integer AND p.place <= $3::integer
ORDER BY n.place, p.place`;
}

/** As {@link readChunks} where trainings are spread over a cluster. The ids are given in their order. */
function readChunksOnShards(layout: Layout): string {
  const { indexed, chunk, extension } = namesOf(layout);
  return `
SELECT i.training_id::text AS key, p.id, p.start_at::text AS start, p.end_at::text AS end, c.content, c.metadata::text AS metadata,
  encode(c.content_hash, 'hex') AS hash, encode(${extension}.vector_send(c.embedding), 'base64') AS vector
FROM ${indexed} i
CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
LEFT JOIN ${chunk} c ON c.training_id = i.training_id AND c.id = p.id
WHERE i.training_id = ANY ($1::${layout.idType}[]) AND p.place > $2::integer AND p.place <= $3::integer
ORDER BY i.training_id, p.place`;
}

function isAfter({ idType }: Layout): string {
  return `($1::${idType} IS NULL OR t.id > $1::${idType})`;
}

/** A training is exported whole or not at all: only if the filter excludes none of its chunks. */
function isExported(layout: Layout, condition: string | undefined, first: number): string {
  if (condition === undefined) return "true";
  const matches = optionalFrom(first, condition);
  return `${matches}
  AND NOT EXISTS (SELECT 1 FROM ${namesOf(layout).chunk} WHERE training_id = t.id AND NOT ${matches})`;
}
