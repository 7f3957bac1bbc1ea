import {
  DOCUMENT_SEPARATOR,
  fingerprintOf,
  hashOf,
  placeSources,
  planChunk,
  sourceAt,
  type PlacedSource,
} from "../chunking/chunk-plan.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import { isBlank } from "../text.js";
import type { Metadata } from "../types.js";
import type { DamageKind } from "./drift.js";
import type { StoredChunkState, TrainingRows } from "./training-rows.js";

/** What is wrong with a training. */
export interface Damage {
  kinds: Set<DamageKind>;
  /** Ids of the chunks that have to be embedded again. */
  chunks: Set<string>;
}

/** What a training is checked against. */
export interface Expectation {
  /** Of a vector. */
  dimensions: number;
  /** The host's training, if it is given and is the stored version: then every chunk is compared with its text. */
  training: NormalizedTraining | undefined;
  /** What is embedded above each chunk; `undefined` if it is not known. */
  header: string | undefined;
  /** Whether the caller gave the vector of a chunk, so that its hash is also of the vector. */
  isHashOfVector: (chunk: StoredChunkState) => boolean;
}

/** A listed chunk with its offsets. */
interface PlacedChunk extends StoredChunkState {
  start: number;
  end: number;
}

/** Finds what is wrong with the rows of a living training. */
export function findDamage(stored: TrainingRows, expected: Expectation): Damage {
  const damage: Damage = { kinds: new Set(), chunks: new Set() };
  for (const chunk of stored.chunks) checkChunk(chunk, expected, damage);
  const placed = placeChunks(stored, damage);
  if (!placed) return damage;
  if (expected.training) {
    checkAgainstText(stored, placed, expected.training, damage);
    return damage;
  }
  checkOffsets(placed, damage);
  checkMetadata(stored, placed, damage);
  return damage;
}

/** Whether a chunk's hash is that of its text, as far as that can be told without its vector. */
export function hasOwnHash({ hash, content }: StoredChunkState, header: string | undefined): boolean {
  return hash === hashOf(header ?? "", content);
}

function checkChunk(chunk: StoredChunkState, expected: Expectation, { kinds, chunks }: Damage): void {
  const report = (kind: DamageKind): void => {
    kinds.add(kind);
    chunks.add(chunk.id);
  };
  const { dimensions, header, isHashOfVector } = expected;
  if (chunk.dimensions !== dimensions) report("dimensions");
  if (chunk.isZero) report("zeroVector");
  // With an unknown header the hash of a sound chunk cannot be computed.
  if (header !== undefined && !hasOwnHash(chunk, header) && !isHashOfVector(chunk)) report("text");
}

/** The listed chunks that exist, in reading order; `undefined` if the list cannot be used. */
function placeChunks({ places, chunks }: TrainingRows, { kinds }: Damage): PlacedChunk[] | undefined {
  if (!places) {
    kinds.add("notIndexed");
    return undefined;
  }
  const { ids, starts, ends } = places;
  if (ids.length !== starts.length || ids.length !== ends.length || [...ids, ...starts, ...ends].includes(null)) {
    kinds.add("places");
    return undefined;
  }
  const listed = new Set(ids);
  const byId = new Map(chunks.map((chunk) => [chunk.id, chunk]));
  if (listed.size < ids.length) kinds.add("repeatedChunk");
  if (chunks.some(({ id }) => !listed.has(id))) kinds.add("surplusChunk");
  const placed = ids.flatMap((id, index) => {
    const chunk = byId.get(id ?? "");
    return chunk ? { ...chunk, start: starts[index] ?? 0, end: ends[index] ?? 0 } : [];
  });
  if (placed.length < ids.length) kinds.add("missingChunk");
  return placed;
}

/** Compares each chunk with its place in the host's text. */
function checkAgainstText(
  { metadata }: TrainingRows,
  placed: readonly PlacedChunk[],
  training: NormalizedTraining,
  { kinds, chunks: damaged }: Damage,
): void {
  if (metadata !== training.metadata) kinds.add("trainingMetadata");
  const sources = placeSources(training);
  const content = training.sources.map(({ text }) => text).join(DOCUMENT_SEPARATOR);
  let covered = 0;
  let hasGap = false;
  for (const { id, start, end, content: stored, metadata: own, hash } of placed) {
    hasGap ||= !isBlank(content.slice(covered, Math.max(start, covered)));
    covered = Math.max(covered, end);
    const source = sources.length === 0 ? undefined : sourceAt(sources, start);
    if (!source || start < 0 || end <= start || content.slice(start, end) !== stored || !isWithin(source, end)) {
      kinds.add("offsets");
      continue;
    }
    if (own !== source.source.metadata) kinds.add("chunkMetadata");
    const expected = planChunk(training, source, { start: start - source.base, end: end - source.base });
    if (expected.hash === hash) continue;
    kinds.add("text");
    damaged.add(id);
  }
  hasGap ||= !isBlank(content.slice(covered));
  if (hasGap && !kinds.has("offsets") && !kinds.has("missingChunk")) kinds.add("gap");
}

function isWithin({ source, base }: PlacedSource, end: number): boolean {
  return end <= base + source.text.length;
}

/** Checks offsets without the text: their order, their lengths, and that overlapping chunks have the same text there. */
function checkOffsets(placed: readonly PlacedChunk[], { kinds }: Damage): void {
  for (const [index, { start, end, content }] of placed.entries()) {
    const previous = placed[index - 1];
    const isSound =
      start >= 0 && end - start === content.length && (!previous || agrees(previous, { start, end, content }));
    if (!isSound) kinds.add("offsets");
  }
}

type Span = Pick<PlacedChunk, "start" | "end" | "content">;

function agrees(previous: Span, next: Span): boolean {
  if (next.start < previous.start) return false;
  const end = Math.min(previous.end, next.end);
  if (end <= next.start) return true;
  const distance = next.start - previous.start;
  return previous.content.slice(distance, end - previous.start) === next.content.slice(0, end - next.start);
}

/**
 * Checks metadata without the host's training. The fingerprint is of the metadata, too: if it fits, the metadata is sound; if it
 * fits once one side is replaced by the other, the first was edited. A training that was edited in place has another
 * fingerprint. Then only entries that a chunk lacks are noticed.
 */
function checkMetadata(stored: TrainingRows, placed: readonly PlacedChunk[], { kinds }: Damage): void {
  const { metadata, fingerprint } = stored;
  const [first] = placed;
  if (!first || kinds.has("offsets")) return;
  const fits = (ofTraining: string, ofChunks?: string): boolean =>
    [false, true].some(
      (isIdChosen) =>
        fingerprintOf(
          ofTraining,
          placed.map(({ id, ...chunk }) => ({
            ...chunk,
            id: isIdChosen ? id : undefined,
            metadata: ofChunks ?? chunk.metadata,
          })),
        ) === fingerprint,
    );
  if (fits(metadata)) return;
  if (fits(metadata, metadata)) kinds.add("chunkMetadata");
  else if (fits(first.metadata)) kinds.add("trainingMetadata");
  else if (placed.some((chunk) => !hasKeysOf(chunk.metadata, metadata))) kinds.add("chunkMetadata");
}

function hasKeysOf(metadata: string, required: string): boolean {
  if (metadata === required) return true;
  const [own, keys] = [metadata, required].map((text) => new Set(Object.keys((JSON.parse(text) ?? {}) as Metadata)));
  return [...(keys ?? [])].every((key) => own?.has(key));
}
