import { Embeddings } from "@langchain/core/embeddings";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type { Chunk } from "../data.js";

/**
 * An embedder that takes no time, so that writes are measured and not a model: it looks up the vectors of known texts.
 * Unknown texts (those of edits) are hashed.
 */
export class KnownVectors extends Embeddings {
  readonly #vectors = new Map<string, number[]>();
  readonly #hashing: HashingEmbeddings;

  constructor(dimensions: number) {
    super({});
    this.#hashing = new HashingEmbeddings({ dimensions });
  }

  learn(chunks: readonly Chunk[]): void {
    for (const { text, vector } of chunks) this.#vectors.set(text, vector);
  }

  /** One vector for each text, in order. */
  async embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.all(texts.map((text) => this.embedQuery(text)));
  }

  async embedQuery(text: string): Promise<number[]> {
    return this.#vectors.get(text) ?? (await this.#hashing.embedQuery(text));
  }
}
