/** A chunk as all stores get it. */
export interface StoreChunk {
  /** Unique in the store. */
  number: number;
  training: string;
  text: string;
  grupo: string;
  tag: string;
  vector: number[];
}

/** A filter on one field. */
export interface StoreFilter {
  field: "grupo" | "tag";
  value: string;
}

/** A store of chunks that runs in this process, or this library on a server, used as its documentation shows. */
export interface Store {
  readonly name: string;
  /** Stores the chunks of a new index, and builds what searches use. */
  load(batches: Iterable<StoreChunk[]>): Promise<void>;
  /** The texts of the nearest chunks, nearest first. */
  search(vector: number[], k: number, filter?: StoreFilter): Promise<string[]>;
  /** Replaces all chunks of a training. When it returns, they are on the disk. */
  replace(training: string, chunks: StoreChunk[]): Promise<void>;
  /** Deletes all chunks of a training. */
  remove(training: string): Promise<void>;
  /** The texts that are stored of a training, in any order. */
  textsOf(training: string): Promise<string[]>;
  close(): Promise<void>;
}

/** Opens a store in a folder: an existing one, if the folder has one. */
export type OpenStore = (folder: string) => Promise<Store | undefined>;

/** Dimensions of the vectors. */
export const STORE_DIMENSIONS = 1024;
