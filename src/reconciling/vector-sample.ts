import { embeddedText } from "../chunking/chunk-plan.js";
import { TOO_LONG, type Embedder } from "../embedding/embedder.js";
import { readVectors, type ChunkKey, type Read } from "./training-rows.js";

/**
 * The lowest cosine similarity of a vector to that of the same text embedded again. A server that computes with 16 bits, or
 * in other batches, gives vectors with a similarity above 0.999; those of another text or model are far below.
 */
const MIN_SIMILARITY = 0.99;

/** A chunk whose text can be embedded again. */
export interface SampledChunk extends ChunkKey {
  content: string;
  header: string;
}

/** Chooses chunks at random, about as many as were asked for, and checks that their vectors belong to their texts. */
export class VectorSample {
  readonly #embedder: Embedder;
  readonly #read: Read;
  readonly #size: number;
  /** The probability of a chunk. */
  #share = 0;

  constructor(embedder: Embedder, read: Read, size: number) {
    this.#embedder = embedder;
    this.#read = read;
    this.#size = size;
  }

  /** @param chunks - how many chunks there are to choose from */
  expect(chunks: number): void {
    this.#share = chunks === 0 ? 0 : this.#size / chunks;
  }

  /** Whether any chunk can be chosen. */
  get isChoosing(): boolean {
    return this.#share > 0;
  }

  /** Whether a chunk is chosen. */
  choose(): boolean {
    return this.#share > 0 && Math.random() < this.#share;
  }

  /** The chunks whose vectors do not belong to their texts. */
  async check(chosen: readonly SampledChunk[], signal: AbortSignal | undefined): Promise<SampledChunk[]> {
    const wrong: SampledChunk[] = [];
    for await (const found of readVectors(this.#read, chosen)) {
      const texts = found.map(({ chunk }) => embeddedText(chunk, chunk.content));
      const expected = await this.#embedder.embedDocuments(texts, { signal });
      for (const [index, { chunk, vector }] of found.entries()) {
        const again = expected[index];
        // A text that is too long now was embedded by other settings: the vector cannot be judged.
        if (again === undefined || again === TOO_LONG) continue;
        if (!(similarity(vector, again) >= MIN_SIMILARITY)) wrong.push(chunk);
      }
    }
    return wrong;
  }
}

/** The cosine similarity. NaN for a vector without a direction, -1 for vectors of different lengths. */
function similarity(left: Float32Array, right: Float32Array): number {
  if (left.length !== right.length) return -1;
  let product = 0;
  let leftSquares = 0;
  let rightSquares = 0;
  for (const [index, component] of left.entries()) {
    const other = right[index] ?? 0;
    product += component * other;
    leftSquares += component * component;
    rightSquares += other * other;
  }
  return product / Math.sqrt(leftSquares * rightSquares);
}
