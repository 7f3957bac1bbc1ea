import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  importFaissRows,
  type FaissImport,
  type FaissProblem,
  type FaissRow,
} from "../../examples/support/faiss-rows.js";
import { describeOnServer } from "../support/databases.js";
import { bundleProgram } from "../support/bundle.js";
import { newcomersEnvironment } from "../support/environment.js";
import { FIVE_PARAGRAPHS, openTestIndex, type TestIndex } from "../support/index.js";

const MINUTE = 60_000;

async function readSample(): Promise<FaissRow[]> {
  const file = new URL("../../examples/support/faiss-export.json", import.meta.url);
  return JSON.parse(await readFile(file, "utf8")) as FaissRow[];
}

/** A document as Python's `Document.model_dump_json()` writes it. */
function dumped(text: string, metadata: Record<string, unknown> = {}): string {
  return JSON.stringify({ id: null, metadata, page_content: text, type: "Document" });
}

/** A row with any tag and grupo. */
function rowOf(id: number, documentos: unknown): FaissRow {
  return { id, tag: "horarios", grupo: "loja", documentos };
}

async function runImport(
  { index }: TestIndex,
  rows: FaissRow[],
): Promise<{ imported: FaissImport[]; problems: FaissProblem[] }> {
  const imported: FaissImport[] = [];
  const problems: FaissProblem[] = [];
  for await (const row of importFaissRows(index, rows, (problem) => problems.push(problem))) {
    imported.push(row);
  }
  return { imported, problems };
}

async function contentsOf({ index }: TestIndex, id: number): Promise<string[]> {
  const hits = await index.similar("loja", { k: 1000 });
  return hits
    .filter(({ trainingId }) => trainingId === id)
    .sort((left, right) => left.position - right.position)
    .map(({ content }) => content);
}

