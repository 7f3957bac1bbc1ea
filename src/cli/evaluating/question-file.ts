import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../session/command.js";

/** The file of a folder that has the questions. */
export const QUESTION_FILE = "queries.jsonl";

/** A question whose right hits are known. */
export interface Question {
  text: string;
  /** The ids of trainings that answer it, the first of which that the index has counts. */
  goldIds: readonly string[];
  /** The places of the answers in the text of `docId`, in UTF-16 units; none if they are not known. */
  answers: readonly { start: number; end: number }[];
  /** The id whose text the answers are places in. */
  docId: string | undefined;
}

/**
 * Reads the questions of a folder: one JSON object a line, with `text`, and `passage_id` or `doc_id`.
 *
 * @param folder - an absolute path
 * @param name - as the caller wrote it, for errors
 * @throws {@link InputError} naming the file and the line
 */
export async function readQuestions(folder: string, name: string): Promise<Question[]> {
  const place = join(name, QUESTION_FILE);
  const text = await readFile(join(folder, QUESTION_FILE), "utf8").catch((error: unknown) => {
    throw new InputError(`${place} cannot be read: the folder must have the questions in a file of that name`, {
      cause: error,
    });
  });
  const questions = text.split("\n").flatMap((line, index) => {
    return line.trim() === "" ? [] : parseQuestion(line, `${place}:${index + 1}`);
  });
  if (questions.length === 0) throw new InputError(`${place} has no questions`);
  return questions;
}

function parseQuestion(line: string, place: string): Question {
  const { text, passage_id: passage, doc_id: doc, answers = [] } = parseObject(line, place);
  if (typeof text !== "string" || text.trim() === "")
    throw new InputError(`${place} has no text: that is the question`);
  const goldIds = [passage, doc].filter((id) => id !== undefined).map((id) => toId(id, place));
  if (goldIds.length === 0)
    throw new InputError(`${place} has neither passage_id nor doc_id: the id of the right training`);
  if (!Array.isArray(answers) || !answers.every(isRange)) {
    throw new InputError(`${place} has answers that are not places in the text: [{"start":26,"end":49}]`);
  }
  return { text, goldIds, answers, docId: doc === undefined ? undefined : toId(doc, place) };
}

function parseObject(line: string, place: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Reported below: the message of JSON.parse quotes the text.
  }
  throw new InputError(`${place} is not a JSON object`);
}

function toId(id: unknown, place: string): string {
  if (typeof id === "string" || typeof id === "number") return `${id}`;
  throw new InputError(`${place} has an id that is neither a text nor a number`);
}

function isRange(value: unknown): value is { start: number; end: number } {
  const { start, end } = (value ?? {}) as { start?: unknown; end?: unknown };
  return Number.isSafeInteger(start) && Number.isSafeInteger(end);
}
