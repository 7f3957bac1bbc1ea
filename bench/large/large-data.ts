import { Embeddings } from "@langchain/core/embeddings";
import type { EqualityFilter, Training } from "langchain-training-index";
import { randomNumbers, text } from "../../tooling/seeded-data.js";
import { DIMENSIONS } from "../data.js";

const TEXT_CHARACTERS = 700;
const SEED = 7;
/** The share of the noise in a component, as in the other seeded vectors. */
const NOISE = 0.6;
/** Noise is a stretch of this table. Making it again for each of a million vectors would take minutes of a load. */
const NOISE_VALUES = 2 ** 22;
/** Numbers from here on are of questions. */
const FIRST_QUESTION = 1_000_000_000;
const PREFIX = "Trecho ";

/** A part of the chunks by the share that a filter matches. */
export interface LargeSelection {
  name: string;
  filter: EqualityFilter | undefined;
}

/** The unfiltered search. */
export const ALL_CHUNKS: LargeSelection = { name: "none", filter: undefined };

/** All chunks, and the filters that are measured. */
export const LARGE_SELECTIONS: readonly LargeSelection[] = [
  ALL_CHUNKS,
  { name: "50 %", filter: { metade: "m1" } },
  { name: "10 %", filter: { grupo: "g7" } },
  { name: "1 %", filter: { tag: "t42" } },
  { name: "0.1 %", filter: { nicho: "n123" } },
];

/**
 * Chunks whose texts and vectors depend on their numbers alone, so that a run that was interrupted continues with the same ones.
 * Vectors lie around cluster centres, like embeddings of texts on a number of topics.
 */
export class LargeData {
  readonly #centres: Float32Array;
  readonly #clusters: number;
  readonly #noise: Float32Array;

  constructor(clusters: number) {
    const random = randomNumbers(SEED);
    this.#clusters = clusters;
    this.#centres = normals(clusters * DIMENSIONS, random);
    this.#noise = normals(NOISE_VALUES, random);
  }

  /** A unit vector. */
  vector(number: number): number[] {
    const random = randomNumbers(number * 2 + 1);
    const dimensions = DIMENSIONS; // an import that is read in the loop takes ten times as long under tsx
    const centres = this.#centres;
    const noise = this.#noise;
    const centre = Math.floor(random() * this.#clusters) * dimensions;
    const from = Math.floor(random() * (NOISE_VALUES - dimensions));
    const vector = new Array<number>(dimensions);
    let squares = 0;
    for (let place = 0; place < dimensions; place++) {
      const component = (centres[centre + place] ?? 0) + NOISE * (noise[from + place] ?? 0);
      vector[place] = component;
      squares += component * component;
    }
    const scale = 1 / Math.sqrt(squares);
    for (let place = 0; place < dimensions; place++) vector[place] = (vector[place] ?? 0) * scale;
    return vector;
  }

  /** Vectors of questions: of the same clusters, but of no chunk. */
  questions(count: number): number[][] {
    return Array.from({ length: count }, (_, place) => this.vector(FIRST_QUESTION + place));
  }

  /** Questions in words: some of a chunk's. */
  wordQuestions(count: number, chunks: number): string[] {
    const random = randomNumbers(SEED + 1);
    return Array.from({ length: count }, () => {
      const words = content(Math.floor(random() * chunks))
        .split(" ")
        .slice(2);
      const from = Math.floor(random() * (words.length - 5));
      return words.slice(from, from + 5).join(" ");
    });
  }

  /** The trainings of chunks that are already split, from a chunk's number on. */
  *trainings(first: number, chunks: number, chunksPerTraining: number): Generator<Training> {
    for (let number = first; number < first + chunks; number += chunksPerTraining) {
      yield training(number, Math.min(chunksPerTraining, first + chunks - number));
    }
  }
}

/** A training whose first chunk has this number. */
export function training(first: number, chunks: number, edited?: number): Training {
  const documents = Array.from({ length: chunks }, (_, place) => {
    const added = place === 0 && edited !== undefined ? ` versão ${edited}` : "";
    return { pageContent: content(first + place) + added, metadata: metadataOf(first + place) };
  });
  return { id: `training-${Math.floor(first / chunks)}`, documents, split: false, revision: edited ?? 1 };
}

/** What the filters select by. */
export function metadataOf(number: number): Record<"metade" | "grupo" | "tag" | "nicho", string> {
  return {
    metade: `m${number % 2}`,
    grupo: `g${number % 10}`,
    tag: `t${number % 100}`,
    nicho: `n${number % 1000}`,
  };
}

/** The text of a chunk, which begins with its number. */
export function content(number: number): string {
  return `${PREFIX}${number}: ${text(randomNumbers(number * 2 + 2), TEXT_CHARACTERS)}`;
}

/** Gives each chunk the vector of its number, and any other text that of the next question. */
export class NumberedEmbeddings extends Embeddings {
  readonly #data: LargeData;
  #asked = 0;

  constructor(data: LargeData) {
    super({});
    this.#data = data;
  }

  embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.resolve(texts.map((each) => this.#data.vector(Number.parseInt(each.slice(PREFIX.length), 10))));
  }

  embedQuery(): Promise<number[]> {
    return Promise.resolve(this.#data.vector(FIRST_QUESTION + this.#asked++));
  }
}

function normals(count: number, random: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(random() + Number.EPSILON));
    return radius * Math.cos(2 * Math.PI * random());
  });
}
