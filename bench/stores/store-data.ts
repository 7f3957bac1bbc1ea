import { content, LargeData, metadataOf } from "../large/large-data.js";
import type { StoreChunk } from "./store.js";

/** The training that is replaced, deleted, and looked at after a crash. */
export const REPLACED = "replaced";
/** Its chunks. */
export const REPLACED_CHUNKS = 200;
const CHUNKS_PER_TRAINING = 20;
const CHUNKS_PER_BATCH = 2000;
/** Numbers from here on are of versions of the replaced training. */
const FIRST_VERSION = 500_000_000;

/** Chunks of trainings, and versions of one of them. */
export class StoreData {
  readonly #data: LargeData;

  constructor(clusters: number) {
    this.#data = new LargeData(clusters);
  }

  /** All chunks but those of the replaced training. */
  *batches(chunks: number): Generator<StoreChunk[]> {
    for (let first = 0; first < chunks; first += CHUNKS_PER_BATCH) {
      yield this.#chunks(first, Math.min(CHUNKS_PER_BATCH, chunks - first), (number) => {
        return `training-${Math.floor(number / CHUNKS_PER_TRAINING)}`;
      });
    }
  }

  /** A version of the replaced training, all of whose chunks are new. */
  version(version: number): StoreChunk[] {
    return this.#chunks(FIRST_VERSION + version * REPLACED_CHUNKS, REPLACED_CHUNKS, () => REPLACED);
  }

  questions(count: number): number[][] {
    return this.#data.questions(count);
  }

  #chunks(first: number, count: number, trainingOf: (number: number) => string): StoreChunk[] {
    return Array.from({ length: count }, (_, place) => {
      const number = first + place;
      const { grupo, tag } = metadataOf(number);
      return {
        number,
        training: trainingOf(number),
        text: content(number),
        grupo,
        tag,
        vector: this.#data.vector(number),
      };
    });
  }
}

/** The version that a text of the replaced training is of; `undefined` for another training's. */
export function versionOf(text: string): number | undefined {
  const number = Number(/^Trecho (\d+):/.exec(text)?.[1]);
  return number >= FIRST_VERSION ? Math.floor((number - FIRST_VERSION) / REPLACED_CHUNKS) : undefined;
}
