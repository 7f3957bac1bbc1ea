import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { runEvaluation } from "../../eval/run-evaluation.js";
import { describeOnServer, requireServerUrl } from "../support/databases.js";
import { capturePrinted, type Printed } from "../support/printed.js";

/** Runs it in this process with the arguments of the command and only these variables. */
async function evaluate(args: string[], variables: { DATABASE_URL?: string }): Promise<Printed<number>> {
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
  it("prints how often the right passage was found", async () => {
    const { result, stdout: output } = await evaluate([await flowersSet()], {});
    expect(result).toBe(0);
    expect(output).toMatch(/questions +│ mode +│ R@1 +│ R@5 +│ R@10 +│ MRR@10 +│ ms a question/);
    for (const mode of ["vector", "text", "hybrid"]) expect(output).toMatch(allFound("clean", mode));
    expect(output).toMatch(/trainings +│ chunks +│ texts embedded +│ embedding calls +│ seconds to index/);
    expect(output).toMatch(/│ 2 +│ 3 +│ 3 +│ 1 +│ \d+\.\d +│/);
  });

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

/** The row of an evaluation in which the first hit of each question was right. */
function allFound(form: string, mode: string): RegExp {
  return new RegExp(`│ ${form} +│ ${mode} +(│ 1\\.000 \\(\\S+\\) ){4}│ \\d+\\.\\d +│`);
}

/** The folder of a question set, which is removed after the test. The second half of its first text answers one of the questions. */
async function flowersSet(): Promise<string> {
  const folder = await mkdtemp("/tmp/training-index-eval-");
  onTestFinished(() => rm(folder, { recursive: true }));
  const long = `${"O girassol precisa de sol direto. ".repeat(25)}\n\n${"A orquídea prefere luz indireta. ".repeat(25)}`;
  const documents = [
    { id: "flores", lang: "pt", title: "Flores", text: long },
    { id: "loja", lang: "pt", title: "Loja", text: "A loja abre às oito horas." },
  ];
  const answer = (docId: string, passageId: string, found: string, text: string): unknown => {
    const start = (documents.find(({ id }) => id === docId)?.text ?? "").indexOf(found);
    return {
      id: text,
      text,
      doc_id: docId,
      passage_id: passageId,
      answers: [{ start, end: start + found.length, text: found }],
    };
  };
  const queries = [
    answer("flores", "orquidea", "luz indireta", "Que luz prefere a orquídea?"),
    answer("loja", "abertura", "oito", "Quando abre a loja?"),
  ];
  const passages = [
    { id: "orquidea", doc_id: "flores", text: "A orquídea prefere luz indireta." },
    { id: "abertura", doc_id: "loja", text: "A loja abre às oito horas." },
  ];
  const lines = (rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
  await writeFile(join(folder, "docs.jsonl"), lines(documents));
  await writeFile(join(folder, "passages.jsonl"), lines(passages));
  await writeFile(join(folder, "queries.jsonl"), lines(queries));
  return folder;
}
