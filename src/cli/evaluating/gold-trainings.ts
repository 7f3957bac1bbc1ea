import type { ChunkPassage, TrainingIndex } from "../../index.js";
import type { Question } from "./question-file.js";

/** A question, and the training of the index that answers it. */
export interface AnsweredQuestion extends Question {
  /** In the form of hits. */
  trainingId: string;
}

/**
 * Finds the trainings that answer questions. Leaves out the questions of which the index has none.
 *
 * @param idFor - the id of a training in the index for an id of the questions
 */
export async function findGoldTrainings(
  index: TrainingIndex,
  questions: readonly Question[],
  idFor: (id: string) => string,
  signal: AbortSignal,
): Promise<AnsweredQuestion[]> {
  const stored = new Map<string, Promise<boolean>>();
  const isStored = (id: string): Promise<boolean> => {
    const known = stored.get(id) ?? index.get(id, { signal }).then((training) => training !== undefined);
    stored.set(id, known);
    return known;
  };
  const answered: AnsweredQuestion[] = [];
  for (const question of questions) {
    for (const id of question.goldIds) {
      if (!(await isStored(idFor(id)))) continue;
      answered.push({ ...question, trainingId: idFor(id), docId: question.docId && idFor(question.docId) });
      break;
    }
  }
  return answered;
}

/**
 * Whether a hit answers a question: it is of the right training and, if that is the text in which the places of answers are known,
 * overlaps one of them.
 */
export function isRight({ trainingId, docId, answers }: AnsweredQuestion, hit: ChunkPassage): boolean {
  if (String(hit.trainingId) !== trainingId) return false;
  if (docId !== trainingId || answers.length === 0) return true;
  return answers.some(({ start, end }) => hit.start < end && hit.end > start);
}
