import type { Notify } from "../calls/notices.js";
import type { Condition } from "../filtering/condition.js";
import { DATA_EXCEPTION, sqlStateOf, type HostNumber } from "../postgres/database.js";
import type { Page } from "../search-sql/page-sql.js";
import type { SearchPlan, SearchShape } from "../search-sql/vector-search-sql.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";

/** The upper limit that pgvector sets for `hnsw.ef_search`. */
export const MAX_EF_SEARCH = 1000;

/** Chunks that a search with a limit per training examines at first, for each hit. */
const CHUNKS_PER_HIT = 10;
/** The least it examines at first: one training can hold many of the nearest chunks. */
const MIN_CHUNKS = 100;

/** What the scan depends on in a vector search. */
interface ScanOptions {
  efSearch: number;
  rerankFactor: number;
  condition: Condition | undefined;
}

/** How a statement finds the nearest chunks. */
export interface Scan {
  shape: SearchShape;
  /** The setting `hnsw.ef_search`, as text. */
  efSearch: string;
}

/** The scan for the `limit` nearest chunks. It is exact if there is no limit, and in small tables. */
export function scanFor(
  { efSearch, rerankFactor, condition }: ScanOptions,
  dimensions: number,
  { limit, plan }: Pick<SearchShape, "limit" | "plan">,
  state: SchemaState,
): Scan {
  // In a small table an exact scan is as fast, and cannot miss chunks while VACUUM repairs the index.
  const isExact = plan === "exact" || limit === undefined || !isLarge(state);
  // An exact scan compares full vectors, whatever the index holds.
  const type = isExact ? undefined : state.type;
  const wanted = limit ?? 0;
  const candidates = type === "bit" ? Math.max(wanted * rerankFactor, efSearch) : wanted;
  // The one after the last shows whether others are equally near. Without it, pgvector would scan a second time for that one. All `k` up to
  // `efSearch` have it, so that they have the same candidates: of thousands that are equally near, a scan for one more finds others.
  const scanned = type === "bit" ? candidates : Math.max(efSearch, wanted) + 1;
  return {
    shape: {
      limit,
      type,
      plan: isExact ? "exact" : plan,
      condition: condition?.text,
      dimensions,
      candidates,
    },
    efSearch: Math.min(scanned, MAX_EF_SEARCH).toString(),
  };
}

/**
 * Runs a search, and repeats it exactly if the vector index turns out to be damaged. Before pgvector 0.8.3, VACUUM could
 * damage it while rows were inserted; scans that reach the damaged place fail.
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
      throw error; // in a host's transaction, which the first failure has aborted
    }
    notifyExactSearch(notify, "damaged", error);
    return found;
  }
}

/** Why a search compared all chunks that match its filter, and what to do about it. */
const EXACT_SEARCH_REASONS = {
  missing: "there is no vector index that Postgres can use: run migrate(pool, { schema }), which builds it",
  damaged: "the vector index is damaged: REINDEX it",
  "gave up":
    "the vector index scan gave up before it found enough chunks: the filter matches few of the nearest, or the index " +
    "holds many deleted ones; raise hnsw.max_scan_tuples so that it scans further, or VACUUM to clean up the index",
  "few trainings": `the ${MAX_EF_SEARCH} nearest belong to fewer trainings than were asked for: ask for fewer, or for more chunks of each`,
  "rare words": "those with the rare words of the question were too few: the filter excludes most of them",
};

/** Notifies the host that a search of a large table could not use the vector index. */
export function notifyExactSearch(notify: Notify, reason: keyof typeof EXACT_SEARCH_REASONS, cause?: unknown): void {
  const message = `A search compared all chunks, because ${EXACT_SEARCH_REASONS[reason]}`;
  notify({ code: "EXACT_SEARCH", message, ...(cause === undefined ? {} : { cause }) });
}

/** Notifies the host if a large table has no usable vector index. */
export function notifyMissingIndex(notify: Notify, state: SchemaState): void {
  if (isLarge(state) && state.type === undefined) notifyExactSearch(notify, "missing");
}

/** Notifies the host that a search of a large table examines all chunks, although there is a vector index. */
export function notifyAllChunks(notify: Notify, state: SchemaState): void {
  if (isLarge(state) && state.type !== undefined) notifyExactSearch(notify, "few trainings");
}

/** How many of the best chunks a search examines; `undefined` for all. */
export type ExamineLimit = number | undefined;

/** What was found among the examined chunks. */
export interface Examined<Row> {
  rows: Row[];
  /** Whether no chunk was left unexamined, so that a higher limit finds nothing more. */
  examinedAll: boolean;
}

/**
 * Fills a page that limits the chunks per training: examines more of the best chunks as long as they belong to too few
 * trainings, and all of them in the end.
 *
 * @param examine - examines that many of the best chunks
 */
export async function widenUntilFull<Row>(
  k: number,
  examine: (limit: ExamineLimit) => Promise<Examined<Row>>,
  isFull: (rows: Row[]) => boolean,
): Promise<Row[]> {
  const first = Math.min(Math.max(CHUNKS_PER_HIT * k, MIN_CHUNKS), MAX_EF_SEARCH);
  for (const limit of new Set([first, MAX_EF_SEARCH])) {
    const { rows, examinedAll } = await examine(limit);
    if (examinedAll || isFull(rows)) return rows;
  }
  return (await examine(undefined)).rows;
}

/** Whether rows fill a page. */
export function isFull({ strategy, k }: Page, rows: readonly { key: string }[]): boolean {
  return (strategy === "chunks" ? rows.length : new Set(rows.map(({ key }) => key)).size) >= k;
}

/** A row that says how many chunks its statement examined. */
export interface ExaminedRow {
  examined: HostNumber;
}

/**
 * Examines the nearest chunks. A scan of the vector index that returns fewer than the limit may have given up, so all
 * chunks are compared then.
 *
 * @param plan - for a large table
 */
export async function examineNearest<Row extends ExaminedRow>(
  limit: ExamineLimit,
  plan: SearchPlan,
  { state, notify }: { state: SchemaState; notify: Notify },
  run: (plan: SearchPlan) => Promise<Row[]>,
): Promise<Examined<Row>> {
  const usesIndex = limit !== undefined && isLarge(state);
  let ran: SearchPlan = usesIndex ? plan : "exact";
  if (limit === undefined) notifyAllChunks(notify, state);
  const rows = await orExact(ran, notify, (next) => run((ran = next)));
  const isShort = (found: Row[]): boolean => limit === undefined || Number(found[0]?.examined ?? 0) < limit;
  if (ran === "exact" || !isShort(rows)) return { rows, examinedAll: isShort(rows) };
  if (state.type !== undefined) notifyExactSearch(notify, "gave up");
  const exact = await run("exact");
  return { rows: exact, examinedAll: isShort(exact) };
}
