/** The calls of the functions that write to a schema on a Citus cluster; see `distributed-functions.ts`. Each handles one training. */
import { encodeTextArray, encodeVectorArray } from "../postgres/codec.js";
import { query, type Queryable } from "../postgres/database.js";
import { functionNames } from "../schema/citus.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { wordsOfChunk } from "../words/searched-words.js";
import type { IdentifiedChunk, PlannedTraining, StoredChunk, Vectors } from "./chunk-difference.js";
import { claimedProfile, contentTicketOf, reasonOf, wins } from "./fence-sql.js";
import type { Statement, Version } from "./swap-statement.js";
import type { ClaimedTarget } from "./write-target.js";

/** The statement that replaces the stored version of a training. Returns a row as that of `swapTrainings`. */
export function storeStatement(
  { layout, scope, claim, vectorOid }: ClaimedTarget,
  training: PlannedTraining,
  replacedTicket: string | null,
  { difference, first }: Version,
  vectors: Vectors,
): Statement {
  const { copied, removed, replaced, metadataChanged } = difference;
  const ids = (chunks: readonly (IdentifiedChunk | StoredChunk)[]): string[] => chunks.map(({ id }) => id);
  const values: [value: unknown, type: string][] = [
    [training.key, layout.idType],
    [training.ticket, "bigint"],
    [training.revision, "numeric"],
    [training.metadata, "jsonb"],
    [replacedTicket, "bigint"],
    [`\\x${training.fingerprint}`, "bytea"],
    [training.splitter, "text"],
    [encodeTextArray(difference.ids.get(training) ?? []), "text[]"],
    [training.chunks.map(({ start }) => start), "integer[]"],
    [training.chunks.map(({ end }) => end), "integer[]"],
    [scope, "jsonb[]"],
    [claim, "text[]"],
    [
      encodeVectorArray(
        first.flatMap(({ chunk }) => vectors.get(chunk.hash) ?? []),
        vectorOid,
      ),
      `${namesOf(layout).vector}[]`,
    ],
    ...chunkArrays(layout, first),
    ...chunkArrays(layout, copied),
    [encodeTextArray(ids([...removed, ...replaced, ...copied])), "text[]"],
    [encodeTextArray(ids(metadataChanged)), "text[]"],
    [encodeTextArray(metadataChanged.map(({ chunk }) => chunk.metadata)), "text[]::jsonb[]"],
  ];
  return {
    text: `SELECT key FROM ${functionNames(namesOf(layout)).store}(${values
      .map(([, type], place) => `$${place + 1}::${type}`)
      .join(", ")}) AS key`,
    values: values.map(([value]) => value),
  };
}

function chunkArrays({ textSearch }: Layout, chunks: readonly IdentifiedChunk[]): [value: Buffer, type: string][] {
  return [
    [encodeTextArray(chunks.map(({ id }) => id)), "text[]"],
    [encodeTextArray(chunks.map(({ chunk }) => chunk.content)), "text[]"],
    [encodeTextArray(chunks.map(({ chunk }) => chunk.metadata)), "text[]::jsonb[]"],
    [encodeTextArray(chunks.map(({ chunk }) => `\\x${chunk.hash}`)), "text[]::bytea[]"],
    [encodeTextArray(textSearch === undefined ? [] : chunks.map(({ chunk }) => wordsOfChunk(chunk))), "text[]"],
  ];
}

/** The order in which trainings are locked one by one, the same in every process: two calls in other orders could wait for each other. */
export function inKeyOrder<Item extends { key: string }>(items: readonly Item[]): Item[] {
  return items.toSorted((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0));
}

/** $1 id, $2 ticket, $3 revision, $4 the content ticket of the stored version, $5 the scope, $6 the claim. */
export function touchTraining(layout: Layout): string {
  return `SELECT key FROM ${functionNames(namesOf(layout)).touch}($1::${layout.idType}, $2::bigint, $3::numeric, $4::bigint, $5::jsonb[],
  $6::text[]) AS key`;
}

/** $1 id, $2 ticket, $3 revision, $4 metadata of a tombstone for an id that has no row, $5 the scope. */
export function removeTraining(layout: Layout): string {
  return `SELECT removed FROM ${functionNames(namesOf(layout)).remove}($1::${layout.idType}, $2::bigint, $3::numeric, $4::jsonb,
  $5::jsonb[]) AS removed`;
}

/** $1 id, $2 the scope. Deletes what a deleted training, or an id without a training, still has of chunks. */
export function cleanTraining(layout: Layout): string {
  return `SELECT key FROM ${functionNames(namesOf(layout)).clean}($1::${layout.idType}, $2::jsonb[]) AS key`;
}

/**
 * Locks the row of a training, if it exists, and the claim before it. Returns its state as `lockTrainings` does.
 *
 * @param training - the training, with the ticket and revision of the call
 */
export async function lockTraining<Row>(
  client: Queryable,
  { layout, scope, claim }: ClaimedTarget,
  { key, ticket, revision }: Pick<PlannedTraining, "key" | "ticket" | "revision">,
): Promise<Row[]> {
  const claimed = await query(client, "lock-trainings", claimedProfile(layout, "$1"), [claim]);
  if (claimed.length === 0) return [];
  return query<Row>(client, "lock-trainings", lockOne(layout), [key, ticket, revision, scope]);
}

/** $1 id, $2 ticket, $3 revision, $4 the scope. */
function lockOne(layout: Layout): string {
  const isNewest = wins("n", "t", "$4").replaceAll("n.ticket", "$2::bigint").replaceAll("n.revision", "$3::numeric");
  return `
SELECT t.id::text AS key, (${contentTicketOf("t")})::text AS content_ticket,
  CASE WHEN NOT ${isNewest} THEN ${reasonOf("t")} END AS superseded_by
FROM ${namesOf(layout).training} t WHERE t.id = $1::${layout.idType} FOR NO KEY UPDATE OF t`;
}
