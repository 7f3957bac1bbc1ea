import type { PreparedTraining, Training, TrainingIndex } from "langchain-training-index";

/**
 * A prepared version in whose way other calls come: so it is stored in a transaction of several statements, and not by one
 * statement as others are.
 */
export async function overtakenPreparation(
  index: TrainingIndex,
  training: Training,
  meanwhile: readonly Training[],
): Promise<PreparedTraining> {
  const prepared = await index.prepareTraining({ ...training, revision: 2 });
  for (const other of meanwhile) await index.upsertTraining({ ...other, revision: 1 });
  return prepared;
}
