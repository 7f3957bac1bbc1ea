import type { Notify } from "../calls/notices.js";
import type { Condition } from "../filtering/condition.js";
import { DATA_EXCEPTION, sqlStateOf, type HostNumber } from "../postgres/database.js";
import type { SearchPlan, SearchShape } from "./search-sql.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";

/** What `hnsw.ef_search` goes up to. */
export const MAX_EF_SEARCH = 1000;

/** How many of the nearest chunks are looked at first for each hit of a page that takes only some of a training. */
const CHUNKS_FOR_A_HIT = 10;
/** At least so many: some trainings hold many of the nearest chunks. */
const FEWEST_CHUNKS = 100;

/** What a search by vector looks for, as far as its scan depends on it. */
interface ScanOptions {
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
  { efSearch, rerankFactor, condition }: ScanOptions,
  dimensions: number,
  { limit, plan }: Pick<SearchShape, "limit" | "plan">,
  state: SchemaState,
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
export async function orExact<Found>(
  plan: SearchPlan,
  notify: Notify,
  run: (plan: SearchPlan) => Promise<Found>,
): Promise<Found> {
  try {
    return await run(plan);
  } catch (error) {
    if (plan === "exact" || sqlStateOf(error) !== DATA_EXCEPTION) throw error;
    let found: Found;
    try {
      found = await run("exact");
    } catch {
      throw error; // in a host's transaction, which it has ended
    }
    notifyExactSearch(notify, "damaged", error);
    return found;
  }
}

/** Why a search compared all chunks that its filter lets through, and what to do about it. */
const EXACT_BECAUSE = {
  missing: "there is no vector index that Postgres can use: run migrate(pool, { schema }), which builds it",
  damaged: "the vector index is damaged: REINDEX it",
  "gave up":
    "the scan of the vector index ended before it had found enough: the filter matches few of the chunks that are near, " +
    "or many chunks of the index are deleted; a higher hnsw.max_scan_tuples lets it go on longer, VACUUM cleans it up",
};

/** Tells the host that a search of a large table was exact though nobody wanted it to be. */
export function notifyExactSearch(notify: Notify, reason: keyof typeof EXACT_BECAUSE, cause?: unknown): void {
  const message = `A search compared all chunks, because ${EXACT_BECAUSE[reason]}`;
  notify({ code: "EXACT_SEARCH", message, ...(cause === undefined ? {} : { cause }) });
}

/** Tells the host where a search of a large table cannot have a vector index. */
export function notifyMissingIndex(notify: Notify, state: SchemaState): void {
  if (isLarge(state) && state.type === undefined) notifyExactSearch(notify, "missing");
}

/** How many of the best chunks a search looks at; `undefined` for all of them. */
export type ExamineLimit = number | undefined;

/** What one look at the best chunks has found. */
export interface Examined<Row> {
  rows: Row[];
  /** Whether there are no more chunks than it looked at. */
  sawAll: boolean;
}

/**
 * Fills a page that takes only some of the chunks of each training: looks at more of the best chunks for as long as too
 * few trainings are among them, and at all of them in the end.
 *
 * @param look - at as many of the best chunks; at all of them for `undefined`
 */
export async function widenUntilFull<Row>(
  k: number,
  look: (reach: ExamineLimit) => Promise<Examined<Row>>,
  isFull: (rows: Row[]) => boolean,
): Promise<Row[]> {
  const first = Math.min(Math.max(CHUNKS_FOR_A_HIT * k, FEWEST_CHUNKS), MAX_EF_SEARCH);
  for (const reach of new Set([first, MAX_EF_SEARCH])) {
    const { rows, sawAll } = await look(reach);
    if (sawAll || isFull(rows)) return rows;
  }
  return (await look(undefined)).rows;
}

/** A row that says how many chunks were looked at for the page. */
export interface ExaminedRow {
  examined: HostNumber;
}

/**
 * Looks at the nearest chunks. A scan of the vector index that ends with fewer than it looks for may have given up, so
 * then all chunks are compared.
 */
export async function examineNearest<Row extends ExaminedRow>(
  reach: ExamineLimit,
  state: SchemaState,
  notify: Notify,
  run: (plan: SearchPlan) => Promise<Row[]>,
): Promise<Examined<Row>> {
  const usesIndex = reach !== undefined && isLarge(state);
  let ran: SearchPlan = usesIndex ? "planner's" : "exact";
  const rows = await orExact(ran, notify, (plan) => run((ran = plan)));
  const isShort = (found: Row[]): boolean => reach === undefined || Number(found[0]?.examined ?? 0) < reach;
  if (ran === "exact" || !isShort(rows)) return { rows, sawAll: isShort(rows) };
  if (state.type !== undefined) notifyExactSearch(notify, "gave up");
  const exact = await run("exact");
  return { rows: exact, sawAll: isShort(exact) };
}
