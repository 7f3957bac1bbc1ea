import { randomUUID } from "node:crypto";
import { Document } from "@langchain/core/documents";
import type { TrainingIndex } from "langchain-training-index";
import type { BenchServer } from "../server.js";
import type { KnownVectors } from "./known-vectors.js";
import type { LibraryContender } from "./library.js";
import { PgVectorStoreContender } from "./pgvector-store.js";
import { countRoundTrips } from "./round-trips.js";
import { splitter } from "./splitter.js";

/** The id of the edited training, which its chunks have in their metadata. */
export const TRAINING_ID = "the edited training";

const METADATA = { treinamento: TRAINING_ID };

/** How one contender updates its chunks when a text has changed. */
export interface Editor {
  readonly name: string;
  readonly chunkTable: string;
  /** Statements sent so far. */
  readonly roundTrips: { made: number };
  /** Stores the text; returns how many texts were embedded. */
  put(content: string): Promise<number>;
  /** Deletes the training; returns 0, as nothing is embedded. */
  remove(): Promise<number>;
}

/** A single call: the library itself finds out what has changed. */
export class LibraryEditor implements Editor {
  readonly name: string;
  readonly chunkTable: string;
  readonly roundTrips: { made: number };
  readonly #index: TrainingIndex;

  private constructor(library: LibraryContender, index: TrainingIndex, roundTrips: { made: number }) {
    this.name = library.name;
    this.chunkTable = `${library.schema}.chunk_1`;
    this.roundTrips = roundTrips;
    this.#index = index;
  }

  static async open(server: BenchServer, library: LibraryContender): Promise<LibraryEditor> {
    const { pool, count } = countRoundTrips(server.pool);
    return new LibraryEditor(library, await library.openThrough(pool), count);
  }

  async put(content: string): Promise<number> {
    const { embedded } = await this.#index.upsertTraining({ id: TRAINING_ID, content, metadata: METADATA });
    return embedded;
  }

  async remove(): Promise<number> {
    await this.#index.deleteTraining(TRAINING_ID);
    return 0;
  }
}

/** Deletes all chunks by their ids, which is its fastest way, and adds all again. */
export class PgVectorStoreEditor implements Editor {
  readonly name: string;
  readonly chunkTable: string;
  readonly roundTrips: { made: number };
  readonly #contender: PgVectorStoreContender;
  #ids: string[] = [];

  private constructor(contender: PgVectorStoreContender, roundTrips: { made: number }) {
    this.name = contender.name;
    this.chunkTable = `${contender.schema}.documents`;
    this.roundTrips = roundTrips;
    this.#contender = contender;
  }

  static async open(
    server: BenchServer,
    { schema, dimensions }: PgVectorStoreContender,
    embeddings: KnownVectors,
  ): Promise<PgVectorStoreEditor> {
    const { pool, count } = countRoundTrips(server.pool);
    const contender = await PgVectorStoreContender.openIn(schema, pool, { dimensions, embeddings });
    return new PgVectorStoreEditor(contender, count);
  }

  async put(content: string): Promise<number> {
    await this.remove();
    const texts = await splitter.splitText(content);
    this.#ids = texts.map(() => randomUUID());
    const documents = texts.map((pageContent) => new Document({ pageContent, metadata: METADATA }));
    await this.#contender.store.addDocuments(documents, { ids: this.#ids });
    return texts.length;
  }

  async remove(): Promise<number> {
    if (this.#ids.length > 0) await this.#contender.store.delete({ ids: this.#ids });
    this.#ids = [];
    return 0;
  }
}
