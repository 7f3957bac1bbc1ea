/** What is searched and loaded: chunks with their vectors, the same for all contenders. */
import type { EqualityFilter } from "langchain-training-index";
import { ClusteredVectors, randomNumbers, text } from "./vectors.js";

/** Components of a vector of the seeded data: those of the library's default model. */
export const DIMENSIONS = 1024;
const TEXT_CHARACTERS = 800;
/** So that more chunks are chunks on more topics: a company that teaches its bot more rarely says the same more often. */
const CHUNKS_OF_A_CLUSTER = 100;
const SEED = 20_261_122;

/** A piece of text with its vector. */
export interface Chunk {
  /** Different from all others: by it a found chunk is known, whatever ids a contender has. */
  text: string;
  metadata: Record<string, string>;
  /** As LangChain's embedders return it. */
  vector: number[];
}

/** Chunks, and the vectors of questions that are none of them. */
export interface Dataset {
  name: string;
  dimensions: number;
  chunks: Chunk[];
  queries: number[][];
}

/** A part of the chunks that a search is narrowed to. */
export interface Selection {
  /** What it keeps. */
  name: string;
  /** `undefined` for a search that is not narrowed. */
  filter: EqualityFilter | undefined;
}

/** The search that is not narrowed. */
export const ALL_CHUNKS: Selection = { name: "none", filter: undefined };

/** Filters by how much of the seeded chunks they keep; which chunks has nothing to do with their vectors. */
export const FILTERS: readonly Selection[] = [
  { name: "50 %", filter: { metade: "m1" } },
  { name: "10 %", filter: { grupo: "g7" } },
  { name: "1 %", filter: { tag: "t42" } },
  { name: "0 rows", filter: { tag: "nenhuma" } },
];

/** How many clusters so many chunks are in, if nobody says otherwise. */
export function clustersFor(chunks: number): number {
  return Math.max(Math.round(chunks / CHUNKS_OF_A_CLUSTER), 1);
}

/** Makes seeded chunks, one after the other without end. */
export class ChunkSource {
  readonly #vectors: ClusteredVectors;
  readonly #random = randomNumbers(SEED);
  #made = 0;

  /** @param clusters - of their vectors */
  constructor(clusters: number) {
    this.#vectors = new ClusteredVectors(DIMENSIONS, clusters, SEED);
  }

  /** The next chunks. */
  take(count: number): Chunk[] {
    return Array.from({ length: count }, () => this.#next());
  }

  /** Vectors of questions: from the same clusters, and of no chunk. */
  takeQueries(count: number): number[][] {
    return Array.from({ length: count }, () => this.#vectors.next());
  }

  #next(): Chunk {
    const number = this.#made++;
    return {
      text: `Trecho ${number}: ${text(this.#random, TEXT_CHARACTERS)}`,
      metadata: { metade: `m${number % 2}`, grupo: `g${number % 10}`, tag: `t${number % 100}` },
      vector: this.#vectors.next(),
    };
  }
}

/** Whether a chunk is in a selection. */
export function isSelected({ metadata }: Chunk, { filter }: Selection): boolean {
  return Object.entries(filter ?? {}).every(([key, value]) => metadata[key] === value);
}
