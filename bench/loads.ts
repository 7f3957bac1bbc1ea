import { BareTable } from "./contenders/bare-sql.js";
import {
  BARE_SQL_WRITE,
  BARE_SQL_WRITE_METADATA_INDEX,
  LIBRARY,
  LIBRARY_BIT,
  LIBRARY_HALFVEC,
  LIBRARY_PARALLEL,
  LLAMAINDEX,
  MASTRA,
  PGVECTOR_STORE,
} from "./contenders/contender.js";
import type { KnownVectors } from "./contenders/known-vectors.js";
import { LibraryContender, type VectorIndex } from "./contenders/library.js";
import { LlamaIndexContender } from "./contenders/llamaindex.js";
import { MastraContender } from "./contenders/mastra.js";
import { PgVectorStoreContender } from "./contenders/pgvector-store.js";
import type { Dataset } from "./data.js";
import type { WriteFigure } from "./results.js";
import type { BenchServer } from "./server.js";
import { measureWrites, type WriteOptions, type Writer, type WriteTarget } from "./write-rounds.js";

/** Loads of 10,000 rows get faster for several seconds, until V8 has optimised all of their code. */
const WARM_UP_MILLISECONDS = 10_000;
/** For loads that end with an index build: most of the code has already run. */
const WARM_UP_ROWS = 1000;
/** `max_parallel_maintenance_workers` of the server, which is Postgres' default. */
const WORKERS = 2;

/** The contenders with all chunks loaded and their vector indexes built. */
export interface Loaded {
  library: LibraryContender;
  halfvec: LibraryContender | undefined;
  bit: LibraryContender | undefined;
  bareTable: BareTable;
  pgVectorStore: PgVectorStoreContender | undefined;
  mastra: MastraContender | undefined;
  llamaIndex: LlamaIndexContender | undefined;
}

/** Closes the connections of contenders that have their own. */
export async function closeLoaded({ mastra, llamaIndex }: Loaded): Promise<void> {
  await mastra?.close();
  await llamaIndex?.close();
}

/** What to load, and how often. */
export interface LoadOptions {
  rounds: number;
  /** Whether the times of the loads matter; if not, there is no warm-up. */
  isTimed: boolean;
  /** Whether to load only this library and bare SQL: the others take too long with many chunks. */
  onlyQuick: boolean;
}

/** Loads the chunks into all contenders and measures each load. The last round's data is kept. */
export class Loader {
  readonly #server: BenchServer;
  readonly #embeddings: KnownVectors;
  readonly #dataset: Dataset;
  readonly #options: LoadOptions;
  readonly #loaded: Partial<Loaded> = {};

  constructor(server: BenchServer, embeddings: KnownVectors, dataset: Dataset, options: LoadOptions) {
    this.#server = server;
    this.#embeddings = embeddings;
    this.#dataset = dataset;
    this.#options = options;
  }

