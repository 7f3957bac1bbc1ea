import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DOCUMENT_SEPARATOR, planChunks } from "../../src/chunking/chunk-plan.js";
import { Chunker } from "../../src/chunking/chunker.js";
import { planEdit } from "../../src/chunking/edit-plan.js";
import { estimateTokens } from "../../src/embedding/tokens.js";
import type { PlannedChunk } from "../../src/chunking/chunk-plan.js";
import { normalizeTraining, type NormalizedTraining } from "../../src/chunking/training-input.js";
import type { Training } from "../../src/types.js";

const PROFILE = { model: "modelo", dimensions: 2, queryPrefix: "", documentPrefix: "" };
const chunkerOf = (chunkSize: number, chunkOverlap: number, maxTokens?: number): Chunker =>
  new Chunker(new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap }), { ...PROFILE, maxTokens });
const chunker = chunkerOf(1000, 150);

function normalized(content: string | string[], header = ""): NormalizedTraining {
  const training: Training =
    typeof content === "string"
      ? { id: "a", content }
      : { id: "a", documents: content.map((pageContent) => ({ pageContent })) };
  return normalizeTraining(training, "text", "training", () => header);
}

async function fresh(content: string | string[]): Promise<PlannedChunk[]> {
  return (await planChunks(normalized(content), chunker)).chunks;
}

/** A paragraph of about 230 characters: four fill a chunk, so an insertion moves every later boundary. */
function paragraph(name: string): string {
  return `Parágrafo ${name}. ${"A loja atende de segunda a sexta e responde por mensagem no mesmo dia, menos nos feriados. ".repeat(2)}`;
}

const PARAGRAPHS = Array.from({ length: 1000 }, (_, place) => paragraph(`${place}`).trim());

function newTexts(chunks: readonly PlannedChunk[], stored: readonly PlannedChunk[]): number {
  const known = new Set(stored.map(({ hash }) => hash));
  return chunks.filter(({ hash }) => !known.has(hash)).length;
}

/** Invariants of every plan: each chunk is at its recorded place, in order, and no character is left out. */
function expectWhole(chunks: readonly PlannedChunk[], training: NormalizedTraining): void {
  const content = training.sources.map(({ text }) => text).join(DOCUMENT_SEPARATOR);
  let covered = 0;
  let start = -1;
  for (const chunk of chunks) {
    expect(content.slice(chunk.start, chunk.end)).toBe(chunk.content);
    expect(chunk.start).toBeGreaterThanOrEqual(start);
    expect(content.slice(covered, chunk.start).trim()).toBe("");
    start = chunk.start;
    covered = Math.max(covered, chunk.end);
  }
  expect(content.slice(covered).trim()).toBe("");
}

