import { importOptional } from "../contenders/optional.js";
import type { OpenStore, Store, StoreChunk, StoreFilter } from "./store.js";

/** The part of `@lancedb/lancedb` that is used. */
interface LanceModule {
  connect(folder: string): Promise<Connection>;
  Index: { hnswSq(options: object): object };
}

interface Connection {
  tableNames(): Promise<string[]>;
  openTable(name: string): Promise<Table>;
  createTable(name: string, rows: object[]): Promise<Table>;
  close(): void;
}

interface Query {
  distanceType(type: string): Query;
  where(condition: string): Query;
  select(columns: string[]): Query;
  limit(count: number): Query;
  toArray(): Promise<{ text: string }[]>;
}

interface Merge {
  whenMatchedUpdateAll(): Merge;
  whenNotMatchedInsertAll(): Merge;
  whenNotMatchedBySourceDelete(options: { where: string }): Merge;
  execute(rows: object[]): Promise<unknown>;
}

interface Table {
  add(rows: object[]): Promise<unknown>;
  delete(condition: string): Promise<unknown>;
  createIndex(column: string, options?: object): Promise<void>;
  optimize(): Promise<unknown>;
  mergeInsert(column: string): Merge;
  query(): Query;
  search(vector: number[]): Query;
  close(): void;
}

const TABLE = "chunks";

/** How a training is replaced: both are in the documentation. */
type Replacement = "mergeInsert" | "delete and add";

/**
 * LanceDB. Its documentation recommends no vector index below 100,000 rows; with one, rows written since are searched without it until `optimize`.
 *
 * @see https://lancedb.github.io/lancedb/js/classes/Table/
 */
class LanceStore implements Store {
  readonly name: string;
  readonly #module: LanceModule;
  readonly #connection: Connection;
  readonly #replacement: Replacement;
  readonly #hasIndex: boolean;
  #table: Table | undefined;

  constructor(module: LanceModule, connection: Connection, table: Table | undefined, name: string, how: LanceOptions) {
    this.#module = module;
    this.#connection = connection;
    this.#table = table;
    this.name = name;
    this.#replacement = how.replacement;
    this.#hasIndex = how.hasIndex;
  }

  async load(batches: Iterable<StoreChunk[]>): Promise<void> {
    for (const batch of batches) {
      if (this.#table) await this.#table.add(batch);
      else this.#table = await this.#connection.createTable(TABLE, batch);
    }
    const table = this.#opened();
    if (this.#hasIndex) {
      await table.createIndex("vector", { config: this.#module.Index.hnswSq({ distanceType: "cosine" }) });
    }
    for (const column of ["number", "training", "grupo", "tag"]) await table.createIndex(column);
    await table.optimize();
  }

  async search(vector: number[], k: number, filter?: StoreFilter): Promise<string[]> {
    let query = this.#opened().search(vector).distanceType("cosine");
    if (filter) query = query.where(`${filter.field} = '${filter.value}'`);
    const rows = await query.select(["text", "_distance"]).limit(k).toArray();
    return rows.map(({ text }) => text);
  }

  async replace(training: string, chunks: StoreChunk[]): Promise<void> {
    const table = this.#opened();
    const where = `training = '${training}'`;
    if (this.#replacement === "mergeInsert") {
      await table
        .mergeInsert("number")
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .whenNotMatchedBySourceDelete({ where })
        .execute(chunks);
    } else {
      await table.delete(where);
      await table.add(chunks);
    }
  }

  async remove(training: string): Promise<void> {
    await this.#opened().delete(`training = '${training}'`);
  }

  async textsOf(training: string): Promise<string[]> {
    const rows = await this.#opened().query().where(`training = '${training}'`).select(["text"]).toArray();
    return rows.map(({ text }) => text);
  }

  close(): Promise<void> {
    this.#table?.close();
    this.#connection.close();
    return Promise.resolve();
  }

  #opened(): Table {
    if (!this.#table) throw new Error("Nothing was loaded");
    return this.#table;
  }
}

interface LanceOptions {
  replacement: Replacement;
  hasIndex: boolean;
}

/** LanceDB, with or without a vector index, and with one of its ways to replace rows. */
export function lanceStore(options: LanceOptions): OpenStore {
  const index = options.hasIndex ? "IVF_HNSW_SQ" : "no index";
  return async (folder) => {
    const module = await importOptional<LanceModule>("@lancedb/lancedb");
    if (!module) return undefined;
    const connection = await module.connect(folder);
    const names = await connection.tableNames();
    const table = names.includes(TABLE) ? await connection.openTable(TABLE) : undefined;
    return new LanceStore(module, connection, table, `LanceDB, ${index}, ${options.replacement}`, options);
  };
}
