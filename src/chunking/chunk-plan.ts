import crypto from "node:crypto";
import type { Chunker } from "./chunker.js";
import { splitInTwo } from "./split-in-two.js";
import { LineFeedText, withLineFeeds } from "./line-endings.js";
import type { TextSpan } from "./splitter.js";
import { isBlank } from "../text.js";
import type { NormalizedTraining, Source } from "./training-input.js";

/** Stands between the texts of documents in the content that offsets count in. */
export const DOCUMENT_SEPARATOR = "\n\n";

/** A chunk that a training is to have. */
export interface PlannedChunk {
  content: string;
  /** Canonical JSON. */
  metadata: string;
  /** Hex digest of what is embedded: chunks with the same one share a vector. */
  hash: string;
  /** The id that the caller chose. */
  id: string | undefined;
  /** The vector that the caller brought along. */
  vector: Float32Array | undefined;
  start: number;
  end: number;
}

/** The chunks that a training is to have. */
export interface ChunkPlan {
  chunks: PlannedChunk[];
  /** Hex digest of all that decides the chunks: the same one means that there is nothing to do. */
  fingerprint: string;
}

/**
 * Splits a training into its chunks. The fingerprint is taken of the outcome, not of the settings that led to
 * it, so that it holds for any splitter.
 */
export async function planChunks(training: NormalizedTraining, chunker: Chunker): Promise<ChunkPlan> {
  const chunks: PlannedChunk[] = [];
  for (const placed of placeSources(training)) {
    const { text } = placed.source;
    const spans = training.split ? await chunker.split(text, training.header) : wholeText(text);
    for (const span of spans) chunks.push(planChunk(training, placed, span));
  }
  const decisive = chunks.map((chunk) => {
    const { hash, id, start, end, metadata } = chunk;
    return [hash, id, start, end, metadata, ...lineEndingsOf(chunk)];
  });
  return { chunks, fingerprint: sha256(JSON.stringify([training.metadata, decisive])) };
}

/** The hash is that of the text with line feeds: a text that has other line breaks must not pass for the same one. */
function lineEndingsOf({ content }: PlannedChunk): string[] {
  return content.includes("\r") ? [sha256(content)] : [];
}

/** A source, and where it begins in the content that offsets count in. */
export interface PlacedSource {
  source: Source;
  base: number;
}

/** The sources of a training at their places in its content, in order. */
export function placeSources({ sources }: NormalizedTraining): PlacedSource[] {
  let base = 0;
  return sources.map((source) => {
    const placed = { source, base };
    base += source.text.length + DOCUMENT_SEPARATOR.length;
    return placed;
  });
}

/** The source that a place in the content lies in, or behind; by halves, as a training can have thousands. */
export function sourceAt<Placed extends { base: number }>(
  sources: readonly Placed[],
  offset: number,
): Placed {
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

/** @param span - a place in the source's text */
export function planChunk(
  { header, split }: NormalizedTraining,
  { source, base }: PlacedSource,
  { start, end }: TextSpan,
): PlannedChunk {
  const content = source.text.slice(start, end);
  return {
    content,
    metadata: source.metadata,
    hash: hashOf(header, withLineFeeds(content), source.vector),
    id: split ? undefined : source.id, // a part does not have its source's id
    vector: source.vector,
    start: base + start,
    end: base + end,
  };
}

/** What a chunk's vector is made of: its text with line feeds, below the header of its training. */
export function embeddedText({ header }: NormalizedTraining, content: string): string {
  const text = withLineFeeds(content);
  return header === "" ? text : `${header}\n${text}`;
}

/** The chunk in two, for a model that does not read it whole; `undefined` when it cannot be cut. */
export function splitChunkInTwo(
  training: NormalizedTraining,
  chunk: PlannedChunk,
): PlannedChunk[] | undefined {
  const placed = sourceAt(placeSources(training), chunk.start);
  const offset = chunk.start - placed.base;
  const lines = new LineFeedText(chunk.content);
  return splitInTwo(lines.text, { start: 0, end: lines.text.length })?.map((part) => {
    const { start, end } = lines.spanToGiven(part);
    return planChunk(training, placed, { start: offset + start, end: offset + end });
  });
}

/** A text with a header, or with a vector of its own, must not share a vector with the same text without. */
function hashOf(header: string, content: string, vector: Float32Array | undefined): string {
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
  // Takes half as long. Node has it from 20.12 on.
  if (only !== undefined && parts.length === 1 && "hash" in crypto) return crypto.hash("sha256", only);
  const hash = crypto.createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
