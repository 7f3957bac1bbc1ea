import { namesOfProperties } from "../calls/checks.js";
import { joinPieces, type Piece } from "../chunking/join-pieces.js";
import type { IdType, Metadata } from "../types.js";
import type { ChunkPassage, Hit, HybridScores, Scores, SearchMode, SearchStrategy, TrainingHit } from "../hit-types.js";
import { decodeVector } from "../postgres/codec.js";
import type { HostNumber } from "../postgres/database.js";
import type { Layout } from "../schema/layout.js";
import { decodeTrainingId } from "../schema/training-id.js";

/** What `similar` finds, by mode and strategy. */
export type FoundHit<
  Mode extends SearchMode = SearchMode,
  Strategy extends SearchStrategy = "chunks",
  OwnMetadata extends object = Metadata,
> = { chunks: Hit<Mode, OwnMetadata>; trainings: TrainingHit<Mode, OwnMetadata> }[Strategy];

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
  /** The metadata of the chunk's training. Only with strategy `trainings`. */
  training_metadata?: string;
}

/** A row that also has the distance from the query vector. */
export interface HitRow extends PassageRow {
  distance: HostNumber;
  /** The chunk's vector in the encoding that {@link decodeVector} reads. */
  embedding?: string;
}

/** A hit, with what else its row may have. */
export interface Found<Mode extends SearchMode = SearchMode> {
  hit: Hit<Mode>;
  /** The metadata of its training, with strategy `trainings`. */
  trainingMetadata?: Metadata | undefined;
}

/** A hit of a search by vector, with the chunk's vector if the statement returned it. */
export interface FoundChunk extends Found<"vector"> {
  embedding: ArrayLike<number> | undefined;
}

/**
 * The first rows, in an order that does not depend on how they were found. Of equally near chunks those of the first trainings come
 * first, so that a higher `k` only adds chunks; those of one training are in reading order.
 *
 * Hardly two distances are equal: then the rows are returned as they are.
 *
 * @param rows - nearest first, with all that are as near as the last
 */
export function firstInFixedOrder(rows: HitRow[], k: number, { idType }: { idType: IdType }): HitRow[] {
  const isFixed = rows.every(({ distance }, place) => distance !== rows[place - 1]?.distance);
  if (isFixed && rows.length <= k) return rows;
  const byTraining = orderOfTrainings[idType];
  const byPlace = (left: HitRow, right: HitRow): number => Number(left.position) - Number(right.position);
  return rows
    .toSorted(nearestFirst({ idType }))
    .slice(0, k)
    .sort((left, right) => byDistance(left, right) || byTraining(left, right) || byPlace(left, right));
}

/** The order in which the statements of exact searches choose chunks: of equally near ones those of the first trainings come first. */
export function nearestFirst({ idType }: { idType: IdType }): Order {
  const byTraining = orderOfTrainings[idType];
  return (left, right) => byDistance(left, right) || byTraining(left, right) || compareBytes(left.id, right.id);
}

type Order = (left: IdentifiedRow, right: IdentifiedRow) => number;
type IdentifiedRow = Pick<HitRow, "key" | "id" | "distance">;

const byDistance: Order = (left, right) => Number(left.distance) - Number(right.distance);

const byNumber: Order = (left, right) => Number(BigInt(left.key) - BigInt(right.key));
const byBytes: Order = (left, right) => compareBytes(left.key, right.key);

/** How Postgres orders the ids of trainings: texts by their bytes. */
const orderOfTrainings: Record<IdType, Order> = { text: byBytes, uuid: byBytes, integer: byNumber, bigint: byNumber };

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** Converts a row to a hit and its vector. */
export function toFound(row: HitRow, layout: Layout): FoundChunk {
  const distance = Number(row.distance);
  const similarity = 1 - distance;
  return {
    hit: Object.assign(toPassage(row, layout), { score: similarity, similarity, distance }),
    trainingMetadata: metadataOfTraining(row),
    embedding: row.embedding === undefined ? undefined : decodeVector(row.embedding),
  };
}

/** The metadata of the training of a row's chunk; `undefined` if the statement did not return it. */
export function metadataOfTraining({ training_metadata }: PassageRow): Metadata | undefined {
  return training_metadata === undefined ? undefined : (JSON.parse(training_metadata) as Metadata);
}

/** The trainings of the hits, in the order of their best ones. */
export function toTrainingHits(found: readonly Found[]): TrainingHit[] {
  const trainings = new Map<ChunkPassage["trainingId"], TrainingHit>();
  for (const { hit, trainingMetadata = {} } of found) {
    const { trainingId } = hit;
    const training = trainings.get(trainingId);
    if (training) (training.chunks as Hit[]).push(hit);
    else
      trainings.set(trainingId, {
        ...scoresOf(hit),
        trainingId,
        metadata: trainingMetadata,
        chunks: [hit],
      });
  }
  return [...trainings.values()];
}

function scoresOf(hit: Hit): Scores {
  return Object.fromEntries(Object.entries(hit).filter(([name]) => SCORES.has(name))) as unknown as Scores;
}

const SCORES: ReadonlySet<string> = new Set(
  namesOfProperties<HybridScores>({ score: true, similarity: true, distance: true, coverage: true, corrections: true }),
);

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
