/** The statements that create, activate and drop the tables of a profile beside those of the active one. */
import { dollarQuoted, quoteLiteral } from "../postgres/identifiers.js";
import { PROFILE_RETIRED_STATE } from "../postgres/database.js";
import { chunkTable, indexedTable, namesOf, type Layout, type Names } from "../schema/layout.js";
import { RETIRED_SUFFIX } from "../schema/profiles.js";
import { BUILDS } from "./build-sql.js";
import type { VectorIndexDefinition } from "../schema/vector-index-sql.js";

/**
 * Locks what the statements of {@link createProfile} change. Waits for open transactions that have written trainings, and everybody
 * waits behind it: only with a short `lock_timeout`.
 */
export function lockTables(active: Layout): string {
  const { training, indexed, chunk } = namesOf(active);
  return `LOCK TABLE ${training}, ${indexed}, ${chunk} IN SHARE ROW EXCLUSIVE MODE`;
}

/** What a new profile is made of. */
export interface NewProfile {
  /** The layout of its tables. */
  layout: Layout;
  vectorIndex: VectorIndexDefinition;
}

/**
 * Creates the tables of a profile, still without a vector index, and what keeps it in step with the active one: writes of every process
 * are recorded by triggers, whatever version of this library it has.
 */
export function createProfile(active: Layout, { layout, vectorIndex }: NewProfile): string[] {
  const names = namesOf(layout);
  const { training, indexed, chunk, vector } = names;
  const { idType } = layout;
  const id = idType === "text" ? 'text COLLATE "C"' : idType;
  return [
    `CREATE TABLE ${indexed} (
  training_id ${id} PRIMARY KEY REFERENCES ${training} ON DELETE CASCADE,
  fingerprint bytea NOT NULL,
  splitter text NOT NULL,
  chunk_ids text[] NOT NULL,
  starts integer[] NOT NULL,
  ends integer[] NOT NULL
)`,
    `CREATE TABLE ${chunk} (
  training_id ${id} NOT NULL REFERENCES ${training} ON DELETE CASCADE,
  id text COLLATE "C" NOT NULL,
  content text NOT NULL,
  metadata jsonb NOT NULL,
  content_hash bytea NOT NULL,
  embedding ${vector}(${vectorIndex.dimensions}) NOT NULL,${layout.textSearch === undefined ? "" : "\n  lexemes tsvector,"}
  PRIMARY KEY (training_id, id)
) WITH (toast_tuple_target = 8160)`,
    `ALTER TABLE ${chunk} ALTER COLUMN embedding SET STORAGE MAIN`,
    `CREATE TABLE ${names.behind} (
  training_id ${id} PRIMARY KEY,
  claimed_at timestamptz, -- by a worker that builds it now
  claimed_by text
)`,
    ...trackChanges(active, layout),
    ...refuseRetired(active),
    ...refuseRetired(layout),
  ];
}

/**
 * Records each training that is written while there are two profiles, and deletes what the other profile has of one that is deleted. With
 * the rights of the owner of the function: a host's role may delete its rows without any right on the index.
 */
function trackChanges(active: Layout, building: Layout): string[] {
  const { schema, profile, training, indexed, chunk } = namesOf(active);
  const other = namesOf(building);
  const deleteFrom = (tables: Names): string =>
    `DELETE FROM ${tables.chunk} WHERE training_id = NEW.id; DELETE FROM ${tables.indexed} WHERE training_id = NEW.id;`;
  const body = `BEGIN
  IF NEW.deleted_at IS NOT NULL THEN
    IF EXISTS (SELECT 1 FROM ${profile} WHERE id = ${active.profileId} AND status = 'active')
    THEN ${deleteFrom(other)} ELSE ${deleteFrom({ ...other, indexed, chunk })} END IF;
  END IF;
  INSERT INTO ${other.behind} (training_id) VALUES (NEW.id)
    ON CONFLICT (training_id) DO UPDATE SET claimed_at = NULL;
  RETURN NULL;
END`;
  return [
    `CREATE OR REPLACE FUNCTION ${schema}.track_changes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS ${dollarQuoted(body)}`,
    `CREATE TRIGGER track_inserts AFTER INSERT ON ${training} FOR EACH ROW EXECUTE FUNCTION ${schema}.track_changes()`,
    `CREATE TRIGGER track_updates AFTER UPDATE ON ${training} FOR EACH ROW
  WHEN (OLD.content_ticket <> NEW.content_ticket OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
  EXECUTE FUNCTION ${schema}.track_changes()`,
  ];
}

/**
 * Refuses direct writes to the tables of a profile that was active and is not any more, by versions of this library that do not check it: their
 * deletes compare no model. Ours are refused by their fence. Locks the row of the profile as every other write does, so that a transaction
 * with an old snapshot fails. Cascades are nested in another trigger. What a switch back builds is marked, see {@link BUILDS}.
 */
