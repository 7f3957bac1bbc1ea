import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitInTwo } from "../../src/chunking/split-in-two.js";
import { isBlank, storableText } from "../../src/text.js";

const GRAPHEMES = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The parts of a text that is split as a whole. */
function halves(text: string): string[] | undefined {
  return splitInTwo(text, { start: 0, end: text.length })?.map(({ start, end }) => text.slice(start, end));
}

function isBetweenCharacters(text: string, place: number): boolean {
  return place === text.length || GRAPHEMES.segment(text).containing(place)?.index === place;
}

describe("splitInTwo", () => {
  it.each([
    ["a paragraph", "Um. Dois\ntrês, quatro.\n\nCinco seis sete.", ["Um. Dois\ntrês, quatro.", "Cinco seis sete."]],
    ["a paragraph, with CRLF", "Um dois.\r\n\r\nTrês quatro.", ["Um dois.", "Três quatro."]],
    ["a line", "Um. Dois três\nquatro. Cinco", ["Um. Dois três", "quatro. Cinco"]],
    ["a sentence", "Um dois três. Quatro cinco seis", ["Um dois três.", "Quatro cinco seis"]],
    ["a word", "um dois três quatro cinco", ["um dois três", "quatro cinco"]],
    ["a punctuation mark", "entregas/trocas", ["entregas/", "trocas"]],
    ["a letter, if there is no boundary", "paralelepípedo", ["paralel", "epípedo"]],
  ])("cuts at the end of %s", (_name, text, parts) => {
    expect(halves(text)).toEqual(parts);
  });

  it("prefers a word boundary in the middle to a sentence boundary near an end", () => {
    expect(halves("Oi. um dois três quatro cinco seis")).toEqual(["Oi. um dois três", "quatro cinco seis"]);
  });

  it("cuts at the boundary that is nearest to the middle", () => {
    expect(halves("Um um um. Dois dois. Três três três. Quatro.")).toEqual([
      "Um um um. Dois dois.",
      "Três três três. Quatro.",
    ]);
  });

  it("returns offsets in the whole text, and ignores text outside the span", () => {
    const text = "fora\n\num dois três quatro\n\nfora";
    expect(splitInTwo(text, { start: 6, end: 25 })).toEqual([
      { start: 6, end: 13 },
      { start: 14, end: 25 },
    ]);
  });

  it("leaves no white space at the cut, and none around the span", () => {
    expect(halves(" \n um dois \u00a0\r\n\r\n\t três quatro \n")).toEqual(["um dois", "três quatro"]);
  });

  it("returns one part if the other would be blank", () => {
    expect(halves(`${" ".repeat(20)}um`)).toEqual(["um"]);
    expect(halves(`um${"\n".repeat(20)}`)).toEqual(["um"]);
  });

  it.each(["a", "é", "字", "😀", "-"])("does not cut the single character %s", (text) => {
    expect(halves(text)).toBeUndefined();
  });

  it.each([
    ["surrogate pairs", "👍".repeat(9)],
    ["surrogate pairs at odd offsets", `x${"👍".repeat(9)}`],
    ["skin tones", "👍🏽".repeat(7)],
    ["families", "👨‍👩‍👧".repeat(5)],
    ["flags", "🇧🇷".repeat(7)],
    ["variation selectors", "❤️".repeat(7)],
    ["combining accents", "c\u0327a\u0303".repeat(7)],
    ["accents on punctuation", "=\u0338".repeat(9)],
    ["CRLF", "a\r\nb\r\nc\r\nd"],
    ["decomposed Korean", "한글".normalize("NFD").repeat(5)],
  ])("cuts down to single graphemes, and never inside one: %s", (_name, text) => {
    const shown = [...GRAPHEMES.segment(text)].map(({ segment }) => segment);
    const parts = (piece: string): string[] =>
      shown.includes(piece) ? [piece] : (halves(piece)?.flatMap(parts) ?? [piece]);
    expect(parts(text)).toEqual(shown.filter((segment) => !isBlank(segment)));
  });

  it("cuts a single grapheme between two code points, as a last resort", () => {
    expect(halves("👨‍👩‍👧")?.join("")).toBe("👨‍👩‍👧");
    expect(halves(`a${"\u0301".repeat(600)}`)?.map(({ length }) => length)).toEqual([300, 301]);
    expect(halves("🇧🇷")).toEqual(["🇧", "🇷"]);
  });

  it("splits any text into ordered parts that lose nothing, are not blank and are shorter than the text", () => {
    const pieces = fc.constantFrom(
      "loja", "ação", "a\u0303", "😀", "👨‍👩‍👧", "🇧🇷", " ", "\r\n", "\n\n", ". ", "\u00a0", "-", "paralelepípedo", "\u200b",
    ); // prettier-ignore
    const texts = fc.oneof(
      fc.array(pieces, { minLength: 1, maxLength: 40 }).map((parts) => parts.join("")),
      fc.string({ unit: "binary", minLength: 1, maxLength: 60 }).map(storableText),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }),
    );
    fc.assert(
      fc.property(texts, fc.nat(20), fc.nat(20), (text, before, after) => {
        fc.pre(!isBlank(text));
        const whole = `${"fora ".repeat(before)}${text}${" fora".repeat(after)}`;
        const start = 5 * before;
        const end = start + text.length;
        const parts = splitInTwo(whole, { start, end });
        if (!parts) {
          expect(Array.from(text)).toHaveLength(1);
          return;
        }
        expect([1, 2]).toContain(parts.length);
        let covered = start;
        for (const part of parts) {
          expect(part.end - part.start).toBeLessThan(text.length);
          expect(isBlank(whole.slice(covered, part.start))).toBe(true);
          const content = whole.slice(part.start, part.end);
          expect(content).toBe(content.trim());
          expect(content).not.toBe("");
          expect(content.isWellFormed()).toBe(true);
          covered = part.end;
        }
        expect(isBlank(whole.slice(covered, end))).toBe(true);
        const cut = (parts[0]?.end ?? 0) - start;
        const seen = [...GRAPHEMES.segment(text)];
        if (parts.length === 2 && seen.length > 1) expect(isBetweenCharacters(text, cut)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
