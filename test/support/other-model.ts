import { HashingEmbeddings } from "langchain-training-index/testing";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";

/** Another model than that of the tests: its vectors are those of the hashing embedder for the reversed text. */
export class OtherEmbeddings implements EmbeddingsInterface {
  readonly #hashing: HashingEmbeddings;
  readonly profile;
  texts = 0;
  before: (texts: string[]) => Promise<void> | void = () => undefined;

  constructor(dimensions: number, model = "other-1") {
    this.#hashing = new HashingEmbeddings({ dimensions });
    this.profile = { ...this.#hashing.profile, model };
  }

  async embedDocuments(texts: string[]): Promise<number[][]> {
    await this.before(texts);
    this.texts += texts.length;
    return this.#hashing.embedDocuments(texts.map(reversed));
  }

  embedQuery(text: string): Promise<number[]> {
    return this.#hashing.embedQuery(reversed(text));
  }
}

/** @param dimensions - of its vectors */
export function otherModel(dimensions: number, model?: string): OtherEmbeddings {
  return new OtherEmbeddings(dimensions, model);
}

function reversed(text: string): string {
  return Array.from(text).reverse().join("");
}
