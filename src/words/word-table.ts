/**
 * Statements on the table `word`: the words of the chunks, with the fragments that find them.
 *
 * A word may be listed twice: with a unique constraint, a host's open transaction would make every other write of the same new
 * word wait. Nothing locks a row, except the deletes of a clean-up.
 */
import { dollarQuoted, quoteLiteral } from "../postgres/identifiers.js";
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

/** The statement that gives the roles that may use the chunks the same rights on the words. Whoever owns the chunks has all rights. */
export function grantAsOnChunks({ chunk, word }: Pick<Names, "chunk" | "word">): string {
  return `DO ${dollarQuoted(`DECLARE
  granted record;
BEGIN
  FOR granted IN SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS role
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl)
    WHERE c.oid = ${quoteLiteral(chunk)}::regclass AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND grantee <> c.relowner LOOP
    EXECUTE pg_catalog.format('GRANT %s ON %s TO %s', granted.privilege_type, ${quoteLiteral(word)}, granted.role);
  END LOOP;
END`)}`;
}

/** The statements that create the indexes of the table, by index name. */
export const wordIndexes = {
  word_word: ({ word }: Pick<Names, "word">) => `CREATE INDEX word_word ON ${word} (word)`,
  word_fragments: ({ word }: Pick<Names, "word">) =>
    `CREATE INDEX word_fragments ON ${word} USING gin (fragments) WITH (gin_pending_list_limit = ${PENDING_KILOBYTES})`,
} as const;

/** Adds the words that are not listed. $1 words, $2 their fragments as array literals. */
export function insertWords(layout: Layout): string {
  const { word } = namesOf(layout);
  return `
INSERT INTO ${word} (word, fragments)
SELECT n.word, n.fragments::text[] FROM unnest($1::text[], $2::text[]) AS n (word, fragments)
WHERE NOT EXISTS (SELECT FROM ${word} listed WHERE listed.word = n.word)`;
}

/** Fragments as an array literal. They hold no quotes or backslashes, but one may be the word `null`. */
export function fragmentsLiteral(fragments: readonly string[]): string {
  return `{${fragments.map((fragment) => `"${fragment}"`).join(",")}}`;
}
