import type { BatchItem } from "./batch-item.js";
import { splitChunkInTwo } from "../chunking/chunk-plan.js";
import { EmbeddingError } from "../errors.js";
import type { PlannedChunk } from "../chunking/chunk-plan.js";

/** A text that has to be embedded, and the first chunk that has it. */
export interface MissingText {
  item: BatchItem;
  chunk: PlannedChunk;
}

/** What errors call a chunk. */
export function nameOf(missing: MissingText | undefined): string {
  if (!missing) return "a chunk";
  const { item, chunk } = missing;
  if (item.training.document !== undefined) {
    return `${item.training.document}, id ${JSON.stringify(item.training.id)}`;
  }
  return `chunk ${item.chunks.indexOf(chunk)} of training ${String(item.training.id)}`;
}

/** @throws {@link EmbeddingError} for a chunk that is to stay whole, and for one that cannot be cut */
export function halves(item: BatchItem, chunk: PlannedChunk): PlannedChunk[] {
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
