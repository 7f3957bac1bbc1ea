/**
 * Statements on the table `word`: the words of the chunks, with the fragments that find them.
 *
 * A word may be listed twice: with a unique constraint, a host's open transaction would make every other write of the same new
 * word wait. Nothing locks a row, except the deletes of a clean-up.
 */
import { namesOf, type Layout, type Names } from "../schema/layout.js";

/** As for the other GIN indexes: every search scans the pending list. */
const PENDING_KILOBYTES = 64;

/** The statement that creates the table. */
export function createWordTable({ word }: Pick<Names, "word">): string {
  return `CREATE TABLE ${word} (
  word text COLLATE "C" NOT NULL, -- lower case, without accents
  fragments text[] NOT NULL,
  offered_at timestamptz NOT NULL DEFAULT now()
)`;
}

/** The statements that create the indexes of the table, by index name. */
export const wordIndexes = {
  word_word: ({ word }: Pick<Names, "word">) => `CREATE INDEX word_word ON ${word} (word)`,
  word_fragments: ({ word }: Pick<Names, "word">) =>
    `CREATE INDEX word_fragments ON ${word} USING gin (fragments) WITH (gin_pending_list_limit = ${PENDING_KILOBYTES})`,
} as const;

/** Adds the words that are not listed. $1 words, $2 their fragments as array literals. Citus runs such a condition in a WITH only. */
export function insertWords(layout: Layout): string {
  const { word } = namesOf(layout);
  return `
WITH added AS MATERIALIZED (
  SELECT n.word, n.fragments::text[] AS fragments FROM unnest($1::text[], $2::text[]) AS n (word, fragments)
  WHERE NOT EXISTS (SELECT 1 FROM ${word} listed WHERE listed.word = n.word)
)
INSERT INTO ${word} (word, fragments) SELECT word, fragments FROM added`;
}

/** Fragments as an array literal. They hold no quotes or backslashes, but one may be the word `null`. */
export function fragmentsLiteral(fragments: readonly string[]): string {
  return `{${fragments.map((fragment) => `"${fragment}"`).join(",")}}`;
}
