/** Keeps the table of words in step with chunks that were stored before it, and with chunks that are gone. */
import { encodeTextArray } from "../postgres/codec.js";
import { query, type Queryable } from "../postgres/database.js";
import { namesOf, type Layout, type Names } from "../schema/layout.js";
import { lexemesOf, MAX_INDEXED_CHARACTERS, plainTextOf, type TextSearchLanguage } from "../schema/lexemes.js";
import { queryOf } from "./close-words.js";
import { offerWithin } from "./offered-words.js";
import { wordsOfChunk } from "./searched-words.js";

/** Chunks of a batch. A write of their trainings waits meanwhile: every chunk that changes enters the vector index again, in some ms. */
const CHUNKS_OF_BATCH = 200;
/** Words examined by one statement, which takes a fraction of a second. */
const WORDS_OF_BATCH = 1000;
/** Words offered later may be of chunks that are about to be stored. */
const MIN_AGE = "interval '1 hour'";

/**
 * Stores the lexemes of all stored chunks and adds their words, unless that is known to be done. Each batch is a transaction of its
 * own, and chunks that have their lexemes are not touched. A call that breaks off is repeated from the start by the next one; several
 * calls at the same time only do the same work.
 *
 * @param database - a pool
 */
export async function fillWords(database: Queryable, layout: Layout): Promise<void> {
  const { textSearch } = layout;
  const { chunk, profile } = namesOf(layout);
  if (textSearch === undefined || (await isFilled(database, layout))) return;
  const store = storeLexemes({ ...layout, textSearch });
  let last: { key: string; id: string } | undefined;
  do {
    const after = last && `WHERE (training_id, id) > ($1::${layout.idType}, $2)`;
    const rows: { key: string; id: string; content: string; hash: string }[] = await query(
      database,
      "fill-words",
      `SELECT training_id::text AS key, id, left(content, ${MAX_INDEXED_CHARACTERS}) AS content, content_hash::text AS hash
      FROM ${chunk} ${after ?? ""} ORDER BY training_id, id LIMIT ${CHUNKS_OF_BATCH}`,
      last && [last.key, last.id],
    );
    const columns = [
      rows.map(({ key }) => key),
      rows.map(({ id }) => id),
      rows.map(({ hash }) => hash),
      rows.map(wordsOfChunk),
    ];
    await query(database, "fill-words", store, columns.map(encodeTextArray));
    await offerWithin(database, layout, rows);
    last = rows.at(-1);
  } while (last);
  await query(database, "fill-words", `UPDATE ${profile} SET words_filled_at = now() WHERE id = ${layout.profileId}`);
}

/**
 * Stores the lexemes of chunks whose text is still the one that they were made from. $1 training ids, $2 chunk ids, $3 content hashes, $4
 * words.
 *
 * Locks the trainings first, in the order of their ids, as every write does: so two of them never wait for each other.
 */
function storeLexemes(layout: Layout & { textSearch: TextSearchLanguage }): string {
  const { training, chunk } = namesOf(layout);
  const { idType, textSearch } = layout;
  return `
WITH locked AS MATERIALIZED (
  SELECT id FROM ${training} WHERE id = ANY ($1::text[]::${idType}[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE ${chunk} c SET lexemes = n.lexemes
FROM (SELECT key::${idType} AS training_id, id, hash::bytea AS content_hash, ${lexemesOf(textSearch, "words")} AS lexemes
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (key, id, hash, words)) n
WHERE c.training_id = n.training_id AND c.id = n.id AND c.content_hash = n.content_hash
  AND c.lexemes IS DISTINCT FROM n.lexemes AND (SELECT count(*) FROM locked) > 0`;
}

async function isFilled(database: Queryable, layout: Layout): Promise<boolean> {
  const [row] = await query<{ filled: string }>(
    database,
    "fill-words",
    `SELECT (words_filled_at IS NOT NULL)::text AS filled FROM ${namesOf(layout).profile} WHERE id = ${layout.profileId}`,
  );
  return row?.filled === "true";
}

/** The statement after which the next `migrate` stores the lexemes of all chunks, and adds their words. */
export function forgetFilling({ profile }: Pick<Names, "profile">, profileId: number): string {
  return `UPDATE ${profile} SET words_filled_at = NULL WHERE id = ${profileId}`;
}

/**
 * Deletes words that no chunk has any more, and words that are listed twice, in batches.
 *
 * @param run - runs a statement as a transaction of its own
 */
export async function pruneWords(
  run: (text: string, values: unknown[]) => Promise<{ last: string | null }[]>,
  layout: Layout,
): Promise<void> {
  const { textSearch } = layout;
  if (textSearch === undefined) return;
  const text = deleteUnusedWords({ ...layout, textSearch });
  for (let last: string | null = ""; last !== null;) last = (await run(text, [last]))[0]?.last ?? null;
}

/** $1 the last word of the batch before. Returns the last word of this one, `NULL` after the last batch. */
function deleteUnusedWords(layout: Layout & { textSearch: TextSearchLanguage }): string {
  const { word, chunk } = namesOf(layout);
  return `
WITH batch AS MATERIALIZED (
  SELECT place, word, offered_at, row_number() OVER (PARTITION BY word ORDER BY offered_at DESC, place) AS nth
  FROM (SELECT ctid AS place, word, offered_at FROM ${word} WHERE word > $1 ORDER BY word
    FETCH FIRST ${WORDS_OF_BATCH} ROWS WITH TIES) w
), unused AS MATERIALIZED (
  SELECT word FROM (SELECT word, (tsvector_to_array(${lexemesOf(layout.textSearch, "word")}))[1] AS lexeme
    FROM batch WHERE nth = 1 AND offered_at < now() - ${MIN_AGE} OFFSET 0) w
  WHERE NOT coalesce((SELECT bool_or(true) FROM ${chunk} c
    WHERE c.lexemes @@ ${queryOf("w.lexeme")} AND strpos(${plainTextOf("c.content")}, w.word) > 0), false)
), deleted AS (
  DELETE FROM ${word} w USING batch b
  WHERE w.ctid = b.place AND w.word = b.word AND (b.nth > 1 OR b.word IN (SELECT word FROM unused))
)
SELECT max(word) AS last FROM batch`;
}
