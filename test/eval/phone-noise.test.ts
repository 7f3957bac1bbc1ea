import { describe, expect, it } from "vitest";
import { typeOnPhone } from "../../eval/phone-noise.js";

const GREETINGS = {
  portuguese: /^(oi tudo bem|oi|ola|bom dia|boa tarde|boa noite) /,
  english: /^(hi there|hi|hello|hey|good morning|good evening) /,
};

/** The question in many trials, without greetings. */
function manyTimes(question: string, language: keyof typeof GREETINGS, count = 2000): string[] {
  const questions = Array.from({ length: count }, () => question);
  return typeOnPhone(questions, language, 1).map((typed) => typed.replace(GREETINGS[language], ""));
}

function shareOf(words: readonly string[], isCounted: (word: string) => boolean): number {
  return words.filter(isCounted).length / words.length;
}

describe("typeOnPhone", () => {
  it("types the same for the same seed, and otherwise for another", () => {
    const questions = Array.from({ length: 20 }, (_, number) => `Qual é o endereço da filial ${number}?`);
    expect(typeOnPhone(questions, "portuguese", 3)).toEqual(typeOnPhone(questions, "portuguese", 3));
    expect(typeOnPhone(questions, "portuguese", 4)).not.toEqual(typeOnPhone(questions, "portuguese", 3));
  });

  it.each([
    ["Há CEP, pé-de-mel (ou não)?", "ha cep pe de mel ou n"],
    ["Por que você não vê que é o fim?", "pq vc n ve q e o fim"],
    ["Quanto é? Também até as 10?", "qto e tbm ate as 10"],
    ["R$ 10,50 em 03/04, às 8.30h.", "r$ 10,50 em 03/04 as 8.30h"],
    ["O código é AB12345-X9 ou ILUMINADO7?", "o codigo e ab12345 x9 ou iluminado7"],
    ["¿?", "¿?"],
  ])("types %j as %j, apart from typing errors", (question, expected) => {
    // "codigo" is the only word of these questions that can be mistyped.
    expect(manyTimes(question, "portuguese", 50)).toContain(expected);
  });

  it("leaves words of fewer than five letters and words with digits alone", () => {
    const question = "o que tem no lote ab12345 de 123456 kits";
    expect(new Set(manyTimes(question, "english"))).toEqual(new Set([question]));
  });

  it("leaves Portuguese words of other languages alone, and joins words at apostrophes", () => {
    expect(new Set(manyTimes("What's que?", "english"))).toContain("whats que");
  });

  it("makes one typing error in half of the longer words", () => {
    const words = manyTimes("passado", "portuguese");
    expect(shareOf(words, (word) => word !== "passado")).toBeCloseTo(0.5, 1);
    for (const word of words) {
      expect(Math.abs(word.length - "passado".length), word).toBeLessThanOrEqual(1);
    }
  });

  it("makes each kind of error about as often as the others", () => {
    const words = manyTimes("camelo", "portuguese").filter((word) => word !== "camelo");
    const sorted = (word: string): string => Array.from(word).sort().join("");
    const isSwapped = (word: string): boolean => sorted(word) === sorted("camelo");
    expect(shareOf(words, ({ length }) => length === 5)).toBeCloseTo(0.25, 1); // missing
    expect(shareOf(words, ({ length }) => length === 7)).toBeCloseTo(0.25, 1); // doubled
    expect(shareOf(words, isSwapped)).toBeCloseTo(0.25, 1);
    const neighbours = words.filter((word) => word.length === 6 && !isSwapped(word));
    expect(neighbours.length / words.length).toBeCloseTo(0.25, 1);
    const firstLetters = new Set(neighbours.map((word) => word.charAt(0)));
    expect([...firstLetters].sort().join("")).toBe("cfvx");
  });

  it("changes the first letter no more often than others", () => {
    const words = manyTimes("camelos", "portuguese").filter((word) => word !== "camelos");
    expect(shareOf(words, (word) => !word.startsWith("c"))).toBeLessThan(1 / 6);
    expect(shareOf(words, (word) => !word.startsWith("c"))).toBeGreaterThan(0.05);
  });

  it("mistypes words of letters that the keyboard does not have", () => {
    expect(new Set(manyTimes("сколько", "english")).size).toBeGreaterThan(5);
  });

  it.each(["portuguese", "english"] as const)("puts a greeting before a third of the questions in %s", (language) => {
    const questions = Array.from({ length: 3000 }, () => "cep?");
    const typed = typeOnPhone(questions, language, 1);
    expect(shareOf(typed, (text) => GREETINGS[language].test(text))).toBeCloseTo(1 / 3, 1);
    expect(new Set(typed).size).toBe(7); // six greetings, and none
  });

  it("has no greeting for a language without a list", () => {
    expect(typeOnPhone(["cep?", "cep?", "cep?", "cep?"], "finnish", 1)).toEqual(["cep", "cep", "cep", "cep"]);
  });
});
