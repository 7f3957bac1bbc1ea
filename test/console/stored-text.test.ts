import { describe, expect, it } from "vitest";
import { questionOf } from "../../src/console/first-look.js";
import { storedText, type PlacedText } from "../../src/console/stored-text.js";

/** Pieces of a text, at the given places. */
function pieces(text: string, ...places: [start: number, end: number][]): PlacedText[] {
  return places.map(([start, end]) => ({ content: text.slice(start, end), start, end }));
}

describe("the text of a training", () => {
  it("is that of its passages, without repeating overlaps", () => {
    const text = "Um dois três quatro cinco.";
    expect(storedText(pieces(text, [0, 12], [8, 19], [8, 19], [19, 26]))).toBe(text);
    expect(storedText([])).toBe("");
  });

  it("has a space between sentences, a line break between lines, and a blank line between paragraphs", () => {
    expect(storedText(pieces("Um. Dois.", [0, 3], [4, 9]))).toBe("Um. Dois.");
    expect(storedText(pieces("- um\n- dois\n- três", [0, 11], [12, 18]))).toBe("- um\n- dois\n- três");
    expect(storedText(pieces("Um.\n\n\n Dois.", [0, 3], [7, 12]))).toBe("Um.\n\nDois.");
  });
});

describe("a question to begin with", () => {
  it.each([
    ["Frete\nQuanto custa? Doze reais.", "Quanto custa?"],
    ["O frete custa doze reais em todo o município de Campo Novo.", "O frete custa doze reais em todo"],
    ["🌻", "🌻"],
    ["  \n ", undefined],
    ["a".repeat(400), "a".repeat(90)],
  ])("of %j", (text, question) => {
    expect(questionOf(text)).toBe(question);
  });
});
