import { batches } from "../calls/batches.js";
import {
  compareChunks,
  type Difference,
  type IdentifiedChunk,
  type PlannedTraining,
  type StoredChunk,
  type Vectors,
} from "./chunk-difference.js";
import { storeStatement } from "./distributed-writes.js";
import { encodeTextArray, encodeVectorArray } from "../postgres/codec.js";
import * as sql from "./swap-sql.js";
import type { Layout } from "../schema/layout.js";
import { wordsOfChunk } from "../words/searched-words.js";
import type { ClaimedTarget } from "./write-target.js";

/** An SQL text and its bound values. */
export interface Statement {
  text: string;
  values: unknown[];
}

/** Rows and bytes that one statement inserts: few round trips, and parameters far below Postgres' limit of 1 GB. */
const INSERT_LIMITS = { items: 500, size: 4 * 1024 * 1024 };

/** The changes of a swap. The first batch of added rows goes with the swap, further batches into own statements. */
export interface Version {
  difference: Difference;
  first: IdentifiedChunk[];
  further: IdentifiedChunk[][];
}

/** @throws {@link StalePreparation}, after which the training is prepared again, if another call deleted a vector to be reused */
export function compareVersions(
  trainings: readonly PlannedTraining[],
  stored: readonly StoredChunk[],
  vectors: Vectors,
): Version {
  const difference = compareChunks(trainings, stored, vectors);
  const sizeOf = ({ chunk }: IdentifiedChunk): number =>
    chunk.content.length + chunk.metadata.length + (vectors.get(chunk.hash)?.byteLength ?? 0);
  const [first = [], ...further] = batches(difference.added, sizeOf, INSERT_LIMITS);
  return { difference, first, further };
}

/**
 * The statement that replaces stored versions by new ones; on a Citus cluster, of one training.
 *
 * @param replaced - by key, the ticket of the call that stored the version that may be replaced. With `null` the training
 * is admitted only if no version of it is stored
 */
export function swapStatement(
  target: ClaimedTarget,
  trainings: readonly PlannedTraining[],
  replaced: ReadonlyMap<string, string | null>,
  version: Version,
  vectors: Vectors,
): Statement & { replaces: boolean } {
  const { layout, scope, claim, vectorOid } = target;
  const { difference, first } = version;
  const { ids } = difference;
  const replaces = trainings.some(({ key }) => replaced.get(key) != null);
  const [training] = trainings;
  if (layout.citus && training) {
    return { ...storeStatement(target, training, replaced.get(training.key) ?? null, version, vectors), replaces };
  }
  return {
    text: sql.swapTrainings(layout, { replaces, overwrites: difference.replaced.length > 0 }),
    replaces,
    values: [
      trainings.map(({ key }) => key),
      trainings.map(({ ticket }) => ticket),
      trainings.map(({ revision }) => revision),
      trainings.map(({ metadata }) => metadata),
      trainings.map(({ key }) => replaced.get(key) ?? null),
      trainings.map(({ fingerprint }) => `\\x${fingerprint}`),
      trainings.map(({ splitter }) => splitter),
      trainings.map((training) => arrayLiteral(ids.get(training) ?? [])),
      trainings.map(({ chunks }) => arrayLiteral(chunks.map(({ start }) => start.toString()))),
      trainings.map(({ chunks }) => arrayLiteral(chunks.map(({ end }) => end.toString()))),
      scope,
      claim,
      vectorsOf(first, vectors, vectorOid),
      ...columnsOf(layout, first),
      ...(replaces ? replacedValues(layout, difference) : []),
    ],
  };
}

function replacedValues(layout: Layout, { copied, removed, metadataChanged }: Difference): unknown[] {
  return [
    ...columnsOf(layout, copied),
    removed.map(({ key }) => key),
    removed.map(({ id }) => id),
    metadataChanged.map(({ key }) => key),
    metadataChanged.map(({ id }) => id),
    metadataChanged.map(({ chunk }) => chunk.metadata),
  ];
}

/** The statement that inserts further rows of admitted trainings. */
export function insertStatement(
  { layout, vectorOid }: Pick<ClaimedTarget, "layout" | "vectorOid">,
  rows: readonly IdentifiedChunk[],
  { difference }: { difference: Pick<Difference, "replaced"> },
  vectors: Vectors,
): Statement {
  return {
    text: sql.insertChunks(layout, { overwrites: difference.replaced.length > 0 }),
    values: [vectorsOf(rows, vectors, vectorOid), ...columnsOf(layout, rows)],
  };
}

/** All columns of the chunk table except the vector, as text arrays; those of the lexemes are the words. */
function columnsOf({ textSearch }: Layout, rows: readonly IdentifiedChunk[]): Buffer[] {
  return [
    rows.map(({ key }) => key),
    rows.map(({ id }) => id),
    rows.map(({ chunk }) => chunk.content),
    rows.map(({ chunk }) => chunk.metadata),
    rows.map(({ chunk }) => `\\x${chunk.hash}`),
    ...(textSearch === undefined ? [] : [rows.map(({ chunk }) => wordsOfChunk(chunk))]),
  ].map(encodeTextArray);
}

function vectorsOf(rows: readonly IdentifiedChunk[], vectors: Vectors, vectorOid: number): Buffer {
  return encodeVectorArray(
    rows.flatMap(({ chunk }) => vectors.get(chunk.hash) ?? []),
    vectorOid,
  );
}

/** Arrays of different lengths cannot form one multidimensional array, so each is sent as a text literal. */
function arrayLiteral(elements: readonly string[]): string {
  return `{${elements.map((element) => `"${element.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
