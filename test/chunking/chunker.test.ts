import { CharacterTextSplitter, RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Chunker } from "../../src/chunking/chunker.js";
import { estimateTokens } from "../../src/embedding/tokens.js";
import { InvalidArgumentError } from "../../src/errors.js";
import type { Splitter, TextSpan } from "../../src/chunking/splitter.js";
import { isBlank, storableText } from "../../src/text.js";
import { PORTUGUESE_PARAGRAPHS } from "../support/portuguese-sample.js";
import { randomOf } from "../../tooling/random.js";

const MEGABYTE = 1_000_000;
/** Special tokens that models put around a text. */
const MARKERS = 2;

/** A chunker for a model with this window. */
function chunkerOf(maxTokens?: number, splitter?: Splitter, documentPrefix = ""): Chunker {
  const profile = { model: "modelo", dimensions: 4, queryPrefix: "", documentPrefix, maxTokens };
  return new Chunker(splitter, profile);
}

const recursive = (chunkSize: number, chunkOverlap: number): Splitter =>
  new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap });
const whole: Splitter = { splitText: (text) => Promise.resolve([text]) };

async function texts(chunker: Chunker, text: string, header = ""): Promise<string[]> {
  return (await chunker.split(text, header)).map(({ start, end }) => text.slice(start, end));
}

/** Problems of a text's chunks for a model with this window. */
function problemsOf(text: string, spans: readonly TextSpan[], maxTokens = Infinity, header = ""): string[] {
  const problems: string[] = [];
  const room = maxTokens - MARKERS - estimateTokens(header);
  let covered = 0;
  let previous = -1;
  for (const { start, end } of spans) {
    const chunk = text.slice(start, end);
    const name = `[${start}, ${end})`;
    if (!(start >= 0 && start < end && end <= text.length)) problems.push(`${name} is not in the text`);
    if (end <= covered && spans.length > 1) problems.push(`${name} adds nothing to those in front of it`);
    if (start < previous) problems.push(`${name} begins before the one in front of it`);
    if (isBlank(chunk)) problems.push(`${name} is blank`);
    if (!chunk.isWellFormed()) problems.push(`${name} cuts a surrogate pair`);
    if (!isBlank(text.slice(covered, start))) problems.push(`text before ${name} is in no chunk`);
    if (estimateTokens(chunk) > room) problems.push(`${name} has ${estimateTokens(chunk)} tokens`);
    previous = start;
    covered = Math.max(covered, end);
  }
  if (!isBlank(text.slice(covered))) problems.push("the end of the text is in no chunk");
  return problems;
}

/** The passage, repeated to at least this many bytes of UTF-8. */
function repeatedTo(bytes: number, passage: string): string {
  return passage.repeat(Math.ceil(bytes / Buffer.byteLength(passage)));
}