  async load(): Promise<{ loaded: Loaded; figures: WriteFigure[] }> {
    const { onlyQuick, isTimed, rounds } = this.#options;
    const warmUp = (rows: number, milliseconds: number): WriteOptions["warmUp"] =>
      isTimed ? { rows, milliseconds } : undefined;
    const figures: WriteFigure[] = [];
    if (!onlyQuick) {
      const writers = await this.#writersWithoutIndex();
      figures.push(
        ...(await measureWrites(this.#server, "no vector index", writers, {
          rounds,
          rowsBefore: 0,
          warmUp: warmUp(this.#dataset.chunks.length, WARM_UP_MILLISECONDS),
        })),
      );
      await this.#loaded.pgVectorStore?.createIndex();
      await this.#loaded.mastra?.createIndex();
    }
    const writers = this.#writersWithIndex();
    figures.push(
      ...(await measureWrites(this.#server, "first load with vector index", writers, {
        rounds,
        rowsBefore: 0,
        warmUp: warmUp(WARM_UP_ROWS, 0),
      })),
    );
    const { library, bareTable, halfvec, bit, pgVectorStore, mastra, llamaIndex } = this.#loaded;
    if (!library || !bareTable) throw new Error("Nothing was loaded");
    return { loaded: { library, bareTable, halfvec, bit, pgVectorStore, mastra, llamaIndex }, figures };
  }

  async #writersWithoutIndex(): Promise<Writer[]> {
    const mastra = await MastraContender.open(this.#server, this.#dataset.dimensions);
    const llamaIndex = await LlamaIndexContender.open(this.#server, this.#dataset.dimensions);
    Object.assign(this.#loaded, { mastra, llamaIndex });
    return [
      this.#writer(BARE_SQL_WRITE, () => this.#openBareTable({ metadataIndex: false })),
      this.#writer(BARE_SQL_WRITE_METADATA_INDEX, () => this.#openBareTable({ metadataIndex: true })),
      this.#writer(LIBRARY, () => this.#openLibraryWithoutIndex()),
      this.#writer(PGVECTOR_STORE, (isLast) => this.#openPgVectorStore(isLast)),
      ...(mastra ? [this.#onlyOnce(MASTRA, mastra)] : []),
      ...(llamaIndex ? [this.#onlyOnce(LLAMAINDEX, llamaIndex)] : []),
    ];
  }

  #writersWithIndex(): Writer[] {
    const library = (name: string, vectorIndex: VectorIndex): Writer =>
      this.#writer(name, (isLast) => this.#openLibrary(name, vectorIndex, isLast));
    const writers = [
      this.#writer(BARE_SQL_WRITE_METADATA_INDEX, (isLast) => this.#openBareTableToBuild(isLast)),
      library(LIBRARY, "vector"),
      this.#writer(LIBRARY_PARALLEL, () => this.#openLibraryWithWorkers()),
    ];
    if (this.#options.onlyQuick) return writers;
    return [
      ...writers,
      library(LIBRARY_HALFVEC, "halfvec"),
      library(LIBRARY_BIT, "bit"),
      // It has no bulk load: its index exists from the start.
      this.#writer(PGVECTOR_STORE, () => this.#openPgVectorStoreWithIndex()),
    ];
  }

  #writer(name: string, open: Writer["open"]): Writer {
    return { name, open, chunksOf: () => this.#dataset.chunks };
  }

  #onlyOnce(name: string, contender: MastraContender | LlamaIndexContender): Writer {
    const target: WriteTarget = { write: (chunks) => contender.addVectors(chunks) };
    return { ...this.#writer(name, () => Promise.resolve(target)), onlyOnce: true, keepsAll: true };
  }

  async #openBareTable({ metadataIndex }: { metadataIndex: boolean }): Promise<WriteTarget> {
    const table = await BareTable.create(this.#server, this.#dataset.dimensions);
    if (metadataIndex) await table.createMetadataIndex();
    return { write: (chunks) => table.insert(chunks), drop: () => this.#server.dropSchema(table.schema) };
  }

  async #openBareTableToBuild(isLast: boolean): Promise<WriteTarget> {
    const table = await BareTable.create(this.#server, this.#dataset.dimensions);
    await table.createMetadataIndex();
    this.#loaded.bareTable = table;
    return {
      write: async (chunks) => {
        await table.insert(chunks);
        await table.createVectorIndex();
      },
      drop: isLast ? undefined : () => this.#server.dropSchema(table.schema),
    };
  }

  async #openLibraryWithoutIndex(): Promise<WriteTarget> {
    const library = await this.#newLibrary(LIBRARY, "vector");
    await library.dropVectorIndex();
    return {
      write: (chunks) => library.upsert(chunks),
      drop: () => this.#server.dropSchema(library.schema),
    };
  }

  async #openLibrary(name: string, vectorIndex: VectorIndex, isLast: boolean): Promise<WriteTarget> {
    const library = await this.#newLibrary(name, vectorIndex);
    this.#loaded[vectorIndex === "vector" ? "library" : vectorIndex] = library;
    return {
      write: (chunks) => library.bulkLoad(chunks),
      drop: isLast ? undefined : () => this.#server.dropSchema(library.schema),
    };
  }

  /** Builds its index with as many processes as bare SQL, even if this pgvector is too old for it to be the default. */
  async #openLibraryWithWorkers(): Promise<WriteTarget> {
    const library = await this.#newLibrary(LIBRARY_PARALLEL, "vector");
    return {
      write: (chunks) => library.bulkLoad(chunks, { parallelWorkers: WORKERS }),
      drop: () => this.#server.dropSchema(library.schema),
    };
  }

  async #openPgVectorStore(isLast: boolean): Promise<WriteTarget> {
    const store = await this.#newPgVectorStore();
    this.#loaded.pgVectorStore = store;
    return {
      write: (chunks) => store.addVectors(chunks),
      drop: isLast ? undefined : () => this.#server.dropSchema(store.schema),
    };
  }

  async #openPgVectorStoreWithIndex(): Promise<WriteTarget> {
    const store = await this.#newPgVectorStore();
    await store.createIndex();
    return {
      write: (chunks) => store.addVectors(chunks),
      drop: () => this.#server.dropSchema(store.schema),
    };
  }

  #newLibrary(name: string, vectorIndex: VectorIndex): Promise<LibraryContender> {
    const { dimensions } = this.#dataset;
    return LibraryContender.open(this.#server, {
      name,
      dimensions,
      vectorIndex,
      embeddings: this.#embeddings,
    });
  }

  #newPgVectorStore(): Promise<PgVectorStoreContender> {
    const { dimensions } = this.#dataset;
    return PgVectorStoreContender.open(this.#server, { dimensions, embeddings: this.#embeddings });
  }
}
