/** Which vector belongs to which text, computed once more and independently of the library. */
import { HashingEmbeddings } from "langchain-training-index/testing";

export const SCHEDULE_DIMENSIONS = 8;

/** pgvector adds up in float32. */
const DISTANCE_TOLERANCE = 1e-5;

/** The vectors of a schedule's texts. The embedder of the schedules has to be a {@link HashingEmbeddings}, too. */
export class ExpectedVectors {
  readonly #hashing = new HashingEmbeddings({ dimensions: SCHEDULE_DIMENSIONS });
  readonly #known = new Map<string, number[]>();

  /** Whether a stored vector, as Postgres prints it, is that of exactly this text: all components, at float32. */
  async isOf(text: string, stored: string): Promise<boolean> {
    const expected = await this.#of(text);
    const components = JSON.parse(stored) as number[];
    return (
      components.length === expected.length &&
      expected.every((component, index) => component === Math.fround(components[index] ?? NaN))
    );
  }

  /** Whether a hit's distance is that of its text from the question. */
  async isDistance(question: string, text: string, distance: number | undefined): Promise<boolean> {
    const [left, right] = [await this.#of(question), await this.#of(text)];
    const dot = (one: number[], other: number[]): number =>
      one.reduce((sum, component, index) => sum + component * (other[index] ?? NaN), 0);
    const cosine = dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right));
    return Math.abs(1 - cosine - (distance ?? NaN)) < DISTANCE_TOLERANCE;
  }

  async #of(text: string): Promise<number[]> {
    const known = this.#known.get(text);
    if (known) return known;
    const vector = (await this.#hashing.embedQuery(text)).map(Math.fround);
    this.#known.set(text, vector);
    return vector;
  }
}
