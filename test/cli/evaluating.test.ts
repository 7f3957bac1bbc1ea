import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChunkPassage } from "langchain-training-index";
import { isRight, type AnsweredQuestion } from "../../src/cli/evaluating/gold-trainings.js";
import { readQuestions } from "../../src/cli/evaluating/question-file.js";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp("/tmp/questions-");
});

afterAll(() => rm(folder, { recursive: true }));

describe("a file of questions", () => {
  const read = async (content: string): ReturnType<typeof readQuestions> => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "queries.jsonl"), content);
    return readQuestions(folder, "minhas");
  };

  it("has a question a line, with the trainings that answer it", async () => {
    const lines = [
      '{"id":"q1","text":"Quanto?","doc_id":"frete","passage_id":"frete-1","answers":[{"start":3,"end":9,"text":"x"}]}',
      "",
      '{"text":"Quando?","doc_id":7}\r',
    ];
    expect(await read(lines.join("\n"))).toEqual([
      { text: "Quanto?", goldIds: ["frete-1", "frete"], answers: [{ start: 3, end: 9, text: "x" }], docId: "frete" },
      { text: "Quando?", goldIds: ["7"], answers: [], docId: "7" },
    ]);
  });

  it.each([
    ["", "minhas/queries.jsonl has no questions"],
    ["segredo", "minhas/queries.jsonl:1 is not a JSON object"],
    ['{"text":" ","doc_id":"a"}', "minhas/queries.jsonl:1 has no text"],
    ['{"text":"segredo?"}', "minhas/queries.jsonl:1 has neither passage_id nor doc_id"],
    ['{"text":"segredo?","doc_id":{}}', "minhas/queries.jsonl:1 has an id that is neither"],
    ['{"text":"segredo?","doc_id":"a","answers":[{"start":"1"}]}', "minhas/queries.jsonl:1 has answers that are not"],
  ])("is refused: %j", async (content, problem) => {
    const error: unknown = await read(content).catch((failure: unknown) => failure);
    expect((error as Error).message).toContain(problem);
    expect((error as Error).message).not.toContain("segredo");
  });
});

describe("a right hit", () => {
  const hit = { trainingId: 7, start: 100, end: 200 } as ChunkPassage;
  const question = (changes: Partial<AnsweredQuestion>): AnsweredQuestion => ({
    ...{ text: "?", goldIds: ["7"], answers: [{ start: 150, end: 160 }], docId: "7", trainingId: "7" },
    ...changes,
  });

  it.each([
    ["overlaps an answer", {}, true],
    ["is of the training, if no places are known", { answers: [] }, true],
    ["is of the passage, whose places are another text's", { docId: "doc", answers: [{ start: 900, end: 901 }] }, true],
    [
      "is not beside the answer",
      {
        answers: [
          { start: 200, end: 300 },
          { start: 0, end: 100 },
        ],
      },
      false,
    ],
    ["is not of another training", { trainingId: "8" }, false],
  ])("%s", (_name, changes, expected) => {
    expect(isRight(question(changes), hit)).toBe(expected);
  });
});
