import { createHash } from "node:crypto";
import { splitText, type Splitter, type TextSpan } from "./splitter.js";
import type { PlannedChunk } from "./store/chunk-difference.js";
import { isBlank } from "./text.js";
import type { NormalizedTraining, Source } from "./training-input.js";

/** Stands between the texts of documents in the content that offsets count in. */
const DOCUMENT_SEPARATOR = "\n\n";

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
export async function planChunks(training: NormalizedTraining, splitter: Splitter): Promise<ChunkPlan> {
  const chunks: PlannedChunk[] = [];
  for (const placed of placeSources(training)) {
    const { text } = placed.source;
    const spans = training.split ? await splitText(text, splitter) : wholeText(text);
    for (const span of spans) chunks.push(planChunk(placed, span, training.split));
  }
  const decisive = chunks.map(({ hash, id, start, end, metadata }) => [hash, id, start, end, metadata]);
  return { chunks, fingerprint: sha256(JSON.stringify([training.metadata, decisive])) };
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

/** The texts of a training as one. */
export function contentOf({ sources }: NormalizedTraining): string {
  return sources.map(({ text }) => text).join(DOCUMENT_SEPARATOR);
}

/**
 * @param span - a place in the source's text
 * @param split - whether the source was split: a part does not have its source's id
 */
export function planChunk(
  { source, base }: PlacedSource,
  { start, end }: TextSpan,
  split: boolean,
): PlannedChunk {
  const content = source.text.slice(start, end);
  return {
    content,
    metadata: source.metadata,
    // A text with a vector of its own must not share one with the same text embedded.
    hash: source.vector ? sha256(content, "\0", bytesOf(source.vector)) : sha256(content),
    id: split ? undefined : source.id,
    vector: source.vector,
    start: base + start,
    end: base + end,
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function wholeText(text: string): TextSpan[] {
  return isBlank(text) ? [] : [{ start: 0, end: text.length }];
}

function sha256(...parts: (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
