import { CharacterTextSplitter, RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EmbeddingError, InvalidArgumentError } from "../../src/errors.js";
import { splitText, type Splitter, type TextSpan } from "../../src/chunking/splitter.js";
import { isBlank, storableText } from "../../src/text.js";
import { PORTUGUESE_PARAGRAPHS } from "../support/portuguese-sample.js";

/** A splitter that returns these texts. */
const returning = (...chunks: string[]): Splitter => ({ splitText: () => Promise.resolve(chunks) });

const recursive = (chunkSize: number, chunkOverlap: number, keepSeparator = true): Splitter =>
  new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap, keepSeparator });

const bySeparator = (separator: string, chunkSize: number, chunkOverlap: number, keepSeparator = false): Splitter =>
  new CharacterTextSplitter({ separator, chunkSize, chunkOverlap, keepSeparator });

/** Cuts between bytes, as token splitters do: halves of characters become U+FFFD. */
const byBytes = (size: number, overlap: number): Splitter => ({
  splitText: (text) => {
    const bytes = Buffer.from(text);
    const chunks: string[] = [];
    for (let start = 0; start === 0 || start + overlap < bytes.length; start += size - overlap) {
      chunks.push(bytes.subarray(start, start + size).toString());
    }
    return Promise.resolve(chunks);
  },
});

async function texts(text: string, splitter: Splitter): Promise<string[]> {
  const spans = await splitText(text, splitter);
  return spans.map(({ start, end }) => text.slice(start, end));
}

