import type { MigrateOptions } from "langchain-training-index/migrations";
import type { TestDatabase } from "./databases.js";
import { DIMENSIONS, openTestIndex, type TestIndex } from "./index.js";

/** A vector along an axis, leaning towards another one. */
export function towards(axis: number, lean = 0, other = axis + 1): number[] {
  return Array.from({ length: DIMENSIONS }, (_, place) => (place === axis ? 1 - lean : place === other ? lean : 0));
}

/** An index of trainings whose chunks have these vectors. */
export async function openWith(
  database: TestDatabase,
  trainings: Record<string, number[][]>,
  migration: MigrateOptions = {},
): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, migration);
  const vectors = new Map<string, number[]>(
    Object.entries(trainings).flatMap(([id, list]) => list.map((vector, place) => [`${id} ${place}`, vector] as const)),
  );
  test.embeddings.embedDocuments = (texts) => Promise.resolve(texts.map((text) => vectors.get(text) ?? []));
  for (const [id, list] of Object.entries(trainings)) {
    const documents = list.map((_, place) => ({
      pageContent: `${id} ${place}`,
      metadata: { parte: place % 2 },
    }));
    await test.index.upsertTraining({ id, documents, split: false, metadata: { grupo: id[0] } });
  }
  return test;
}
