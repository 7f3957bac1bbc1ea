/** The chunks with their vectors that are loaded and searched, the same for all contenders. */
import type { EqualityFilter } from "langchain-training-index";
import { ClusteredVectors, randomNumbers, text } from "../tooling/seeded-data.js";

/** Dimensions of the seeded vectors: those of the library's default model. */
export const DIMENSIONS = 1024;
const TEXT_CHARACTERS = 800;
/** More chunks are on more topics, as in real bots: the number of clusters grows with that of the chunks. */
const CHUNKS_PER_CLUSTER = 100;
const SEED = 20_261_122;

/** A piece of text with its vector. */
export interface Chunk {
  /** Unique, so that it identifies a found chunk, whatever ids a contender uses. */
  text: string;
  metadata: Record<string, string>;
  /** An array of numbers, as LangChain's embedders return. */
  vector: number[];
}

/** Chunks, and the vectors of questions, which are not those of chunks. */
export interface Dataset {
  name: string;
  dimensions: number;
  chunks: Chunk[];
  queries: number[][];
}

/** The part of the chunks that a filter matches. */
export interface Selection {
  /** How many chunks it matches. */
  name: string;
  /** `undefined` for an unfiltered search. */
  filter: EqualityFilter | undefined;
}

/** All chunks: the unfiltered search. */
export const ALL_CHUNKS: Selection = { name: "none", filter: undefined };

/** Filters by the share of the seeded chunks that they match, which does not depend on the vectors. */
export const FILTERS: readonly Selection[] = [
  { name: "50 %", filter: { metade: "m1" } },
  { name: "10 %", filter: { grupo: "g7" } },
  { name: "1 %", filter: { tag: "t42" } },
  { name: "0 rows", filter: { tag: "nenhuma" } },
];

/** The default number of clusters for this number of chunks. */
export function clustersFor(chunks: number): number {
  return Math.max(Math.round(chunks / CHUNKS_PER_CLUSTER), 1);
}

/** An endless source of seeded chunks. */
export class ChunkSource {
  readonly #vectors: ClusteredVectors;
  readonly #random = randomNumbers(SEED);
  #made = 0;

  /** @param clusters - number of clusters of the vectors */
  constructor(clusters: number) {
    this.#vectors = new ClusteredVectors(DIMENSIONS, clusters, SEED);
  }

  /** The next chunks. */
  take(count: number): Chunk[] {
    return Array.from({ length: count }, () => this.#next());
  }

  /** Vectors of questions: from the same clusters, but not those of chunks. */
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
