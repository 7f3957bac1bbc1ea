import { batches } from "../batches.js";
import type { UpsertStatus } from "../types.js";
import {
  compareChunks,
  groupBy,
  type PlacedChunk,
  type PlannedTraining,
  type StandingChunk,
  type Vectors,
} from "./chunk-difference.js";
import { query, type Queryable } from "./database.js";
import type { Conditions } from "./filter.js";
import type { Layout } from "./layout.js";
import { encodeTextArray, encodeVectorArray } from "./codec.js";
import * as sql from "./write-sql.js";

/** Where a swap writes to. */
export interface WriteTarget {
  layout: Layout;
  /** The oid of pgvector's type. */
  vectorOid: number;
  /** What a training's metadata must meet for this index to replace or delete it. */
  scope: Conditions;
}

/** A training whose stored version is the same as the given one. */
export interface UnchangedTraining {
  key: string;
  ticket: string;
  revision: string | null;
  /** The ticket of the call that stored the version. */
  unchangedSince: string;
}

/** What a swap did to one training. */
export interface SwapOutcome {
  status: UpsertStatus;
  removed: number;
}

/** What one statement inserts, in rows and bytes: few round trips, and no parameter anywhere near 1 GB. */
const INSERT_LIMITS = { items: 500, size: 4 * 1024 * 1024 };

/**
 * Puts new versions in the place of the stored ones, all in the transaction that `client` is in. A reader sees
 * each training whole, before or after. Each id at most once.
 *
 * @returns one outcome for each training, in order
 * @throws {@link StalePreparation} before anything that could not be rolled back
 */
export async function swap(
  client: Queryable,
  target: WriteTarget,
  trainings: readonly PlannedTraining[],
  vectors: Vectors,
): Promise<SwapOutcome[]> {
  const passed = await passFence(client, target, trainings);
  const changed = trainings.filter(({ key }) => passed.has(key));
  const standing = await readStandingChunks(client, target, changed, passed);
  const difference = compareChunks(changed, standing, vectors);
  await copyChunks(client, target, difference.copied);
  await deleteChunks(client, target, [...difference.removed, ...difference.replaced]);
  const sizeOf = ({ chunk }: PlacedChunk): number =>
    chunk.content.length + chunk.metadata.length + (vectors.get(chunk.hash)?.byteLength ?? 0);
  for (const rows of batches(difference.added, sizeOf, INSERT_LIMITS)) {
    await insertChunks(client, target, rows, vectors);
  }
  await updateMetadata(client, target, difference.described);
  await writeIndexed(client, target, difference.ids);
  const removed = groupBy(difference.removed, ({ key }) => key);
  return trainings.map(({ key }) =>
    passed.has(key)
      ? { status: "indexed", removed: removed.get(key)?.length ?? 0 }
      : { status: "superseded", removed: 0 },
  );
}

/**
 * Lets a newer call stand for versions that are stored already, without touching their chunks.
 *
 * @returns the keys of those that still stand so; another call has changed the others, or has overtaken this one
 */
export async function touch(
  database: Queryable,
  { layout, scope }: WriteTarget,
  trainings: readonly UnchangedTraining[],
): Promise<Set<string>> {
  const touched = await query<{ key: string }>(database, sql.touchTrainings(layout), [
    trainings.map(({ key }) => key),
    trainings.map(({ ticket }) => ticket),
    trainings.map(({ revision }) => revision),
    trainings.map(({ unchangedSince }) => unchangedSince),
    scope,
  ]);
  return new Set(touched.map(({ key }) => key));
}

/** The content tickets of the versions that are replaced, by the keys that came through; `null` where none stands. */
async function passFence(
  client: Queryable,
  { layout, scope }: WriteTarget,
  trainings: readonly PlannedTraining[],
): Promise<Map<string, string | null>> {
  const rows = await query<{ key: string; replaced_ticket: string | null }>(client, sql.passFence(layout), [
    trainings.map(({ key }) => key),
    trainings.map(({ ticket }) => ticket),
    trainings.map(({ revision }) => revision),
    trainings.map(({ metadata }) => metadata),
    false,
    scope,
  ]);
  return new Map(rows.map(({ key, replaced_ticket }) => [key, replaced_ticket]));
}

