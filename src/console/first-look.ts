import type { StoredTraining, TrainingIndex } from "../index.js";

/** How many trainings are looked at, how many of them are shown, and how many questions are made of them. */
const LOOKED_AT = 8;
const SHOWN = 4;
const QUESTIONS = 3;
const MAX_WORDS = 7;
const MAX_CHARACTERS = 90;

const SENTENCE = /[^.!?\n]+[.!?]?/g;

/** What the page shows before the first question. */
export interface FirstLook {
  /** A question that one of the first trainings has, or the first words of a text. */
  questions: string[];
  /** The first trainings, in the order of their ids. */
  trainings: StoredTraining[];
}

/** Reads the first trainings, whatever the size of the index, and makes questions of them. */
export async function firstLook(
  index: Pick<TrainingIndex, "list" | "chunks">,
  signal: AbortSignal,
): Promise<FirstLook> {
  const questions = new Set<string>();
  const trainings: StoredTraining[] = [];
  for await (const training of index.list({ limit: LOOKED_AT, signal })) {
    if (trainings.length < SHOWN) trainings.push(training);
    if (questions.size === QUESTIONS) continue;
    const [chunk] = await index.chunks(training.id, { signal });
    const question = chunk && questionOf(chunk.content);
    if (question !== undefined) questions.add(question);
  }
  return { questions: [...questions], trainings };
}

/** @returns `undefined` for a text without words */
export function questionOf(text: string): string | undefined {
  const sentences = (text.match(SENTENCE) ?? [])
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== "");
  const asked = sentences.find((sentence) => sentence.endsWith("?") && sentence.length <= MAX_CHARACTERS);
  if (asked !== undefined) return asked;
  const [first] = sentences;
  const words = first?.replace(/[.!]$/, "").split(/\s+/).slice(0, MAX_WORDS).join(" ");
  return words?.slice(0, MAX_CHARACTERS).trimEnd();
}
