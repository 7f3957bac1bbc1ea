import { requireActiveProfile } from "../schema/catalog.js";
import type { Queryable } from "../postgres/database.js";
import { FIRST_PROFILE_ID, type Names } from "../schema/layout.js";
import { lexemesOf, type TextSearchLanguage } from "../schema/lexemes.js";
import { forgetFilling } from "../vocabulary/stored-words.js";
import type { MigrateOptions, MigrationPlan } from "./options.js";
import { run } from "./run.js";

/**
 * Size limit of a GIN index's pending list, which every search scans. At the default of 4 MB that took four times as
 * long as the filtered search itself.
 */
export const PENDING_KILOBYTES = 64;

/** The statement that adds the column of each chunk's lexemes. */
export function storeLexemes(names: Names, language: TextSearchLanguage): string {
  return `ALTER TABLE ${names.chunk}
  ADD COLUMN lexemes tsvector GENERATED ALWAYS AS (${lexemesOf(language, "content")}) STORED`;
}

/** The statement that creates the index on the lexemes. */
export function indexLexemes(names: Names): string {
  return `CREATE INDEX chunk_1_lexemes ON ${names.chunk} USING gin (lexemes)
  WITH (gin_pending_list_limit = ${PENDING_KILOBYTES})`;
}

/** The statements that add text search. They rewrite the chunk table with all its indexes: quick for an empty one. */
export function addTextSearch(names: Names, language: TextSearchLanguage): string[] {
  return [
    storeLexemes(names, language),
    indexLexemes(names),
    `UPDATE ${names.profile} SET text_search = '${language}' WHERE id = ${FIRST_PROFILE_ID}`,
  ];
}

function removeTextSearch(names: Names): string[] {
  return [
    `ALTER TABLE ${names.chunk} DROP COLUMN lexemes`,
    `UPDATE ${names.profile} SET text_search = NULL WHERE id = ${FIRST_PROFILE_ID}`,
  ];
}

/** If the option is given, adds text search to an existing schema, changes its language, or removes it. */
export async function ensureTextSearch(
  client: Queryable,
  options: MigrateOptions,
  { schema, names, textSearch }: MigrationPlan,
): Promise<void> {
  if (options.textSearch === undefined) return;
  const stored = (await requireActiveProfile(client, schema)).textSearch;
  if (stored === textSearch) return;
  if (stored !== undefined) for (const statement of removeTextSearch(names)) await run(client, statement);
  if (textSearch !== undefined) {
    for (const statement of addTextSearch(names, textSearch)) await run(client, statement);
    await run(client, forgetFilling(names, FIRST_PROFILE_ID)); // chunks were stored without text search
  }
}
