import { foldAccents, MAX_INDEXED_CHARACTERS, type TextSearchLanguage } from "../schema/lexemes.js";
import { isStopWord } from "./stop-words.js";

/** A word as it is searched for: lower case, without accents and punctuation. */
export interface SearchedWord {
  word: string;
  /** Where it is in the text, in UTF-16 units. Other words may be in the same place: a compound and its parts. */
  start: number;
  end: number;
  /** Whether it joins what is written in parts. */
  isJoined?: true;
}

/** A run of letters and digits, with characters in it that cannot be seen: soft hyphens, and those without a width. */
export const TOKEN = /[\p{L}\p{N}][\p{L}\p{M}\p{N}\u00AD\u200B-\u200D\u2060\uFEFF]*/gu;
/** What is no letter or digit after compatible characters were unified. The parser of Postgres would end the word there. */
const NO_LETTER_OR_DIGIT = /[^\p{L}\p{M}\p{Nd}]/gu;
/** Most words: nothing in them is unified but their case. */
const PLAIN = /^[A-Za-z\d]+$/;
const HAS_DIGIT = /\p{Nd}/u;
const HAS_LETTER = /\p{L}/u;
const DIGIT_AT_END = /\p{Nd}$/u;
const DIGIT_AT_START = /^\p{Nd}/u;
/** Postgres' parser takes the beginning of `9e9a` for a number, and skips marks, such as vowel signs, that follow it. */
const SCIENTIFIC_NUMBER = /^(\d+e\d+)(?=\D)\p{M}*(.*)$/su;

