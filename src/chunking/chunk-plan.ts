import crypto from "node:crypto";
import type { Chunker } from "./chunker.js";
import { splitInTwo } from "./split-in-two.js";
import { LineFeedText, withLineFeeds } from "./line-endings.js";
import type { TextSpan } from "./splitter.js";
import { isBlank } from "../text.js";
import type { NormalizedTraining, Source } from "./training-input.js";

/** Separates the texts of documents in a training's content, in which offsets are counted. */
export const DOCUMENT_SEPARATOR = "\n\n";

/** A chunk of the new version of a training. */
export interface PlannedChunk {
  content: string;
  /** Canonical JSON. */
  metadata: string;
  /** Hex digest of the embedded text: chunks with the same hash share a vector. */
  hash: string;
  /** The id, if the caller chose one. */
  id: string | undefined;
  /** The vector, if the caller gave one. */
  vector: Float32Array | undefined;
  start: number;
  end: number;
}

/** The chunks of the new version of a training. */
export interface ChunkPlan {
  chunks: PlannedChunk[];
  /** Hex digest of everything that determines the chunks: if it equals the stored one, there is nothing to do. */
  fingerprint: string;
}

/**
 * Splits a training into chunks. The fingerprint is computed from the chunks, not from the settings that led to them,
 * so it works with any splitter.
 */
export async function planChunks(training: NormalizedTraining, chunker: Chunker): Promise<ChunkPlan> {
  const chunks: PlannedChunk[] = [];
  for (const placed of placeSources(training)) {
    const { text } = placed.source;
    const spans = training.split ? await chunker.split(text, training.header) : wholeText(text);
    for (const span of spans) chunks.push(planChunk(training, placed, span));
  }
  return { chunks, fingerprint: fingerprintOf(training.metadata, chunks) };
}

/** @param metadata - the training's, in canonical JSON */
export function fingerprintOf(metadata: string, chunks: readonly Omit<PlannedChunk, "vector">[]): string {
  const parts = chunks.map((chunk) => {
    const { hash, id, start, end, metadata: own } = chunk;
    return [hash, id, start, end, own, ...lineEndingsOf(chunk)];
  });
  return sha256(JSON.stringify([metadata, parts]));
}

/** The chunk's hash ignores line endings, but a text with other line endings must get another fingerprint. */
function lineEndingsOf({ content }: Pick<PlannedChunk, "content">): string[] {
  return content.includes("\r") ? [sha256(content)] : [];
}

/** A source and its start in the training's content. */
export interface PlacedSource {
  source: Source;
  base: number;
}

/** The sources of a training with their starts in its content, in order. */
export function placeSources({ sources }: NormalizedTraining): PlacedSource[] {
  let base = 0;
  return sources.map((source) => {
    const placed = { source, base };
    base += source.text.length + DOCUMENT_SEPARATOR.length;
    return placed;
  });
}

/** The last source that starts at or before an offset. A binary search, because a training can have thousands. */
export function sourceAt<Placed extends { base: number }>(sources: readonly Placed[], offset: number): Placed {
  let low = 0;
  let high = sources.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((sources[middle]?.base ?? Infinity) <= offset) low = middle;
    else high = middle - 1;
  }
  const found = sources[low];
  if (!found) throw new RangeError("a training with chunks has sources");
  return found;
}

/** @param span - a span of the source's text */
export function planChunk(
  { header, split }: NormalizedTraining,
  { source, base }: PlacedSource,
  { start, end }: TextSpan,
): PlannedChunk {
  const content = source.text.slice(start, end);
  return {
    content,
    metadata: source.metadata,
    hash: hashOf(header, content, source.vector),
    id: split ? undefined : source.id, // a part of a source does not get the source's id
    vector: source.vector,
    start: base + start,
    end: base + end,
  };
}

/** The text that is embedded for a chunk: the training's header, then the chunk's text with line feeds. */
export function embeddedText({ header }: Pick<NormalizedTraining, "header">, content: string): string {
  const text = withLineFeeds(content);
  return header === "" ? text : `${header}\n${text}`;
}

/** Splits a chunk that is too long for the model in two; `undefined` if it cannot be cut. */
export function splitChunkInTwo(training: NormalizedTraining, chunk: PlannedChunk): PlannedChunk[] | undefined {
  const placed = sourceAt(placeSources(training), chunk.start);
  const offset = chunk.start - placed.base;
  const lines = new LineFeedText(chunk.content);
  return splitInTwo(lines.text, { start: 0, end: lines.text.length })?.map((part) => {
    const { start, end } = lines.spanToGiven(part);
    return planChunk(training, placed, { start: offset + start, end: offset + end });
  });
}

/**
 * The hex digest of what is embedded for a chunk, whatever its line breaks. A text with a header or a given vector must not
 * share a vector with the same text without one.
 */
export function hashOf(header: string, given: string, vector?: Float32Array): string {
  const content = withLineFeeds(given);
  if (vector) return sha256(content, "\0", bytesOf(vector));
  return header === "" ? sha256(content) : sha256(header, "\0\0", content);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function wholeText(text: string): TextSpan[] {
  return isBlank(text) ? [] : [{ start: 0, end: text.length }];
}

function sha256(...parts: (string | Uint8Array)[]): string {
  const [only] = parts;
  // `crypto.hash` takes half the time; Node has it from 20.12 on.
  if (only !== undefined && parts.length === 1 && "hash" in crypto) return crypto.hash("sha256", only);
  const hash = crypto.createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
