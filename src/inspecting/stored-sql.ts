/**
 * The statements of reads by id. A training matches a filter by its own metadata, as it does in deletes; a chunk by the
 * chunk's, as it does in searches. All results are read as text, so that type parsers that the host has set in `pg` do not
 * affect them.
 */
import { optionalFrom } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { GUARD } from "../search-sql/sharded-search-sql.js";
import { VisibleChunks } from "../search-sql/visible-chunks.js";

/** One training. $1 id, $2... the condition's values. */
export function storedTraining(layout: Layout, condition: string | undefined): string {
  return withChunkCount(
    layout,
    condition,
    2,
    `SELECT * FROM ${visibleTrainings(layout, condition, 2)} AND id = $1::${layout.idType}`,
  );
}

/**
 * The next trainings in the order of their ids, which is the order of the primary key: byte order for `text` ids.
 * $1... the condition's values; with `isFirst: false` $1 is the id that the page begins after, and the values follow.
 *
 * @param size - a checked integer, written as a constant: the planner prices a bound LIMIT as 10 % of all rows
 */
export function pageOfTrainings(
  layout: Layout,
  condition: string | undefined,
  { size, isFirst }: { size: number; isFirst: boolean },
): string {
  const first = isFirst ? 1 : 2;
  const after = isFirst ? "" : ` AND id > $1::${layout.idType}`;
  const following = `SELECT * FROM ${visibleTrainings(layout, condition, first)}${after}`;
  // Citus sends the order and the limit of the whole statement to all shards, not those of a subquery.
  if (layout.citus === "tables") {
    return `${withChunkCount(layout, condition, first, following)}\nORDER BY t.id LIMIT ${size}`;
  }
  const page = `${following} ORDER BY id LIMIT ${size}`;
  return `${withChunkCount(layout, condition, first, page)}
ORDER BY t.id`;
}

/** How many trainings and chunks match. $1... the condition's values. */
export function storedCounts(layout: Layout, condition: string | undefined): string {
  return `
SELECT (SELECT count(*) FROM ${visibleTrainings(layout, condition, 1)})::text AS trainings,
  (SELECT count(*) FROM (${visibleChunks(layout, condition, 1).select("", "true", "may find rows")}) c)::text AS chunks`;
}

/** The chunks of one training, in reading order. $1 id, $2... the condition's values. */
export function storedChunks(layout: Layout, condition: string | undefined): string {
  const id = `$1::${layout.idType}`;
  const visible = visibleChunks(layout, condition, 2).select("id, content, metadata", `training_id = ${id}`);
  return `
SELECT i.training_id::text AS key, c.id, c.content, c.metadata::text AS metadata,
  (p.place - 1)::text AS position, p.start_at::text AS start, p.end_at::text AS "end"
FROM ${namesOf(layout).indexed} i
CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
JOIN (${visible}) c ON c.id = p.id
WHERE i.training_id = ${id}
ORDER BY p.place`;
}

function visibleChunks(layout: Layout, condition: string | undefined, firstParameter: number): VisibleChunks {
  return new VisibleChunks(layout, condition, firstParameter);
}

/** A table and the beginning of its WHERE clause: the trainings that are not deleted and match. */
function visibleTrainings(layout: Layout, condition: string | undefined, firstParameter: number): string {
  return `${namesOf(layout).training} WHERE deleted_at IS NULL AND ${optionalFrom(firstParameter, condition)}`;
}

/** Counts the chunks of the selected trainings only: a LIMIT inside of `trainings` comes first. */
function withChunkCount(
  layout: Layout,
  condition: string | undefined,
  firstParameter: number,
  trainings: string,
): string {
  const chunks = visibleChunks(layout, condition, firstParameter).select("", "training_id = t.id");
  return `
SELECT t.id::text AS key, t.metadata::text AS metadata, t.revision::text AS revision,
  floor(extract(epoch FROM t.updated_at) * 1000)::text AS updated_at_ms,
  (SELECT count(*) FROM (${chunks}) c)::text AS chunks
FROM (${trainings}) t${layout.citus === "tables" ? `\nWHERE ${GUARD}` : ""}`;
}
