/**
 * Types questions as people type them on a phone. What is done, in this order:
 *
 * 1. lower case, without accents;
 * 2. without punctuation, except between digits (`10,50`), as people do not write prices without it. Apostrophes disappear
 *    (`what's` becomes `whats`), other punctuation becomes a blank;
 * 3. Portuguese only: abbreviations of chats (`você` becomes `vc`), always;
 * 4. one typing error in half of the words of five letters and more, chosen at random: a neighbouring key of a QWERTY
 *    keyboard, a missing letter, a doubled letter, or two adjacent letters swapped. Kind and place are equally likely, so the
 *    first letter is hit no more often than others. Words with digits get no error: codes are copied;
 * 5. a greeting before a third of the questions, chosen at random, in languages that have a list of greetings here.
 */
import { randomOf } from "../tooling/random.js";

const GREETING_SHARE = 1 / 3;
const TYPING_ERROR_SHARE = 1 / 2;
const SHORTEST_MISTYPED = 5;

/** By `--language`. A question in any other language gets no greeting. */
const GREETINGS: Readonly<Record<string, readonly string[]>> = {
  portuguese: ["oi", "ola", "oi tudo bem", "bom dia", "boa tarde", "boa noite"],
  english: ["hi", "hello", "hey", "hi there", "good morning", "good evening"],
  spanish: ["hola", "hola que tal", "buenos dias", "buenas tardes", "buenas noches"],
};

/** As in Brazilian chats. Keys are in the form that step 2 leaves. */
const PORTUGUESE_ABBREVIATIONS = new Map([
  ["voce", "vc"],
  ["voces", "vcs"],
  ["que", "q"],
  ["quem", "qm"],
  ["porque", "pq"],
  ["quanto", "qto"],
  ["quanta", "qta"],
  ["quantos", "qtos"],
  ["quantas", "qtas"],
  ["quando", "qdo"],
  ["tambem", "tbm"],
  ["nao", "n"],
  ["para", "pra"],
  ["muito", "mto"],
  ["muita", "mta"],
  ["hoje", "hj"],
  ["depois", "dps"],
  ["mesmo", "msm"],
  ["cade", "kd"],
  ["beleza", "blz"],
  ["obrigado", "obg"],
  ["obrigada", "obg"],
]);
/** Of two words, so these come first. */
const PORTUGUESE_PHRASES: readonly (readonly [RegExp, string])[] = [
  [/\bpor que\b/g, "pq"],
  [/\bpor favor\b/g, "pfv"],
];

/**
 * Types questions as on a phone, see above. The same questions, language and seed give the same result.
 *
 * @param language the language of the questions, one of those of `migrate`'s `textSearch`
 */
export function typeOnPhone(questions: readonly string[], language: string, seed: number): string[] {
  const random = randomOf(seed);
  const greetings = GREETINGS[language] ?? [];
  return questions.map((question) => {
    const typed = abbreviate(simplify(question), language)
      .split(" ")
      .map((word) => (isMistypable(word) && random() < TYPING_ERROR_SHARE ? mistype(word, random) : word))
      .join(" ");
    if (typed === "") return question; // only punctuation
    const isGreeted = random() < GREETING_SHARE;
    return isGreeted && greetings.length > 0 ? `${pick(greetings, random)} ${typed}` : typed;
  });
}

/** Steps 1 and 2. */
function simplify(question: string): string {
  return question
    .toLowerCase()
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .normalize("NFC")
    .replace(/(?<=\p{L})['’](?=\p{L})/gu, "")
    .replace(/(?<!\p{N})\p{P}|\p{P}(?!\p{N})/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
}

function abbreviate(question: string, language: string): string {
  if (language !== "portuguese") return question;
  return PORTUGUESE_PHRASES.reduce((text, [phrase, short]) => text.replace(phrase, short), question)
    .split(" ")
    .map((word) => PORTUGUESE_ABBREVIATIONS.get(word) ?? word)
    .join(" ");
}

function isMistypable(word: string): boolean {
  return /^\p{L}+$/u.test(word) && Array.from(word).length >= SHORTEST_MISTYPED;
}

type TypingError = (letters: readonly string[], random: () => number) => string[] | undefined;

/** Each returns `undefined` where it cannot change the word. */
const TYPING_ERRORS: readonly TypingError[] = [hitNeighbouringKey, missLetter, doubleLetter, swapLetters];

function mistype(word: string, random: () => number): string {
  const letters = Array.from(word);
  const kind = pick(TYPING_ERRORS, random);
  return (kind(letters, random) ?? missLetter(letters, random)).join("");
}

function hitNeighbouringKey(letters: readonly string[], random: () => number): string[] | undefined {
  const place = randomPlace(letters.length, random);
  const neighbours = neighboursOf(letters[place] ?? "");
  return neighbours.length === 0 ? undefined : letters.with(place, pick(neighbours, random));
}

function missLetter(letters: readonly string[], random: () => number): string[] {
  return letters.toSpliced(randomPlace(letters.length, random), 1);
}

function doubleLetter(letters: readonly string[], random: () => number): string[] {
  const place = randomPlace(letters.length, random);
  return letters.toSpliced(place, 0, letters[place] ?? "");
}

function swapLetters(letters: readonly string[], random: () => number): string[] | undefined {
  const places = letters.map((_, place) => place).filter((place) => place > 0 && letters[place] !== letters[place - 1]);
  if (places.length === 0) return undefined;
  const place = pick(places, random);
  return letters.toSpliced(place - 1, 2, letters[place] ?? "", letters[place - 1] ?? "");
}

const KEY_ROWS = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
/** How far each row is moved to the right, in keys. */
const ROW_OFFSETS = [0, 0.5, 1.5];

/** The keys that touch this one on a QWERTY keyboard of a phone; none for a letter that it does not have. */
function neighboursOf(letter: string): string[] {
  const row = KEY_ROWS.findIndex((keys) => keys.includes(letter));
  const column = (KEY_ROWS[row]?.indexOf(letter) ?? 0) + (ROW_OFFSETS[row] ?? 0);
  if (row < 0) return [];
  return KEY_ROWS.flatMap((keys, otherRow) =>
    Array.from(keys).filter((_, index) => {
      const distance = Math.abs(index + (ROW_OFFSETS[otherRow] ?? 0) - column);
      return otherRow === row ? distance === 1 : Math.abs(otherRow - row) === 1 && distance < 1;
    }),
  );
}

function randomPlace(count: number, random: () => number): number {
  return Math.floor(random() * count);
}

function pick<Item>(items: readonly Item[], random: () => number): Item {
  return items[randomPlace(items.length, random)] as Item;
}
