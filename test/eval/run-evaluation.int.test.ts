import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { runEvaluation } from "../../eval/run-evaluation.js";
import { describeOnServer, requireServerUrl } from "../support/databases.js";
import { capturePrinted, type Printed } from "../support/printed.js";
import { allFound, flowersSet } from "../support/question-sets.js";

/** Runs it in this process with the arguments of the command and only these variables. */
async function evaluate(args: string[], variables: { DATABASE_URL: string }): Promise<Printed<number>> {
  for (const name of ["DATABASE_URL", "OLLAMA_BASE_URL", "EMBEDDINGS_MODEL"] as const) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  return capturePrinted(() => runEvaluation(args));
}

/** @returns what it prints */
async function evaluateOnServer(args: string[]): Promise<string> {
  const { result, stdout, stderr } = await evaluate(args, { DATABASE_URL: requireServerUrl() });
  expect([result, stderr]).toEqual([0, ""]);
  return stdout;
}

describe("runEvaluation", () => {
  it("says which model there is not", async () => {
    const variables = { DATABASE_URL: "postgres://nobody@localhost:1/never_reached" };
    expect(await evaluate([await flowersSet(), "--models", "gpt"], variables)).toMatchObject({
      result: 2,
      stdout: "",
      stderr: expect.stringContaining("There is no model gpt") as unknown,
    });
  });
});

describeOnServer("runEvaluation", () => {
  it("runs on the server", async () => {
    const output = await evaluateOnServer([await flowersSet()]);
    expect(output).toMatch(allFound("clean", "hybrid"));
  });

  it("compares models, splitters, headers and forms of the questions", async () => {
    const variants = ["--split", "auto,recursive:200:0", "--headers", "none,title", "--models", "hashing"];
    const args = [await flowersSet(), ...variants, "--modes", "vector,text", "--questions", "clean,phone"];
    const output = await evaluateOnServer(args);
    expect(output).toMatch(/│ split +│ header +│ questions +│ mode +│ R@1/);
    expect(output).toMatch(/│ recursive:200:0 +│ title +│ phone +│ text +│ [01]\.\d{3} \(/);
    const compared = "vector: split recursive:200:0, header title against split auto, header none";
    expect(output).toMatch(new RegExp(`│ phone +│ ${compared} +│ MRR@10 +│ .* │ noise +│`));
  });

  it("indexes passages unsplit", async () => {
    const output = await evaluateOnServer([await flowersSet(), "--split", "passages"]);
    for (const mode of ["vector", "text", "hybrid"]) expect(output).toMatch(allFound("clean", mode));
    expect(output).toMatch(/│ 2 +│ 2 +│ 2 +│ 1 +│ \d+\.\d +│/);
  });

  it("accepts a file in the format of SQuAD", async () => {
    const folder = await mkdtemp("/tmp/training-index-eval-");
    onTestFinished(() => rm(folder, { recursive: true }));
    const [first, second] = ["🌻 O girassol precisa de sol direto.", "🌻🌻 A orquídea prefere luz indireta."] as const;
    const ask = (context: string, question: string, text: string): unknown => ({
      id: question,
      question,
      // Offsets count code points, as in Python.
      answers: [{ text, answer_start: Array.from(context.slice(0, context.indexOf(text))).length }],
    });
    const paragraphs = [
      { context: first, qas: [ask(first, "Do que precisa o girassol?", "sol direto")] },
      {
        context: second,
        qas: [
          ask(second, "Que luz prefere a orquídea?", "luz indireta"),
          { id: "x", question: "Por quê?", answers: [] },
        ],
      },
    ];
    const file = join(folder, "squad.json");
    await writeFile(file, JSON.stringify({ version: "1.1", data: [{ title: "Flores", paragraphs }] }));
    const output = await evaluateOnServer([file, "--split", "passages"]);
    for (const mode of ["vector", "text", "hybrid"]) expect(output).toMatch(allFound("clean", mode));
    expect(output).toContain("questions: 2;");
    expect(await evaluateOnServer([file])).toMatch(allFound("clean", "hybrid"));
  });
});
