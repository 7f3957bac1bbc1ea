/** Chunks of random words, and the scores that they must have for a question, computed without the database. */
import { expect } from "vitest";
import type { MigrateOptions } from "langchain-training-index/migrations";
import { randomOf } from "../../tooling/random.js";
import type { TestDatabase } from "./databases.js";
import { openTestIndex, type TestIndex } from "./index.js";

/** Words that the Portuguese stemmer keeps apart, and that are no stop words. The first ones are the rarest. */
const WORDS = ["poda", "agua", "luz", "adubo", "terra", "vaso", "orquidea", "girassol"];

/** Asks for a rare and a common word. */
export const GARDEN_QUESTION = "poda girassol";

/** Scores of a chunk for a question. */
export interface ExpectedScores {
  similarity: number;
  coverage: number;
}

/** An index with trainings of one chunk each. */
export interface Garden extends TestIndex {
  texts: readonly string[];
  /** The scores of each chunk for a question, by training id. */
  scoresFor: (question: string) => Promise<Map<string, ExpectedScores>>;
}

/**
 * Opens an index with 120 trainings of random words. Their ids are `t0` to `t119`; `metadata` has `parte`, 0 or 1 in turns.
 *
 * @param migration - the language of text search is Portuguese
 */
export async function openGarden(database: TestDatabase, migration: MigrateOptions = {}): Promise<Garden> {
  const test = await openTestIndex(database, {}, { textSearch: "portuguese", ...migration });
  const random = randomOf(7);
  const texts = Array.from({ length: 120 }, () =>
    Array.from(
      { length: 3 + Math.floor(random() * 30) },
      () => WORDS[Math.floor(Math.sqrt(random()) * WORDS.length)],
    ).join(" "),
  );
  const trainings = texts.map((content, place) => ({
    id: `t${place}`,
    content,
    metadata: { parte: place % 2 },
  }));
  for await (const { status } of test.index.upsertTrainings(trainings)) expect(status).toBe("indexed");
  const vectors = await test.embeddings.embedDocuments(texts);
  const scoresFor = async (question: string): Promise<Map<string, ExpectedScores>> => {
    const asked = await test.embeddings.embedQuery(question);
    const covered = coverages(
      texts.map((text) => text.split(" ")),
      question.split(" "),
    );
    return new Map(
      vectors.map((vector, place) => [
        `t${place}`,
        { similarity: cosine(asked, vector), coverage: covered[place] ?? NaN },
      ]),
    );
  };
  return { ...test, texts, scoresFor };
}

/**
 * Textbook BM25 of each text, with its number of distinct words as its length, as a share of the highest that any text could
 * reach: one in which all words of the question, found or not, are repeated without end.
 */
export function coverages(texts: readonly string[][], question: readonly string[]): number[] {
  const lengths = texts.map((words) => new Set(words).size);
  const average = lengths.reduce((sum, length) => sum + length, 0) / texts.length;
  const weights = new Map(
    question.map((word) => {
      const found = texts.filter((words) => words.includes(word)).length;
      return [word, Math.log(1 + (texts.length - found + 0.5) / (found + 0.5))];
    }),
  );
  const highest = [...weights.values()].reduce((sum, weight) => sum + 2.2 * weight, 0);
  return texts.map((words, place) => {
    let bm25 = 0;
    for (const [word, weight] of weights) {
      const times = words.filter((other) => other === word).length;
      bm25 += (weight * times * 2.2) / (times + 1.2 * (0.25 + (0.75 * (lengths[place] ?? 0)) / average));
    }
    return bm25 / highest;
  });
}

function cosine(left: readonly number[], right: readonly number[]): number {
  const product = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, place) => sum + value * (b[place] ?? NaN), 0);
  return product(left, right) / Math.sqrt(product(left, left) * product(right, right));
}
