import { optionalFrom } from "../filtering/condition.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { buildAsJson, storageFunction, tableAsJson } from "../schema/citus.js";
import { chunkTable, namesOf, type Layout } from "../schema/layout.js";
import { VisibleChunks } from "../search-sql/visible-chunks.js";

/** How a statement counts. */
export interface StatusShape {
  /** The filter of the index, with parameters from `$1`; `undefined` without one. */
  condition: string | undefined;
  /** Whether to count at all. */
  counts: boolean;
}

/** Number of the condition's first parameter: after the names of the vector indexes and the limit of exact counts. */
const FIRST_CONDITION_PARAMETER = 3;

/**
 * Everything that the status says, except whether the planner chooses the vector index. Only reads, also on a standby, and needs
 * no right but `SELECT` on the tables. $1 names of the vector indexes, $2 bytes below which rows are counted, $3... the
 * condition's values.
 */
export function indexStatus(layout: Layout, { condition, counts }: StatusShape): string {
  const { profile, migration } = namesOf(layout);
  // $2 has to be in the statement, so that Postgres knows its type.
  const counted = counts ? countedRows(layout, condition) : "SELECT NULL::text WHERE $2::bigint IS NULL";
  return `
SELECT (SELECT max(version)::text FROM ${migration}) AS version, (p.model IS NOT NULL)::text AS recorded,
  p.text_search, p.vector_index AS recorded_type,
  (SELECT (pg_catalog.to_jsonb(f) ->> 'words_filled_at' IS NULL)::text FROM ${profile} f WHERE f.id = ${layout.profileId}) AS lacks_words,
  pg_catalog.current_setting('server_version') AS postgres, pg_catalog.pg_is_in_recovery()::text AS is_standby,
  (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector') AS pgvector,
  (SELECT default_version FROM pg_catalog.pg_available_extensions WHERE name = 'vector') AS pgvector_available,
  pg_catalog.pg_relation_size(c.oid)::text AS chunk_bytes, pg_catalog.current_setting('block_size') AS page_bytes,
  (c.reltuples < 0)::text AS lacks_statistics,
  (SELECT pg_catalog.json_agg(${TABLE} ORDER BY r.relname)::text FROM pg_catalog.pg_class r
    WHERE r.relnamespace = c.relnamespace AND r.relkind = 'r') AS tables,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', ic.relname, 'valid', i.indisvalid, 'ready', i.indisready,
      'bytes', pg_catalog.pg_relation_size(ic.oid)))::text
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND ic.relname = ANY ($1::text[])) AS vector_indexes,
  ${buildAsJson("b.relid = c.oid")}::text AS build,
  (SELECT pg_catalog.json_build_object('name', o.model, 'dimensions', o.dimensions, 'state', o.status,
      'createdAt', floor(extract(epoch FROM o.created_at) * 1000))::text
    FROM ${profile} o WHERE o.status <> 'active' LIMIT 1) AS other_model,
  (${counted}) AS counts
FROM ${profile} p
JOIN pg_catalog.pg_class c ON c.oid = ${quoteLiteral(namesOf(layout).chunk)}::regclass
WHERE p.id = ${layout.profileId}`;
}

/** How many trainings are behind in the profile that is not active. Only if there is one. */
export function countBehind(layout: Layout): string {
  return `SELECT count(*)::text AS behind FROM ${namesOf(layout).behind}`;
}

const TABLE = tableAsJson("r.relname");

/**
 * What the status says of the tables of a schema on a Citus cluster, from the node that has them. In the same columns as
 * {@link indexStatus}. A query on a table makes Citus call the function there, also in a transaction.
 */
export function storageInCluster(layout: Layout): string {
  const names = namesOf(layout);
  return `
SELECT s.storage ->> 'chunkBytes' AS chunk_bytes, s.storage ->> 'lacksStatistics' AS lacks_statistics,
  s.storage ->> 'tables' AS tables, s.storage ->> 'vectorIndexes' AS vector_indexes, s.storage ->> 'build' AS build
FROM (SELECT ${storageFunction(names)}() AS storage FROM ${names.profile} WHERE id = ${layout.profileId} OFFSET 0) s`;
}

/** As {@link indexStatus} counts, where trainings are spread over a cluster: all rows, however many there are. $1... the condition's values. */
export function countedOnShards(layout: Layout, condition: string | undefined): string {
  const { training } = namesOf(layout);
  const matches = optionalFrom(1, condition);
  const chunks = new VisibleChunks(layout, condition, 1).select("", "true", "may find rows");
  const count = (from: string): string => `(SELECT count(*) FROM ${from})`;
  return `
SELECT pg_catalog.json_build_object('trainings', ${count(`${training} WHERE deleted_at IS NULL AND ${matches}`)},
  'chunks', ${count(`(${chunks}) visible`)}, 'tombstones', ${count(`${training} WHERE deleted_at IS NOT NULL AND ${matches}`)},
  'exact', true)::text AS counts`;
}

/**
 * SQL of a row with the counts, as JSON text. Postgres runs a subquery of a CASE only if it takes that branch, so a large table
 * is not read.
 */
function countedRows(layout: Layout, condition: string | undefined): string {
  const { training } = namesOf(layout);
  const matches = optionalFrom(FIRST_CONDITION_PARAMETER, condition);
  const chunks = new VisibleChunks(layout, condition, FIRST_CONDITION_PARAMETER).select("", "true", "may find rows");
  const isExact = condition === undefined ? "s.bytes < $2::bigint" : "$2::bigint IS NOT NULL";
  const either = (counted: string, estimate: string): string =>
    `CASE WHEN ${isExact} THEN (SELECT count(*) FROM ${counted}) ELSE ${estimate} END`;
  return `SELECT pg_catalog.json_build_object(
      'trainings', ${either(`${training} WHERE deleted_at IS NULL AND ${matches}`, "greatest(s.trainings - s.tombstones, 0)")},
      'chunks', ${either(`(${chunks}) visible`, "s.chunks")},
      'tombstones', ${either(`${training} WHERE deleted_at IS NOT NULL AND ${matches}`, "s.tombstones")},
      'exact', ${isExact})::text
    FROM (SELECT sum(pg_catalog.pg_relation_size(r.oid)) FILTER (WHERE r.relkind = 'r') AS bytes,
        ${estimated("training")} AS trainings, ${estimated("training_deleted")} AS tombstones,
        ${estimated(chunkTable(layout.profileId))} AS chunks
      FROM pg_catalog.pg_class r WHERE r.relnamespace = c.relnamespace
        AND r.relname IN ('training', 'training_deleted', '${chunkTable(layout.profileId)}')) s`;
}

/** SQL of the estimated rows of a table, or of a partial index. Before the first ANALYZE the statistics count what was written. */
function estimated(relation: string): string {
  return `max(CASE WHEN r.reltuples >= 0 THEN r.reltuples ELSE pg_catalog.pg_stat_get_live_tuples(r.oid) END)
          FILTER (WHERE r.relname = '${relation}')::bigint`;
}
