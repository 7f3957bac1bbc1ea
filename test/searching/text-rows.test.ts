import { describe, expect, it } from "vitest";
import { placesOf } from "../../src/searching/text-rows.js";

function marked(words: string[], text: string): string {
  let marks = "";
  let from = 0;
  for (const { start, end } of placesOf(words, text)) {
    marks += `${text.slice(from, start)}[${text.slice(start, end)}]`;
    from = end;
  }
  return marks + text.slice(from);
}

describe("the places of words in a text", () => {
  it.each([
    [["acao"], "Ação, AÇÃO e reação", "[Ação], [AÇÃO] e reação"],
    [["acao"], "Ac\u0327a\u0303o!", "[Ac\u0327a\u0303o]!"],
    [["guarda-chuva", "guarda", "chuva"], "guarda-chuva e chuva", "[guarda-chuva] e [chuva]"],
    [["12.50"], "custa 12.50 ou 112.50", "custa [12.50] ou 112.50"],
    [["a"], "A 𝒜 😀 a", "[A] 𝒜 😀 [a]"],
    [["отель"], "Отель у моря", "[Отель] у моря"],
    [["c++", "(x)"], "c++ (x) cxx", "[c++] [(x)] cxx"],
    [["x"], "", ""],
    [[], "texto", "texto"],
    [["\u093f"], "texto, \u0939\u093f", "texto, \u0939\u093f"],
  ])("%j in %j", (words, text, expected) => {
    expect(marked(words, text)).toBe(expected);
  });

  it("end at the end of letters that fold to several units", () => {
    expect(marked(["i\u0307x"], "İX y")).toBe("[İX] y");
  });
});
