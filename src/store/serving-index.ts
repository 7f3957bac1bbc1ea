import { query, type Queryable } from "./database.js";
import { chunkTable, namesOf, type Layout } from "./layout.js";
import type { SearchPlan } from "./search-sql.js";
import { vectorIndexName, vectorIndexTypes, type VectorIndexType } from "./vector-index.js";

/** What stands behind the searches at the moment. */
export interface ServingState {
  /** The type of the vector index that Postgres can use; `undefined` without one: then every search is exact. */
  type: VectorIndexType | undefined;
  /** Size of the chunk table, in pages. */
  pages: number;
  /** How the planner searched for some filters, and for some numbers of chunks; as old as the rest of this. */
  plans: Map<string, Promise<SearchPlan>>;
  /** The texts of searches that were asked lately: to write one takes longer than all else that is done here. */
  statements: Map<string, string>;
}

/** How long a look at the catalogs is good for: a migration changes the index at most a few times in its life. */
const MAX_AGE_MS = 60_000;
/** A small table may be large soon: its first load has just begun. */
const MAX_AGE_OF_SMALL_MS = 5_000;

/** From here on a search by the vector index costs less than comparing all chunks, and so does a plan that is kept. */
const FEWEST_PAGES_OF_LARGE = 100;

/** Whether the chunk table is so large that the vector index is worth its while. */
export function isLarge({ pages }: ServingState): boolean {
  return pages >= FEWEST_PAGES_OF_LARGE;
}

/**
 * Knows which vector index serves the searches of a process that goes on while a migration puts another one in its
 * place. Looks again when its knowledge is old, as part of a search.
 */
export class ServingIndex {
  readonly #database: Queryable;
  readonly #layout: Layout;
  readonly #maxAgeMs: number;
  #state: Promise<ServingState> | undefined;
  #lookedAt = -Infinity;
  /** From then on, for searches. */
  #goodForMs = 0;
  #isSmall = true;
  /** Chunks that this process has added since it looked. */
  #added = 0;

  constructor(database: Queryable, layout: Layout, maxAgeMs = MAX_AGE_MS) {
    this.#database = database;
    this.#layout = layout;
    this.#maxAgeMs = maxAgeMs;
  }

  /**
   * @param database - to look with, where it is time to look again
   * @throws {@link DatabaseError}
   */
  current(database = this.#database): Promise<ServingState> {
    if (this.#state && this.#ageMs() < this.#goodForMs) return this.#state;
    this.#lookedAt = performance.now();
    this.#goodForMs = this.#maxAgeMs;
    this.#added = 0;
    const state = readServingState(database, this.#layout);
    this.#state = state;
    state.then(
      (found) => {
        this.#isSmall = !isLarge(found);
        if (this.#state === state && this.#isSmall) {
          this.#goodForMs = Math.min(this.#goodForMs, MAX_AGE_OF_SMALL_MS);
        }
      },
      () => {
        if (this.#state === state) this.forget();
      },
    );
    return state;
  }

  /**
   * For writes, to which it does no harm that a table has grown large since: that is no reason to look again.
   *
   * @throws {@link DatabaseError}
   */
  recent(): Promise<ServingState> {
    return this.#state && this.#ageMs() < this.#maxAgeMs ? this.#state : this.current();
  }

  /** For chunks that this process adds: with them a small table may be large, and the next search looks again. */
  grow(chunks: number): void {
    this.#added += chunks;
    if (this.#isSmall && this.#added >= FEWEST_PAGES_OF_LARGE) this.#goodForMs = 0;
  }

  /** For a change that this process makes itself: the next search looks again. */
  forget(): void {
    this.#state = undefined;
  }

  #ageMs(): number {
    return performance.now() - this.#lookedAt;
  }
}

async function readServingState(database: Queryable, layout: Layout): Promise<ServingState> {
  const { schema, profileId } = layout;
  const [row] = await query<{
    recorded: string;
    indexes: string | null;
    bytes: string;
    page: string;
  }>(
    database,
    `SELECT p.vector_index AS recorded, pg_catalog.pg_relation_size(c.oid)::text AS bytes,
      pg_catalog.current_setting('block_size') AS page,
      (SELECT pg_catalog.json_agg(ic.relname)::text FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisvalid) AS indexes
    FROM ${namesOf(layout).profile} p
    JOIN pg_catalog.pg_namespace n ON n.nspname = $1
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
    WHERE p.id = $3`,
    [schema, chunkTable(profileId), profileId],
  );
  if (!row) return { type: undefined, pages: 0, plans: new Map(), statements: new Map() };
  const valid = new Set(JSON.parse(row.indexes ?? "[]") as string[]);
  const usable = vectorIndexTypes.filter((type) => valid.has(vectorIndexName(profileId, type)));
  return {
    // While one takes the place of another both are good; the recorded one is there to stay.
    type: usable.find((type) => type === row.recorded) ?? usable.at(-1),
    pages: Number(row.bytes) / Number(row.page),
    plans: new Map(),
    statements: new Map(),
  };
}
