/**
 * The statements of searches of trainings that are spread over a Citus cluster. Citus sends each of them to all shards, or to those of some
 * trainings, and merges their rows. All that a shard returns of a training is of one version, since a training is in one shard.
 */
import { quoteLiteral } from "../postgres/identifiers.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { shardFunctions } from "../schema/citus.js";
import { settingsOf } from "../schema/vector-index-method.js";
import { indexedForm, indexOperator } from "../schema/vector-index.js";
import type { Neighbors } from "./page-sql.js";
import { distanceOf, FIRST_CONDITION_PARAMETER, type SearchShape } from "./vector-search-sql.js";
import { VisibleChunks } from "./visible-chunks.js";

/**
 * Stands in a statement for the condition that the schema is the one that the statement was written for. Around a statement, where other
 * searches have it, Citus would run the search first, and the condition on its result.
 *
 * It has a NUL, because no name has one: the name of a schema may be any other text.
 */
export const GUARD = "\0guard";

/** What a search returns of each chunk, besides its place. */
export interface ShardColumns {
  withEmbedding: boolean;
  neighbors: Neighbors | undefined;
  /** Whether to return the metadata of the chunk's training. */
  withTraining: boolean;
}

/**
 * The ids of the nearest chunks with their `distance`, and the `version` of their trainings. At most `shape.candidates` of them with a `bit`
 * index, in the order of that index, else `limit`. $1 vector, $2 ef_search as text, $3... the condition's parameters.
 */
export function nearestInShards(layout: Layout, shape: SearchShape, limit: number): string {
  const { training } = namesOf(layout);
  return `
SELECT c.training_id::text AS key, c.id, (${distanceOf(layout, "c.embedding")})::text AS distance, t.content_ticket::text AS version
FROM (${visible(layout, shape, "training_id, id, embedding")}) c
JOIN ${training} t ON t.id = c.training_id
WHERE ${searchConditions(layout)}
ORDER BY ${orderOf(layout, shape)}
LIMIT ${limit}`;
}

/** As {@link nearestInShards}, with all that a hit has: one statement instead of two. */
export function nearestPassagesInShards(
  layout: Layout,
  shape: SearchShape,
  limit: number,
  neighbors: Neighbors | undefined,
): string {
  const { indexed } = namesOf(layout);
  const chunks = new VisibleChunks(layout, shape.condition, FIRST_CONDITION_PARAMETER);
  return `
SELECT ${passageColumns(chunks, neighbors)}, (${distanceOf(layout, "c.embedding")})::text AS distance
FROM (${visible(layout, shape, "training_id, id, content, metadata, embedding")}) c
JOIN ${indexed} i ON i.training_id = c.training_id
WHERE ${searchConditions(layout)}
ORDER BY ${orderOf(layout, shape)}
LIMIT ${limit}`;
}

/** What {@link bestOfTrainings} returns. */
export interface TrainingsPage {
  /** The most chunks of one training. */
  perTraining: number;
  /** Whether the chunks are ordered by the nearest one of their training. */
  byTraining: boolean;
  limit: number;
}

/** The ids of the nearest chunks among all, at most some of each training. Parameters and columns as of {@link nearestInShards}. */
export function bestOfTrainings(
  layout: Layout,
  shape: SearchShape,
  { perTraining, byTraining, limit }: TrainingsPage,
): string {
  const { training } = namesOf(layout);
  const nearest = byTraining ? "c.of_training, c.training_id, c.place" : "c.distance, c.training_id, c.id";
  return `
SELECT c.training_id::text AS key, c.id, c.distance::text AS distance, t.content_ticket::text AS version
FROM (
  SELECT training_id, id, distance, row_number() OVER (PARTITION BY training_id ORDER BY distance, id) AS place,
    min(distance) OVER (PARTITION BY training_id) AS of_training
  FROM (${visible(layout, shape, `training_id, id, ${distanceOf(layout)} AS distance`)}) d
) c
JOIN ${training} t ON t.id = c.training_id
WHERE c.place <= ${perTraining} AND ${searchConditions(layout)}
ORDER BY ${nearest}
LIMIT ${limit}`;
}

/** Number of the condition's first parameter in {@link passagesInShards}. */
const FIRST_PASSAGE_CONDITION = 3;