describe("splitText", () => {
  // LangChain warns on the console about each piece that it could not make smaller.
  beforeAll(() => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });

  it.each(["", " ", "\r\n\t\u00a0\u3000"])(
    "returns no span for the blank text %j, whatever the splitter returns",
    async (text) => {
      await expect(splitText(text, returning("texto"))).resolves.toEqual([]);
    },
  );

  it("returns a short text as one span", async () => {
    const text = "O prazo de entrega é de três dias úteis.";
    await expect(splitText(text, recursive(1000, 150))).resolves.toEqual([{ start: 0, end: 40 }]);
  });

  it("leaves out white space around the text", async () => {
    await expect(splitText(" \n Olá, tudo bem? \n", recursive(1000, 150))).resolves.toEqual([{ start: 3, end: 17 }]);
  });

  it("finds the places of chunks that overlap", async () => {
    await expect(splitText("um dois três", returning("um dois", "dois três"))).resolves.toEqual([
      { start: 0, end: 7 },
      { start: 3, end: 12 },
    ]);
  });

  it("finds the places in a text with CRLF and emoji", async () => {
    await expect(texts("Olá 👋🏽\r\n\r\nAção 👨‍👩‍👧\r\n", recursive(10, 2))).resolves.toEqual(["Olá 👋🏽", "Ação", "👨‍👩‍👧"]);
  });

  it("finds repeated passages one after the other", async () => {
    await expect(splitText("ababababab", returning("abab", "abab", "ab"))).resolves.toEqual([
      { start: 0, end: 4 },
      { start: 4, end: 8 },
      { start: 8, end: 10 },
    ]);
  });

  it("covers a repeated passage that is longer than a chunk", async () => {
    const spans = await splitText("ab".repeat(100), recursive(20, 5));
    expect(spans.at(0)).toEqual({ start: 0, end: 20 });
    expect(spans.at(-1)?.end).toBe(200);
    expect(spans.length).toBeLessThanOrEqual(14);
    expect(problemsOf("ab".repeat(100), spans)).toEqual([]);
  });

  it("covers a single huge word", async () => {
    const word = "paralelepípedo".repeat(300);
    const spans = await splitText(word, recursive(1000, 150));
    expect(problemsOf(word, spans)).toEqual([]);
    expect(Math.max(...spans.map(({ start, end }) => end - start))).toBeLessThanOrEqual(1000);
  });

  it("leaves out a chunk that adds nothing to the one before it", async () => {
    await expect(texts("Olá, mundo", returning("Olá, mundo", "mundo"))).resolves.toEqual(["Olá, mundo"]);
  });

  it("leaves out blank chunks", async () => {
    await expect(texts("um dois", returning(" ", "um", "", "\n", "dois"))).resolves.toEqual(["um", "dois"]);
  });

  it("adds text that a splitter drops to the next chunk", async () => {
    await expect(texts("um###dois###três", bySeparator("###", 5, 0))).resolves.toEqual(["um", "###dois", "###três"]);
  });

  it("adds text that a splitter drops at the beginning to the first chunk", async () => {
    await expect(texts("  ###um", bySeparator("###", 5, 0))).resolves.toEqual(["###um"]);
  });

  it("adds text that a splitter drops at the end to the last chunk, without trailing white space", async () => {
    await expect(texts("um###dois### ", bySeparator("###", 5, 0))).resolves.toEqual(["um", "###dois###"]);
  });

  it("returns one span for a text that consists of separators", async () => {
    await expect(texts("###", bySeparator("###", 20, 5))).resolves.toEqual(["###"]);
  });

  it("finds a chunk whose white space the splitter has changed", async () => {
    await expect(texts("um  dois\n\n\ntrês", returning("um dois", "dois três"))).resolves.toEqual([
      "um  dois",
      "dois\n\n\ntrês",
    ]);
  });

  it("finds words with characters that are special in regular expressions", async () => {
    const text = String.raw`R$ 10,00  (à vista)  [50%]  a+b*c?  x^2|y  {n}  c:\pasta/.  A-Z`;
    await expect(texts(text, returning(text.replaceAll("  ", " ")))).resolves.toEqual([text]);
  });

  it("finds a chunk that was cut inside a character", async () => {
    await expect(texts("ação de graças", returning("a\uFFFD", "\uFFFD\uFFFDo de gra", "\uFFFDas"))).resolves.toEqual([
      "a",
      "ção de gra",
      "ças",
    ]);
  });

  it("never begins or ends inside a surrogate pair", async () => {
    const text = "a😀b";
    await expect(splitText(text, returning("a\ud83d", "\ude00b"))).resolves.toEqual([
      { start: 0, end: 3 },
      { start: 1, end: 4 },
    ]);
    await expect(splitText("a😀b", returning("a", "\ude00b"))).resolves.toEqual([
      { start: 0, end: 1 },
      { start: 1, end: 4 },
    ]);
  });

  it("leaves out a chunk that only repeats earlier chunks", async () => {
    const text = "um  dois três quatro cinco";
    for (const repeated of ["dois", "um dois", "um  dois", "três", "um   dois três"]) {
      await expect(texts(text, returning("um dois", "três quatro", repeated, "cinco"))).resolves.toEqual([
        "um  dois",
        "três quatro",
        "cinco",
      ]);
    }
  });

  it("covers a text with a repetitive end, where a chunk may have no place left after the others", async () => {
    for (const paragraph of PORTUGUESE_PARAGRAPHS) {
      for (const times of [12, 13, 14, 17, 20]) {
        const text = `${paragraph}${"ação".repeat(times)}`;
        expect(problemsOf(text, await splitText(text, recursive(20, 10)))).toEqual([]);
      }
    }
  });

  it("never places a chunk before its predecessor", async () => {
    // The chunk has more white space than the text, so its length alone would put its start before the text.
    await expect(splitText("a b a b", returning("a", "b", "a      b"))).resolves.toEqual([
      { start: 0, end: 1 },
      { start: 2, end: 3 },
      { start: 4, end: 7 },
    ]);
    // Its only match lies before its predecessor: the rest of the text goes to the last chunk.
    await expect(splitText("a b c", returning("a", "b", "a  b  c"))).resolves.toEqual([
      { start: 0, end: 1 },
      { start: 2, end: 5 },
    ]);
  });

  it("keeps the starts in order if a short chunk occurs twice", async () => {
    const spans = await splitText("a a  a  ab ", recursive(6, 4));
    expect(inOrder(spans)).toEqual(spans);
  });

  it("keeps the starts in order if a short chunk occurs twice, split by separator", async () => {
    const spans = await splitText("ab  ab \nab abababab ", bySeparator(" ", 5, 3));
    expect(inOrder(spans)).toEqual(spans);
  });

  it.each([
    ["nothing", returning()],
    ["blank texts only", returning(" ", "", "\n\t\u00a0")],
    ["half characters only", returning("\uFFFD\uFFFD", "\uFFFD")],
    ["blank texts and half characters", returning(" ", "\uFFFD \uFFFD")],
  ])("returns one span, without surrounding white space, if a splitter returns %s", async (_name, splitter) => {
    for (const text of ["O prazo é de três dias.", "###", "-", "😀"]) {
      await expect(splitText(text, splitter)).resolves.toEqual([{ start: 0, end: text.length }]);
      await expect(splitText(`\n \u00a0${text}\r\n\t`, splitter)).resolves.toEqual([
        { start: 3, end: 3 + text.length },
      ]);
    }
  });

  it.each([
    ["alone", ["outra coisa"]],
    ["before others", ["outra coisa", "O prazo é", "de três dias."]],
    ["between others", ["O prazo é", "outra coisa", "de três dias."]],
    ["after others that cover all of it", ["O prazo é de três dias.", "outra coisa"]],
    ["with words of the content", ["O prazo é", "de três dias úteis."]],
    ["with its words in another order", ["O prazo", "dias três de é"]],
    ["with its words in another case", ["o prazo é de três dias."]],
    ["besides half characters", ["O prazo é", "\uFFFDoutra\uFFFD", "de três dias."]],
  ])("refuses a text that is not in the content, %s", async (_name, chunks) => {
    await expect(splitText("O prazo é de três dias.", returning(...chunks))).rejects.toThrow(
      new InvalidArgumentError("splitter", "returned text that is not in the content"),
    );
  });

  it.each([
    [
      "a repeated separator",
      "Espere... já vou. Até já.",
      new CharacterTextSplitter({ separator: ".", chunkSize: 12, chunkOverlap: 3 }),
    ],
    [
      "cells of a table",
      "| a || b || c || d |",
      new CharacterTextSplitter({ separator: "|", chunkSize: 6, chunkOverlap: 2 }),
    ],
    ["a half character in the middle", "O prazo é de três dias.", returning("O prazo \uFFFD de", "três dias.")],
    ["wide gaps in the overlap", "um            dois            três", returning("um dois", "dois três")],
  ])("finds chunks from which a splitter dropped something: %s", async (_name, text, splitter) => {
    const spans = await splitText(text, splitter);
    expect(spans.length).toBeGreaterThan(1);
    for (const { index } of text.matchAll(/\S/g)) {
      expect(spans.some(({ start, end }) => start <= index && index < end)).toBe(true);
    }
    for (const { start, end } of spans) expect(end - start).toBeLessThan(text.length);
  });

  const failure = new Error("sem memória");
  const throwing = (): never => {
    throw failure;
  };
  it.each<[string, () => unknown, string, unknown?]>([
    ["rejects", () => Promise.reject(failure), "threw an error", failure],
    ["throws synchronously", throwing, "threw an error", failure],
    [
      "throws undefined",
      () => {
        throw undefined as unknown as Error;
      },
      "threw an error",
    ],
    ["returns undefined", () => undefined, "must return a list of strings"],
    ["returns a string", () => "Olá", "must return a list of strings"],
    ["returns a hole", () => new Array<string>(2).with(1, "Olá"), "must return a list of strings"],
    ["returns documents", () => [{ pageContent: "Olá" }], "must return a list of strings"],
    ["returns another text", () => ["Tchau"], "returned text that is not in the content"],
    ["returns a list that throws", () => new Proxy(["Olá"], { get: throwing }), "threw an error", failure],
  ])("names the splitter that %s", async (_name, split, problem, cause) => {
    const splitter = { splitText: split } as unknown as Splitter;
    const thrown = await splitText("Olá", splitter).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ name: "InvalidArgumentError", option: "splitter" });
    expect((thrown as Error).message).toContain(problem);
    expect((thrown as Error).cause).toBe(cause);
  });

  it("accepts a splitter that returns its list synchronously, and passes on this library's own errors", async () => {
    const splitter = { splitText: () => ["Olá"] } as unknown as Splitter;
    expect(await splitText("Olá", splitter)).toEqual([{ start: 0, end: 3 }]);
    const typed = new EmbeddingError("EMBEDDING_FAILED", "semântico", true);
    await expect(splitText("Olá", { splitText: () => Promise.reject(typed) })).rejects.toBe(typed);
  });

  it.each<[string, Splitter]>([
    ["RecursiveCharacterTextSplitter 1000/150", recursive(1000, 150)],
    ["RecursiveCharacterTextSplitter 20/5", recursive(20, 5)],
    ["RecursiveCharacterTextSplitter 20/10", recursive(20, 10)],
    ["RecursiveCharacterTextSplitter 6/4", recursive(6, 4)],
    ["RecursiveCharacterTextSplitter 20/5 without separators", recursive(20, 5, false)],
    ["CharacterTextSplitter ### 1000/150", bySeparator("###", 1000, 150)],
    ["CharacterTextSplitter ### 20/5", bySeparator("###", 20, 5)],
    ["CharacterTextSplitter \\n\\n 1000/150", bySeparator("\n\n", 1000, 150)],
    ["CharacterTextSplitter \\n\\n 20/5", bySeparator("\n\n", 20, 5)],
    ["CharacterTextSplitter space 1000/150", bySeparator(" ", 1000, 150)],
    ["CharacterTextSplitter space 20/5", bySeparator(" ", 20, 5)],
    ["CharacterTextSplitter space 6/4, separators kept", bySeparator(" ", 6, 4, true)],
    ["a splitter by bytes 20/5", byBytes(20, 5)],
    ["a splitter by bytes 100/0", byBytes(100, 0)],
  ])("covers any text with valid spans in order: %s", async (_name, splitter) => {
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        expect(problemsOf(text, await splitText(text, splitter))).toEqual([]);
      }),
      {
        numRuns: 300,
        examples: [["a a  a  ab "], ["ab  ab \nab abababab "], ["###"], ["prazo######prazo"]],
      },
    );
  });
});

