import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ChunkPassage, Training } from "langchain-training-index";

/** A question whose answers are known. */
export interface Question {
  text: string;
  doc_id: string;
  /** Offsets in the doc's text, in UTF-16 units. */
  answers: { start: number; end: number }[];
  /** The passage that holds them, in sets that are split already. */
  passage_id?: string;
}

/** How texts become chunks: as the library splits by default, or each passage of the set as one chunk. */
export type Split = "auto" | "passages";

/** Texts with questions about them. */
export interface QuestionSet {
  trainings: Training[];
  questions: Question[];
  /** Whether a hit holds an answer. */
  isRight: (question: Question, hit: ChunkPassage) => boolean;
}

interface Text {
  id: string;
  title?: string;
  text: string;
}

/** Reads a folder in the form of `../shared/data/faquad-pt`. */
export async function readQuestionSet(directory: string, split: Split): Promise<QuestionSet> {
  const questions = await readLines<Question>(join(directory, "queries.jsonl"));
  if (split === "auto") {
    const documents = await readLines<Text>(join(directory, "docs.jsonl"));
    return {
      trainings: documents.map(({ id, title, text }) => ({ id, content: text, metadata: { title } })),
      questions,
      isRight: (question, hit) =>
        hit.trainingId === question.doc_id &&
        question.answers.some(({ start, end }) => hit.start < end && hit.end > start),
    };
  }
  const passages = await readLines<Text>(join(directory, "passages.jsonl"));
  return {
    trainings: passages.map(({ id, title, text }) => ({
      id,
      documents: [{ pageContent: text, metadata: { title } }],
      split: false,
    })),
    questions,
    isRight: (question, hit) => hit.trainingId === question.passage_id,
  };
}

async function readLines<T>(path: string): Promise<T[]> {
  const text = await readFile(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as T);
}
