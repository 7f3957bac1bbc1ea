import type { Condition } from "./condition.js";
import type { HostNumber } from "./database.js";
import type { SearchShape } from "./search-sql.js";
import type { ServingState } from "./serving-index.js";
import type { VectorIndexType } from "./vector-index.js";

/** What `hnsw.ef_search` goes up to. */
export const MAX_EF_SEARCH = 1000;

/**
 * From here on the planner takes the vector index whatever it knows about the table, and so does a plan that is kept.
 * Below it the plan of the moment is the better one, and costs less than what it finds.
 */
const FEWEST_PAGES_TO_KEEP_A_PLAN = 100;

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

/** The scan for the `limit` nearest chunks, by a vector index or exact. */
export function scanFor(
  { efSearch, rerankFactor, condition }: Sought,
  dimensions: number,
  { limit, type, plan }: Pick<SearchShape, "limit" | "type" | "plan">,
): Scan {
  const reach = limit ?? 0;
  const candidates = type === "bit" ? Math.max(reach * rerankFactor, efSearch) : reach;
  return {
    shape: { limit, type, plan, condition: condition?.text, dimensions, candidates },
    efSearch: Math.min(Math.max(efSearch, candidates), MAX_EF_SEARCH).toString(),
  };
}

/** The scan for the nearest chunks within reach, as the planner sees fit; exact for all of them. */
export function scanWithin(
  reach: Reach,
  sought: Sought,
  dimensions: number,
  type: VectorIndexType | undefined,
): Scan {
  const isAll = reach === undefined;
  return scanFor(sought, dimensions, {
    limit: reach,
    type: isAll ? undefined : type,
    plan: isAll ? "by filter" : "planner's",
  });
}

/** Whether the chunk table is so large that the planner takes the vector index. */
export function isLarge({ pages }: ServingState): boolean {
  return pages >= FEWEST_PAGES_TO_KEEP_A_PLAN;
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
 */
export async function reachFurther<Row extends ReachedRow>(
  { k, condition }: { k: number; condition: Condition | undefined },
  state: ServingState,
  run: (reach: Reach) => Promise<Row[]>,
  isFull: (rows: Row[]) => boolean,
): Promise<Row[]> {
  const first = Math.min(Math.max(CHUNKS_FOR_A_HIT * k, FEWEST_CHUNKS), MAX_EF_SEARCH);
  for (const reach of new Set([first, MAX_EF_SEARCH])) {
    const rows = await run(reach);
    if (isFull(rows)) return rows;
    const sawAll = Number(rows[0]?.reached ?? 0) < reach;
    // A scan of the vector index can give up before it has seen all that the filter lets through.
    if (sawAll && condition && isLarge(state)) break;
    if (sawAll) return rows;
  }
  return run(undefined);
}
