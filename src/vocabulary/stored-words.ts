/** Keeps the table of words in step with chunks that were stored before it, and with chunks that are gone. */
import { query, type Queryable } from "../postgres/database.js";
import { namesOf, type Layout, type Names } from "../schema/layout.js";
import { lexemesOf, MAX_INDEXED_CHARACTERS, withoutAccents, type TextSearchLanguage } from "../schema/lexemes.js";
import { queryOf } from "./close-words.js";
import { offerWithin } from "./offered-words.js";

/** Chunks read at once: about 1 MB. */
const CHUNKS_OF_BATCH = 1000;
/** Words examined by one statement, which takes a fraction of a second. */
const WORDS_OF_BATCH = 1000;
/** Words offered later may be of chunks that are about to be stored. */
const MIN_AGE = "interval '1 hour'";

/**
 * Adds the words of all stored chunks, unless they are known to be listed. Each batch is a transaction of its own. A call that
 * breaks off is repeated from the start by the next one; several calls at the same time only do the same work.
 *
 * @param database - a pool
 */
export async function fillWords(database: Queryable, layout: Layout): Promise<void> {
  const { chunk, profile } = namesOf(layout);
  if (!(await needsFilling(database, layout))) return;
  let last: { key: string; id: string } | undefined;
  do {
    const after = last && `WHERE (training_id, id) > ($1::${layout.idType}, $2)`;
    const rows: { key: string; id: string; content: string }[] = await query(
      database,
      `SELECT training_id::text AS key, id, left(content, ${MAX_INDEXED_CHARACTERS}) AS content FROM ${chunk}
      ${after ?? ""} ORDER BY training_id, id LIMIT ${CHUNKS_OF_BATCH}`,
      last && [last.key, last.id],
    );
    await offerWithin(
      database,
      layout,
      rows.map(({ content }) => content),
    );
    last = rows.at(-1);
  } while (last);
  await query(database, `UPDATE ${profile} SET words_filled_at = now() WHERE id = ${layout.profileId}`);
}

async function needsFilling(database: Queryable, layout: Layout): Promise<boolean> {
  if (layout.textSearch === undefined) return false;
  const [row] = await query<{ filled: string }>(
    database,
    `SELECT (words_filled_at IS NOT NULL)::text AS filled FROM ${namesOf(layout).profile} WHERE id = ${layout.profileId}`,
  );
  return row?.filled === "false";
}

/** The statement after which the next `migrate` adds the words of all stored chunks. */
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
    WHERE c.lexemes @@ ${queryOf("w.lexeme")} AND strpos(lower(${withoutAccents("c.content")}), w.word) > 0), false)
), deleted AS (
  DELETE FROM ${word} w USING batch b
  WHERE w.ctid = b.place AND w.word = b.word AND (b.nth > 1 OR b.word IN (SELECT word FROM unused))
)
SELECT max(word) AS last FROM batch`;
}
