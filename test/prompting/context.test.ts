import { Document } from "@langchain/core/documents";
import { ChatPromptTemplate, PromptTemplate } from "@langchain/core/prompts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { citedContext, formatContext, type Passage } from "../../src/prompting/context.js";
import { InvalidArgumentError } from "../../src/errors.js";
import { toDocument } from "../../src/langchain/hit-document.js";
import type { ChunkHit } from "../../src/hit-types.js";

const delivery = {
  content: "O prazo de entrega é de três dias úteis.",
  metadata: { tag: "entregas", grupo: "suporte" },
};
const returns = { content: "Trocas em até 30 dias.", metadata: { tag: "trocas", grupo: "suporte" } };
const both = `[1] entregas - suporte
O prazo de entrega é de três dias úteis.
---
[2] trocas - suporte
Trocas em até 30 dias.`;
const first = both.slice(0, both.indexOf("\n---\n"));

describe("formatContext", () => {
  it("numbers the passages in the order given", () => {
    expect(formatContext([delivery, returns])).toBe(both);
  });

  it("accepts LangChain documents too", () => {
    const document = new Document({ pageContent: returns.content, metadata: returns.metadata });
    expect(formatContext([delivery, document])).toBe(both);
  });

  it("reads the place of a retriever's document from the library's own key, whatever the host's metadata", () => {
    const metadata = { tag: "entregas", start: "08:00", trainingId: "x", position: 9 };
    const hit: ChunkHit = {
      ...{ trainingId: "a", chunkId: "a0", position: 0, start: 0, end: 3, content: "abc" },
      ...{ metadata, score: 1, similarity: 1, distance: 0 },
    };
    expect(citedContext([toDocument(hit)]).citations).toEqual([
      { number: 1, trainingId: "a", start: 0, end: 3, chunkIds: ["a0"], metadata },
    ]);
    const foreign = new Document({
      pageContent: "abc",
      metadata: { trainingId: "a", chunkId: "a0", position: 0, start: 0, end: 3 },
    });
    expect(citedContext([foreign]).citations).toMatchObject([{ trainingId: undefined, chunkIds: [] }]);
  });

  it("is empty for no passages", () => {
    expect(formatContext([])).toBe("");
  });

  it.each([
    [{ tag: "entregas" }, "[1] entregas"],
    [{ grupo: "suporte" }, "[1] suporte"],
    [{ tag: "", grupo: "suporte" }, "[1] suporte"],
    [{ tag: 7, grupo: null }, "[1]"],
    [{}, "[1]"],
  ])("heads a passage with metadata %j with %j", (metadata, heading) => {
    expect(formatContext([{ content: "Olá", metadata }])).toBe(`${heading}\nOlá`);
  });

  it("heads a passage with the caller's header", () => {
    const header = ({ content, metadata }: { content: string; metadata: Record<string, unknown> }): string =>
      `${String(metadata["tag"])} (${content.length})  `;
    expect(formatContext([returns], { header })).toBe("[1] trocas (22)\nTrocas em até 30 dias.");
  });

  it("does not change braces", () => {
    expect(formatContext([{ content: "{nome} {{x}}", metadata: {} }])).toBe("[1]\n{nome} {{x}}");
  });

  it("keeps a passage that just fits", () => {
    expect(formatContext([delivery, returns], { maxChars: both.length })).toBe(both);
  });

  it("leaves out the last passage if it is one character too long", () => {
    expect(formatContext([delivery, returns], { maxChars: both.length - 1 })).toBe(first);
  });

  it("leaves out everything after a passage that does not fit", () => {
    const short = { content: "a", metadata: {} };
    expect(formatContext([delivery, { content: "x".repeat(500), metadata: {} }, short], { maxChars: 200 })).toBe(first);
  });

  it("cuts the first passage if it is too long by itself", () => {
    expect(formatContext([delivery, returns], { maxChars: 30 })).toBe("[1] entregas - suporte\nO prazo");
    expect(formatContext([delivery], { maxChars: 1 })).toBe("[");
  });

  it("does not cut inside a surrogate pair", () => {
    const passage = { content: "a😀b", metadata: {} };
    expect(formatContext([passage], { maxChars: 5 })).toBe("[1]\na");
    expect(formatContext([passage], { maxChars: 6 })).toBe("[1]\na");
    expect(formatContext([passage], { maxChars: 7 })).toBe("[1]\na😀");
  });

  it("drops nothing when it cuts between two surrogate pairs, or beside one", () => {
    const passage = { content: "😀😀é😀", metadata: {} };
    expect(formatContext([passage], { maxChars: 6 })).toBe("[1]\n😀");
    expect(formatContext([passage], { maxChars: 7 })).toBe("[1]\n😀");
    expect(formatContext([passage], { maxChars: 8 })).toBe("[1]\n😀😀");
    expect(formatContext([passage], { maxChars: 9 })).toBe("[1]\n😀😀é");
  });

  it("drops nothing for a lone surrogate before or after the cut", () => {
    const passage = { content: "a\ud800bc\udc00de", metadata: {} };
    expect(formatContext([passage], { maxChars: 7 })).toBe("[1]\na\ud800b");
    expect(formatContext([passage], { maxChars: 8 })).toBe("[1]\na\ud800bc");
    expect(formatContext([passage], { maxChars: 9 })).toBe("[1]\na\ud800bc\udc00");
    expect(formatContext([passage], { maxChars: 10 })).toBe("[1]\na\ud800bc\udc00d");
  });

  it("is never longer than maxChars, and always a prefix of the whole text", () => {
    const passages = fc.array(
      fc.record({
        content: fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed()),
        metadata: fc.constant({}),
      }),
    );
    fc.assert(
      fc.property(passages, fc.integer({ min: 1, max: 60 }), (given, maxChars) => {
        const text = formatContext(given, { maxChars });
        expect(text.length).toBeLessThanOrEqual(maxChars);
        expect(text.isWellFormed()).toBe(true);
        expect(formatContext(given).startsWith(text)).toBe(true);
      }),
    );
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "10", null])(
    "refuses maxChars %s",
    (maxChars) => {
      expect(() => formatContext([delivery], { maxChars: maxChars as never })).toThrow(
        new InvalidArgumentError("maxChars", "must be a positive integer"),
      );
    },
  );

  it.each(["{nome}", "{{nome}}", "a }", "{", "`${x}` \\{", "{% if %}", "{{{x}}}"])(
    "is unchanged as a variable of a prompt template: %s",
    async (content) => {
      const context = formatContext([{ content, metadata: {} }]);
      const chat = ChatPromptTemplate.fromMessages([["system", "Contexto: {context}"]]);
      const [message] = await chat.formatMessages({ context });
      expect(message?.content).toBe(`Contexto: [1]\n${content}`);
      const mustache = PromptTemplate.fromTemplate("Contexto: {{context}}", { templateFormat: "mustache" });
      expect(await mustache.format({ context })).toBe(`Contexto: [1]\n${content}`);
    },
  );

  it("keeps as many passages as fit into maxTokens", () => {
    const countTokens = (text: string): number => text.split(/\s+/).length;
    const all = countTokens(both);
    const options = { countTokens, maxChars: 1000 };
    expect(formatContext([delivery, returns], { ...options, maxTokens: all })).toBe(both);
    expect(formatContext([delivery, returns], { ...options, maxTokens: all - 1 })).toBe(first);
    expect(formatContext([delivery, returns], { ...options, maxTokens: all, maxChars: 30 })).toHaveLength(30);
    const cut = formatContext([delivery], { countTokens, maxTokens: 6 });
    expect(countTokens(cut)).toBe(6);
    expect(first.startsWith(cut)).toBe(true);
  });

  it.each([
    [{ maxTokens: 5 }, "countTokens"],
    [{ maxTokens: 0, countTokens: () => 1 }, "maxTokens"],
    [{ maxTokens: 5, countTokens: 5 }, "countTokens"],
    [{ maxTokens: 5, countTokens: () => Promise.resolve(1) }, "countTokens"],
    [{ header: "tag" }, "header"],
  ])("refuses %j", (options, option) => {
    expect(() => formatContext([delivery], options as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option }) as Error,
    );
  });

  it.each([
    [undefined, "passages"],
    ["texto", "passages"],
    [[delivery, null], "passages[1]"],
    [[{ content: 5, metadata: {} }], "passages[0]"],
    [new Array<Passage>(1), "passages[0]"],
    [[{ content: "a", metadata: null }], "passages[0]"],
  ])("refuses the passages %j", (passages, option) => {
    expect(() => formatContext(passages as never)).toThrow(
      expect.objectContaining({ name: "InvalidArgumentError", option }) as Error,
    );
  });
});

