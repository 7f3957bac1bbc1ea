import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineFeedText, withLineFeeds } from "../../src/chunking/line-endings.js";

const texts = fc.array(fc.constantFrom("a", "🌻", "\r", "\n", "\r\n", " "), { maxLength: 20 });

describe("withLineFeeds", () => {
  it("turns every kind of line break into a line feed", () => {
    expect(withLineFeeds("a\r\nb\rc\nd\r\r\n\n\r")).toBe("a\nb\nc\nd\n\n\n\n");
  });

  it("does not change a text without carriage returns", () => {
    expect(withLineFeeds("a\n\u2028b")).toBe("a\n\u2028b");
  });
});

describe("LineFeedText", () => {
  it("maps offsets back to the original text", () => {
    const lines = new LineFeedText("a\r\nb\r\n");
    expect(lines.text).toBe("a\nb\n");
    expect([0, 1, 2, 3, 4].map((offset) => lines.toGiven(offset))).toEqual([0, 1, 3, 4, 6]);
  });

  it("maps any span of any text back to the original span", () => {
    fc.assert(
      fc.property(texts, fc.nat(), fc.nat(), (parts, from, to) => {
        const given = parts.join("");
        const lines = new LineFeedText(given);
        const [start = 0, end = 0] = [from, to]
          .map((place) => place % (lines.text.length + 1))
          .sort((left, right) => left - right);
        const span = lines.spanToGiven({ start, end });
        expect(withLineFeeds(given.slice(span.start, span.end))).toBe(lines.text.slice(start, end));
        expect(lines.toGiven(lines.text.length)).toBe(given.length);
      }),
      { numRuns: 1000 },
    );
  });
});
