/** The trainings shared by `kill.int.test.ts` and the process that it kills. */
import type { Training } from "langchain-training-index";

export const DIMENSIONS = 16;
/** The host's trainings; each of one chunk. */
export const HOST_COUNT = 500;
/** Trainings that only the index has, ids from `HOST_COUNT` on. */
export const ORPHANS = 30;

export function trainingOf(number: number, version = 2): Training {
  return { id: `${number}`, content: `Texto ${number}, versão ${version}.`, revision: version };
}

export function hostTrainings(): Training[] {
  return Array.from({ length: HOST_COUNT }, (_, number) => trainingOf(number));
}
