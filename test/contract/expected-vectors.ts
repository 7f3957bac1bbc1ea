/** The vector that each text should have, computed independently of the library. */
import { HashingEmbeddings } from "langchain-training-index/testing";

export const SCHEDULE_DIMENSIONS = 8;

/** pgvector sums in float32. */
const DISTANCE_TOLERANCE = 1e-5;

/** The vectors of a schedule's texts. The schedules must use {@link HashingEmbeddings} too. */
export class ExpectedVectors {
  readonly #hashing = new HashingEmbeddings({ dimensions: SCHEDULE_DIMENSIONS });
  readonly #known = new Map<string, number[]>();
  readonly #change: (text: string) => string;

  /** @param change - what the model makes of a text before it is hashed */
  constructor(change = (text: string): string => text) {
    this.#change = change;
  }

  /** Whether a stored vector, as Postgres prints it, is the vector of this text, in every float32 component. */
  async isOf(text: string, stored: string): Promise<boolean> {
    const expected = await this.#of(text);
    const components = JSON.parse(stored) as number[];
    return (
      components.length === expected.length &&
      expected.every((component, index) => component === Math.fround(components[index] ?? NaN))
    );
  }

  /** Whether a hit's distance is the cosine distance between its text and the question. */
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
    const vector = (await this.#hashing.embedQuery(this.#change(text))).map(Math.fround);
    this.#known.set(text, vector);
    return vector;
  }
}
