import type { PreparedTraining, Training, TrainingIndex } from "langchain-training-index";

/**
 * Prepares a training and then stores other versions of it. The prepared version is therefore stored in a transaction of
 * several statements instead of a single-statement swap.
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