describeOnServer("recipe faiss-import", (database) => {
  const open = (): Promise<TestIndex> => openTestIndex(database, {}, { idType: "integer" });

  it("imports the sample except its broken document, which it reports", async () => {
    const test = await open();
    const { imported, problems } = await runImport(test, await readSample());
    expect(imported.map(({ row, status, documents }) => [row, status, documents])).toEqual([
      [3, "indexed", 2],
      [7, "indexed", 2],
      [8, "indexed", 1],
      [12, "indexed", 2],
      [15, "indexed", 1],
    ]);
    expect(problems).toEqual([
      {
        row: 7,
        document: 1,
        message: "row 7 (trocas), document 1: is not JSON; it may have been cut off",
      },
    ]);
    expect(await contentsOf(test, 7)).toEqual([
      "Ferramentas e vasos podem ser trocados em até trinta dias, com a nota fiscal e sem sinais de uso.",
      "O dinheiro de uma devolução volta ao cartão em até duas faturas, ou à conta, no caso de Pix, em dois dias úteis.",
    ]);
    const [hit] = await test.index.similar("Quantas horas de sol precisam os girassóis?", {
      k: 1,
      filter: { grupo: "jardinagem" },
    });
    expect(hit).toMatchObject({
      trainingId: 12,
      metadata: { tag: "cuidados", grupo: "jardinagem", source: "cuidados.pdf", page: 0 },
    });
  });

  it("takes tag and grupo from the row, all other metadata from the document", async () => {
    const { index } = await open();
    const row = rowOf(1, [dumped("Abrimos às oito.", { tag: "antiga", id_treinamento: "1", page: 4 })]);
    for await (const { chunks } of importFaissRows(index, [row], () => undefined)) expect(chunks).toBe(1);
    const [hit] = await index.similar("Quando abre?");
    expect(hit?.metadata).toEqual({ tag: "horarios", grupo: "loja", id_treinamento: "1", page: 4 });
  });

  it("splits long documents and keeps their text", async () => {
    const test = await open();
    const { imported } = await runImport(test, [rowOf(1, [dumped(FIVE_PARAGRAPHS), dumped("Fim.")])]);
    const contents = await contentsOf(test, 1);
    expect(imported).toMatchObject([{ documents: 2, chunks: contents.length }]);
    expect(contents.length).toBeGreaterThan(2);
    for (const paragraph of FIVE_PARAGRAPHS.split("\n\n")) {
      expect(contents.some((content) => content.includes(paragraph.slice(-40)))).toBe(true);
    }
    expect(contents.at(-1)).toBe("Fim.");
  });

  it("a second import embeds only new documents, including a repaired one", async () => {
    const test = await open();
    const rows = await readSample();
    await runImport(test, rows);
    test.embeddings.texts = [];
    const mended = rows.map((row) =>
      row.id === 7
        ? { ...row, documentos: (row.documentos as unknown[]).with(1, dumped("Flores murchas: mande foto.")) }
        : row,
    );
    const { imported, problems } = await runImport(test, mended);
    expect(problems).toEqual([]);
    expect(test.embeddings.texts).toEqual(["Flores murchas: mande foto."]);
    const indexed = imported.filter(({ status }) => status === "indexed");
    expect(indexed).toMatchObject([{ row: 7, documents: 3, chunks: 3 }]);
    expect(imported.filter(({ status }) => status === "unchanged")).toHaveLength(4);
  });

  it("a second import keeps what the host has saved or deleted since", async () => {
    const test = await open();
    const rows = await readSample();
    await runImport(test, rows);
    const content = "A loja abre todos os dias.";
    await test.index.upsertTraining({ id: 15, content, revision: new Date() });
    await test.index.deleteTraining(8, { revision: new Date() });
    const { imported } = await runImport(test, rows);
    expect(imported.filter(({ status }) => status === "superseded").map(({ row }) => row)).toEqual([8, 15]);
    expect(await contentsOf(test, 15)).toEqual([content]);
    expect(await contentsOf(test, 8)).toEqual([]);
  });

  it.each<[string, unknown, number | undefined, string]>([
    ["a truncated document", ['{"page_content": "Abri'], 0, "is not JSON; it may have been cut off"],
    ["a document that is a number", [7], 0, "is not a document"],
    ["a document that is null", ["null"], 0, "is not a document"],
    ["a list as a document", [dumped("Um."), []], 1, "is not a document"],
    ["a document without a text", ['{"metadata": {}}'], 0, "has no page_content that is a string"],
    ["a text that is not a string", [{ page_content: null }], 0, "has no page_content that is a string"],
    [
      "metadata that is not an object",
      [{ page_content: "Um.", metadata: [] }],
      0,
      "has metadata that is not an object",
    ],
    ["not a list", "{}", undefined, "documentos is not a list, or is empty"],
    ["null", null, undefined, "documentos is not a list, or is empty"],
    ["an empty list", [], undefined, "documentos is not a list, or is empty"],
  ])("%s is named, and the rows around it are imported", async (_title, documentos, document, what) => {
    const test = await open();
    const rows = [
      rowOf(1, [dumped("Abrimos às oito.")]),
      rowOf(2, documentos),
      rowOf(3, [{ page_content: "Fechamos às dez." }]),
    ];
    const { imported, problems } = await runImport(test, rows);
    const place = document === undefined ? "" : `, document ${document}`;
    expect(problems).toEqual([{ row: 2, document, message: `row 2 (horarios)${place}: ${what}` }]);
    expect(imported.map(({ row }) => row).filter((row) => row !== 2)).toEqual([1, 3]);
    expect(await contentsOf(test, 1)).toEqual(["Abrimos às oito."]);
    expect(await contentsOf(test, 3)).toEqual(["Fechamos às dez."]);
  });

  it("reads rows from a source one after the other, in bounded memory", async () => {
    const test = await open();
    let taken = 0;
    const rows = async function* (): AsyncGenerator<FaissRow> {
      for (let id = 1; id <= 2000; id++) {
        taken += 1;
        yield await Promise.resolve(rowOf(id, [dumped(`Aviso ${id}.`)]));
      }
    };
    for await (const { row } of importFaissRows(test.index, rows(), () => undefined)) {
      if (row === 1) break;
    }
    expect(taken).toBeLessThan(1000);
  });
});

describe("the example faiss-import", () => {
  const run = async (...args: string[]): Promise<string> => {
    const program = await bundleProgram(new URL("../../examples/faiss-import.ts", import.meta.url));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], {
      env: newcomersEnvironment({ ENV_FILE: "" }),
    });
    return stdout + stderr;
  };

  it("prints its results row by row", { timeout: MINUTE }, async () => {
    const output = await run();
    const [first = "", again = ""] = output.split("A second import embeds nothing:");
    expect(first).toMatch(/│ 7 +│ indexed +│ 2 +│ 2 +│/);
    expect(first).toContain("NOT IMPORTED: row 7 (trocas), document 1: is not JSON; it may have been cut off");
    expect(again.match(/│ unchanged/g)).toHaveLength(5);
    expect(again).toMatch(/Quanto custa o frete\?\n0\.\d{3} O frete custa R\$ 12,00/);
    expect(output).toContain("5/5 rows");
  });

  it("imports a given file", { timeout: MINUTE }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "faiss-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "trainings.json");
    await writeFile(file, JSON.stringify([rowOf(31, [dumped("Abrimos às oito.")]), rowOf(32, "cortado")]));
    // test/scripts.int.test.ts sees that the runner of the examples passes on what follows the names.
    const output = await run(file);
    expect(output).toMatch(/│ 31 +│ indexed +│ 1 +│ 1 +│/);
    expect(output).toContain("NOT IMPORTED: row 32 (horarios): documentos is not a list");
    expect(output).toContain("2/2 rows");
  });
});
