import { TrainingIndex } from "langchain-training-index";
import type { TestDatabase } from "./databases.js";
import { openTestIndex, smallTraining, type TestIndex } from "./index.js";
import { otherModel, type OtherEmbeddings } from "./other-model.js";

/** An index with some trainings that is to be switched, with its parts. */
export interface Switching extends TestIndex {
  next: OtherEmbeddings;
  /** With both models. */
  both: TrainingIndex;
  /** With both models, as the owner. */
  switching: TrainingIndex;
}

/** An index with its processes. @param ids - of its trainings */
export async function openSwitching(
  database: TestDatabase,
  ids: readonly string[] = ["a", "b", "c"],
  migration: Parameters<typeof openTestIndex>[2] = {},
): Promise<Switching> {
  const test = await openTestIndex(database, {}, migration);
  const { index, pool, owner, schema, embeddings } = test;
  for (const id of ids) await index.upsertTraining(smallTraining(id));
  const next = otherModel(32);
  const both = await TrainingIndex.initialize([embeddings, next], { pool, schema });
  const switching = await TrainingIndex.initialize([embeddings, next], { pool: owner, schema });
  return { ...test, next, both, switching };
}

/** The rows of a table. @param table - with a condition, if need be */
export async function rowsIn({ owner }: Pick<TestIndex, "owner">, table: string): Promise<number> {
  const { rows } = await owner.query<{ count: number }>(`SELECT count(*)::integer AS count FROM ${table}`);
  return rows[0]?.count ?? 0;
}

/** Holds the first request for documents, after the probe, until the returned function is called. */
export function hold(next: Pick<OtherEmbeddings, "before">): { reached: Promise<void>; release: () => void } {
  let release: () => void = () => undefined;
  let reach: () => void = () => undefined;
  const open = new Promise<void>((resolve) => (release = resolve));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  next.before = async (texts) => {
    if (texts.length === 1 && texts[0] === "loja") return;
    reach();
    await open;
  };
  return { reached, release };
}