function refuseRetired(layout: Layout): string[] {
  const { schema, profile, indexed, chunk } = namesOf(layout);
  const body = `BEGIN
  IF pg_trigger_depth() = 1 AND current_setting('${BUILDS}', true) IS DISTINCT FROM 'on' THEN
    IF (SELECT status <> 'active' AND model LIKE ${quoteLiteral(`%${RETIRED_SUFFIX}`)} FROM ${profile} WHERE id = TG_ARGV[0]::integer FOR SHARE) THEN
      RAISE EXCEPTION 'the index was switched to another embedding model' USING ERRCODE = '${PROFILE_RETIRED_STATE}';
    END IF;
  END IF;
  RETURN NULL;
END`;
  return [
    `CREATE OR REPLACE FUNCTION ${schema}.refuse_retired() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS ${dollarQuoted(body)}`,
    ...[indexed, chunk].map(
      (table) => `CREATE TRIGGER refuse_retired BEFORE INSERT OR UPDATE OR DELETE ON ${table} FOR EACH STATEMENT
  EXECUTE FUNCTION ${schema}.refuse_retired(${quoteLiteral(layout.profileId.toString())})`,
    ),
  ];
}

/** Drops the tables of a profile that is not active, and the triggers of both. @param active - the layout of the active one */
export function dropProfile(active: Layout, dropped: Layout): string[] {
  const { schema, profile, training, indexed, chunk } = namesOf(active);
  const other = namesOf(dropped);
  return [
    `DROP TRIGGER IF EXISTS track_inserts ON ${training}`,
    `DROP TRIGGER IF EXISTS track_updates ON ${training}`,
    ...[indexed, chunk].map((table) => `DROP TRIGGER IF EXISTS refuse_retired ON ${table}`),
    `DROP TABLE IF EXISTS ${other.chunk}, ${other.indexed}, ${other.behind}`,
    `DROP FUNCTION IF EXISTS ${schema}.track_changes(), ${schema}.refuse_retired()`,
    `DELETE FROM ${profile} WHERE id = ${dropped.profileId}`,
  ];
}

/**
 * $1 id, $2 dimensions, $3 model, $4 and $5 prefixes, $6 type of the vector index, $7 and $8 its parameters, $9 the language of text
 * search. With another language `migrate` has to add the words of the chunks afterwards.
 */
export function insertProfile({ profile }: Names): string {
  return `INSERT INTO ${profile} (id, status, dimensions, model, query_prefix, document_prefix, vector_index, hnsw_m,
    hnsw_ef_construction, text_search, words_filled_at)
  SELECT $1, 'building', $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN text_search = $9 THEN words_filled_at END
  FROM ${profile} WHERE status = 'active'`;
}

/** $1 a profile that was active before. */
export function reviveProfile({ profile }: Names): string {
  return `UPDATE ${profile} SET status = 'building', created_at = now() WHERE id = $1 AND status = 'retired'`;
}

/** $1 the active profile. */
export function retireProfile({ profile }: Names): string {
  return `UPDATE ${profile} SET status = 'retired', model = model || ${quoteLiteral(RETIRED_SUFFIX)}
  WHERE id = $1 AND status = 'active' RETURNING id`;
}

/** $1 the profile, $2 its model. */
export function activateProfile({ profile }: Names): string {
  return `UPDATE ${profile} SET status = 'active', model = $2 WHERE id = $1 AND status = 'building' RETURNING id`;
}

/**
 * Waits for the writes that run now, and keeps others waiting until the transaction ends: each locks the row of its profile. Searches only
 * read it, and do not wait.
 */
export function lockProfiles({ profile }: Names): string {
  return `LOCK TABLE ${profile} IN EXCLUSIVE MODE`;
}

/**
 * The rights that other roles have on the chunks of the active profile, as statements that grant them on the tables of another one. $1 and
 * $2 the tables of chunks.
 */
export const READ_GRANTS = `
SELECT a.privilege_type::text AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role
FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
WHERE c.oid = $1::regclass AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND a.grantee <> c.relowner`;

/** $1 the schema, $2 the tables of chunks and positions. Row security, the owner, and whether this role may create tables like them. */
export const READ_TABLES = `
SELECT (c.relrowsecurity OR c.relforcerowsecurity)::text AS secured,
  (pg_catalog.pg_has_role(c.relowner, 'USAGE') AND pg_catalog.has_schema_privilege(n.oid, 'CREATE'))::text AS may_create
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])`;

/** The names of the tables of a profile, unqualified. */
export function tablesOf({ profileId }: Layout): string[] {
  return ["training", "profile", chunkTable(profileId), indexedTable(profileId)];
}
