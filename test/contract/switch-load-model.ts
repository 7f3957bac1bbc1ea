/** The models and texts of `switch-load.int.test.ts`. */
import { createHash } from "node:crypto";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { EmbeddingProfile } from "langchain-training-index";

/** The same for both models: a comparison of vectors of two models would not fail by itself. */
export const LOAD_DIMENSIONS = 64;

/** A model whose vectors depend on its name and the whole text, so that those of another model are far away. */
export class NamedModel implements EmbeddingsInterface {
  readonly profile: EmbeddingProfile;

  constructor(model: string) {
    this.profile = { model, dimensions: LOAD_DIMENSIONS, queryPrefix: "", documentPrefix: "" };
  }

  embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.resolve(texts.map((text) => vectorOf(this.profile.model, text)));
  }

  embedQuery(text: string): Promise<number[]> {
    return Promise.resolve(vectorOf(this.profile.model, text));
  }
}

/** The model before the switch, and the one after it. */
export const oldModel = (): NamedModel => new NamedModel("old");
export const newModel = (): NamedModel => new NamedModel("new");

/** Components between -1 and 1 from digests of the text. */
export function vectorOf(model: string, text: string): number[] {
  const bytes = createHash("sha512").update(`${model}\0${text}`).digest();
  return Array.from({ length: LOAD_DIMENSIONS }, (_, place) => (bytes[place] ?? 0) / 127.5 - 1);
}

/** The cosine similarity of a question and a text under a model. */
export function similarityOf(model: string, question: string, text: string): number {
  const [left, right] = [vectorOf(model, question), vectorOf(model, text)];
  const product = (a: number[], b: number[]): number =>
    a.reduce((sum, value, place) => sum + value * (b[place] ?? 0), 0);
  return product(left, right) / Math.sqrt(product(left, left) * product(right, right));
}

/** A training of two chunks by paragraph. */
export function contentOf(place: number, version: number): string {
  return [0, 1]
    .map((part) => `Loja ${place}, prazo da versão ${version}, parte ${part}. ${"Frete. ".repeat(90).trim()}`)
    .join("\n\n");
}

/** A question with words that every training has. */
export function questionOf(turn: number): string {
  return `prazo de frete ${turn % 50}`;
}