/** Tags of HTML with attributes in quotes, as Postgres' parser knows them, and entities are no words. */
const MARKUP =
  /<\/?[a-z][\w:-]*(?:\s+[\w:-]+(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))?)*\s*\/?>|&(?:[a-z]+|#\d+|#x[\da-f]+);/giu;

/** Between the parts of a compound: `guarda-chuva`, `e-mail`, `d'água`, `ABC-1234`. */
const JOINS_ANY = /^[-\u2010\u2011'’_]$/u;
/** Between the parts of a number or a code: `10,50`, `123.456.789-00`, `12/2026`. */
const JOINS_DIGITS = /^[.,/]$/u;
/** A number with an area code, in groups: `(11) 91234-5678`, `+55 11 91234 5678`, `0800 123 4567`. */
const PHONE_NUMBER =
  /(?<![\p{L}\p{N}])(?:\+(\d{1,3})[ .-]?)?\(?(\d{2,4})\)?[ .-]?(\d{3,5})[ .-]?(\d{4})(?![\p{L}\p{N}])/gu;

/** Longer compounds and codes, such as a file's path or a checksum, are searched by their parts. */
const MAX_COMPOUND = 40;
/** Longer words are no words, but data. Postgres would refuse those of more than 2,046 bytes. */
const MAX_WORD = 255;
/** A code with letters is found by its beginnings from this length on, a number of digits by longer ones: years and prices have none. */
const MIN_PREFIX = 3;
const MIN_PREFIX_OF_DIGITS = 6;
const MIN_DIGITS_WITH_PREFIXES = 8;
const MAX_CODE = 24;
/** All words of a text have to fit a `tsvector`, which holds 1 MB: each word, its position and what describes them. */
const MAX_BYTES = 700_000;
const BYTES_BESIDES_WORD = 8;
/** Different words of a question that are looked at, stop words included: a search uses the first 128 others. */
const MAX_QUESTION_WORDS = 1000;

/**
 * The words of a stored text, in the order of the text; a compound comes after its parts. Codes and long numbers are followed by
 * their beginnings, so that a part that a question begins with finds them.
 */
export function wordsOfText(text: string): SearchedWord[] {
  return fitting(withCompounds(indexedPart(text), true));
}

const LISTS = new WeakMap<{ content: string }, string>();

/** The words of a chunk, joined. They are made once: a write stores them with the chunk, and offers them to the table of words. */
export function wordsOfChunk(chunk: { content: string }): string {
  let words = LISTS.get(chunk);
  if (words === undefined) {
    words = joinWords(wordsOfText(chunk.content));
    LISTS.set(chunk, words);
  }
  return words;
}

/**
 * The different words of a question as a search takes them: in one line the words as of {@link joinWords}, in the next one a number for each. Words
 * with the same number are a compound (negative) and its parts (positive), 0 is for other words.
 */
export function questionOf(question: string, language: TextSearchLanguage): string {
  const different = new Map<string, SearchedWord>();
  for (const found of fitting(withCompounds(indexedPart(question), false))) {
    if (different.size === MAX_QUESTION_WORDS) break;
    if (!isStopWord(found.word, language) && !different.has(found.word)) different.set(found.word, found);
  }
  const words = [...different.values()];
  const joined = words.filter(({ isJoined }) => isJoined).sort((left, right) => left.start - right.start);
  const regions: { end: number; start: number }[] = [];
  for (const { start, end } of joined) {
    const last = regions.at(-1);
    if (last && start < last.end) last.end = Math.max(last.end, end);
    else regions.push({ start, end });
  }
  const numbers = words.map(({ start, end, isJoined }) => {
    const number = 1 + regions.findIndex((region) => region.start <= start && end <= region.end);
    return isJoined ? -number : number;
  });
  return `${joinWords(words)}\n${numbers.join(" ")}`;
}

/**
 * The words in the form that `lexemesOf` takes. Each is one token of Postgres' parser, so the position of a lexeme is the place of
 * its word in the list, from 1 on.
 */
export function joinWords(words: readonly SearchedWord[]): string {
  return words.map(({ word }) => word).join(" ");
}

/** The words of a text, compounds and stop words included, in the order of the text. */
export function* plainWordsOf(text: string): Generator<string> {
  for (const { word } of withCompounds(indexedPart(text), false)) yield word;
}

/** The part of a text that is indexed, without markup. */
function indexedPart(text: string): string {
  return text.slice(0, MAX_INDEXED_CHARACTERS).replace(MARKUP, (markup) => " ".repeat(markup.length));
}

/** The first words, as many as fit a `tsvector`. */
function fitting(words: Iterable<SearchedWord>): SearchedWord[] {
  const fit: SearchedWord[] = [];
  let bytes = 0;
  for (const found of words) {
    if (found.word.length > MAX_WORD) continue;
    bytes += Buffer.byteLength(found.word) + BYTES_BESIDES_WORD;
    if (bytes > MAX_BYTES) break;
    const [, number, rest] = SCIENTIFIC_NUMBER.exec(found.word) ?? [];
    if (number === undefined || rest === undefined) fit.push(found);
    else fit.push({ ...found, word: number }, ...(rest === "" ? [] : [{ ...found, word: rest }]));
  }
  return fit;
}

function* withCompounds(text: string, withPrefixes: boolean): Generator<SearchedWord> {
  let parts: SearchedWord[] = [];
  const wordsOfParts = function* (): Generator<SearchedWord> {
    const compound = compoundOf(parts);
    const all = compound ? [...parts, compound] : parts;
    for (const found of all) {
      yield found;
      if (withPrefixes) yield* prefixesOf(found);
    }
  };
  for (const token of tokensOf(text)) {
    const last = parts.at(-1);
    if (last && !isJoined(last, text.slice(last.end, token.start), token)) {
      yield* wordsOfParts();
      parts = [];
    }
    parts.push(token);
  }
  yield* wordsOfParts();
  yield* phoneNumbersOf(text);
}

function* tokensOf(text: string): Generator<SearchedWord> {
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const word = plainWord(token);
    if (word !== "") yield { word, start: index, end: index + token.length };
  }
}

/** Without the differences that people do not type: case, accents, and compatible characters such as `ﬁ` and full-width digits. */
export function plainWord(token: string): string {
  if (PLAIN.test(token)) return token.toLowerCase();
  return foldAccents(token.normalize("NFKC").toLowerCase()).replace(NO_LETTER_OR_DIGIT, "");
}

function isJoined(last: SearchedWord, between: string, next: SearchedWord): boolean {
  if (JOINS_ANY.test(between)) return true;
  return JOINS_DIGITS.test(between) && (DIGIT_AT_END.test(last.word) || DIGIT_AT_START.test(next.word));
}

function compoundOf(parts: readonly SearchedWord[]): SearchedWord | undefined {
  const [first] = parts;
  const last = parts.at(-1);
  if (!first || !last || first === last) return undefined;
  const word = parts.map((part) => part.word).join("");
  return word.length > MAX_COMPOUND ? undefined : { word, start: first.start, end: last.end, isJoined: true };
}

function* prefixesOf({ word, start, end }: SearchedWord): Generator<SearchedWord> {
  if (word.length > MAX_CODE || !HAS_DIGIT.test(word)) return;
  const hasLetter = HAS_LETTER.test(word);
  if (!hasLetter && word.length < MIN_DIGITS_WITH_PREFIXES) return;
  const characters = Array.from(word);
  for (let length = hasLetter ? MIN_PREFIX : MIN_PREFIX_OF_DIGITS; length < characters.length; length++) {
    yield { word: characters.slice(0, length).join(""), start, end };
  }
}

/** The digits of a phone number, with and without the code of the country, unless it is a single token anyway. */
function* phoneNumbersOf(text: string): Generator<SearchedWord> {
  for (const { 0: number, 1: country, 2: area = "", 3: exchange = "", 4: line = "", index } of text.matchAll(
    PHONE_NUMBER,
  )) {
    const place = { start: index, end: index + number.length, isJoined: true as const };
    const word = area + exchange + line;
    if (word !== number) yield { word, ...place };
    if (country !== undefined) yield { word: country + word, ...place };
  }
}
