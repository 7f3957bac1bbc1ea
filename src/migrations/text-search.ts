import { requireActiveProfile } from "../schema/catalog.js";
import { query, type Queryable } from "../postgres/database.js";
import { dollarQuoted } from "../postgres/identifiers.js";
import { FIRST_PROFILE_ID, type Names } from "../schema/layout.js";
import { lexemesOf, textSearchLanguages, withoutAccents, type TextSearchLanguage } from "../schema/lexemes.js";
import { forgetFilling } from "../words/stored-words.js";
import { planMigration, type MigrateOptions, type MigrationPlan } from "./options.js";
import { run } from "./run.js";

/**
 * Size limit of a GIN index's pending list, which every search scans. At the default of 4 MB that took four times as
 * long as the filtered search itself.
 */
export const PENDING_KILOBYTES = 64;

/** The statements that created text search in version 4, whose lexemes Postgres made itself from the text. */
export function addGeneratedTextSearch(names: Names, language: TextSearchLanguage): string[] {
  return [addGeneratedLexemes(names, language), indexLexemes(names), setLanguage(names, language)];
}

/** The statement that adds the column of each chunk's lexemes as it was before version 6. */
export function addGeneratedLexemes({ chunk }: Names, language: TextSearchLanguage): string {
  return `ALTER TABLE ${chunk}
  ADD COLUMN lexemes tsvector GENERATED ALWAYS AS (${lexemesOfContent(language, "content")}) STORED`;
}

/** The lexemes of a text as version 4 made them: by the parser of Postgres, which knows paths, hosts and signed numbers. */
function lexemesOfContent(language: TextSearchLanguage, content: string): string {
  return lexemesOf(language, withoutAccents(content));
}

/** The statement that adds the column of each chunk's lexemes, which writes fill. */
export function addLexemes({ chunk }: Names): string {
  return `ALTER TABLE ${chunk} ADD COLUMN lexemes tsvector`;
}

/** The statement that creates the index on the lexemes. */
export function indexLexemes(names: Names): string {
  return `CREATE INDEX chunk_${names.profileId}_lexemes ON ${names.chunk} USING gin (lexemes)
  WITH (gin_pending_list_limit = ${PENDING_KILOBYTES})`;
}

/**
 * The statements after which a chunk that is stored without lexemes gets those of its text as in version 4: by a process with an older
 * version of this library, or by hand.
 */
export function addLexemesTrigger(names: Names): string[] {
  const languages = textSearchLanguages.filter((language) => language !== "simple");
  const branches = languages.map((language) => `WHEN '${language}' THEN ${lexemesOfContent(language, "NEW.content")}`);
  const body = `BEGIN
  NEW.lexemes := CASE (SELECT text_search FROM ${names.profile} WHERE id = ${names.profileId})
    ${branches.join("\n    ")}
    ELSE ${lexemesOfContent("simple", "NEW.content")} END;
  RETURN NEW;
END`;
  return [
    `CREATE OR REPLACE FUNCTION ${lexemesFunction(names)}() RETURNS trigger LANGUAGE plpgsql AS ${dollarQuoted(body)}`,
    `DROP TRIGGER IF EXISTS store_lexemes ON ${names.chunk}`,
    `CREATE TRIGGER store_lexemes BEFORE INSERT ON ${names.chunk} FOR EACH ROW WHEN (NEW.lexemes IS NULL)
  EXECUTE FUNCTION ${lexemesFunction(names)}()`,
  ];
}

/** The name of the trigger's function: each profile has its own language. */
function lexemesFunction({ schema, profileId }: Names): string {
  return `${schema}.store_lexemes${profileId === FIRST_PROFILE_ID ? "" : `_${profileId}`}`;
}

/** The statements that make lexemes which Postgres generates a column that writes fill, without rewriting the table. */
export function stopGeneratingLexemes(names: Names): string[] {
  return [`ALTER TABLE ${names.chunk} ALTER COLUMN lexemes DROP EXPRESSION`, ...addLexemesTrigger(names)];
}

/** The statements that add text search to a schema. `migrate` then stores the lexemes of its chunks. */
export function addTextSearch(names: Names, language: TextSearchLanguage): string[] {
  return [
    addLexemes(names),
    indexLexemes(names),
    ...addLexemesTrigger(names),
    setLanguage(names, language),
    forgetFilling(names, names.profileId),
  ];
}

function setLanguage({ profile, profileId }: Names, language: TextSearchLanguage): string {
  return `UPDATE ${profile} SET text_search = '${language}' WHERE id = ${profileId}`;
}

/** The statements that remove text search. */
export function removeTextSearch(names: Names): string[] {
  return [...dropLexemes(names), `UPDATE ${names.profile} SET text_search = NULL WHERE id = ${names.profileId}`];
}

/** The statements that drop the lexemes, with their index and trigger. */
export function dropLexemes(names: Names): string[] {
  const { chunk } = names;
  return [
    `DROP TRIGGER IF EXISTS store_lexemes ON ${chunk}`,
    `DROP FUNCTION IF EXISTS ${lexemesFunction(names)}`,
    `ALTER TABLE ${chunk} DROP COLUMN lexemes`,
  ];
}

/** Repairs a schema of version 6 whose host ran the printed SQL without `textSearch`: Postgres still generates its lexemes. */
export async function ensureWritableLexemes(client: Queryable, names: Names): Promise<void> {
  const generated = await query(
    client,
    "migrate",
    "SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1::regclass AND attname = 'lexemes' AND attgenerated <> ''",
    [names.chunk],
  );
  if (generated.length > 0) for (const statement of stopGeneratingLexemes(names)) await run(client, statement);
}

/** If the option is given, adds text search to an existing schema, changes its language, or removes it. */
export async function ensureTextSearch(
  client: Queryable,
  options: MigrateOptions,
  { schema, names }: MigrationPlan,
): Promise<void> {
  if (options.textSearch === undefined) return;
  const { textSearch } = planMigration(options);
  const stored = (await requireActiveProfile(client, schema)).textSearch;
  if (stored === textSearch) return;
  if (stored !== undefined) for (const statement of removeTextSearch(names)) await run(client, statement);
  if (textSearch !== undefined) {
    for (const statement of addTextSearch(names, textSearch)) await run(client, statement);
  }
}

/** Gives the roles that may use the chunks the same rights on the table of words, which is younger than their grants. */
export async function grantWords(client: Queryable, { chunk, word }: Names): Promise<void> {
  const grants = await query<{ privilege: string; role: string }>(
    client,
    "migrate",
    `SELECT a.privilege_type::text AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    WHERE c.oid = $1::regclass AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND a.grantee <> c.relowner`,
    [chunk],
  );
  for (const { privilege, role } of grants) await run(client, `GRANT ${privilege} ON ${word} TO ${role}`);
}
