import { CharacterTextSplitter, RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { expect, it } from "vitest";
import { failureOf, chunksWithOffsets, type ChunkWithOffsets } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { FIVE_PARAGRAPHS, chunksOf, openTestIndex, paragraph, storedRows, type TestIndex } from "../support/index.js";
import { randomOf } from "../../tooling/random.js";

/** The most chunks that one search returns. */
const MAX_HITS = 1000;
/** With small chunks most edits move many of them, so the plan around an edit is used. */
const SMALL = { chunkSize: 120, chunkOverlap: 20 };
const EDITS = 30;

/** The text as Postgres stores it, of the same length. */
function asStored(content: string): string {
  return content.replaceAll("\0", "\ufffd").toWellFormed();
}

/** The non-blank text that is in no chunk. */
function lostText(content: string, chunks: readonly ChunkWithOffsets[]): string {
  let covered = 0;
  let lost = "";
  for (const { start, end } of chunks) {
    lost += content.slice(covered, Math.max(start, covered));
    covered = Math.max(covered, end);
  }
  return (lost + content.slice(covered)).replace(/\s+/g, "");
}

/** Checks the stored rows, the embedded texts and the search results. @returns the number of chunks */
async function expectWhole(test: TestIndex, content: string, id = "a"): Promise<number> {
  const stored = asStored(content);
  const chunks = await chunksWithOffsets(test, id);
  expect(lostText(stored, chunks)).toBe("");
  expect(chunks.filter((chunk) => chunk.content !== stored.slice(chunk.start, chunk.end))).toEqual([]);
  expect(chunks.filter((chunk) => chunk.content.trim() === "")).toEqual([]);
  const embedded = new Set(test.embeddings.texts);
  expect(chunks.filter((chunk) => !embedded.has(chunk.content.replace(/\r\n?/g, "\n")))).toEqual([]);
  if (chunks.length <= MAX_HITS) {
    const hits = await chunksOf(test, id);
    expect(hits.map(({ start, end, content: text }) => ({ start, end, content: text }))).toEqual(chunks);
  }
  return chunks.length;
}

/** A random word. */
function longWord(length: number): string {
  const random = randomOf(length);
  return Array.from({ length }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join("");
}

// Guards: locating chunks in the text, `storableText`, whole characters at chunk edges, offsets across documents.
describeOnServer("C7 No text lost", (database) => {
  it.each([
    ["precomposed accents", "A informa\u00e7\u00e3o n\u00e3o \u00e9 \u00fanica. ".repeat(90)],
    ["combining accents", "A informac\u0327a\u0303o na\u0303o e\u0301 u\u0301nica. ".repeat(90)],
    ["accents of both kinds side by side", "ção c\u0327a\u0303o ".repeat(300)],
    ["emoji with joiners", "Atendimento 👩‍👩‍👧‍👦 em família 🇧🇷🏳️‍🌈 aqui. ".repeat(80)],
    ["nothing but emoji, longer than a chunk", "👩🏽‍🚀👨‍👩‍👧".repeat(300)],
    ["emoji at even offsets, where a chunk could end inside one", "👍".repeat(2_000)],
    ["emoji at odd offsets, where a chunk could begin inside one", `x${"👍".repeat(2_000)}`],
    ["text from right to left", "שָׁלוֹם לכולם \u202bمرحبا بالعالم\u202c e bem-vindos. ".repeat(70)],
    ["lines that end in CR LF", `${"O prazo é de três dias.\r\n".repeat(60)}\r\n\r\n`.repeat(3)],
    ["lines that end in CR", "O prazo é de três dias.\r".repeat(120)],
    ["lone surrogates", "meio \ud83d caractere \udc00\udc00 e\ud800".repeat(90)],
    ["NUL", "\0PDF\0 extraído\0\0 ".repeat(150)],
    ["repeated passages", "Não abrimos aos domingos.\n\n".repeat(400)],
    ["repeated passages without separators", "abab".repeat(2_000)],
    ["one very long line", Array.from({ length: 6_000 }, (_, place) => `palavra ${place}`).join(" ")],
    ["white space of all kinds", `\u00a0\u3000 um \u2003${"\u200b".repeat(1_500)}\u2029 dois\t\v\f\ufeff`],
    ["a horizontal rule between passages", `${paragraph("Trocas")}\n${"-".repeat(2_500)}\n${paragraph("Pix")}`],
    ["nothing but punctuation", "=-=-=-".repeat(500)],
    ["a single character", "é"],
  ])("holds %s", async (_name, content) => {
    const test = await openTestIndex(database);
    const result = await test.index.upsertTraining({ id: "a", content });
    expect(await expectWhole(test, content)).toBe(result.chunks);
    expect(result.chunks).toBeGreaterThan(0);
  });

  it.each([
    ["nothing", ""],
    ["a space", " "],
    ["separators", "\n\n"],
    ["separators of all kinds", "\r\n\t \u00a0\u3000\u2028"],
    ["separators, longer than a chunk", "\n \n".repeat(2_000)],
  ])("makes no chunks of %s and embeds nothing", async (_name, content) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    test.embeddings.calls = 0;
    const blank = { status: "indexed", chunks: 0, removed: 5 };
    expect(await test.index.upsertTraining({ id: "a", content })).toMatchObject(blank);
    expect(await chunksWithOffsets(test)).toEqual([]);
    expect(test.embeddings.calls).toBe(0);
  });

  it.each([
    ["of random letters", longWord(1_000_000)],
    ["of one repeated letter", "a".repeat(1_000_000)],
  ])("holds a word of 1 MB %s", async (_name, word) => {
    const test = await openTestIndex(database, {}, { dimensions: 8 });
    await test.index.upsertTraining({ id: "a", content: `antes ${word} depois` });
    expect(await expectWhole(test, `antes ${word} depois`)).toBeGreaterThan(MAX_HITS);
  });

  it("holds a text of 10 MB", async () => {
    const test = await openTestIndex(database, {}, { dimensions: 8, hnsw: { m: 2, efConstruction: 4 } });
    const random = randomOf(10);
    test.embeddings.embedDocuments = (texts) => {
      test.embeddings.texts.push(...texts);
      return Promise.resolve(texts.map(() => Array.from({ length: 8 }, () => random() - 0.5)));
    };
    const content = Array.from({ length: 16_000 }, (_, place) => paragraph(`Loja ${place}`)).join("\n\n");
    expect(Buffer.byteLength(content)).toBeGreaterThan(10_000_000);
    await test.index.upsertTraining({ id: "a", content });
    expect(await expectWhole(test, content)).toBe(16_000);
  });

  it.each([true, false])("holds documents with offsets in the joined text, split: %s", async (split) => {
    const test = await openTestIndex(database);
    const texts = [FIVE_PARAGRAPHS, "", "  o prazo\n", "\n\n", "\ud83d\0 👩‍🚀", paragraph("Pix"), "fim"];
    const documents = texts.map((pageContent) => ({ pageContent }));
    await test.index.upsertTraining({ id: "a", documents, split });
    expect(await expectWhole(test, texts.join("\n\n"))).toBe(split ? 9 : 5);
  });

  it("holds each of 130 trainings in one call", async () => {
    const test = await openTestIndex(database, { splitter: new RecursiveCharacterTextSplitter(SMALL) });
    const trainings = Array.from({ length: 130 }, (_, place) => ({
      id: `t${place}`,
      content: `${place} começo. ${"a loja atende. ".repeat(place % 17)}fim ${place}`,
    }));
    for await (const { status } of test.index.upsertTrainings(trainings)) expect(status).toBe("indexed");
    for (const { id, content } of trainings) {
      expect(lostText(content, await chunksWithOffsets(test, id))).toBe("");
    }
  });
});

// Guards: the plan around an edit (`planEdit`): which chunks it keeps, which it drops, and the gap between.
describeOnServer("C7 No text lost", (database) => {
  const PIECES = ["👩‍🚀", "\0", "\r\n\r\n", "x", "ção. ", "\ud83d", "", "\n\n", "O frete é grátis acima de cem reais. "];
  const START = Array.from(
    { length: 40 },
    (_, place) => `${place}. A loja ${place % 7} atende de segunda a sexta, e no dia ${place} até mais tarde.`,
  ).join("\n\n");

  /** The text after a random replacement, half of the time at the edge of a chunk. */
  function edited(text: string, chunks: readonly ChunkWithOffsets[], random: () => number): string {
    const edges = chunks.flatMap(({ start, end }) => [start, end]);
    const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
    const anywhere = Math.floor(random() * (text.length + 1));
    const at = random() < 0.5 ? (pick(edges) ?? anywhere) : anywhere;
    const removed = random() < 0.5 ? 0 : Math.floor(random() * (random() < 0.2 ? 600 : 40));
    const added = Array.from({ length: Math.floor(random() * 30) }, () => pick(PIECES) ?? "");
    return text.slice(0, at) + added.join("") + text.slice(at + removed);
  }

  it.each([1, 2, 3])("holds the text after each of 30 random edits, seed %i", async (seed) => {
    const test = await openTestIndex(database, { splitter: new RecursiveCharacterTextSplitter(SMALL) });
    const random = randomOf(seed);
    let content = START;
    let reused = 0;
    await test.index.upsertTraining({ id: "a", content });
    for (let edit = 0; edit < EDITS; edit++) {
      content = edited(content, await chunksWithOffsets(test), random);
      reused += (await test.index.upsertTraining({ id: "a", content })).reused;
      await expectWhole(test, content);
    }
    expect(reused, "chunks kept around the edits").toBeGreaterThan(10 * EDITS);
  });

  it("holds documents after each of 30 random edits of one of them", async () => {
    const test = await openTestIndex(database, { splitter: new RecursiveCharacterTextSplitter(SMALL) });
    const random = randomOf(4);
    const texts = START.split("\n\n").map((text) => text.repeat(3));
    const store = async (): Promise<number> => {
      const documents = texts.map((pageContent) => ({ pageContent }));
      return (await test.index.upsertTraining({ id: "a", documents })).reused;
    };
    await store();
    let reused = 0;
    for (let edit = 0; edit < EDITS; edit++) {
      const place = Math.floor(random() * texts.length);
      if (random() < 0.2) texts.splice(place, 1);
      else texts[place] = edited(texts[place] ?? "", [], random);
      reused += await store();
      await expectWhole(test, texts.join("\n\n"));
    }
    expect(reused, "chunks kept around the edits").toBeGreaterThan(10 * EDITS);
  });

  it.each([
    ["inserted between two chunks", (text: string) => text.replace(/\n\n(?=20\.)/, "\n\nNovo aviso.\n\n")],
    ["inserted before the first", (text: string) => `Aviso.\n\n${text}`],
    ["appended", (text: string) => `${text}\n\nFim.`],
    ["removed", (text: string) => text.replace(/\n\n20\.[^\n]*/, "")],
    ["doubled", (text: string) => text.replace(/\n\n20\.[^\n]*/, (line) => line + line)],
    ["moved to the end", (text: string) => text.replace(/(\n\n20\.[^\n]*)(.*)$/s, "$2$1")],
    ["joined to the previous one", (text: string) => text.replace(/\n\n(?=20\.)/, "")],
    ["joined to the previous one by letters", (text: string) => text.replace(/\n\n(?=20\.)/, "ab")],
    [
      "joined to the previous one, and another inserted first",
      (text: string) => `Aviso.\n\n${text.replace(/\n\n(?=20\.)/, "ab")}`,
    ],
  ])("holds the text after a paragraph is %s", async (_name, change) => {
    const test = await openTestIndex(database, { splitter: new RecursiveCharacterTextSplitter(SMALL) });
    await test.index.upsertTraining({ id: "a", content: START });
    const content = change(START);
    expect(content).not.toBe(START);
    await test.index.upsertTraining({ id: "a", content });
    await expectWhole(test, content);
  });
});

/** Returns only some of the chunks of LangChain's splitter. */
class LossySplitter extends RecursiveCharacterTextSplitter {
  readonly keep: (chunks: string[]) => string[];

  constructor(keep: (chunks: string[]) => string[]) {
    super({ chunkSize: 700, chunkOverlap: 0 });
    this.keep = keep;
  }

  override async splitText(text: string): Promise<string[]> {
    return this.keep(await super.splitText(text));
  }
}

// Guards: `coverRest`, and that text left out by a splitter is added to the chunk after it.
describeOnServer("C7 No text lost", (database) => {
  it.each([
    ["its tail", (chunks: string[]) => chunks.slice(0, -1)],
    ["the second half of each chunk", (chunks: string[]) => chunks.map((text) => text.slice(0, 300))],
    ["its head", (chunks: string[]) => chunks.slice(1)],
    ["every second chunk", (chunks: string[]) => chunks.filter((_, place) => place % 2 === 0)],
    ["everything", () => []],
    ["everything except white space", () => [" ", "\n"]],
  ])("loses nothing when the splitter drops %s", async (_name, keep) => {
    const test = await openTestIndex(database, { splitter: new LossySplitter(keep) });
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    await expectWhole(test, FIVE_PARAGRAPHS);
    const edit = FIVE_PARAGRAPHS.replaceAll("Trocas", "Devoluções").replaceAll("Pagamentos", "Pix");
    await test.index.upsertTraining({ id: "a", content: edit });
    await expectWhole(test, edit);
  });

  it("loses nothing when the splitter drops its separators, including the last", async () => {
    const splitter = new CharacterTextSplitter({ separator: "§", chunkSize: 30, chunkOverlap: 0 });
    const test = await openTestIndex(database, { splitter });
    const content = `§§${"O prazo é de três dias.§".repeat(20)}§`;
    await test.index.upsertTraining({ id: "a", content });
    await expectWhole(test, content);
  });

  it("refuses a splitter that changes the words", async () => {
    const shouting = new LossySplitter((chunks) => chunks.map((text) => text.toUpperCase()));
    const test = await openTestIndex(database, { splitter: shouting });
    const failure = await failureOf(test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS }));
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option: "splitter" });
    expect(await storedRows(test)).toEqual([]);
  });
});
