import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HNSW } from "../contenders/contender.js";
import { importOptional } from "../contenders/optional.js";
import { STORE_DIMENSIONS, type OpenStore, type Store, type StoreChunk, type StoreFilter } from "./store.js";

/** The part of `hnswlib-node` that is used. */
interface HierarchicalNSW {
  initIndex(maxElements: number, m: number, efConstruction: number, seed: number, allowReplaceDeleted: boolean): void;
  readIndex(file: string, allowReplaceDeleted: boolean): Promise<boolean>;
  writeIndex(file: string): Promise<boolean>;
  resizeIndex(maxElements: number): void;
  addPoint(point: number[], label: number, replaceDeleted: boolean): void;
  markDelete(label: number): void;
  searchKnn(
    point: number[],
    count: number,
    filter?: (label: number) => boolean,
  ): { neighbors: number[]; distances: number[] };
  setEf(ef: number): void;
  getMaxElements(): number;
}

interface HnswModule {
  default: { HierarchicalNSW: new (space: string, dimensions: number) => HierarchicalNSW };
}

type StoredChunk = Omit<StoreChunk, "vector" | "number">;

const SEED = 100;
const EF_SEARCH = 40;
/** Rows that an index can take beside those that are loaded. */
const SPARE = 2000;

/**
 * hnswlib-node with the texts in a JSON file beside the index: the two files that LangChain's `HNSWLib` writes with `save`. All is in memory; a
 * change is on the disk when both files have been written again.
 *
 * @see https://github.com/yoshoku/hnswlib-node
 * @see https://docs.langchain.com/oss/javascript/integrations/vectorstores/hnswlib
 */
class HnswlibStore implements Store {
  readonly name = "hnswlib-node";
  readonly #folder: string;
  readonly #index: HierarchicalNSW;
  readonly #chunks: Map<number, StoredChunk>;

  constructor(folder: string, index: HierarchicalNSW, chunks: Map<number, StoredChunk>) {
    this.#folder = folder;
    this.#index = index;
    this.#chunks = chunks;
    index.setEf(EF_SEARCH);
  }

  async load(batches: Iterable<StoreChunk[]>): Promise<void> {
    for (const batch of batches) this.#add(batch);
    await this.#save();
  }

  search(vector: number[], k: number, filter?: StoreFilter): Promise<string[]> {
    const matches = filter && ((label: number) => this.#chunks.get(label)?.[filter.field] === filter.value);
    const { neighbors } = this.#index.searchKnn(vector, k, matches);
    return Promise.resolve(neighbors.map((label) => this.#chunks.get(label)?.text ?? ""));
  }

  async replace(training: string, chunks: StoreChunk[]): Promise<void> {
    this.#delete(training);
    this.#add(chunks);
    await this.#save();
  }

  async remove(training: string): Promise<void> {
    this.#delete(training);
    await this.#save();
  }

  textsOf(training: string): Promise<string[]> {
    const texts = [...this.#chunks.values()].filter((chunk) => chunk.training === training).map(({ text }) => text);
    return Promise.resolve(texts);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #add(chunks: readonly StoreChunk[]): void {
    const needed = this.#chunks.size + chunks.length;
    if (needed + SPARE > this.#index.getMaxElements()) this.#index.resizeIndex(2 * needed + SPARE);
    for (const { number, vector, ...stored } of chunks) {
      this.#index.addPoint(vector, number, true);
      this.#chunks.set(number, stored);
    }
  }

  #delete(training: string): void {
    for (const [label, chunk] of this.#chunks) {
      if (chunk.training !== training) continue;
      this.#index.markDelete(label);
      this.#chunks.delete(label);
    }
  }

  async #save(): Promise<void> {
    const [index, texts] = filesOf(this.#folder);
    await Promise.all([this.#index.writeIndex(index), writeFile(texts, JSON.stringify([...this.#chunks]))]);
  }
}

function filesOf(folder: string): [index: string, texts: string] {
  return [join(folder, "hnswlib.index"), join(folder, "docstore.json")];
}

/** Reads the files of a folder, if it has them. */
export const hnswlibStore: OpenStore = async (folder) => {
  const module = await importOptional<HnswModule>("hnswlib-node");
  if (!module) return undefined;
  const index = new module.default.HierarchicalNSW("cosine", STORE_DIMENSIONS);
  const [indexFile, textsFile] = filesOf(folder);
  if (!existsSync(indexFile)) {
    index.initIndex(SPARE, HNSW.m, HNSW.efConstruction, SEED, true);
    return new HnswlibStore(folder, index, new Map());
  }
  await index.readIndex(indexFile, true);
  const chunks = JSON.parse(await readFile(textsFile, "utf8")) as [number, StoredChunk][];
  return new HnswlibStore(folder, index, new Map(chunks));
};
