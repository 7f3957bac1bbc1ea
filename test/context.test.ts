import { Document } from "@langchain/core/documents";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatContext } from "../src/context.js";
import { InvalidArgumentError } from "../src/errors.js";

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

  it("takes LangChain documents as well", () => {
    const document = new Document({ pageContent: returns.content, metadata: returns.metadata });
    expect(formatContext([delivery, document])).toBe(both);
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
  ])("heads a passage with metadata %j by %j", (metadata, heading) => {
    expect(formatContext([{ content: "Olá", metadata }])).toBe(`${heading}\nOlá`);
  });

  it("heads a passage by what the caller makes of it", () => {
    const header = ({ content, metadata }: { content: string; metadata: Record<string, unknown> }): string =>
      `${String(metadata["tag"])} (${content.length})  `;
    expect(formatContext([returns], { header })).toBe("[1] trocas (22)\nTrocas em até 30 dias.");
  });

  it("leaves braces as they are", () => {
    expect(formatContext([{ content: "{nome} {{x}}", metadata: {} }])).toBe("[1]\n{nome} {{x}}");
  });

  it("keeps a passage that just fits", () => {
    expect(formatContext([delivery, returns], { maxChars: both.length })).toBe(both);
  });

  it("leaves out the last passage when it does not fit by one character", () => {
    expect(formatContext([delivery, returns], { maxChars: both.length - 1 })).toBe(first);
  });

  it("leaves out all that comes after a passage that does not fit", () => {
    const short = { content: "a", metadata: {} };
    expect(
      formatContext([delivery, { content: "x".repeat(500), metadata: {} }, short], { maxChars: 200 }),
    ).toBe(first);
  });

  it("cuts the first passage when it alone is too long", () => {
    expect(formatContext([delivery, returns], { maxChars: 30 })).toBe("[1] entregas - suporte\nO prazo");
    expect(formatContext([delivery], { maxChars: 1 })).toBe("[");
  });

  it("keeps a surrogate pair whole where it cuts", () => {
    const passage = { content: "a😀b", metadata: {} };
    expect(formatContext([passage], { maxChars: 5 })).toBe("[1]\na");
    expect(formatContext([passage], { maxChars: 6 })).toBe("[1]\na");
    expect(formatContext([passage], { maxChars: 7 })).toBe("[1]\na😀");
  });

  it("drops nothing where it cuts between two pairs, or beside one", () => {
    const passage = { content: "😀😀é😀", metadata: {} };
    expect(formatContext([passage], { maxChars: 6 })).toBe("[1]\n😀");
    expect(formatContext([passage], { maxChars: 7 })).toBe("[1]\n😀");
    expect(formatContext([passage], { maxChars: 8 })).toBe("[1]\n😀😀");
    expect(formatContext([passage], { maxChars: 9 })).toBe("[1]\n😀😀é");
  });

  it("drops nothing for a lone surrogate before the cut or behind it", () => {
    const passage = { content: "a\ud800bc\udc00de", metadata: {} };
    expect(formatContext([passage], { maxChars: 7 })).toBe("[1]\na\ud800b");
    expect(formatContext([passage], { maxChars: 8 })).toBe("[1]\na\ud800bc");
    expect(formatContext([passage], { maxChars: 9 })).toBe("[1]\na\ud800bc\udc00");
    expect(formatContext([passage], { maxChars: 10 })).toBe("[1]\na\ud800bc\udc00d");
  });

  it("is never longer than maxChars and always the beginning of the whole text", () => {
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
});
