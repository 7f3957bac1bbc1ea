import type { PlannedChunk } from "../chunking/chunk-plan.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import { InvalidArgumentError } from "../errors.js";
import type { UpsertResult } from "../types.js";
import { readStates, type StoredState } from "../storing/stored-versions.js";
import { BatchItem } from "../writing/batch-item.js";
import type { BatchModel, BatchParts } from "../writing/batch-parts.js";
import { PreparedBatch } from "../writing/prepared-batch.js";
import { ID_TAKEN } from "../writing/scope.js";
import { countUpserts, traceWrite } from "../writing/write-trace.js";

/** A version of a training whose chunks and vectors are known: nothing is split or embedded. */
export interface GivenVersion extends NormalizedTraining {
  /** Each with its id and its vector. */
  chunks: readonly PlannedChunk[];
  /** Hex digest of everything that determines the chunks. */
  fingerprint: string;
  /** Description of the splitter that made the chunks. */
  splitter: string;
  /** What it is called in errors. */
  option: string;
}

/** How {@link storeVersions} orders versions. */
export interface VersionOrder {
  /** Of the call that stores them all. */
  ticket: string;
  /** Whether what is stored already, or deleted, stays, unless its revision is lower. */
  keepsStored: boolean;
  /** The model of their vectors. */
  planned: BatchModel;
}

/** Lower than the ticket of any call: only a higher revision wins with it. */
export const EARLIEST_TICKET = "0";

/**
 * Stores versions with distinct ids, each completely or not at all.
 *
 * @returns one result for each, in order
 * @throws {@link InvalidArgumentError} for an id that belongs to a training outside the filter of the index
 */
export function storeVersions(
  parts: BatchParts,
  versions: readonly GivenVersion[],
  order: VersionOrder,
  signal: AbortSignal | undefined,
): Promise<UpsertResult[]> {
  const { schema } = parts.target.layout;
  const start = { operation: "upsert", schema, ids: () => versions.map(({ id }) => id) } as const;
  return traceWrite(start, () => store(parts, versions, order, signal), countUpserts);
}

async function store(
  parts: BatchParts,
  versions: readonly GivenVersion[],
  { ticket, keepsStored, planned }: VersionOrder,
  signal: AbortSignal | undefined,
): Promise<UpsertResult[]> {
  const database = parts.pool.within({ signal });
  const states = await readStates(parts, database, versions, keepsStored ? EARLIEST_TICKET : ticket);
  const results = new Map<GivenVersion, UpsertResult>();
  const items = new Map<BatchItem, GivenVersion>();
  for (const [index, version] of versions.entries()) {
    const state = states[index];
    if (state?.in_scope === "false") {
      throw new InvalidArgumentError(`${version.option}.id`, ID_TAKEN);
    }
    if (state?.superseded_by && keepsStored) {
      results.set(version, keptResult(version, state));
      continue;
    }
    const { fingerprint, splitter } = version;
    const plan = { chunks: [...version.chunks], fingerprint };
    items.set(new BatchItem(version, plan, splitter, state && { ...state, ticket }), version);
  }
  for (const group of withUniqueVectors([...items.keys()])) {
    const batch = new PreparedBatch(parts, group, { signal }, { planned });
    await batch.prepare(database, signal);
    for (const [index, result] of (await batch.commit(undefined, signal)).entries()) {
      const version = group[index] && items.get(group[index]);
      if (version) results.set(version, result);
    }
  }
  return versions.flatMap((version) => results.get(version) ?? []);
}

/** The result for a version that is not stored, because the index has one already, or has deleted it. */
function keptResult({ id, chunks, fingerprint }: GivenVersion, state: StoredState): UpsertResult {
  const isSame =
    state.superseded_by === "newer" && state.fingerprint === fingerprint && state.stored_chunks === state.chunks;
  const result = { id, chunks: chunks.length, embedded: 0, reused: 0, removed: 0 };
  if (isSame) return { ...result, status: "unchanged", reused: chunks.length };
  return { ...result, status: "superseded", reason: state.superseded_by ?? "newer" };
}

/**
 * Groups items so that chunks of a group with the same text have the same vector. A model can give the same text vectors that differ in
 * the last bits, and a batch has one vector for each text.
 */
function* withUniqueVectors(items: readonly BatchItem[]): Generator<BatchItem[]> {
  let group: BatchItem[] = [];
  let vectors = new Map<string, Float32Array>();
  for (const item of items) {
    const isSame = item.chunks.every(({ hash, vector }) => {
      const other = vectors.get(hash);
      return !other || !vector || isEqual(other, vector);
    });
    if (!isSame) {
      yield group;
      group = [];
      vectors = new Map();
    }
    group.push(item);
    for (const { hash, vector } of item.chunks) if (vector) vectors.set(hash, vector);
  }
  if (group.length > 0) yield group;
}

function isEqual(left: Float32Array, right: Float32Array): boolean {
  return (
    left === right || (left.length === right.length && left.every((component, index) => component === right[index]))
  );
}
