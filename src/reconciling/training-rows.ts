import { createHash } from "node:crypto";
import { batches } from "../calls/batches.js";
import type { PlannedChunk } from "../chunking/chunk-plan.js";
import type { Condition } from "../filtering/condition.js";
import { decodeVector, encodeTextArray } from "../postgres/codec.js";
import type { StatementName } from "../postgres/statement-names.js";
import type { Layout } from "../schema/layout.js";
import { canonicalStoredMetadata } from "../text.js";
import type { Metadata } from "../types.js";
import * as sql from "./check-sql.js";

/** Trainings and characters that one statement reads. A single larger training is read alone. */
const READ_LIMITS = { items: 100, size: 1_000_000 };
/** Vectors that one statement reads. */
const VECTOR_LIMITS = { items: 500, size: Infinity };

/** A stored chunk, as it is checked. */
export interface StoredChunkState {
  id: string;
  content: string;
  /** Canonical JSON. */
  metadata: string;
  hash: string;
  dimensions: number;
  isZero: boolean;
}

/** The recorded chunks of a training, in reading order. Damaged rows can have nulls, and lists of different lengths. */
export interface StoredPlaces {
  ids: (string | null)[];
  starts: (number | null)[];
  ends: (number | null)[];
}

/** The rows of a training: all that is stored of it. */
export interface TrainingRows {
  /** `false` if there is no such training in the filter of the index, or only its tombstone. */
  isLiving: boolean;
  /** Whether a call that started after the check did has stored or deleted it: it is not judged then. */
  isNewer: boolean;
  /** How the stored revision compares with that of the source; no revision is older than any. */
  version: "older" | "same" | "newer";
  /** Canonical JSON. */
  metadata: string;
  fingerprint: string | undefined;
  /** `undefined` if no chunks are recorded. */
  places: StoredPlaces | undefined;
  chunks: StoredChunkState[];
}

interface StoredRow {
  living: string;
  is_newer: string;
  version: TrainingRows["version"];
  metadata: string | null;
  fingerprint: string | null;
  places: string | null;
  chunks: string | null;
}

/** Runs statements that only read. @param options - whether a large table has the same plan for any values, which is then kept */
export type Read = <Row>(
  name: StatementName,
  textFor: (layout: Layout) => string,
  values: unknown[],
  options?: { suitsAnyValue?: boolean },
) => Promise<Row[]>;

/** What is read with: a function that runs statements, the filter of the index, and the ticket that counts as now. */
export interface RowReader {
  read: Read;
  filter: Condition | undefined;
  /** Versions with a higher ticket are newer than the check; `null` if it is not known. */
  ticket: string | null;
}

/** What the stored rows of a whole training are compared with, without reading them. */
export interface ExpectedRows {
  fingerprint: string;
  metadata: unknown;
  /** Of the offsets and hashes of the chunks, see {@link digestOf}. */
  digest: string;
}

/** The digest that Postgres computes of the stored chunks. */
export function digestOf(chunks: readonly Pick<PlannedChunk, "start" | "end" | "hash">[]): string {
  const entries = chunks.map(({ start, end, hash }) => `${start},${end},${hash}`);
  return createHash("sha256").update(entries.join(";")).digest("hex");
}

/** Items that have to be looked at, by their places: those that are missing, and those whose rows have to be read. */
export interface UnsettledItems {
  missing: number[];
  others: number[];
}

/**
 * Lets Postgres find the items whose rows are not plainly those of the item. Leaves out trainings that are newer than the check.
 *
 * @param expected - for each item, what its rows must be; `undefined` for an item without text
 */
export async function findUnsettled(
  { read, filter, ticket }: RowReader,
  items: readonly { key: string; revision: string | null }[],
  expected: readonly (ExpectedRows | undefined)[],
  dimensions: number,
): Promise<UnsettledItems> {
  const [places] = await read<{ missing: string | null; others: string | null }>(
    "check-trainings",
    (layout) => sql.findUnsettled(layout, filter?.text),
    [
      encodeTextArray(items.map(({ key }) => key)),
      encodeTextArray(items.map(({ revision }) => revision ?? "")),
      ticket,
      encodeTextArray(expected.map((rows) => (rows ? JSON.stringify(rows) : ""))),
      dimensions,
      ...(filter?.values ?? []),
    ],
    { suitsAnyValue: true },
  );
  const parse = (list: string | null | undefined): number[] => JSON.parse(list ?? "[]") as number[];
  return { missing: parse(places?.missing), others: parse(places?.others) };
}

/** Reads all that is stored of trainings, in the order given, in statements of bounded size. */
export async function* readTrainingRows<Item extends { key: string; revision: string | null }>(
  { read, filter, ticket }: RowReader,
  items: readonly Item[],
): AsyncGenerator<{ item: Item; stored: TrainingRows }[], void, undefined> {
  const sizes = new Map(
    (await read<{ key: string; size: string }>("check-trainings", sql.readSizes, [items.map(({ key }) => key)])).map(
      ({ key, size }) => [key, Number(size)],
    ),
  );
  for (const batch of batches(items, ({ key }) => sizes.get(key) ?? 0, READ_LIMITS)) {
    const keys = batch.map(({ key }) => key);
    const revisions = batch.map(({ revision }) => revision);
    const rows = await read<StoredRow>("check-trainings", (layout) => sql.readStored(layout, filter?.text), [
      keys,
      revisions,
      ticket,
      ...(filter?.values ?? []),
    ]);
    yield batch.flatMap((item, index) => {
      const row = rows[index];
      return row ? { item, stored: parseRow(row) } : [];
    });
  }
}

function parseRow(row: StoredRow): TrainingRows {
  const chunks = JSON.parse(row.chunks ?? "[]") as (Omit<StoredChunkState, "metadata"> & { metadata: Metadata })[];
  return {
    isLiving: row.living === "true",
    isNewer: row.is_newer === "true",
    version: row.version,
    metadata: canonicalStoredMetadata(JSON.parse(row.metadata ?? "{}")),
    fingerprint: row.fingerprint ?? undefined,
    places: row.places === null ? undefined : (JSON.parse(row.places) as StoredPlaces),
    chunks: chunks.map((chunk) => ({ ...chunk, metadata: canonicalStoredMetadata(chunk.metadata) })),
  };
}

/** A chunk and its training. */
export interface ChunkKey {
  key: string;
  id: string;
}

/** The vectors of chunks, in batches; of a chunk that has vanished none. */
export async function* readVectors<Chunk extends ChunkKey>(
  read: Read,
  chunks: readonly Chunk[],
): AsyncGenerator<{ chunk: Chunk; vector: Float32Array }[], void, undefined> {
  for (const batch of batches(chunks, () => 0, VECTOR_LIMITS)) {
    const rows = await read<ChunkKey & { embedding: string }>("check-vectors", sql.readVectors, [
      batch.map(({ key }) => key),
      batch.map(({ id }) => id),
    ]);
    const embeddings = new Map(rows.map(({ key, id, embedding }) => [JSON.stringify([key, id]), embedding]));
    yield batch.flatMap((chunk) => {
      const embedding = embeddings.get(JSON.stringify([chunk.key, chunk.id]));
      return embedding === undefined ? [] : { chunk, vector: decodeVector(embedding) };
    });
  }
}
