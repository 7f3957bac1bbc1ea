import { randomUUID } from "node:crypto";
import { hashOf, planChunks, type PlannedChunk } from "../chunking/chunk-plan.js";
import { LineFeedText } from "../chunking/line-endings.js";
import { splitInTwo } from "../chunking/split-in-two.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { Model } from "../models/models.js";
import { SchemaError } from "../errors.js";

/** A stored chunk, as a switch reads it. */
export interface ReadChunk {
  id: string;
  content: string;
  /** In the text form of Postgres. */
  metadata: string;
  hash: string;
  start: number;
  end: number;
}

/** What is stored of a training. */
export interface ReadTraining {
  key: string;
  /** `null` if it is deleted, or gone. */
  contentTicket: string | null;
  metadata: string;
  fingerprint: string;
  splitter: string;
  chunks: readonly ReadChunk[];
  /** What the new profile has of it: the hashes of its chunks, by id. */
  built: ReadonlyMap<string, string>;
}

/** A chunk with its id, and the text that is embedded for it. */
export interface BuiltChunk extends PlannedChunk {
  id: string;
  text: string;
}

/** The version of a training for the new profile. */
export interface BuiltVersion {
  key: string;
  contentTicket: string | null;
  fingerprint: string;
  splitter: string;
  chunks: BuiltChunk[];
  built: ReadonlyMap<string, string>;
}

/** Nothing has this fingerprint: the next upsert of the training counts as a change. */
const UNKNOWN_FINGERPRINT = "";

/** Whether the stored hash of a chunk is that of its text alone: it has no header, and no vector that the caller gave. */
export function isPlain({ content, hash }: Pick<ReadChunk, "content" | "hash">): boolean {
  return hash === hashOf("", content);
}

/**
 * The stored chunks of a training, for another model.
 *
 * @param given - ids of chunks whose vectors the caller gave: they are embedded now, so that no upsert is the same again
 */
export function copiedVersion(stored: ReadTraining, given: ReadonlySet<string>): BuiltVersion {
  const { key, contentTicket, fingerprint, splitter, chunks, built } = stored;
  return {
    ...{ key, contentTicket, splitter, built },
    fingerprint: chunks.some(({ id }) => given.has(id)) ? UNKNOWN_FINGERPRINT : fingerprint,
    chunks: chunks.map(({ id, content, metadata, start, end }) => {
      const hash = hashOf("", content);
      return { id, content, metadata, hash, start, end, vector: undefined, text: new LineFeedText(content).text };
    }),
  };
}

/** The version of a training that the host has loaded, split and headed as from now on. */
export async function loadedVersion(
  stored: ReadTraining,
  training: NormalizedTraining,
  { chunker }: Pick<Model, "chunker">,
): Promise<BuiltVersion> {
  const { key, contentTicket, built } = stored;
  const { chunks, fingerprint } = await planChunks(training, chunker);
  const free = new Map<string, string[]>();
  for (const [id, hash] of built) free.set(hash, [...(free.get(hash) ?? []), id]);
  const identified = chunks.map((chunk) => {
    const id = chunk.id ?? free.get(chunk.hash)?.pop() ?? randomUUID();
    const text = new LineFeedText(chunk.content).text;
    return { ...chunk, id, text: training.header === "" ? text : `${training.header}\n${text}` };
  });
  return { key, contentTicket, built, fingerprint, splitter: await chunker.describe(), chunks: identified };
}

/**
 * Whether a loaded training is the stored version: it has the stored chunks at their places, and its metadata.
 *
 * @param metadata - the stored metadata, canonical
 */
export function isStoredVersion(stored: ReadTraining, training: NormalizedTraining, metadata: string): boolean {
  const content = training.sources.map(({ text }) => text).join("\n\n");
  return (
    training.metadata === metadata &&
    stored.chunks.every((chunk) => content.slice(chunk.start, chunk.end) === chunk.content)
  );
}

/**
 * The two parts of a chunk that the new model cannot read as a whole. The first one keeps its id.
 *
 * @throws {@link SchemaError} `SWITCH_REFUSED` for a chunk that cannot be cut
 */
export function cutInTwo(key: string, chunk: BuiltChunk): BuiltChunk[] {
  const lines = new LineFeedText(chunk.content);
  const header = chunk.text.slice(0, chunk.text.length - lines.text.length);
  const parts = splitInTwo(lines.text, { start: 0, end: lines.text.length });
  if (!parts) {
    throw new SchemaError(
      "SWITCH_REFUSED",
      `A chunk of training ${JSON.stringify(key)} is longer than the new model reads, and cannot be cut: use a model with a larger window`,
    );
  }
  return parts.map((part, place) => {
    const { start, end } = lines.spanToGiven(part);
    const content = chunk.content.slice(start, end);
    return {
      ...chunk,
      id: place === 0 ? chunk.id : randomUUID(),
      content,
      hash: hashOf(header.replace(/\n$/, ""), content),
      start: chunk.start + start,
      end: chunk.start + end,
      text: header + lines.text.slice(part.start, part.end),
    };
  });
}
