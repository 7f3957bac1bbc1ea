import type { SchemaState } from "../schema/schema-state.js";
import type { SearchPlan } from "./search-sql.js";

/** What searches keep for a schema; it goes when the schema is looked at again. */
export interface SearchCache {
  /** How the planner searched for some filters, and for some numbers of chunks. */
  plans: Map<string, Promise<SearchPlan>>;
  /** The texts of statements: to write one takes longer than everything else that is done here for a search. */
  statements: Map<string, string>;
  /** The same texts with the condition on the version of the schema. */
  guarded: Map<string, string>;
}

const caches = new WeakMap<SchemaState, SearchCache>();

/** The cache that belongs to one look at the schema. */
export function cacheOf(state: SchemaState): SearchCache {
  let cache = caches.get(state);
  if (!cache) caches.set(state, (cache = { plans: new Map(), statements: new Map(), guarded: new Map() }));
  return cache;
}
