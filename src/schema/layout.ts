import type { IdType } from "../types.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import type { TextSearchLanguage } from "./lexemes.js";

/** A schema of its own: a host's migration tool once dropped an index on a table that it thought it owned. */
export const DEFAULT_SCHEMA = "training_index";

/** The chunk table that the first migration makes. */
export const FIRST_PROFILE_ID = 1;

/** The version of the layout that this library's statements are written for: the last of `migrations/list.ts`. */
export const SCHEMA_VERSION = 5;

/** The names and types that SQL texts are made of: where the index lives, and how ids are stored. */
export interface Layout {
  /** As the caller gave it. */
  schema: string;
  idType: IdType;
  /** The schema that pgvector was created in. */
  extensionSchema: string;
  /** Which chunk table: one for each embedding profile. */
  profileId: number;
  /** The language in which chunks can be searched for words; `undefined` where they cannot. */
  textSearch?: TextSearchLanguage | undefined;
}

/** Every name qualified and quoted: neither the host's `search_path` nor a hostile name has any say. */
export interface Names {
  schema: string;
  ticket: string;
  migration: string;
  profile: string;
  training: string;
  indexed: string;
  chunk: string;
  /** The type `vector`. */
  vector: string;
  /** The type `halfvec`. */
  halfvec: string;
  /** The function that keeps the sign of each component. */
  binaryQuantize: string;
  /** The cosine distance operator, of `vector` and of `halfvec`. */
  distance: string;
  /** The operator that counts the bits that differ. */
  hammingDistance: string;
  /** pgvector's own schema, for its operator classes. */
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

/** Each search needs them some times. */
const namesByLayout = new WeakMap<Omit<Layout, "idType">, Names>();

function makeNames({ schema, extensionSchema, profileId }: Omit<Layout, "idType">): Names {
  const own = quoteIdentifier(schema, "schema");
  const extension = quoteIdentifier(extensionSchema, "extensionSchema");
  return {
    schema: own,
    ticket: `${own}.ticket`,
    migration: `${own}.migration`,
    profile: `${own}.profile`,
    training: `${own}.training`,
    indexed: `${own}.${indexedTable(profileId)}`,
    chunk: `${own}.${chunkTable(profileId)}`,
    vector: `${extension}.vector`,
    halfvec: `${extension}.halfvec`,
    binaryQuantize: `${extension}.binary_quantize`,
    distance: `OPERATOR(${extension}.<=>)`,
    hammingDistance: `OPERATOR(${extension}.<~>)`,
    extension,
  };
}

/** The name of the table that holds a profile's chunks. */
export function chunkTable(profileId: number): string {
  return `chunk_${profileId}`;
}

/** The name of the table that holds a row for each training that a profile has indexed. */
export function indexedTable(profileId: number): string {
  return `indexed_${profileId}`;
}
