import type { BatchItem } from "./batch-item.js";
import { splitChunkInTwo, type PlannedChunk } from "../chunking/chunk-plan.js";
import type { Notice } from "../calls/notices.js";
import { EmbeddingError } from "../errors.js";

/** A text without a vector, represented by the first chunk that has it. */
export interface MissingText {
  item: BatchItem;
  chunk: PlannedChunk;
}

/** The name of a chunk in error messages. */
export function nameOf(missing: MissingText | undefined): string {
  if (!missing) return "a chunk";
  const { item, chunk } = missing;
  if (item.training.document !== undefined) {
    return `${item.training.document}, id ${JSON.stringify(item.training.id)}`;
  }
  return `chunk ${item.chunks.indexOf(chunk)} of training ${String(item.training.id)}`;
}

/** Reports that chunks were split again. */
export function tooLongNotice(count: number): Notice {
  return {
    code: "TEXT_TOO_LONG",
    message:
      `${count} chunks were longer than the model reads, and were split again: smaller chunks, or the right maxTokens of its ` +
      "profile, save these requests",
  };
}

/**
 * The two parts of a chunk that is too long for the model.
 *
 * @throws {@link EmbeddingError} `TEXT_TOO_LONG` for a chunk that must stay whole or cannot be cut
 */
export function splitTooLong(item: BatchItem, chunk: PlannedChunk): PlannedChunk[] {
  const parts = item.training.split ? splitChunkInTwo(item.training, chunk) : undefined;
  if (parts) return parts;
  const why = item.training.split
    ? "and cannot be cut"
    : item.training.document === undefined
      ? "and split: false keeps it whole"
      : "and a vector store keeps each document as one chunk (index.upsertTraining splits it)";
  const name = nameOf({ item, chunk });
  throw new EmbeddingError("TEXT_TOO_LONG", `A text is longer than the model reads, ${why}: ${name}`, false);
}
