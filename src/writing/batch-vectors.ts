import type { Notice } from "../calls/notices.js";
import { embeddedText, splitChunkInTwo, type PlannedChunk } from "../chunking/chunk-plan.js";
import { planEdit } from "../chunking/edit-plan.js";
import { runHostCode } from "../calls/host-code.js";
import { TOO_LONG } from "../embedding/embedder.js";
import { EmbeddingError, orAbort } from "../errors.js";
import type { Queryable } from "../postgres/database.js";
import { readStoredChunks, readStoredTexts } from "../storing/stored-versions.js";
import type { BatchItem } from "./batch-item.js";
import type { BatchModel, BatchParts, PrepareOptions } from "./batch-parts.js";

/** Edits that re-embed at most this many chunks skip {@link planEdit}. */
const SMALL_EDIT = 1;

/** The vectors of the texts of a batch. */
export class BatchVectors {
  /** By content hash. */
  readonly byHash = new Map<string, Float32Array>();
  readonly #parts: BatchParts;
  readonly #items: readonly BatchItem[];
  readonly #options: PrepareOptions;

  constructor(parts: BatchParts, items: readonly BatchItem[], options: PrepareOptions) {
    this.#parts = parts;
    this.#items = items;
    this.#options = options;
    this.restart();
  }

  /** Forgets all vectors but those that the caller gave: another model embeds from here on. */
  restart(): void {
    this.byHash.clear();
    for (const { hash, vector } of this.#items.flatMap(({ chunks }) => chunks)) {
      if (vector) this.byHash.set(hash, vector);
    }
  }

  /**
   * Embeds each text that has a vector neither here nor in the training's stored chunks.
   *
   * @param pending - the trainings that are not done yet
   */
  async embedMissing(
    database: Queryable,
    batchModel: BatchModel,
    signal: AbortSignal | undefined,
    pending: readonly BatchItem[],
  ): Promise<void> {
    const items = pending.filter((item) => !item.superseded && !item.unchanged);
    await this.#readStored(database, batchModel, items);
    const isNew = (item: BatchItem, { hash }: PlannedChunk): boolean => !this.byHash.has(hash) && !item.hasStored(hash);
    await this.#keepAroundEdits(database, batchModel, items, isNew);
    for (;;) {
      const missing = new Map<string, MissingText>();
      for (const item of items) {
        for (const chunk of item.chunks) {
          if (!missing.has(chunk.hash) && isNew(item, chunk)) missing.set(chunk.hash, { item, chunk });
        }
      }
      const tooLong = await this.#embed(batchModel, items, [...missing.values()], signal);
      if (tooLong.size === 0) return;
      for (const item of items) {
        // If chunks overlap, a part of one can begin before the last part of the previous one.
        item.chunks = item.chunks
          .flatMap((chunk) => (tooLong.has(chunk.hash) ? splitTooLong(item, chunk) : [chunk]))
          .sort((left, right) => left.start - right.start);
      }
      this.#parts.connection.notify(tooLongNotice(tooLong.size));
    }
  }

  /** @returns the hashes of the texts that are too long for the model */
  async #embed(
    { model }: BatchModel,
    items: readonly BatchItem[],
    missing: readonly MissingText[],
    signal: AbortSignal | undefined,
  ): Promise<Set<string>> {
    if (missing.length === 0) return new Set();
    const { onProgress } = this.#options;
    const total = items.reduce((sum, { chunks }) => sum + chunks.length, 0);
    const earlier = items.reduce((sum, { embedded }) => sum + embedded, 0);
    const reused = Math.max(total - earlier - missing.length, 0);
    const vectors = await model.embedder.embedDocuments(
      missing.map(({ item, chunk }) => embeddedText(item.training, chunk.content)),
      {
        signal,
        onBatch: (embedded) => {
          runHostCode("onProgress", () => onProgress?.({ embedded: earlier + embedded, reused, total }));
        },
        nameOf: (index) => nameOf(missing[index]),
      },
    );
    const tooLong = new Set<string>();
    for (const [index, { item, chunk }] of missing.entries()) {
      const vector = vectors[index];
      if (vector === undefined || vector === TOO_LONG) {
        tooLong.add(chunk.hash);
        continue;
      }
      this.byHash.set(chunk.hash, vector);
      item.embedded += 1;
    }
    return tooLong;
  }

  /**
   * If an edit would re-embed more than one chunk, keeps the stored chunks around the edited place, provided that
   * re-embeds fewer.
   */
  async #keepAroundEdits(
    database: Queryable,
    { target, model }: BatchModel,
    items: readonly BatchItem[],
    isNew: (item: BatchItem, chunk: PlannedChunk) => boolean,
  ): Promise<void> {
    const newChunks = (item: BatchItem, chunks: readonly PlannedChunk[]): number =>
      chunks.filter((chunk) => isNew(item, chunk)).length;
    const edited = items.filter(
      (item) => item.hasStoredVersion && item.training.split && newChunks(item, item.chunks) > SMALL_EDIT,
    );
    const { chunker } = model;
    const keys = edited.map(({ training }) => training.key);
    const splitter = await chunker.describe();
    const read = (): ReturnType<typeof readStoredTexts> => readStoredTexts(database, target.layout, keys, splitter);
    const texts = await this.#follow(read);
    for (const item of edited) {
      const stored = texts.get(item.training.key);
      if (!stored) continue;
      const plan = (): ReturnType<typeof planEdit> => planEdit(item.training, stored, chunker);
      const chunks = await orAbort(plan, this.#options.signal);
      if (chunks && newChunks(item, chunks) < newChunks(item, item.chunks)) item.chunks = chunks;
    }
  }

  async #readStored(database: Queryable, { target }: BatchModel, items: readonly BatchItem[]): Promise<void> {
    const { connection } = this.#parts;
    const stored = items.filter(({ hasStoredVersion }) => hasStoredVersion);
    const keys = stored.map(({ training }) => training.key);
    const read = (): ReturnType<typeof readStoredChunks> => readStoredChunks(connection, database, target.layout, keys);
    const chunks = await this.#follow(read);
    for (const item of stored) item.observeChunks(chunks.get(item.training.key) ?? []);
  }

  /** Repeats `work` if the schema has changed since it was last read. */
  #follow<T>(work: () => Promise<T>): Promise<T> {
    const { client, signal } = this.#options;
    return this.#parts.connection.knownSchema.follow(work, { client, signal, writes: true });
  }
}

/** A text without a vector, represented by the first chunk that has it. */
interface MissingText {
  item: BatchItem;
  chunk: PlannedChunk;
}

/** The name of a chunk in error messages. */
function nameOf(missing: MissingText | undefined): string {
  if (!missing) return "a chunk";
  const { item, chunk } = missing;
  if (item.training.document !== undefined) {
    return `${item.training.document}, id ${JSON.stringify(item.training.id)}`;
  }
  return `chunk ${item.chunks.indexOf(chunk)} of training ${String(item.training.id)}`;
}

/** Reports that chunks were split again. */
function tooLongNotice(count: number): Notice {
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
function splitTooLong(item: BatchItem, chunk: PlannedChunk): PlannedChunk[] {
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
