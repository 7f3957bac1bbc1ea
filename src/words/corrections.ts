import { wordsOf } from "./correctable-words.js";

/** A word of a question that no chunk has, and what it was read as. */
export interface ReadWord {
  /** The word of the question, in lower case and without accents. */
  word: string;
  /** Words of the hit, in lower case and without accents. */
  readAs: string[];
}

/**
 * What the unknown words of a question were read as in one hit.
 *
 * @param readings - JSON of the search: each typed word with a word that it was read as, of which the hit has some form
 * @param content - the text of the hit
 */
export function correctionsOf(readings: string | null | undefined, content: string): ReadWord[] | undefined {
  if (readings == null) return undefined;
  const wordsOfHit = wordsOf(content);
  const read = new Map<string, Set<string>>();
  for (const [typed, word] of JSON.parse(readings) as [typed: string, word: string][]) {
    const words = read.get(typed) ?? new Set();
    read.set(typed, words);
    for (const form of wordsOfHit.has(word) ? [word] : formsOf(word, wordsOfHit)) words.add(form);
  }
  const corrections = [...read].filter(([, words]) => words.size > 0);
  if (corrections.length === 0) return undefined;
  return corrections.map(([word, words]) => ({ word, readAs: [...words].sort() }));
}

/** The words of a hit that begin most like a word: the hit has another form of it. */
function formsOf(word: string, wordsOfHit: ReadonlySet<string>): string[] {
  for (let length = word.length - 1; length > 2; length--) {
    const beginning = word.slice(0, length);
    const forms = [...wordsOfHit].filter((form) => form.startsWith(beginning));
    if (forms.length > 0) return forms;
  }
  return [];
}
