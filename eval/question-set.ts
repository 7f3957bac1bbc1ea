import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ChunkPassage, Training } from "langchain-training-index";

/** What a question set is and where to get one, for a person. */
export const QUESTION_SETS = `SET is one of:

  a JSON file in the format of SQuAD 1.1, as many public sets have it:
    Portuguese: https://github.com/liafacom/faquad (data/dataset.json)
    eleven other languages: https://github.com/google-deepmind/xquad (xquad.en.json, xquad.es.json, ...)

  a folder of your own texts and questions, with one JSON object per line:
    docs.jsonl      {"id": "shipping", "title": "Shipping", "text": "We deliver in three days. Shipping costs 12 reais."}
    queries.jsonl   {"id": "q1", "text": "How much is shipping?", "doc_id": "shipping", "answers": [{"start": 26, "end": 49}]}
                    doc.text.slice(start, end) is the passage that answers the question; any of several answers counts
    passages.jsonl  {"id": "shipping-1", "doc_id": "shipping", "text": "Shipping costs 12 reais."}
                    only for --split passages; each question then names the right one: "passage_id": "shipping-1"

30 to 50 real questions of your users are enough to compare models and modes. Texts that are not in Portuguese need
--language, for example --language english.`;

/** A question whose answers are known. */
export interface Question {
  text: string;
  doc_id: string;
  /** Offsets in the doc's text, in UTF-16 units. */
  answers: { start: number; end: number }[];
  /** The passage that has the answers, in sets that are already split. */
  passage_id?: string;
}

/** How texts become chunks: split by the library's default, or each passage of the set as one chunk. */
export type Split = "auto" | "passages";

/** Texts with questions about them. */
export interface QuestionSet {
  trainings: Training[];
  questions: Question[];
  /** Whether a hit has an answer to the question. */
  isRight: (question: Question, hit: ChunkPassage) => boolean;
}

/** A question set that cannot be read; the message says why. */
export class QuestionSetError extends Error {}

interface Text {
  id: string;
  title?: string;
  text: string;
}

/** Reads a set: a folder, or a file in the format of SQuAD. @throws {@link QuestionSetError} */
export async function readQuestionSet(source: string, split: Split): Promise<QuestionSet> {
  const questions = await readPart<Question>(source, "queries");
  if (split === "auto") {
    const documents = await readDocuments(source);
    return {
      trainings: documents.map(({ id, title, text }) => ({ id, content: text, metadata: { title } })),
      questions,
      isRight: (question, hit) =>
        hit.trainingId === question.doc_id &&
        question.answers.some(({ start, end }) => hit.start < end && hit.end > start),
    };
  }
  const passages = await readPart<Text>(source, "passages");
  return {
    trainings: passages.map(({ id, title, text }) => ({
      id,
      documents: [{ pageContent: text }],
      metadata: { title },
      split: false,
    })),
    questions,
    isRight: (question, hit) => hit.trainingId === question.passage_id,
  };
}

/** The whole texts of a set. @throws {@link QuestionSetError} */
export async function readDocuments(source: string): Promise<Text[]> {
  return readPart<Text>(source, "docs");
}

type Part = "docs" | "queries" | "passages";

async function readPart<T>(source: string, part: Part): Promise<T[]> {
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    () => undefined,
  );
  if (isFolder === undefined) throw new QuestionSetError(`There is no file or folder ${source}`);
  const rows = isFolder ? await readLines(join(source, `${part}.jsonl`)) : (await readSquad(source))[part];
  if (rows.length === 0) throw new QuestionSetError(`${source} has no ${part}`);
  return rows as T[];
}

async function readLines(path: string): Promise<unknown[]> {
  const text = await readFile(path, "utf8").catch(() => {
    throw new QuestionSetError(`There is no file ${path}`);
  });
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as unknown);
}

/** https://rajpurkar.github.io/SQuAD-explorer/ */
interface Squad {
  data: {
    title?: string;
    paragraphs: {
      context: string;
      qas: { id: string; question: string; answers: { text: string; answer_start: number }[] }[];
    }[];
  }[];
}

/** Each article becomes a doc, and each of its paragraphs a passage. */
async function readSquad(path: string): Promise<Record<Part, unknown[]>> {
  const { data } = JSON.parse(await readFile(path, "utf8")) as Partial<Squad>;
  if (!Array.isArray(data)) throw new QuestionSetError(`${path} is not in the format of SQuAD: it has no list "data"`);
  const docs: Text[] = [];
  const queries: Question[] = [];
  const passages: (Text & { doc_id: string })[] = [];
  for (const [place, { title = "", paragraphs }] of data.entries()) {
    const docId = `doc-${place}`;
    let text = "";
    for (const [number, { context, qas }] of paragraphs.entries()) {
      const passageId = `${docId}-${number}`;
      if (number > 0) text += "\n\n";
      const offset = text.length;
      text += context;
      passages.push({ id: passageId, doc_id: docId, title, text: context });
      for (const { question, answers } of qas) {
        if (answers.length === 0) continue; // SQuAD 2.0 has questions without an answer
        queries.push({
          text: question,
          doc_id: docId,
          passage_id: passageId,
          answers: answers.map((answer) => {
            const start = offset + unitsBefore(context, answer.answer_start);
            return { start, end: start + answer.text.length };
          }),
        });
      }
    }
    docs.push({ id: docId, title, text });
  }
  return { docs, queries, passages };
}

/** SQuAD counts code points, as Python does; JavaScript counts UTF-16 units. */
function unitsBefore(text: string, codePoints: number): number {
  return Array.from(text).slice(0, codePoints).join("").length;
}