const words = ["prazo", "entrega", "é", "três", "não", "ação", "a", "de", "ab", "😀", "👨‍👩‍👧", "paralelepípedo".repeat(3)];
const separators = ["###", "#", "\n\n", "\r\n", "\n", " ", "  ", "\t", "\u00a0", "\u3000"];
const joined = (parts: string[], maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...parts), { maxLength }).map((chosen) => chosen.join(""));
const repeated = fc
  .tuple(fc.constantFrom("ab", "a ", "😀", "de de\n\n", "###x", "Olá! "), fc.nat(800))
  .map(([passage, times]) => passage.repeat(times));
const wideGaps = fc
  .array(
    fc.oneof(
      fc.constantFrom("a", "ab", "prazo"),
      fc.tuple(fc.constantFrom(" ", "\n"), fc.nat(12)).map(([blank, times]) => blank.repeat(times)),
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(""));
const wellFormed = (unit: "binary" | "grapheme"): fc.Arbitrary<string> =>
  fc.string({ unit, maxLength: 120 }).map(storableText);
const anyText = fc.oneof(
  joined([...words, ...separators], 60),
  joined(separators, 20),
  joined(words, 40),
  fc.array(fc.constantFrom(...words), { maxLength: 400 }).map((chosen) => chosen.join(" ")),
  repeated,
  wideGaps,
  wellFormed("binary"),
  wellFormed("grapheme"),
  fc.tuple(repeated, joined([...words, ...separators], 30)).map((parts) => parts.join("")),
);

/** The same spans sorted by start, so that a diff shows what is out of order. */
function inOrder(spans: TextSpan[]): TextSpan[] {
  return [...spans].sort((left, right) => left.start - right.start || left.end - right.end);
}

/** Problems of a text's spans. */
function problemsOf(text: string, spans: TextSpan[]): string[] {
  const problems: string[] = [];
  const held = new Array<boolean>(text.length).fill(false);
  let before: TextSpan = { start: 0, end: 0 };
  for (const { start, end } of spans) {
    const name = `[${start}, ${end})`;
    const chunk = text.slice(start, end);
    if (!(start >= 0 && start < end && end <= text.length)) problems.push(`${name} is not in the text`);
    if (start < before.start) problems.push(`${name} begins before [${before.start}, ${before.end})`);
    if (end <= before.end) problems.push(`${name} ends no later than [${before.start}, ${before.end})`);
    if (isBlank(chunk)) problems.push(`${name} is blank`);
    if (!chunk.isWellFormed()) problems.push(`${name} cuts a surrogate pair`);
    held.fill(true, start, end);
    before = { start, end };
  }
  const missing = [...held.keys()].find((index) => held[index] === false && !isBlank(text.charAt(index)));
  if (missing !== undefined) problems.push(`the character at ${missing} is in no span`);
  return problems;
}
