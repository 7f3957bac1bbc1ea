import { existsSync, readdirSync, readFileSync } from "node:fs";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import { describe, expect, it } from "vitest";
import { estimateTokens } from "../../src/embedding/tokens.js";
import { PORTUGUESE_PARAGRAPHS, PORTUGUESE_QUESTIONS } from "../support/portuguese-sample.js";
import { randomOf } from "../../tooling/random.js";
import { wordPieces } from "../support/word-pieces.js";

/** The least ratio of the estimate to the real count. */
const LEAST = 0.97;
/** The greatest mean ratio on Portuguese prose: a higher one would split chunks that fit the model. */
const MEAN_OF_PROSE = 1.25;

const ROOT = new URL("../../", import.meta.url);
const FAQUAD = new URL("../shared/data/faquad-pt/", ROOT);

const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 1000, chunkOverlap: 150 });

const PROSE = [
  {
    name: "prose of several kinds",
    documents: [PORTUGUESE_PARAGRAPHS.join("\n\n")],
    passages: PORTUGUESE_PARAGRAPHS,
    questions: PORTUGUESE_QUESTIONS,
  },
];
// FaQuAD is not in the repository: a clone has only the sample.
if (existsSync(FAQUAD)) {
  PROSE.push({
    name: "all of FaQuAD",
    documents: textsOf("docs.jsonl"),
    passages: textsOf("passages.jsonl"),
    questions: textsOf("queries.jsonl"),
  });
}

function textsOf(file: string): string[] {
  return readFileSync(new URL(file, FAQUAD), "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { text: string }).text);
}

function ratioOf(text: string): number {
  return estimateTokens(text) / Math.max(wordPieces(text).length, 1);
}

/** The texts whose estimate is too low, with both counts. */
function underCounted(texts: readonly string[]): string[] {
  expect(texts.length).toBeGreaterThan(0);
  return texts
    .filter((text) => ratioOf(text) < LEAST)
    .map((text) => `${estimateTokens(text)} for ${wordPieces(text).length}: ${text.slice(0, 80)}`);
}

async function chunked(texts: readonly string[]): Promise<string[]> {
  return (await Promise.all(texts.map((text) => splitter.splitText(text)))).flat();
}

function meanRatio(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + ratioOf(text), 0) / texts.length;
}

function readSources(folder: string): string[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(new URL(`${folder}/${name}`, ROOT), "utf8"));
}

const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");

const random = randomOf(7);
const below = (limit: number): number => Math.floor(random() * limit);
const lines = (count: number, line: (place: number) => string): string =>
  Array.from({ length: count }, (_, place) => line(place)).join("\n");
const pick = (characters: string, length: number): string =>
  Array.from({ length }, () => characters.charAt(below(characters.length))).join("");
const between = (low: number, high: number): number => low + below(high - low);

const DIGITS = "0123456789";
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const BASE64 = `${LETTERS}${LETTERS.toUpperCase()}${DIGITS}+/`;

function uuid(): string {
  return [8, 4, 4, 4, 12].map((length) => pick(`${DIGITS}abcdef`, length)).join("-");
}

describe("wordPieces, the reference count", () => {
  it("has the vocabulary of bert-base-uncased, and folds case and accents as it does", () => {
    expect(wordPieces("The sky is blue because of Rayleigh scattering")).toEqual(
      "the sky is blue because of ray ##leigh scattering".split(" "),
    );
    expect(wordPieces("Represent this sentence:")).toEqual(["represent", "this", "sentence", ":"]);
    expect(wordPieces("Não é possível após")).toEqual("na ##o e po ##ssi ##vel ap ##os".split(" "));
    expect(wordPieces("R$10,5 👍 中文\u200b\0\uFFFD")).toEqual("r $ 10 , 5 [UNK] 中 文".split(" "));
    expect(wordPieces(" \n")).toEqual([]);
  });
});