/** $1 ids of trainings, $2 ids of chunks, $3... the condition's parameters. The chunks that are visible, and the `version` of their trainings. */
export function passagesInShards(
  layout: Layout,
  condition: string | undefined,
  { withEmbedding, neighbors, withTraining }: ShardColumns,
): string {
  const { training, indexed, extension } = namesOf(layout);
  const chunks = new VisibleChunks(layout, condition, FIRST_PASSAGE_CONDITION);
  const ids = `$1::${layout.idType}[]`;
  const found = chunks.select(
    "training_id, id, content, metadata, embedding",
    `training_id = ANY (${ids}) AND id = ANY ($2::text[])`,
  );
  const { shared } = shardFunctions(namesOf(layout));
  const metadata = `CASE WHEN t.is_visible THEN t.metadata ELSE ${shared}(t.metadata, c.metadata) END`;
  const further = [
    ...(withEmbedding ? [`encode(${extension}.vector_send(c.embedding), 'base64') AS embedding`] : []),
    ...(withTraining ? [`(${metadata})::text AS training_metadata`] : []),
  ];
  return `
SELECT ${[passageColumns(chunks, neighbors), ...further].join(", ")}, t.content_ticket::text AS version
FROM (${found}) c
JOIN ${indexed} i ON i.training_id = c.training_id
JOIN (SELECT id, content_ticket, metadata, ${chunks.isVisible} AS is_visible FROM ${training} WHERE id = ANY (${ids})) t ON t.id = c.training_id
WHERE ${GUARD}`;
}

/** The columns of a `PassageRow`, of a visible chunk `c` and the list `i` of its training. */
function passageColumns(chunks: VisibleChunks, neighbors: Neighbors | undefined): string {
  const place = "array_position(i.chunk_ids, c.id)";
  const around = neighbors ? `, ${surroundings(chunks, neighbors)} AS surroundings` : "";
  return `c.training_id::text AS key, c.id, c.content, c.metadata::text AS metadata, (${place} - 1)::text AS position,
  i.starts[${place}]::text AS start, i.ends[${place}]::text AS "end"${around}`;
}

/** The chunk and its visible neighbors, in no order, as `surroundings` of `page-sql.ts` has them. */
function surroundings(chunks: VisibleChunks, { before, after }: Neighbors): string {
  const place = "array_position(i.chunk_ids, c.id)";
  const placeOfNeighbor = "array_position(i.chunk_ids, n.id)";
  const near = `i.chunk_ids[greatest(${place} - ${before}, 1):${place} + ${after}]`;
  const neighbor = `json_build_array(${placeOfNeighbor} - 1, i.starts[${placeOfNeighbor}], i.ends[${placeOfNeighbor}], n.content)`;
  return `(SELECT json_agg(${neighbor})::text FROM (${chunks.select("training_id, id, content", "true")}) n
    WHERE n.training_id = c.training_id AND n.id = ANY (${near}))`;
}

/** A parameter, or a quoted name or literal, in which the same characters are no parameter. */
const PARAMETER_OR_QUOTED = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\$(\d+)/g;

/**
 * A statement of {@link nearestInShards} for EXPLAIN, which Citus runs on a shard without the bound values: they are quoted in its text.
 *
 * @param values - all but the first, the vector
 */
export function withQuotedValues(
  text: string,
  vector: ArrayLike<number>,
  values: readonly (string | readonly string[])[],
): string {
  const texts = [
    `[${Array.from(vector).join(",")}]`,
    ...values.map((value) => (typeof value === "string" ? value : arrayLiteral(value))),
  ];
  return text.replace(PARAMETER_OR_QUOTED, (found, number: string | undefined) =>
    number === undefined ? found : quoteLiteral(texts[Number(number) - 1] ?? ""),
  );
}

function arrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
}

function visible(layout: Layout, { condition, plan }: SearchShape, columns: string): string {
  const chunks = new VisibleChunks(layout, condition, FIRST_CONDITION_PARAMETER);
  return chunks.select(columns, "true", plan === "by vector" ? "tests rows" : "may find rows");
}

/** No index serves an order by a sum, so all visible chunks are compared. */
function orderOf(layout: Layout, { type = "vector", dimensions, plan }: SearchShape): string {
  if (plan === "exact") return `(${distanceOf(layout, "c.embedding")}) + 0`;
  const names = namesOf(layout);
  return ["c.embedding", `$1::${names.vector}`]
    .map((vector) => indexedForm(type, names, dimensions, vector))
    .join(` ${indexOperator(type, names)} `);
}

function searchConditions(layout: Layout): string {
  const settings = [
    ["'hnsw.ef_search'", "$2::text"],
    ["'hnsw.iterative_scan'", "'strict_order'"],
    ...settingsOf(layout.scanSettings),
  ];
  const names = settings.map(([name]) => name).join(", ");
  const values = settings.map(([, value]) => value).join(", ");
  return `${GUARD} AND ${shardFunctions(namesOf(layout)).settings}(ARRAY[${names}], ARRAY[${values}])`;
}
