import { Embeddings } from "@langchain/core/embeddings";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type { Chunk } from "../data.js";

/**
 * An embedder that costs nothing: it has the vectors of the texts that it was given, so that a write is measured and
 * no model. Texts that it does not know (those of edits) it hashes.
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