const TEXT = "Frete de doze reais. Prazo de três dias. Trocas em trinta dias. Garantia de um ano.";
const BORDERS = [0, 21, 41, 64, TEXT.length];

/** The chunk of the text at a position, overlapping the previous one by `overlap` characters. */
function chunkAt(position: number, overlap = 0, trainingId: string | number = "a"): ChunkHit {
  const start = Math.max(0, (BORDERS[position] ?? 0) - overlap);
  const end = (BORDERS[position + 1] ?? TEXT.length) - (position === 3 ? 0 : 1);
  return {
    trainingId,
    chunkId: `${trainingId}${position}`,
    position,
    start,
    end,
    content: TEXT.slice(start, end),
    metadata: { tag: `t${position}` },
    score: 1,
    similarity: 1,
    distance: 0,
  };
}

describe("formatContext of hits", () => {
  it("joins adjacent chunks at the rank of the best one, under its heading", () => {
    const passages = [chunkAt(2), chunkAt(0, 0, "b"), chunkAt(1)];
    expect(formatContext(passages)).toBe(
      "[1] t2\nPrazo de três dias.\nTrocas em trinta dias.\n---\n[2] t0\nFrete de doze reais.",
    );
  });

  it("does not repeat the overlap of chunks", () => {
    expect(formatContext([chunkAt(1), chunkAt(2, 10)])).toBe("[1] t1\nPrazo de três dias. Trocas em trinta dias.");
    expect(formatContext([chunkAt(2, 10), chunkAt(2, 10), chunkAt(1)])).toBe(
      "[1] t2\nPrazo de três dias. Trocas em trinta dias.",
    );
  });

  it("joins two passages when a third closes the gap between them", () => {
    expect(citedContext([chunkAt(0), chunkAt(2), chunkAt(1)])).toEqual({
      text: "[1] t0\nFrete de doze reais.\nPrazo de três dias.\nTrocas em trinta dias.",
      citations: [
        {
          number: 1,
          trainingId: "a",
          start: 0,
          end: 63,
          chunkIds: ["a0", "a1", "a2"],
          metadata: { tag: "t0" },
        },
      ],
    });
  });

  it("does not join chunks with another one between them, or of different trainings", () => {
    for (const other of [chunkAt(2), chunkAt(1, 0, "b"), chunkAt(1, 0, 1)]) {
      expect(formatContext([chunkAt(0), other])).toContain("[2]");
    }
    expect(formatContext([chunkAt(0, 0, 1), chunkAt(1, 0, "1")])).toContain("[2]");
  });

  it("does not join overlapping passages whose texts differ, as after an edit", () => {
    const edited = { ...chunkAt(1, 10), content: TEXT.slice(11, 40).replace("reais", "euros") };
    expect(formatContext([chunkAt(0), edited])).toContain("[2]");
  });

  it("takes the neighbors in a passage into account", () => {
    const widened = {
      ...chunkAt(1),
      content: TEXT.slice(0, 63),
      start: 0,
      end: 63,
      neighbors: { before: 1, after: 1 },
    };
    expect(formatContext([widened, chunkAt(3), chunkAt(2)])).toBe(`[1] t1\n${TEXT.slice(0, 63)}\n${TEXT.slice(64)}`);
  });

  it("does the same for the documents of a retriever", () => {
    const hits = [chunkAt(2), chunkAt(0, 0, "b"), chunkAt(1)];
    const documents = hits.map(toDocument);
    expect(formatContext(documents)).toBe(formatContext(hits));
    const [citation] = citedContext(documents).citations;
    expect(citation).toMatchObject({ trainingId: "a", start: 21, end: 63, chunkIds: ["a2", "a1"] });
  });

  it("reports what each number refers to, and where a passage was cut", () => {
    const { text, citations } = citedContext([chunkAt(0), returns], { maxChars: 100 });
    expect(text).toContain("[2] trocas - suporte");
    expect(citations).toEqual([
      { number: 1, trainingId: "a", start: 0, end: 20, chunkIds: ["a0"], metadata: { tag: "t0" } },
      {
        number: 2,
        trainingId: undefined,
        start: undefined,
        end: undefined,
        chunkIds: [],
        metadata: returns.metadata,
      },
    ]);
    const cut = citedContext([chunkAt(0)], { maxChars: 12 });
    expect(cut.text).toBe("[1] t0\nFrete");
    expect(cut.citations[0]).toMatchObject({ start: 0, end: 5 });
    expect(citedContext([chunkAt(0)], { maxChars: 3 }).citations[0]).toMatchObject({ start: 0, end: 0 });
    expect(citedContext([])).toEqual({ text: "", citations: [] });
  });

  it("contains each found text once, whatever the order and the overlap", () => {
    const positions = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 1 });
    fc.assert(
      fc.property(positions, fc.nat(15), (order, overlap) => {
        const hits = order.map((position) => chunkAt(position, overlap));
        const { text, citations } = citedContext(hits);
        for (const sentence of order.map((position) => chunkAt(position).content)) {
          expect(text.split(sentence)).toHaveLength(2);
        }
        for (const { start = 0, end = 0 } of citations) {
          expect(text.replace(/\s/g, " ")).toContain(TEXT.slice(start, end));
        }
        expect(citations.flatMap(({ chunkIds }) => chunkIds).sort()).toEqual(order.map((p) => `a${p}`).sort());
      }),
    );
  });
});
