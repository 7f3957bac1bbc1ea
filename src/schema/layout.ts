import type { IdType } from "../types.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import type { TextSearchLanguage } from "./lexemes.js";

/** A separate schema: a host's migration tool once dropped an index on a table that it took for its own. */
export const DEFAULT_SCHEMA = "training_index";

/** The call that repairs or upgrades a schema, for messages. */
export function migrateCall(schema: string): string {
  return schema === DEFAULT_SCHEMA ? "migrate(pool)" : `migrate(pool, { schema: ${JSON.stringify(schema)} })`;
}

/** The profile whose tables the first migration creates. Switches of the model create further ones. */
export const FIRST_PROFILE_ID = 1;

/** The schema version that this library's statements are written for: the last one in `migrations/list.ts`. */
export const SCHEMA_VERSION = 6;

/** How a Citus cluster holds a schema: all of it on one node, or its trainings spread over all nodes. */
export type CitusMode = "schema" | "tables";

/** The names and types that SQL statements are written with: where the index lives, and how ids are stored. */
export interface Layout {
  /** As the caller gave it, not quoted. */
  schema: string;
  idType: IdType;
  /** The schema in which pgvector is installed. */
  extensionSchema: string;
  /** Selects the chunk table: there is one for each embedding profile. */
  profileId: number;
  /** The language of text search; `undefined` without text search. */
  textSearch?: TextSearchLanguage | undefined;
  /** How a Citus cluster holds the schema; `undefined` for tables of the server itself. */
  citus?: CitusMode | undefined;
  /** Settings of searches, for a vector index of another extension. */
  scanSettings?: Readonly<Record<string, string>> | undefined;
}

/** Names for SQL, all qualified and quoted: neither the host's `search_path` nor a hostile name affects statements. */
export interface Names {
  /** The profile whose tables `chunk` and `indexed` are. */
  profileId: number;
  schema: string;
  ticket: string;
  migration: string;
  profile: string;
  training: string;
  indexed: string;
  chunk: string;
  /** The words of the chunks. */
  word: string;
  /** Trainings whose chunks in the profile that is not active are not those of the stored version. It exists while there is one. */
  behind: string;
  /** The type `vector`. */
  vector: string;
  /** The type `halfvec`. */
  halfvec: string;
  /** The function that keeps the sign of each component. */
  binaryQuantize: string;
  /** The cosine distance operator, for `vector` and `halfvec`. */
  distance: string;
  /** The operator that counts differing bits. */
  hammingDistance: string;
  /** The schema of pgvector, for its operator classes. */
  extension: string;
}

/** @throws {@link InvalidArgumentError} for names that Postgres cannot hold */
export function namesOf(layout: Omit<Layout, "idType">): Names {
  const known = namesByLayout.get(layout);
  if (known) return known;
  const names = makeNames(layout);
  namesByLayout.set(layout, names);
  return names;
}

/** Cached: every search builds several statements from these names. */
const namesByLayout = new WeakMap<Omit<Layout, "idType">, Names>();

function makeNames({ schema, extensionSchema, profileId }: Omit<Layout, "idType">): Names {
  const own = quoteIdentifier(schema, "schema");
  const extension = quoteIdentifier(extensionSchema, "extensionSchema");
  return {
    profileId,
    schema: own,
    ticket: `${own}.ticket`,
    migration: `${own}.migration`,
    profile: `${own}.profile`,
    training: `${own}.training`,
    indexed: `${own}.${indexedTable(profileId)}`,
    chunk: `${own}.${chunkTable(profileId)}`,
    word: `${own}.word`,
    behind: `${own}.behind`,
    vector: `${extension}.vector`,
    halfvec: `${extension}.halfvec`,
    binaryQuantize: `${extension}.binary_quantize`,
    distance: `OPERATOR(${extension}.<=>)`,
    hammingDistance: `OPERATOR(${extension}.<~>)`,
    extension,
  };
}

/** What the names of tables of chunks begin with; the profile's id follows. */
export const CHUNK_PREFIX = "chunk_";

/** The name of the table that holds a profile's chunks. */
export function chunkTable(profileId: number): string {
  return `${CHUNK_PREFIX}${profileId}`;
}

/** The name of the table with one row for each training that is indexed under a profile. */
export function indexedTable(profileId: number): string {
  return `indexed_${profileId}`;
}
