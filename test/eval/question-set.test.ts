import { describe, expect, it } from "vitest";
import { USAGE } from "../../eval/options.js";
import { QuestionSetError, readQuestionSet } from "../../eval/question-set.js";

describe("readQuestionSet", () => {
  it.each([
    ["/nowhere", "There is no file or folder /nowhere"],
    ["docs", "There is no file docs/queries.jsonl"],
    ["package.json", "package.json is not in the format of SQuAD"],
  ])("says why it cannot read %s", async (source, problem) => {
    const failure = await readQuestionSet(source, "auto").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(QuestionSetError);
    expect((failure as Error).message).toContain(problem);
  });
});

it("the usage explains what a question set is, and where to get one", () => {
  expect(USAGE).toMatch(/^usage: npm run eval -- SET/);
  expect(USAGE).toContain("https://github.com/liafacom/faquad");
  expect(USAGE).toContain('{"id": "q1", "text": "How much is shipping?"');
});
