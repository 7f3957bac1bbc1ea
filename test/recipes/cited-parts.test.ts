import fc from "fast-check";
import type { Citation } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { citedParts, type AnswerPart } from "../../examples/support/cited-parts.js";

const citations: Citation[] = [1, 2, 3].map((number) => ({
  number,
  trainingId: `t${number}`,
  start: number * 10,
  end: number * 10 + 5,
  chunkIds: [],
  metadata: {},
}));

async function partsOf(tokens: Iterable<string>): Promise<AnswerPart[]> {
  const stream = (async function* () {
    await Promise.resolve();
    yield* tokens;
  })();
  const parts: AnswerPart[] = [];
  for await (const part of citedParts(stream, citations)) parts.push(part);
  return parts;
}

/** The parts with citations as their numbers. */
async function shownFor(tokens: Iterable<string>): Promise<(string | number)[]> {
  return (await partsOf(tokens)).map((part) => (part.type === "text" ? part.text : part.number));
}

describe("the parts of a streamed answer", () => {
  it.each([
    [["No Pix [1]."], ["No Pix [1]", 1, "."]],
    [
      ["No Pix ", "[", "1", "]", "."],
      ["No Pix ", "[1]", 1, "."],
    ],
    [
      ["a [1", ", 3] b"],
      ["a ", "[1, 3]", 1, 3, " b"],
    ],
    [["a [1][2]"], ["a [1]", 1, "[2]", 2]],
    [
      ["a [12", "] b"],
      ["a ", "[12]", " b"],
    ],
    [
      ["a [nota", "] [", "] b [2"],
      ["a [nota", "] ", "[] b ", "[2"],
    ],
    [["[[2]]"], ["[[2]", 2, "]"]],
    [["", ""], []],
  ])("of the tokens %j are text, and a citation behind each number of a passage", async (tokens, expected) => {
    expect(await shownFor(tokens)).toEqual(expected);
  });

  it("say where the passage is in its training, and where the number is in the answer", async () => {
    const parts = await partsOf(["No Pix há desconto [2]."]);
    expect(parts[1]).toEqual({
      ...{ type: "citation", source: "t2", startIndex: 19, endIndex: 22 },
      ...{ number: 2, trainingId: "t2", start: 20, end: 25, metadata: {} },
    });
  });

  it("are the whole text, with the same citations however it is cut into tokens", async () => {
    const piece = fc.constantFrom("[", "]", "1", "2", "9", ", ", "a", " ", "[1]", "[2, 3]", "ção");
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (tokens) => {
        const text = tokens.join("");
        const parts = await partsOf(tokens);
        expect(parts.map((part) => (part.type === "text" ? part.text : "")).join("")).toBe(text);
        const cited = parts.filter((part) => part.type === "citation");
        for (const { startIndex, endIndex, number } of cited) {
          expect(text.slice(startIndex, endIndex)).toMatch(new RegExp(`^\\[.*\\b${number}\\b.*\\]$`));
        }
        const whole = (await partsOf([text])).filter((part) => part.type === "citation");
        expect(cited).toEqual(whole);
      }),
    );
  });
});
