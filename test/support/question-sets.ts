/** Question sets for evaluations. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** The row of an evaluation in which the first hit of each question was right. */
export function allFound(form: string, mode: string): RegExp {
  return new RegExp(`│ ${form} +│ ${mode} +(│ 1\\.000 \\(\\S+\\) ){4}│ \\d+\\.\\d +│`);
}

/** The folder of a question set, which is removed after the test. The second half of its first text answers one of the questions. */
export async function flowersSet(): Promise<string> {
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
