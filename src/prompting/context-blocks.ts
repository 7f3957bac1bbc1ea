import { checkList, isObject } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { PLACE_KEY } from "../text.js";
import { joinPieces, type Piece } from "../chunking/join-pieces.js";
import type { Metadata, TrainingId } from "../types.js";
import type { ChunkPassage, Highlighted, RetrievedPlace, TextRange } from "../hit-types.js";

/** A passage for a prompt: a hit of `similar`, or a document from a retriever. */
export type Passage =
  | (Pick<ChunkPassage<object>, "content" | "metadata"> & Partial<ChunkPassage<object>> & Highlighted)
  | { pageContent: string; metadata: object & { [PLACE_KEY]?: RetrievedPlace } };

/** Where a passage comes from. */
type Place = Pick<ChunkPassage, "trainingId" | "chunkId" | "position" | "start" | "end"> &
  Partial<Pick<ChunkPassage, "neighbors">> &
  Highlighted;

/** One or more passages that form one text in the prompt. */
export interface Block {
  content: string;
  /** The metadata of its best passage. */
  metadata: Metadata;
  /** `undefined` for a passage that does not say where it comes from. */
  source: Source | undefined;
}

/** Where the text of a block comes from. */
export interface Source {
  trainingId: TrainingId;
  start: number;
  end: number;
  /** Ids of all chunks that were found in it, best first. */
  chunkIds: string[];
  /** Where the question's words are in the training's content, in its order; `undefined` if the hits do not say. */
  matches: TextRange[] | undefined;
  /** Positions of the first and the last chunk. */
  first: number;
  last: number;
}

/**
 * Turns passages into blocks, in the order given. Passages of one training that overlap or directly follow each other
 * become one block, at the place of the best one.
 *
 * @throws {@link InvalidArgumentError} unless all are hits or documents
 */
export function blocksOf(passages: readonly Passage[]): Block[] {
  checkList("passages", passages);
  // `Array.from`, because `reduce` alone would skip the holes of a sparse list.
  return Array.from(passages).reduce<Block[]>(addPassage, []);
}

/** Adds a passage to the blocks. @throws {@link InvalidArgumentError} unless it is a hit or a document */
export function addPassage(blocks: readonly Block[], passage: Passage, index: number): Block[] {
  const block = toBlock(passage, index);
  const place = blocks.findIndex((other) => canJoin(other, block));
  const found = blocks[place];
  if (!found) return [...blocks, block];
  const joined = joinBlocks(found, block);
  // The joined block can close the gap to a later one.
  const later = blocks.findIndex((other, index) => index > place && canJoin(joined, other));
  const next = blocks[later];
  const whole = next ? joinBlocks(joined, next) : joined;
  return blocks.flatMap((other, index) => (index === place ? whole : index === later ? [] : other));
}

function canJoin(left: Block, right: Block): boolean {
  if (left.source === undefined || right.source === undefined) return false;
  if (left.source.trainingId !== right.source.trainingId) return false;
  const [first, second] = inOrder(left, right);
  const [before, after] = [first.source, second.source];
  if (after.start >= before.end) return after.first === before.last + 1;
  // If the training was edited between two searches, overlapping passages can be of two versions: compare their text.
  const length = Math.min(before.end, after.end) - after.start;
  const from = after.start - before.start;
  return first.content.slice(from, from + length) === second.content.slice(0, length);
}

/** Both blocks, the one that starts first in the training first. */
function inOrder(left: Block, right: Block): [Block & { source: Source }, Block & { source: Source }] {
  const [a, b] = [left, right] as [Block & { source: Source }, Block & { source: Source }];
  return a.source.start <= b.source.start ? [a, b] : [b, a];
}

function joinBlocks(better: Block, worse: Block): Block {
  const [first, second] = inOrder(better, worse);
  const { content, start, end } = joinPieces(pieceOf(first), pieceOf(second));
  return {
    content,
    metadata: better.metadata,
    source: {
      trainingId: first.source.trainingId,
      start,
      end,
      chunkIds: [...new Set([better, worse].flatMap(({ source }) => source?.chunkIds ?? []))],
      matches: joinMatches(first.source.matches, second.source.matches),
      first: Math.min(first.source.first, second.source.first),
      last: Math.max(first.source.last, second.source.last),
    },
  };
}

/** The matches of both, those in an overlap once. */
function joinMatches(left: TextRange[] | undefined, right: TextRange[] | undefined): TextRange[] | undefined {
  if (!left || !right) return left ?? right;
  const byStart = new Map([...left, ...right].map((match) => [match.start, match]));
  return [...byStart.values()].sort((one, other) => one.start - other.start);
}

function pieceOf({ content, source: { start, end } }: Block & { source: Source }): Piece {
  return { content, start, end };
}

function toBlock(passage: Passage | null | undefined, index: number): Block {
  const { content, metadata, place } = readPassage(passage, `passages[${index}]`);
  if (place?.end === undefined || place.end - place.start !== content.length) {
    return { content, metadata, source: undefined };
  }
  const { trainingId, chunkId, position, start, end, neighbors = { before: 0, after: 0 } } = place;
  const matches = place.matches?.map((match) => ({ start: start + match.start, end: start + match.end }));
  const [first, last] = [position - neighbors.before, position + neighbors.after];
  return { content, metadata, source: { trainingId, start, end, chunkIds: [chunkId], matches, first, last } };
}

function readPassage(
  passage: Passage | null | undefined,
  option: string,
): { content: string; metadata: Metadata; place: Place | undefined } {
  const { content, pageContent, metadata = {} } = (passage ?? {}) as Partial<ChunkPassage & { pageContent: string }>;
  const text = content ?? pageContent;
  if (typeof text !== "string" || !isObject(metadata)) {
    throw new InvalidArgumentError(option, "must be a hit or a document");
  }
  if (content !== undefined) return { content: text, metadata, place: asPlace(passage) };
  // A retriever's documents have the place in their metadata; the prompt gets the host's own metadata only.
  const { [PLACE_KEY]: place, ...own } = metadata;
  return { content: text, metadata: own, place: asPlace(place) };
}

function asPlace(place: unknown): Place | undefined {
  return isObject(place) && isPlace(place) ? place : undefined;
}

function isPlace(place: Partial<Place>): place is Place {
  return (
    place.trainingId !== undefined &&
    typeof place.chunkId === "string" &&
    [place.position, place.start, place.end].every(Number.isSafeInteger)
  );
}