describe("estimateTokens", () => {
  it.each(["", " ", "\r\n\t\u00a0"])("is 0 for the blank text %j", (text) => {
    expect(estimateTokens(text)).toBe(0);
  });

  it.each(["a", "é", "7", "-", "字", "👍", "ok"])("is at least one for %j", (text) => {
    expect(estimateTokens(text)).toBeGreaterThanOrEqual(1);
  });

  it("does not fall when a text grows by a word", () => {
    const words = PORTUGUESE_PARAGRAPHS.join(" ").split(" ");
    const estimates = words.slice(0, 200).map((_, count) => estimateTokens(words.slice(0, count).join(" ")));
    expect(estimates).toEqual(estimates.toSorted((left, right) => left - right));
  });

  describe("on Portuguese", () => {
    it.each(PROSE)("is safe for $name, and for its chunks at most a quarter too high on average", async (prose) => {
      const chunks = await chunked(prose.documents);
      expect(underCounted([...chunks, ...prose.passages, ...prose.questions])).toEqual([]);
      expect(meanRatio(chunks)).toBeLessThanOrEqual(MEAN_OF_PROSE);
      // No chunk of the default size is split further.
      expect(Math.max(...chunks.map(estimateTokens))).toBeLessThanOrEqual(510);
    });

    it.each([
      ["place names", "Guaratinguetá Pindamonhangaba Itaquaquecetuba Xique-Xique Jericoacoara Tucuruí Nhandeara"],
      ["medical terms", "otorrinolaringologista esternocleidomastóideo amoxicilina clavulanato hidroclorotiazida"],
      ["chemical terms", "C8H10N4O2 NaCl H2SO4 metilenodioximetanfetamina hexafluorofosfato dietilaminoetanol"],
      ["abbreviations", "CNPJ CPF RG IPTU ICMS FGTS INSS IRPF CTPS CLT SAC NF-e DANFE CFOP NCM SKU S/A Ltda"],
      ["chat", "oi td bem? vc sabe qnd chega? to esperando faz dias rsrs kkkkk obg, blz, tbm pq dms vlw"],
      ["decomposed accents", "A informac\u0327a\u0303o na\u0303o e\u0301 u\u0301nica nem e\u0301 secreta."],
    ])("is safe for %s", (_name, text) => {
      expect(underCounted([text, text.repeat(5), text.toUpperCase()])).toEqual([]);
    });
  });

  describe("on numbers, tables and URLs", () => {
    it.each<[string, () => string]>([
      [
        "a table of prices, dates and registration numbers",
        () =>
          lines(
            300,
            () =>
              `| ${below(1e6)} | R$ ${below(1e5)},${between(10, 100)} | ${between(1, 29)}/0${between(1, 10)}/2026 | ` +
              `CNPJ ${between(10, 100)}.${between(100, 1000)}.${between(100, 1000)}/0001-${between(10, 100)} | ` +
              `(11) 9${between(1000, 10_000)}-${between(1000, 10_000)} |`,
          ),
      ],
      [
        "URLs",
        () =>
          lines(
            300,
            () =>
              `https://www.loja-exemplo.com.br/produtos/${below(1e6)}/camiseta-azul-tamanho-m` +
              `?utm_source=newsletter&utm_campaign=${pick(LETTERS + DIGITS, 6)}&id=${uuid()}`,
          ),
      ],
      [
        "columns of numbers",
        () => lines(500, () => lines(8, () => pick(DIGITS, between(1, 10))).replaceAll("\n", ";")),
      ],
      ["numbers of all lengths", () => lines(2000, (place) => pick(DIGITS, 1 + (place % 44)))],
      ["one number", () => pick(DIGITS, 3000)],
      ["single digits", () => lines(2000, () => pick(DIGITS, 1))],
      ["identifiers", () => lines(300, uuid)],
      ["hexadecimal digests", () => lines(200, () => pick(`${DIGITS}abcdef`, 64))],
      ["timestamps", () => lines(300, () => new Date(below(2_000_000_000) * 1000).toISOString())],
      ["IPv6", () => lines(200, () => lines(8, () => pick(`${DIGITS}abcdef`, 4)).replaceAll("\n", ":"))],
      ["vectors as JSON", () => JSON.stringify(Array.from({ length: 2000 }, random))],
      [
        "records as JSON",
        () =>
          JSON.stringify(
            Array.from({ length: 200 }, (_, place) => ({
              id: pick(LETTERS + DIGITS, 6),
              preco: below(1e5) / 100,
              nome: `Camiseta azul tamanho ${pick("PMG", 1)}`,
              sku: `CAM-${below(1e5)}-AZ`,
              ativo: place % 2 === 0,
              grupos: ["loja", "site"],
            })),
            null,
            2,
          ),
      ],
    ])("is safe for %s", async (_name, make) => {
      expect(underCounted(await chunked([make()]))).toEqual([]);
    });
  });

  describe("on random letters", () => {
    it.each([4, 5, 6, 7, 8, 10, 12, 16, 20, 40, 900])("is safe for runs of %i random letters", (length) => {
      const texts = Array.from({ length: 20 }, () => lines(Math.ceil(600 / length), () => pick(LETTERS, length)));
      expect(underCounted(texts)).toEqual([]);
    });

    it.each([2, 3, 4, 5, 6, 8, 12, 16, 40, 900])("is safe for runs of %i random letters and digits", (length) => {
      const make = (): string => lines(Math.ceil(600 / length), () => pick(LETTERS + DIGITS, length));
      expect(underCounted(Array.from({ length: 20 }, make))).toEqual([]);
    });

    it.each([20, 76, 900])("is safe for runs of %i base64 characters", (length) => {
      const make = (): string => lines(Math.ceil(900 / length), () => pick(BASE64, length));
      expect(underCounted(Array.from({ length: 20 }, make))).toEqual([]);
    });
  });

  it("is safe for English, source code and Markdown", async () => {
    const code = await chunked([...readSources("src"), ...readSources("test")]);
    const markdown = await chunked(["README.md", "README.pt-BR.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(read));
    const json = await chunked([read("package.json"), read("package-lock.json").slice(0, 100_000)]);
    expect(underCounted([...code, ...markdown, ...json])).toEqual([]);
  });

  it.each([
    ["emoji", "👩🏽‍🚀👨‍👩‍👧👍🌻🇧🇷🏳️‍🌈"],
    ["emoji between words", "Olá 👋🏽 tudo bem? 😀😀😀 "],
    ["punctuation and symbols", "=-...!!!“aspas” — travessão… | --- | «»¿¡§ª º°²³½€£™®© _ $^`|~<>+= → ≠ ✓ ① ﬁ Ⅳ "],
    ["Spanish", "El plazo de entrega es de tres días hábiles después de la confirmación del pago. "],
    ["French", "Le délai de livraison est de trois jours ouvrables après confirmation du paiement. "],
    ["German", "Die Lieferzeit beträgt drei Werktage. Rückgabebedingungen und Datenschutzbestimmungen. "],
    ["Polish", "Czas dostawy wynosi trzy dni robocze po potwierdzeniu płatności. "],
    ["Greek", "Ο χρόνος παράδοσης είναι τρεις εργάσιμες ημέρες μετά την επιβεβαίωση. "],
    ["Russian", "Срок доставки составляет три рабочих дня после подтверждения оплаты. "],
    ["Arabic", "مدة التوصيل ثلاثة أيام عمل بعد تأكيد الدفع. "],
    ["Hebrew", "זמן האספקה הוא שלושה ימי עסקים לאחר אישור התשלום. "],
    ["Hindi", "भुगतान की पुष्टि के बाद तीन कार्य दिवसों में डिलीवरी होती है। "],
    ["Thai", "ระยะเวลาจัดส่งสามวันทำการหลังจากยืนยันการชำระเงิน "],
    ["Chinese", "付款确认后三个工作日内发货。我们会通过电子邮件将快递单号发送给您。"],
    ["Japanese", "お支払い確認後、三営業日以内に発送いたします。カスタマーサポート。"],
    ["Korean", "결제 확인 후 영업일 기준 사흘 이내에 배송됩니다. "],
  ])("is safe for %s", (_name, text) => {
    expect(underCounted([text, text.repeat(10)])).toEqual([]);
  });

  it.each([
    ["Finnish", "Toimitusaika on kolme arkipäivää maksun vahvistamisesta. "],
    ["Turkish", "Teslimat süresi ödeme onayından sonra üç iş günüdür. Takip numaranızı göndereceğiz. "],
    ["Vietnamese", "Thời gian giao hàng là ba ngày làm việc sau khi xác nhận thanh toán. "],
  ])("is at most a tenth too low for %s", (_name, text) => {
    expect(ratioOf(text.repeat(10))).toBeGreaterThan(0.9);
  });
});
