import { requireActiveProfile } from "../schema/catalog.js";
import type { Queryable } from "../postgres/database.js";
import { FIRST_PROFILE_ID, type Names } from "../schema/layout.js";
import { lexemesOf, type TextSearchLanguage } from "../schema/lexemes.js";
import type { MigrateOptions, MigrationPlan } from "./options.js";
import { run } from "./run.js";

/**
 * Each search reads what has not been sorted into a GIN index yet: 4 MB of it by default took four times as long as the
 * filtered search itself.
 */
export const PENDING_KILOBYTES = 64;

/** The statement that stores the words of each chunk. */
export function storeLexemes(names: Names, language: TextSearchLanguage): string {
  return `ALTER TABLE ${names.chunk}
  ADD COLUMN lexemes tsvector GENERATED ALWAYS AS (${lexemesOf(language, "content")}) STORED`;
}

/** The statement that makes the index on them. */
export function indexLexemes(names: Names): string {
  return `CREATE INDEX chunk_1_lexemes ON ${names.chunk} USING gin (lexemes)
  WITH (gin_pending_list_limit = ${PENDING_KILOBYTES})`;
}

/** Lets the words of chunks be searched for. Rewrites the chunk table with all its indexes: quick for an empty one. */
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

/** Where the option is given, brings a schema that stands to it: adds text search, changes its language, takes it away. */
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
  }
}
