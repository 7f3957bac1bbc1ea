import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinPieces, type Piece } from "../../src/chunking/join-pieces.js";

const TEXT = "O prazo é de três dias.\n\nO frete custa doze reais. Trocas em até trinta dias.";

/** The piece of a text between two offsets. */
function piece(text: string, start: number, end: number): Piece {
  return { content: text.slice(start, end), start, end };
}

describe("joinPieces", () => {
  it("returns a single piece unchanged", () => {
    expect(joinPieces(piece(TEXT, 3, 8))).toEqual(piece(TEXT, 3, 8));
  });

  it("does not repeat the overlap of two pieces", () => {
    expect(joinPieces(piece(TEXT, 0, 30), piece(TEXT, 20, 50))).toEqual(piece(TEXT, 0, 50));
  });

  it("adds nothing for a piece inside the previous one", () => {
    expect(joinPieces(piece(TEXT, 0, 30), piece(TEXT, 5, 30), piece(TEXT, 25, 40))).toEqual(piece(TEXT, 0, 40));
  });

  it("fills a blank gap between two pieces with up to two line breaks, then spaces", () => {
    expect(joinPieces(piece("a\n\nb", 0, 1), piece("a\n\nb", 3, 4)).content).toBe("a\n\nb");
    expect(joinPieces(piece("a b", 0, 1), piece("a b", 2, 3)).content).toBe("a\nb");
    expect(joinPieces(piece("a\t\t\t\tb", 0, 1), piece("a\t\t\t\tb", 5, 6)).content).toBe("a\n\n  b");
  });

  it("returns a text as long as its span, with every piece at its place", () => {
    const texts = fc.string({ unit: fc.constantFrom("a", "ã", "🌻", " ", "\n", "\r\n", ".") });
    const cuts = fc.array(fc.tuple(fc.nat(40), fc.nat(40)), { minLength: 1 });
    fc.assert(
      fc.property(texts, cuts, (text, given) => {
        const pieces = given
          .map(([from, length]) => piece(text, Math.min(from, text.length), Math.min(from + length, text.length)))
          .sort((left, right) => left.start - right.start || left.end - right.end);
        const [first = piece(text, 0, 0), ...others] = pieces;
        const joined = joinPieces(first, ...others);
        expect(joined.start).toBe(first.start);
        expect(joined.end).toBe(Math.max(...pieces.map(({ end }) => end)));
        expect(joined.content).toHaveLength(joined.end - joined.start);
        for (const { start, end, content } of pieces) {
          expect(joined.content.slice(start - joined.start, end - joined.start)).toBe(content);
        }
      }),
    );
  });
});
