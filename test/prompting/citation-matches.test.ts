import { citedContext, type TextHit } from "langchain-training-index";
import { describe, expect, it } from "vitest";

const TEXT = "Frete de doze reais. Prazo do frete: três dias.";

/** A hit of a part of the text, in which `word` is marked. */
function hitOf(position: number, start: number, end: number, ...words: string[]): TextHit {
  const content = TEXT.slice(start, end);
  const matches = words.map((word) => ({ start: content.indexOf(word), end: content.indexOf(word) + word.length }));
  const place = { trainingId: "a", chunkId: `a${position}`, position, start, end, content, metadata: {} };
  return { ...place, score: 1, coverage: 1, matches };
}

describe("the matches of a citation", () => {
  const first = hitOf(0, 0, 29, "Frete", "frete");
  const second = hitOf(1, 21, TEXT.length, "frete", "dias");

  it("are places in the training's content, those in an overlap once", () => {
    const first = hitOf(0, 0, 35, "Frete", "frete");
    const { citations } = citedContext([second, first]);
    const [citation, ...others] = citations;
    expect(others).toEqual([]);
    expect(citation?.matches?.map(({ start, end }) => TEXT.slice(start, end))).toEqual(["Frete", "frete", "dias"]);
  });

  it("end where the passage is cut", () => {
    const { citations } = citedContext([second], { maxChars: "[1]\nPrazo do frete".length });
    expect(citations[0]?.matches?.map(({ start, end }) => TEXT.slice(start, end))).toEqual(["frete"]);
  });

  it("come from a retriever's documents too, and are absent if the hits have none", () => {
    const { content, metadata, ...place } = second;
    const document = { pageContent: content, metadata: { ...metadata, trainingIndex: place } };
    expect(citedContext([document]).citations[0]?.matches).toHaveLength(2);
    expect(citedContext([{ ...first, matches: undefined }]).citations[0]).not.toHaveProperty("matches");
  });
});