describe("Chunker", () => {
  describe("with the default splitter", () => {
    const prose = PORTUGUESE_PARAGRAPHS.join(" ").repeat(3);

    it.each([
      [undefined, 1000],
      [8192, 1000],
      [512, 1000],
      [500, 1000],
      [256, 512],
      [128, 256],
    ])("given a window of %s tokens, makes chunks of up to %i characters", async (maxTokens, chunkSize) => {
      const spans = await chunkerOf(maxTokens).split(prose, "");
      const sizes = spans.map(({ start, end }) => end - start);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(chunkSize);
      expect(Math.max(...sizes)).toBeGreaterThan(0.9 * chunkSize);
      const overlaps = spans.slice(1).map(({ start }, place) => (spans[place]?.end ?? 0) - start);
      expect(Math.max(...overlaps)).toBeLessThanOrEqual(0.15 * chunkSize);
      expect(Math.max(...overlaps)).toBeGreaterThan(0.1 * chunkSize);
      expect(problemsOf(prose, spans, maxTokens)).toEqual([]);
    });

    it("splits prose as LangChain's RecursiveCharacterTextSplitter does at 1000/150", async () => {
      const defaults = await chunkerOf(512).split(prose, "");
      expect(defaults).toEqual(await chunkerOf(undefined, recursive(1000, 150)).split(prose, ""));
    });

    it("makes no chunks of a blank text", async () => {
      for (const text of ["", " ", "\r\n\t\u00a0"]) {
        expect(await chunkerOf(512).split(text, "")).toEqual([]);
      }
    });
  });

  it("halves chunks estimated to exceed the window, at a boundary, and no others", async () => {
    const dense = "123.456.789-09; 98.765-432\n".repeat(35).trim();
    expect(dense.length).toBeLessThan(1000);
    expect(estimateTokens(dense)).toBeGreaterThan(510);
    const prose = PORTUGUESE_PARAGRAPHS[0] ?? "";
    const [first, ...lines] = await texts(chunkerOf(512, whole), dense);
    expect(lines).toHaveLength(1);
    expect([first, ...lines].join("\n")).toBe(dense);
    expect(await texts(chunkerOf(512, whole), prose)).toEqual([prose]);
    expect(await texts(chunkerOf(undefined, whole), dense)).toEqual([dense]);
  });

  it("leaves a text that cannot be cut to the model", async () => {
    // A single character cannot be split.
    expect(await texts(chunkerOf(40, whole), "😀")).toEqual(["😀"]);
  });

  describe("with a header", () => {
    const header = "Assunto: trocas e devoluções da loja de roupas";
    const text = PORTUGUESE_PARAGRAPHS.join("\n\n");

    it("subtracts it from the window", async () => {
      const plain = await chunkerOf(128, whole).split(text, "");
      const headed = await chunkerOf(128, whole).split(text, header);
      expect(headed.length).toBeGreaterThan(plain.length);
      expect(problemsOf(text, plain, 128)).toEqual([]);
      expect(problemsOf(text, headed, 128, header)).toEqual([]);
      expect(problemsOf(text, plain, 128, header)).not.toEqual([]);
    });

    it("accepts a header of any length if the model's window is not known", async () => {
      const long = header.repeat(1000);
      expect(await texts(chunkerOf(undefined, whole), text, long)).toEqual([text]);
    });

    it("refuses one that leaves no room, even if the text is short or blank", async () => {
      const refusal = new InvalidArgumentError(
        "header",
        "is too long: it must leave 32 tokens of the model's window for the text",
      );
      const words = (count: number): string => "a ".repeat(count);
      for (const content of [text, "Sim.", ""]) {
        await expect(chunkerOf(512).split(content, words(480))).rejects.toThrow(refusal);
      }
      await expect(chunkerOf(512).split(text, words(440))).resolves.not.toEqual([]);
      await expect(chunkerOf(1024).split(text, words(480))).resolves.not.toEqual([]);
    });
  });

  it("subtracts the document prefix from the window", async () => {
    const prefix = "título: nenhum | texto: ";
    const text = PORTUGUESE_PARAGRAPHS.join(" ");
    const spans = await chunkerOf(128, whole, prefix).split(text, "");
    expect(problemsOf(text, spans, 128, prefix)).toEqual([]);
    expect(spans.length).toBeGreaterThan((await chunkerOf(128, whole).split(text, "")).length);
  });

  it.each([0, -1, 33, Number.NaN])("refuses a window of %s tokens, which leaves no room for text", (maxTokens) => {
    const refusal = new InvalidArgumentError(
      "profile.maxTokens",
      "must be a number that leaves 32 tokens for the text after the document prefix",
    );
    expect(() => chunkerOf(maxTokens)).toThrow(refusal);
    expect(() => chunkerOf(maxTokens, recursive(20, 5))).toThrow(refusal);
    expect(() => chunkerOf(60, whole, "palavra ".repeat(20))).toThrow(refusal);
  });

  it("describes the splitter and the window", async () => {
    const description = await chunkerOf(512).describe();
    expect(await chunkerOf(512).describe()).toBe(description);
    expect(await chunkerOf(512, recursive(1000, 150)).describe()).toBe(description);
    const others = [
      chunkerOf(511),
      chunkerOf(256),
      chunkerOf(),
      chunkerOf(512, undefined, "texto: "),
      chunkerOf(512, recursive(900, 150)),
      chunkerOf(512, recursive(1000, 100)),
      chunkerOf(512, new CharacterTextSplitter({ chunkSize: 1000, chunkOverlap: 150 })),
    ];
    const descriptions = await Promise.all(others.map((chunker) => chunker.describe()));
    expect(new Set([description, ...descriptions]).size).toBe(8);
  });

  it("describes a splitter's functions, regular expressions and own values as an unreadable digest, whatever their order", async () => {
    class Semantic implements Splitter {
      splitText(text: string): Promise<string[]> {
        return Promise.resolve([text]);
      }
    }
    const of = (settings: object): Promise<string> =>
      chunkerOf(512, Object.assign(new Semantic(), settings)).describe();
    const settings = {
      apiKey: "sk-segredo",
      lengthFunction: (text: string) => text.length,
      at: /\n/g,
      sizes: [1, 2n],
    };
    const description = await of(settings);
    expect(description).toMatch(/^[0-9a-f]{64}$/);
    const { apiKey, ...others } = settings;
    expect(await of({ ...others, apiKey })).toBe(description);
    expect(await of({ ...settings, client: { tokens: 7 } })).toBe(description);
    const changed = [
      { apiKey: "sk-outro" },
      { lengthFunction: (text: string) => text.length / 2 },
      { at: /\n/ },
      { sizes: [1, 3n] },
    ];
    for (const change of changed) expect(await of({ ...settings, ...change })).not.toBe(description);
  });

  it("names a splitter whose properties cannot be read", async () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const throwing = Object.defineProperty({ ...whole }, "apiKey", {
      enumerable: true,
      get: () => {
        throw new TypeError("segredo");
      },
    });
    for (const splitter of [Object.assign({ ...whole }, { cyclic }), throwing]) {
      expect(() => chunkerOf(512, splitter)).toThrow(/^splitter threw an error/);
    }
    expect(await chunkerOf(512, Object.assign(Object.create(null) as object, whole)).describe()).toHaveLength(64);
  });

  it("reports a splitter that fails", async () => {
    const failure = new Error("sem memória");
    const failing: Splitter = { splitText: () => Promise.reject(failure) };
    await expect(chunkerOf(512, failing).split("Olá", "")).rejects.toMatchObject({
      option: "splitter",
      cause: failure,
    });
    const inventing: Splitter = { splitText: () => Promise.resolve(["outra coisa"]) };
    await expect(chunkerOf(512, inventing).split("Olá", "")).rejects.toThrow(InvalidArgumentError);
  });

  describe("on a text of 1 MB", () => {
    const random = randomOf(3);
    const letters = Array.from({ length: MEGABYTE }, () => String.fromCharCode(97 + Math.floor(random() * 26)));
    const numbered = Array.from(
      { length: 2800 },
      (_, place) => `${place}. ${PORTUGUESE_PARAGRAPHS[place % PORTUGUESE_PARAGRAPHS.length] ?? ""}`,
    );

    it.each([
      ["paragraphs", numbered.join("\n\n")],
      ["paragraphs with CRLF", numbered.join("\r\n\r\n")],
      ["one long line", numbered.join(" ")],
      ["one paragraph, repeated", repeatedTo(MEGABYTE, `${PORTUGUESE_PARAGRAPHS[1] ?? ""}\n\n`)],
      ["one word, repeated without spaces", repeatedTo(MEGABYTE, "ação")],
      ["random letters without a boundary", letters.join("")],
      ["emoji without a boundary", repeatedTo(MEGABYTE, "👩🏽‍🚀👨‍👩‍👧🇧🇷❤️")],
      ["emoji at odd places", `x${repeatedTo(MEGABYTE, "👍")}`],
      ["combining accents", repeatedTo(MEGABYTE, "A informac\u0327a\u0303o na\u0303o e\u0301 u\u0301nica. ")],
      ["digits in columns", repeatedTo(MEGABYTE, "12.345.678/0001-95;R$ 1.234,56\r\n")],
      ["mostly white space", repeatedTo(MEGABYTE, `${" \r\n".repeat(300)}é`)],
    ])("loses no text, and every chunk fits: %s", async (_name, text) => {
      expect(Buffer.byteLength(text)).toBeGreaterThanOrEqual(MEGABYTE);
      for (const [maxTokens, header] of [
        [512, ""],
        [256, "Assunto: trocas e devoluções"],
      ] as const) {
        const spans = await chunkerOf(maxTokens).split(text, header);
        expect(problemsOf(text, spans, maxTokens, header)).toEqual([]);
      }
    });

    it("loses no text, and every chunk fits, even if the splitter does not split", async () => {
      const text = numbered.join("\n\n");
      const spans = await chunkerOf(512, whole).split(text, "");
      expect(problemsOf(text, spans, 512)).toEqual([]);
      // On average, repeated halving fills at least a quarter of the window.
      expect(spans.length).toBeLessThan((4 * estimateTokens(text)) / 510);
    });
  });

  it.each<[string, Splitter | undefined]>([
    ["the default splitter", undefined],
    ["RecursiveCharacterTextSplitter 200/40", recursive(200, 40)],
    ["RecursiveCharacterTextSplitter 20/10", recursive(20, 10)],
    ["CharacterTextSplitter", new CharacterTextSplitter({ separator: "\n\n", chunkSize: 300, chunkOverlap: 50 })],
    ["a splitter that does not split", whole],
  ])("loses nothing of any text, and every chunk fits: %s", async (_name, splitter) => {
    const warn = console.warn;
    console.warn = () => undefined; // LangChain warns about pieces that its splitter cannot make smaller
    try {
      await fc.assert(
        fc.asyncProperty(anyText, anyHeader, fc.integer({ min: 64, max: 512 }), async (text, header, maxTokens) => {
          const spans = await chunkerOf(maxTokens, splitter).split(text, header);
          expect(problemsOf(text, spans, maxTokens, header)).toEqual([]);
        }),
        { numRuns: 200 },
      );
    } finally {
      console.warn = warn;
    }
  });
});

const pieces = [
  ...PORTUGUESE_PARAGRAPHS.map((paragraph) => paragraph.slice(0, 160)),
  "não", "ação", "a\u0303o", "😀", "👩🏽‍🚀👨‍👩‍👧", "🇧🇷", "❤️", "\r\n", "\r\n\r\n", "\n\n", " ", "  ", "\u00a0", ". ", "###",
  "12.345.678/0001-95", "https://loja.com.br/p?id=8f3c2a", "paralelepípedo".repeat(30), "字".repeat(90), "한국어 ",
]; // prettier-ignore
const joined = fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => parts.join(""));
const repeated = fc
  .tuple(fc.constantFrom(...pieces, "ab", "de de\r\n"), fc.integer({ min: 1, max: 400 }))
  .map(([passage, times]) => passage.repeat(times).slice(0, 8000))
  .map(storableText);
const anyText = fc.oneof(
  joined,
  repeated,
  fc.tuple(joined, repeated, joined).map((parts) => parts.join("")),
  fc.string({ unit: "binary", maxLength: 600 }).map(storableText),
  fc.string({ unit: "grapheme", maxLength: 600 }).map(storableText),
);
const anyHeader = fc.constantFrom("", "", "Loja", "Assunto: trocas e devoluções");
