import { join } from "node:path";
import { importOptional } from "../contenders/optional.js";
import { STORE_DIMENSIONS, type OpenStore, type Store, type StoreChunk, type StoreFilter } from "./store.js";

/** The part of `better-sqlite3` that is used. */
interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  transaction(work: () => void): () => void;
  pragma(text: string): unknown;
  close(): void;
}

interface Statement {
  run(...values: unknown[]): unknown;
  all(...values: unknown[]): { text: string }[];
}

interface SqliteModule {
  default: new (file: string) => Database;
}

interface VecModule {
  load(database: Database): void;
}

/**
 * sqlite-vec with better-sqlite3: exact searches, chunks and vectors in one file, replaced in one transaction.
 *
 * @see https://alexgarcia.xyz/sqlite-vec/features/vec0.html
 */
class SqliteVecStore implements Store {
  readonly name = "sqlite-vec";
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.pragma("journal_mode = WAL");
    database.exec(
      `CREATE VIRTUAL TABLE IF NOT EXISTS chunks USING vec0(
        number integer PRIMARY KEY, vector float[${STORE_DIMENSIONS}] distance_metric=cosine,
        training text, grupo text, tag text, +text text)`,
    );
  }

  load(batches: Iterable<StoreChunk[]>): Promise<void> {
    for (const batch of batches) {
      this.#database.transaction(() => {
        this.#insert(batch);
      })();
    }
    return Promise.resolve();
  }

  search(vector: number[], k: number, filter?: StoreFilter): Promise<string[]> {
    const condition = filter ? ` AND ${filter.field} = ?` : "";
    const rows = this.#database
      .prepare(`SELECT text FROM chunks WHERE vector MATCH ? AND k = ?${condition} ORDER BY distance`)
      .all(new Float32Array(vector), k, ...(filter ? [filter.value] : []));
    return Promise.resolve(rows.map(({ text }) => text));
  }

  replace(training: string, chunks: StoreChunk[]): Promise<void> {
    this.#database.transaction(() => {
      this.#delete(training);
      this.#insert(chunks);
    })();
    return Promise.resolve();
  }

  remove(training: string): Promise<void> {
    this.#delete(training);
    return Promise.resolve();
  }

  textsOf(training: string): Promise<string[]> {
    const rows = this.#database.prepare("SELECT text FROM chunks WHERE training = ?").all(training);
    return Promise.resolve(rows.map(({ text }) => text));
  }

  close(): Promise<void> {
    this.#database.close();
    return Promise.resolve();
  }

  #insert(chunks: readonly StoreChunk[]): void {
    const insert = this.#database.prepare(
      "INSERT INTO chunks (number, vector, training, grupo, tag, text) VALUES (?, ?, ?, ?, ?, ?)",
    );
    for (const { number, vector, training, grupo, tag, text } of chunks) {
      insert.run(BigInt(number), new Float32Array(vector), training, grupo, tag, text);
    }
  }

  #delete(training: string): void {
    this.#database.prepare("DELETE FROM chunks WHERE training = ?").run(training);
  }
}

/** Opens the file of a folder. */
export const sqliteVecStore: OpenStore = async (folder) => {
  const sqlite = await importOptional<SqliteModule>("better-sqlite3");
  const vec = await importOptional<VecModule>("sqlite-vec");
  if (!sqlite || !vec) return undefined;
  const database = new sqlite.default(join(folder, "chunks.sqlite"));
  vec.load(database);
  return new SqliteVecStore(database);
};