describe("planEdit", () => {
  it.each([
    ["a word is changed", (text: string) => text.replace("loja", "floricultura")],
    ["a sentence is added", (text: string) => `${text} Aos sábados fecha ao meio-dia.`],
    ["it is rewritten", () => paragraph("escrito de novo")],
    ["another is inserted before it", (text: string) => `${paragraph("novo")}\n\n${text}`],
    ["it is removed", () => ""],
  ])("makes at most three chunks new after an edit of a paragraph anywhere in the text: %s", async (_name, edit) => {
    const stored = await fresh(PARAGRAPHS.join("\n\n"));
    expect(stored.length).toBeGreaterThanOrEqual(200);
    for (const place of [0, 1, 2, 3, 4, 99, 250, 401, 577, 800, 997, 998, 999]) {
      const paragraphs = PARAGRAPHS.with(place, edit(PARAGRAPHS[place] ?? "")).filter((text) => text !== "");
      const training = normalized(paragraphs.join("\n\n"));
      const chunks = (await planEdit(training, stored, chunker)) ?? [];
      expectWhole(chunks, training);
      expect(newTexts(chunks, stored)).toBeLessThanOrEqual(3);
    }
  });

  it("is needed: the splitter alone makes nearly all chunks after an insertion new", async () => {
    const stored = await fresh(PARAGRAPHS.join("\n\n"));
    const chunks = await fresh([paragraph("novo"), ...PARAGRAPHS].join("\n\n"));
    expect(newTexts(chunks, stored)).toBeGreaterThan(150);
  });

  it("does not fragment: after 100 edits there are at most 1.4 times as many chunks as after a fresh split", async () => {
    let paragraphs = PARAGRAPHS.slice(0, 200);
    let chunks = await fresh(paragraphs.join("\n\n"));
    for (let edit = 0; edit < 100; edit++) {
      const place = (edit * 37) % paragraphs.length;
      paragraphs =
        edit % 3 === 0
          ? paragraphs.toSpliced(place, 0, paragraph(`novo ${edit}`).trim())
          : paragraphs.with(place, `${paragraphs[place] ?? ""} Mudança ${edit}.`);
      const training = normalized(paragraphs.join("\n\n"));
      const planned = (await planEdit(training, chunks, chunker)) ?? [];
      expect(newTexts(planned, chunks)).toBeLessThanOrEqual(3);
      chunks = planned;
      expectWhole(chunks, training);
    }
    const again = await fresh(paragraphs.join("\n\n"));
    expect(chunks.length).toBeLessThan(again.length * 1.4);
  });

  it("returns undefined for an unrelated text", async () => {
    const stored = await fresh("O prazo de entrega é de três dias.");
    expect(await planEdit(normalized("Trocas em até trinta dias."), stored, chunker)).toBeUndefined();
    expect(await planEdit(normalized(""), stored, chunker)).toBeUndefined();
  });

  it("keeps all chunks of the same text", async () => {
    const content = PARAGRAPHS.slice(0, 20).join("\n\n");
    const stored = await fresh(content);
    expect(await planEdit(normalized(content), stored, chunker)).toEqual(stored);
  });

  it("covers text that replaces the white space between two chunks", async () => {
    const content = `${"a".repeat(900)}\n\n${"b".repeat(900)}`;
    const stored = await fresh(content);
    const training = normalized(content.replace("\n\n", "xy"));
    const chunks = (await planEdit(training, stored, chunker)) ?? [];
    expectWhole(chunks, training);
  });

  it("never makes a chunk that spans two documents", async () => {
    const documents = PARAGRAPHS.slice(0, 40);
    const stored = await fresh([documents.slice(0, 20).join("\n\n"), documents.slice(20).join("\n\n")]);
    const edited = [documents.slice(0, 25).join("\n\n"), [...documents.slice(25), paragraph("novo")].join("\n\n")];
    const training = normalized(edited);
    const chunks = (await planEdit(training, stored, chunker)) ?? [];
    expectWhole(chunks, training);
    const boundary = (edited[0] ?? "").length;
    for (const { start, end } of chunks) expect(start >= boundary || end <= boundary).toBe(true);
  });

  it("keeps chunks under the same header, and no hash under another header", async () => {
    const content = PARAGRAPHS.slice(0, 40).join("\n\n");
    const { chunks: stored } = await planChunks(normalized(content, "Loja"), chunker);
    const edited = content.replace("loja", "floricultura");
    const kept = (await planEdit(normalized(edited, "Loja"), stored, chunker)) ?? [];
    expectWhole(kept, normalized(edited));
    expect(newTexts(kept, stored)).toBeLessThanOrEqual(3);
    const moved = (await planEdit(normalized(edited, "Site"), stored, chunker)) ?? [];
    expectWhole(moved, normalized(edited));
    expect(newTexts(moved, stored)).toBe(moved.length);
  });

  it("fits new chunks into the window that the header leaves", async () => {
    const small = chunkerOf(1000, 150, 256);
    const header = "Assunto: trocas e devoluções da loja. ".repeat(7).trim();
    const content = PARAGRAPHS.slice(0, 10).join("\n\n");
    const added = ["novo", "mais novo", "novíssimo", "último"].map((name) => paragraph(name).trim());
    const training = normalized([...PARAGRAPHS.slice(0, 5), ...added, ...PARAGRAPHS.slice(5, 10)].join("\n\n"), header);
    const { chunks: stored } = await planChunks(normalized(content, header), small);
    const chunks = (await planEdit(training, stored, small)) ?? [];
    expectWhole(chunks, training);
    expect(newTexts(chunks, stored)).toBeGreaterThan(0);
    for (const chunk of chunks) {
      expect(estimateTokens(header) + estimateTokens(chunk.content)).toBeLessThanOrEqual(254);
    }
  });

  it.each([
    ["CRLF", "\r\n"],
    ["CR", "\r"],
  ])(
    "treats %s as line feeds, before and after: changed line breaks make no more chunks new",
    async (_name, lineBreak) => {
      const text = PARAGRAPHS.slice(0, 60).join("\n\n");
      const edited = text.replace("Parágrafo 30", `Parágrafo trinta.\nNova linha`);
      for (const [before, after] of [
        [text, edited.replaceAll("\n", lineBreak)],
        [text.replaceAll("\n", lineBreak), edited],
        [text.replaceAll("\n", lineBreak), edited.replaceAll("\n", lineBreak)],
      ] as const) {
        const stored = await fresh(before);
        const training = normalized(after);
        const chunks = (await planEdit(training, stored, chunker)) ?? [];
        expectWhole(chunks, training);
        expect(newTexts(chunks, stored)).toBeLessThanOrEqual(3);
        expect(newTexts(chunks, stored)).toBeGreaterThan(0);
      }
    },
  );

  it("keeps all chunks of any text if only its line breaks change", async () => {
    const small = chunkerOf(20, 5);
    const words = fc.array(fc.constantFrom("loja", "é", "🌻", "prazo", "\n\n", " ", "\n"), { maxLength: 60 });
    const breaks = fc.infiniteStream(fc.constantFrom("\n", "\r\n"));
    await fc.assert(
      fc.asyncProperty(fc.array(words, { maxLength: 3 }), breaks, breaks, async (texts, before, after) => {
        const given = (stream: Iterator<string, string>): string[] =>
          texts.map((text) => text.join(" ").replaceAll("\n", () => stream.next().value));
        const { chunks: stored } = await planChunks(normalized(given(before)), small);
        const training = normalized(given(after));
        const { chunks: fresh } = await planChunks(training, small);
        expectWhole(fresh, training);
        expect(fresh.map(({ hash }) => hash)).toEqual(stored.map(({ hash }) => hash));
        if (stored.length > 0) expect(await planEdit(training, stored, small)).toEqual(fresh);
      }),
      { numRuns: 500 },
    );
  });

  it("loses no character of any text in any edit", async () => {
    const words = fc.array(fc.constantFrom("loja", "é", "🌻", "prazo", "\n\n", "\r\n", "\r", " ", "  ", "\n"), {
      maxLength: 60,
    });
    const small = chunkerOf(20, 5);
    await fc.assert(
      fc.asyncProperty(words, words, words, words, async (head, before, after, tail) => {
        const text = (middle: string[]): string => [...head, ...middle, ...tail].join(" ");
        const { chunks: stored } = await planChunks(normalized(text(before)), small);
        const training = normalized(text(after));
        const chunks = stored.length === 0 ? undefined : await planEdit(training, stored, small);
        if (chunks) expectWhole(chunks, training);
      }),
      { numRuns: 1000 },
    );
  });
});
