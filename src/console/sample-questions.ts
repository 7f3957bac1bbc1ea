import type { TrainingIndex } from "../index.js";

/** How many trainings are looked at, and how many questions are made of them. */
const LOOKED_AT = 12;
const QUESTIONS = 3;
const MAX_WORDS = 7;
const MAX_CHARACTERS = 90;

const SENTENCE = /[^.!?\n]+[.!?]?/g;

/** Questions to begin with, made of the first trainings: a question that one of them has, or the first words of its text. */
export async function sampleQuestions(
  index: Pick<TrainingIndex, "list" | "chunks">,
  signal: AbortSignal,
): Promise<string[]> {
  const questions = new Set<string>();
  for await (const { id } of index.list({ limit: LOOKED_AT, signal })) {
    const [chunk] = await index.chunks(id, { signal });
    const question = chunk && questionOf(chunk.content);
    if (question !== undefined) questions.add(question);
    if (questions.size === QUESTIONS) break;
  }
  return [...questions];
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