/**
 * What the preparation read is what stands, if it is of the version that the fence says is replaced; else it is read
 * again, now under the lock.
 */
async function readStandingChunks(
  client: Queryable,
  { layout }: WriteTarget,
  trainings: readonly PlannedTraining[],
  replacedTickets: ReadonlyMap<string, string | null>,
): Promise<StandingChunk[]> {
  const known: StandingChunk[] = [];
  const unknown: string[] = [];
  for (const { key, standing } of trainings) {
    const replaced = replacedTickets.get(key) ?? null;
    if (replaced !== null && replaced === standing?.contentTicket) known.push(...standing.chunks);
    else if (replaced !== null) unknown.push(key);
  }
  return [...known, ...(await readChunks(client, layout, unknown))];
}

/** The chunks of trainings by their keys, ordered within each. */
export async function readChunks(
  database: Queryable,
  layout: Layout,
  keys: readonly string[],
): Promise<StandingChunk[]> {
  return keys.length === 0 ? [] : query<StandingChunk>(database, sql.readChunks(layout), [keys]);
}

async function insertChunks(
  client: Queryable,
  { layout, vectorOid }: WriteTarget,
  rows: readonly PlacedChunk[],
  vectors: Vectors,
): Promise<void> {
  const embeddings = rows.flatMap(({ chunk }) => vectors.get(chunk.hash) ?? []);
  await query(client, sql.insertChunks(layout), [
    ...columnsOf(rows),
    encodeVectorArray(embeddings, vectorOid),
  ]);
}

async function copyChunks(
  client: Queryable,
  { layout }: WriteTarget,
  rows: readonly PlacedChunk[],
): Promise<void> {
  if (rows.length === 0) return;
  await query(client, sql.copyChunks(layout), columnsOf(rows));
}

/** All columns of the chunk table but the vector, as text. */
function columnsOf(rows: readonly PlacedChunk[]): Buffer[] {
  return [
    rows.map(({ key }) => key),
    rows.map(({ id }) => id),
    rows.map(({ chunk }) => chunk.content),
    rows.map(({ chunk }) => chunk.metadata),
    rows.map(({ chunk }) => `\\x${chunk.hash}`),
  ].map(encodeTextArray);
}

async function updateMetadata(
  client: Queryable,
  { layout }: WriteTarget,
  rows: readonly PlacedChunk[],
): Promise<void> {
  if (rows.length === 0) return;
  await query(client, sql.updateMetadata(layout), [
    rows.map(({ key }) => key),
    rows.map(({ id }) => id),
    rows.map(({ chunk }) => chunk.metadata),
  ]);
}

async function deleteChunks(
  client: Queryable,
  { layout }: WriteTarget,
  rows: readonly StandingChunk[],
): Promise<void> {
  if (rows.length === 0) return;
  await query(client, sql.deleteChunks(layout), [rows.map(({ key }) => key), rows.map(({ id }) => id)]);
}

async function writeIndexed(
  client: Queryable,
  { layout }: WriteTarget,
  ids: ReadonlyMap<PlannedTraining, string[]>,
): Promise<void> {
  if (ids.size === 0) return;
  const trainings = [...ids.keys()];
  await query(client, sql.writeIndexed(layout), [
    trainings.map(({ key }) => key),
    trainings.map(({ fingerprint }) => `\\x${fingerprint}`),
    trainings.map(({ splitter }) => splitter),
    [...ids.values()].map(arrayLiteral),
    trainings.map(({ chunks }) => arrayLiteral(chunks.map(({ start }) => start.toString()))),
    trainings.map(({ chunks }) => arrayLiteral(chunks.map(({ end }) => end.toString()))),
  ]);
}

/** Arrays of different lengths cannot travel as one array, so each is sent in its text form. */
function arrayLiteral(elements: readonly string[]): string {
  return `{${elements.map((element) => `"${element.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
