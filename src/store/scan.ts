import type { Condition } from "./condition.js";
import { DATA_EXCEPTION, sqlStateOf, type HostNumber } from "./database.js";
import type { SearchPlan, SearchShape } from "./search-sql.js";
import { isLarge, type ServingState } from "./serving-index.js";

/** What `hnsw.ef_search` goes up to. */
export const MAX_EF_SEARCH = 1000;

/** How many of the nearest chunks are looked at first for each hit of a page that takes only some of a training. */
const CHUNKS_FOR_A_HIT = 10;
/** At least so many: some trainings hold many of the nearest chunks. */
const FEWEST_CHUNKS = 100;

/** What a search by vector looks for, as far as its scan depends on it. */
interface Sought {
  efSearch: number;
  rerankFactor: number;
  condition: Condition | undefined;
}

/** How the nearest chunks are looked for. */
export interface Scan {
  shape: SearchShape;
  /** The setting `hnsw.ef_search`, as text. */
  efSearch: string;
}

/** The scan for the `limit` nearest chunks; exact for all of them, and where there are few. */
export function scanFor(
  { efSearch, rerankFactor, condition }: Sought,
  dimensions: number,
  { limit, plan }: Pick<SearchShape, "limit" | "plan">,
  state: ServingState,
): Scan {
  // Few chunks are compared as fast as they are looked up, and cannot be missed while VACUUM mends the index.
  const isExact = plan === "exact" || limit === undefined || !isLarge(state);
  // Full vectors are compared then, whatever the index holds.
  const type = isExact ? undefined : state.type;
  const reach = limit ?? 0;
  const candidates = type === "bit" ? Math.max(reach * rerankFactor, efSearch) : reach;
  return {
    shape: {
      limit,
      type,
      plan: isExact ? "exact" : plan,
      condition: condition?.text,
      dimensions,
      candidates,
    },
    efSearch: Math.min(Math.max(efSearch, candidates), MAX_EF_SEARCH).toString(),
  };
}

/**
 * Runs a search; exact, where the vector index turns out to be broken: VACUUM of pgvector before 0.8.3 can leave it so
 * when rows are inserted meanwhile, and scans fail that come across the place.
 *
 * @see https://github.com/pgvector/pgvector/pull/988
 */
export async function orExact<Row>(
  plan: SearchPlan,
  run: (plan: SearchPlan) => Promise<Row[]>,
): Promise<Row[]> {
  try {
    return await run(plan);
  } catch (error) {
    if (plan === "exact" || sqlStateOf(error) !== DATA_EXCEPTION) throw error;
    try {
      return await run("exact");
    } catch {
      throw error; // in a host's transaction, which it has ended
    }
  }
}

/** How many of the best chunks a search looks at; `undefined` for all of them. */
export type Reach = number | undefined;

/** A row of a page that says how many chunks were looked at for it. */
export interface ReachedRow {
  reached: HostNumber;
}

/**
 * Fills a page that takes only some of the chunks of each training: looks at more of the best chunks for as long as too
 * few trainings are among them, and at all of them in the end.
 *
 * @param canMiss - whether a look that finds fewer chunks than it looks for may not have seen all
 */
export async function reachFurther<Row extends ReachedRow>(
  k: number,
  canMiss: boolean,
  run: (reach: Reach) => Promise<Row[]>,
  isFull: (rows: Row[]) => boolean,
): Promise<Row[]> {
  const first = Math.min(Math.max(CHUNKS_FOR_A_HIT * k, FEWEST_CHUNKS), MAX_EF_SEARCH);
  for (const reach of new Set([first, MAX_EF_SEARCH])) {
    const rows = await run(reach);
    if (isFull(rows)) return rows;
    const sawAll = Number(rows[0]?.reached ?? 0) < reach;
    if (sawAll && canMiss) break;
    if (sawAll) return rows;
  }
  return run(undefined);
}
