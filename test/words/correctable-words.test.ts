import { describe, expect, it } from "vitest";
import { randomOf } from "../../tooling/random.js";
import { editDistance } from "../../src/words/edit-distance.js";
import { fragmentsOf, fragmentsOfTyped, maxErrorsIn, wordsOf } from "../../src/words/correctable-words.js";

const LETTERS = "abcdeiorst";

/** A word with one error: a letter removed, added or changed, or two swapped. */
function withError(word: string, random: () => number): string {
  const at = Math.floor(random() * word.length);
  const letter = LETTERS[Math.floor(random() * LETTERS.length)] ?? "a";
  const [before, after] = [word.slice(0, at), word.slice(at)];
  switch (Math.floor(random() * 4)) {
    case 0:
      return before + after.slice(1);
    case 1:
      return before + letter + after;
    case 2:
      return before + letter + after.slice(1);
    default:
      return before + after.slice(1, 2) + after.slice(0, 1) + after.slice(2);
  }
}

function randomWord(random: () => number, length: number): string {
  return Array.from({ length }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join("");
}

/** The plain definition, by recursion. */
function plainDistance(left: string, right: string): number {
  if (left === "" || right === "") return left.length + right.length;
  const last = left.at(-1) === right.at(-1) ? 0 : 1;
  const [shorter, other] = [left.slice(0, -1), right.slice(0, -1)];
  const isSwapped = left.length > 1 && right.length > 1 && left.at(-1) === right.at(-2) && left.at(-2) === right.at(-1);
  return Math.min(
    plainDistance(shorter, right) + 1,
    plainDistance(left, other) + 1,
    plainDistance(shorter, other) + last,
    isSwapped ? plainDistance(left.slice(0, -2), right.slice(0, -2)) + 1 : Infinity,
  );
}

describe("wordsOf", () => {
  it("finds words of 4 to 32 letters, lower case and without accents", () => {
    expect([...wordsOf("A Manutenção das ESTAÇÕES, das estações: d'água!")]).toEqual([
      "manutencao",
      "estacoes",
      "agua",
      "dagua",
    ]);
    expect([...wordsOf("manutenção".normalize("NFD"))]).toEqual(["manutencao"]);
    expect([...wordsOf("Москва и größte")]).toEqual(["москва", "großte"]);
    expect([...wordsOf(`${"a".repeat(32)} ${"b".repeat(33)} abc`)]).toEqual(["a".repeat(32)]);
  });

  it("leaves out tokens with digits, and does not cut words out of them", () => {
    expect([...wordsOf("NF2024 nota-fiscal 12345 abcd1efgh ２０２４ ano")]).toEqual(["nota", "fiscal", "notafiscal"]);
  });
});

describe("fragmentsOf", () => {
  it.each([4, 5, 6, 7, 8, 9, 12, 20])("of words of %i letters lead to each word with one error", (length) => {
    const random = randomOf(length);
    for (let round = 0; round < 500; round++) {
      const word = randomWord(random, length);
      const typed = withError(word, random);
      if (typed.length < 4) continue;
      const fragments = new Set(fragmentsOf(word));
      expect(
        fragmentsOfTyped(typed).some((fragment) => fragments.has(fragment)),
        `${word} ${typed}`,
      ).toBe(true);
    }
  });

  it("of long words lead to words with an error at each end, or two at one end", () => {
    const random = randomOf(1);
    for (let round = 0; round < 500; round++) {
      const [first, last] = [randomWord(random, 6), randomWord(random, 6)];
      const fragments = new Set(fragmentsOf(first + last));
      for (const typed of [
        withError(first, random) + withError(last, random),
        withError(withError(first, random), random) + last,
        first + withError(withError(last, random), random),
      ]) {
        expect(
          fragmentsOfTyped(typed).some((fragment) => fragments.has(fragment)),
          `${first}${last} ${typed}`,
        ).toBe(true);
      }
    }
  });
});

describe("editDistance", () => {
  it("counts letters that are missing, added, wrong, or swapped with their neighbor", () => {
    expect(editDistance("prazo", "prazo", 2)).toBe(0);
    for (const typed of ["pazo", "prazzo", "praxo", "parzo"]) expect(editDistance(typed, "prazo", 2)).toBe(1);
    expect(editDistance("entergaa", "entrega", 2)).toBe(2);
  });

  it("counts as the plain definition does, up to its limit", () => {
    const random = randomOf(7);
    for (let round = 0; round < 300; round++) {
      const word = randomWord(random, 3 + Math.floor(random() * 4));
      const typed = withError(withError(withError(word, random), random), random);
      const expected = plainDistance(typed, word);
      for (const most of [1, 2]) {
        expect(editDistance(typed, word, most), `${typed} ${word}`).toBe(expected <= most ? expected : Infinity);
      }
    }
  });

  it("allows two errors from 8 letters on", () => {
    expect(["abcd", "abcdefg", "abcdefgh"].map(maxErrorsIn)).toEqual([1, 1, 2]);
  });
});
