import { endianness } from "node:os";
import type { EmbeddingProfile } from "../embedding/profiles.js";

/**
 * The lines of an export, each of them JSON: a header, each training followed by its chunks in reading order, and the tombstones of
 * deleted trainings. A vector is base64 of its 32-bit floats, little-endian, so that it stays the same bit by bit.
 */
export const EXPORT_FORMAT = "langchain-training-index";

/** Raised when a reader of the earlier version could misread a line. */
export const EXPORT_VERSION = 1;

/** The settings of the model that determine whether vectors can be compared. */
export type ExportedProfile = Pick<EmbeddingProfile, "model" | "dimensions" | "queryPrefix" | "documentPrefix">;

/** The first line. */
export interface ExportHeader {
  format: typeof EXPORT_FORMAT;
  version: number;
  /** The model of the vectors; `null` for an index without a recorded model, which has no chunks. */
  profile: ExportedProfile | null;
  /** How many lines of trainings follow; with fewer of them the export is cut off. */
  trainings: number;
  /** How many lines of tombstones follow. */
  tombstones: number;
}

/** The line of a training: that many lines of chunks follow. */
export interface ExportedTraining {
  id: string | number;
  /** A number in decimal text. */
  revision: string | null;
  metadata: object;
  /** Hex digest of everything that determines the chunks. */
  fingerprint: string;
  /** Description of the splitter that made the chunks. */
  splitter: string;
  chunks: number;
}

/** The line of a chunk. */
export interface ExportedChunk {
  chunk: string;
  start: number;
  end: number;
  content: string;
  metadata: object;
  /** Hex digest of the embedded text. */
  hash: string;
  vector: string;
}

/** The line of a deleted training, which keeps late calls from bringing it back. */
export interface ExportedTombstone {
  id: string | number;
  revision: string | null;
  metadata: object;
  deleted: true;
}

const swapsBytes = endianness() === "BE";

/** The base64 of a vector's 32-bit floats, little-endian. */
export function vectorToBase64({ buffer, byteOffset, byteLength }: Float32Array): string {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  return (swapsBytes ? Buffer.from(bytes).swap32() : bytes).toString("base64");
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const FLOAT_BYTES = 4;

/** The vector that {@link vectorToBase64} wrote; `undefined` if it is none with these dimensions. */
export function vectorFromBase64(base64: string, dimensions: number): Float32Array | undefined {
  if (!BASE64.test(base64) || Buffer.byteLength(base64, "base64") !== dimensions * FLOAT_BYTES) return undefined;
  // Not `Buffer.from(base64)`, whose pooled memory may be unaligned.
  const bytes = Buffer.from(new ArrayBuffer(dimensions * FLOAT_BYTES));
  if (bytes.write(base64, "base64") !== bytes.length) return undefined;
  if (swapsBytes) bytes.swap32();
  return new Float32Array(bytes.buffer);
}
