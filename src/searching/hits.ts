import { joinPieces, type Piece } from "../chunking/join-pieces.js";
import type { ChunkHit, ChunkPassage, Metadata } from "../types.js";
import { decodeVector } from "../postgres/codec.js";
import type { HostNumber } from "../postgres/database.js";
import type { Layout } from "../schema/layout.js";
import { decodeTrainingId } from "../schema/training-id.js";

/** A row of a search statement: a chunk and its place in its training. */
export interface PassageRow {
  key: string;
  id: string;
  content: string;
  metadata: string;
  position: HostNumber;
  start: HostNumber;
  end: HostNumber;
  /** JSON: `[position, start, end, content]` of the chunk and its visible neighbors. Only if neighbors were asked for. */
  surroundings?: string | null;
}

/** A row that also has the distance from the query vector. */
export interface HitRow extends PassageRow {
  distance: HostNumber;
  /** The chunk's vector in the encoding that {@link decodeVector} reads. */
  embedding?: string;
}

/** A hit, with the chunk's vector if the statement returned it. */
export interface FoundChunk {
  hit: ChunkHit;
  embedding: ArrayLike<number> | undefined;
}

/** Converts a row to a hit and its vector. */
export function toFound(row: HitRow, layout: Layout): FoundChunk {
  return {
    hit: toHit(row, layout),
    embedding: row.embedding === undefined ? undefined : decodeVector(row.embedding),
  };
}

/** Nearest first; ties by training id, then by position, so that the order is deterministic. */
export function byDistance({ hit: left }: FoundChunk, { hit: right }: FoundChunk): number {
  if (left.distance !== right.distance) return left.distance - right.distance;
  if (left.trainingId !== right.trainingId) return left.trainingId < right.trainingId ? -1 : 1;
  return left.position - right.position;
}

/** Converts a row to a hit. */
export function toHit(row: HitRow, layout: Layout): ChunkHit {
  const distance = Number(row.distance);
  return Object.assign(toPassage(row, layout), { score: 1 - distance, distance });
}

/** Converts a row to the fields that hits of every mode have. */
export function toPassage(row: PassageRow, { idType }: Layout): ChunkPassage {
  const passage: ChunkPassage = {
    trainingId: decodeTrainingId(row.key, idType),
    chunkId: row.id,
    position: Number(row.position),
    content: row.content,
    start: Number(row.start),
    end: Number(row.end),
    metadata: JSON.parse(row.metadata) as Metadata,
  };
  return row.surroundings == null ? passage : withNeighbors(passage, row.surroundings);
}

/** Joins the chunk with its neighbors, up to the first gap on each side: an excluded chunk, or the end of the training. */
function withNeighbors(passage: ChunkPassage, surroundings: string): ChunkPassage {
  const { position, content, start: startOfChunk, end: endOfChunk } = passage;
  const chunk: Piece = { content, start: startOfChunk, end: endOfChunk };
  const found = JSON.parse(surroundings) as [position: number, start: number, end: number, content: string][];
  const around = new Map(found.map(([place, start, end, text]) => [place, { content: text, start, end }]));
  let [first, last] = [position, position];
  while (around.has(first - 1)) first -= 1;
  while (around.has(last + 1)) last += 1;
  const pieces = Array.from({ length: last - first + 1 }, (_, place) => around.get(first + place) ?? chunk);
  const [opening = chunk, ...others] = pieces;
  return {
    ...passage,
    ...joinPieces(opening, ...others),
    chunk,
    neighbors: { before: position - first, after: last - position },
  };
}
