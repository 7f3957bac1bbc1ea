import { describe, expect, it } from "vitest";
import { plainWordsOf, questionOf, wordsOfText } from "../../src/words/searched-words.js";

const plain = (text: string): string[] => [...plainWordsOf(text)];
const stored = (text: string): string[] => wordsOfText(text).map(({ word }) => word);

describe("the words of a text", () => {
  it.each([
    ["débito/crédito/Pix", ["debito", "credito", "pix"]],
    ["fim.Começo", ["fim", "comeco"]],
    ["guarda-chuva", ["guarda", "chuva", "guardachuva"]],
    ["e-mail", ["e", "mail", "email"]],
    ["d'água, d’água", ["d", "agua", "dagua", "d", "agua", "dagua"]],
    ["nome_do_campo", ["nome", "do", "campo", "nomedocampo"]],
    ["de\u00ADbi\u00ADto c\u200Br\u200Ce\u200Dd\u2060i\uFEFFto", ["debito", "credito"]],
    ["manutenção".normalize("NFD"), ["manutencao"]],
    ["o ﬁm em ２０２４, 5 m²", ["o", "fim", "em", "2024", "5", "m2"]],
    ["R$ 10,50 e 10.50", ["r", "10", "50", "1050", "e", "10", "50", "1050"]],
    ["123.456.789-00", ["123", "456", "789", "00", "12345678900"]],
    ["12.345.678/0001-90", ["12", "345", "678", "0001", "90", "12345678000190"]],
    ["XK-450b", ["xk", "450b", "xk450b"]],
    ["(11) 91234-5678", ["11", "91234", "5678", "912345678", "11912345678"]],
    ["+55 11 91234 5678", ["55", "11", "91234", "5678", "11912345678", "5511912345678"]],
    ["0800 123 4567", ["0800", "123", "4567", "08001234567"]],
    ["<b class='x'>Preço</b>&nbsp;novo &amp; bom", ["preco", "novo", "bom"]],
    ["<img src=x onerror=alert(1)> <br/>", ["img", "src", "x", "onerror", "alert", "1"]],
    ["a < b, 3 > 2", ["a", "b", "3", "2"]],
    [
      "joao@loja.com.br https://loja.example/ajuda?tema=pix",
      ["joao", "loja", "com", "br", "https", "loja", "example", "ajuda", "tema", "pix"],
    ],
    ["\0 … -- 🙂 \uD800", []],
    ["हिन्दी தமிழ்", ["हिन्दी", "தமிழ்"]],
  ])("%j", (text, words) => {
    expect(plain(text)).toEqual(words);
  });

  it("begin with a code's first characters, and with a long number's, but not with a year's or a price's", () => {
    expect(stored("ABC-1234")).toEqual(["abc", "1234", "abc1234", "abc", "abc1", "abc12", "abc123"]);
    expect(stored("12345678")).toEqual(["12345678", "123456", "1234567"]);
    expect(stored("2026 1.234,56")).toEqual(["2026", "1", "234", "56", "123456"]);
  });

  it("have their places in the text", () => {
    const text = "O guarda-chuva custa R$ 10,50: (11) 91234-5678";
    const places = wordsOfText(text).map(({ word, start, end }) => [word, text.slice(start, end)]);
    expect(places).toContainEqual(["guardachuva", "guarda-chuva"]);
    expect(places).toContainEqual(["chuva", "chuva"]);
    expect(places).toContainEqual(["1050", "10,50"]);
    expect(places).toContainEqual(["11912345678", "(11) 91234-5678"]);
  });

  it("are no more than fit a tsvector, and take no longer for hostile texts", () => {
    const hostile = [
      "a-".repeat(50_000),
      "1.".repeat(50_000),
      "(11) ".repeat(20_000),
      "<a ".repeat(33_000),
      `<a${" b=".repeat(30_000)}`,
      `<a${" b".repeat(50_000)}`,
      "A1B2".repeat(25_000),
    ];
    for (const text of hostile) {
      const bytes = wordsOfText(text).reduce((sum, { word }) => sum + Buffer.byteLength(word), 0);
      expect(bytes).toBeLessThan(1_000_000);
    }
    const codes = wordsOfText(Array.from({ length: 20_000 }, (_, place) => `AB${place}XYZ`).join(" "));
    expect(codes.reduce((sum, { word }) => sum + Buffer.byteLength(word), 0)).toBeLessThan(700_000);
  });
});

describe("the words of a question", () => {
  it("say which of them are a compound and its parts", () => {
    expect(questionOf("meu guarda-chuva de 10,50", "simple")).toBe(
      "meu guarda chuva guardachuva de 10 50 1050\n0 1 1 -1 0 2 2 -2",
    );
    expect(questionOf("(11) 91234-5678", "simple")).toBe("11 91234 5678 912345678 11912345678\n1 1 1 -1 -1");
    expect(questionOf("", "simple")).toBe("\n");
  });

  it.each([
    ["portuguese", "nao sei se voce também já foi", "sei se foi"],
    ["portuguese", "São Paulo", "sao paulo"],
    ["spanish", "tambien mañana", "manana"],
    ["german", "für uber Größe", "große"],
    ["english", "nao voce", "nao voce"],
  ] as const)("in %s: %s", (language, question, words) => {
    expect(questionOf(question, language).split("\n")[0]).toBe(words);
  });
});
