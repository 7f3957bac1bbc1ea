import { InvalidArgumentError } from "../errors.js";
import { mapInTurns } from "../calls/turns.js";
import type { HybridHit, TextHit } from "../types.js";
import { encodeVector } from "../postgres/codec.js";
import type { HostNumber } from "../postgres/database.js";
import { toHit, toPassage, type HitRow, type PassageRow } from "./hits.js";
import {
  MAX_EF_SEARCH,
  orExact,
  widenUntilFull,
  scanFor,
  notifyExactSearch,
  notifyMissingIndex,
  type Examined,
  type ExamineLimit,
} from "./scan.js";
import { cacheOf } from "./search-cache.js";
import type { SearchPlan } from "./search-sql.js";
import { planKeyOf, remembered, type Search, type SearchPage, type SearchTarget } from "./search.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";
import {
  fusedChunks,
  matchingChunks,
  RANK_CONSTANT,
  type TextLayout,
  type TextSearchShape,
} from "./text-search-sql.js";

/** A text search whose arguments have been checked. */
export interface TextSearch extends SearchPage {
  question: string;
}

/** A search by vector and by words whose arguments have been checked. */
export interface HybridSearch extends Search, TextSearch {
  /** Of each search in the fusion. */
  weights: { vector: number; text: number };
}

/** Where the table has more pages, common words are known from the planner's statistics and not counted. */
const MOST_PAGES_TO_COUNT_ALL = 2000;
/** Enough to know the average length of chunks to within some percent. */
const SAMPLE_PAGES = 500;
/** Chunks that each search passes on to the fusion, at least: what is behind them in both hardly counts. */
const FUSION_DEPTH = 50;

/** A question is searched for words so far, in UTF-16 units: far beyond what anybody asks, and split up in some milliseconds. */
const MAX_QUESTION_LENGTH = 20_000;

/**
 * The chunks that match a question by its words, best first. One statement, one round trip; one more where a filter lets
 * few of those through that have the question's rare words.
 *
 * @throws {@link InvalidArgumentError} for a schema whose chunks cannot be searched for words
 */
export async function searchText(target: SearchTarget, search: TextSearch): Promise<TextHit[]> {
  const layout = requireTextSearch(target.state);
  const { k, condition, neighbors } = search;
  const question = wordsOf(search);
  const rows = await findPage<TextRow>(target, search, k, { hasVector: false }, ({ words }) => ({
    text: matchingChunks(layout, words, search, neighbors),
    values: [question, ...(condition?.values ?? [])],
  }));
  return mapInTurns(rows, (row) => ({ ...toPassage(row, layout), textScore: Number(row.text_score) }));
}

/** As {@link searchText}, in the form of a hybrid search that has no vector. */
export async function searchTextOnly(
  target: SearchTarget,
  search: TextSearch & Pick<HybridSearch, "weights">,
): Promise<HybridHit[]> {
  const hits = await searchText(target, search);
  return hits.map((hit, index) => ({
    ...hit,
    score: undefined,
    distance: undefined,
    fusedScore: search.weights.text / (RANK_CONSTANT + index + 1),
  }));
}

/**
 * The chunks that are best by vector and by words together, best first. As {@link searchText}; one statement more where
 * either search found fewer than it passes on: each looks further by itself, whatever the other one has found.
 */
export async function searchHybrid(target: SearchTarget, search: HybridSearch): Promise<HybridHit[]> {
  const layout = requireTextSearch(target.state);
  const { k, condition, weights, neighbors } = search;
  const [vector, question] = [encodeVector(search.vector), wordsOf(search)];
  const depth = Math.min(Math.max(2 * k, FUSION_DEPTH), MAX_EF_SEARCH);
  const rows = await findPage<HybridRow>(target, search, depth, { hasVector: true }, (halves, state) => {
    const { words, plan } = halves;
    const { shape, efSearch } = scanFor(search, target.dimensions, { limit: words.limit, plan }, state);
    return {
      text: fusedChunks(layout, shape, words, { page: search, weights, neighbors }),
      values: [vector, efSearch, question, ...(condition?.values ?? [])],
    };
  });
  return mapInTurns(rows, (row) => ({
    ...toHit(row, layout),
    textScore: row.text_score === null ? undefined : Number(row.text_score),
    fusedScore: Number(row.fused_score),
  }));
}

interface TextRow extends PassageRow, HalvesRow {
  text_score: HostNumber;
}

interface HybridRow extends HitRow, HalvesRow {
  /** `null` for a chunk that was found by its vector alone. */
  text_score: HostNumber | null;
  fused_score: HostNumber;
}

/** A row of a page that says what the halves of the search have found. */
interface HalvesRow {
  /** Chunks found by their vectors; not of a search by words alone. */
  near?: HostNumber;
  /** Chunks found by their words. */
  matched: HostNumber;
  /** Common words of the question that were not looked for. */
  left_out: HostNumber;
}

/** How a statement looks: among the words, and among the vectors. */
interface Halves {
  words: TextSearchShape;
  plan: SearchPlan;
}

type StatementOf = (halves: Halves, state: SchemaState) => { text: string; values: unknown[] };

/** Runs a statement, again where too few trainings are among the chunks that it looked at. */
async function findPage<Row extends HalvesRow>(
  target: SearchTarget,
  search: TextSearch,
  depth: number,
  { hasVector }: { hasVector: boolean },
  statement: StatementOf,
): Promise<Row[]> {
  const { k, perTraining } = search;
  const { state } = target;
  if (hasVector) notifyMissingIndex(target.notify, state);
  const look = (limit: ExamineLimit): Promise<Examined<Row>> => {
    const usesIndex = hasVector && limit !== undefined && isLarge(state);
    const plan = usesIndex ? "planner's" : "exact";
    return lookByHalves(target, search, state, { words: wordsShape(search, state, limit), plan }, statement);
  };
  if (perTraining === undefined) return (await look(depth)).rows;
  return widenUntilFull(k, look, (rows) => rows.length >= k);
}

function wordsShape({ condition }: TextSearch, { pages }: SchemaState, limit: ExamineLimit): TextSearchShape {
  const hasManyChunks = pages > MOST_PAGES_TO_COUNT_ALL;
  return {
    limit,
    condition: condition?.text,
    samplePercent: pages <= SAMPLE_PAGES ? 100 : (100 * SAMPLE_PAGES) / pages,
    hasManyChunks,
    onlyRareWords: hasManyChunks && limit !== undefined,
  };
}

/**
 * Runs a statement; once more where one half of the search may have missed chunks, with that half looking at all:
 * the scan of the vector index gives up after 20,000 chunks that a filter excludes, and a filter can leave too few of the
 * chunks that have the question's rare words.
 */
async function lookByHalves<Row extends HalvesRow>(
  { statements, notify }: SearchTarget,
  { condition }: TextSearch,
  state: SchemaState,
  { words, plan }: Halves,
  statement: StatementOf,
): Promise<Examined<Row>> {
  const { limit } = words;
  const run = (halves: Halves): Promise<Row[]> => {
    const { text, values } = statement(halves, state);
    return statements.query<Row>(text, values, { keepsPlan: false });
  };
  const isShort = (found: HostNumber | undefined): boolean =>
    limit === undefined || Number(found ?? 0) < limit;
  const sawAll = ([row]: Row[]): boolean => isShort(row?.near) && isShort(row?.matched);

  // For as long as the look at the catalogs is good, a filter that made the scan give up is searched exactly.
  const question = `by halves ${condition ? planKeyOf(limit ?? 0, limit ?? 0, condition) : (limit ?? 0)}`;
  let ran = plan === "exact" ? plan : ((await cacheOf(state).plans.get(question)) ?? plan);
  const rows = await orExact(ran, notify, (next) => run({ words, plan: (ran = next) }));
  const [row] = rows;
  const gaveUp = ran !== "exact" && isShort(row?.near);
  // No row says what was left out where nothing was found, which a filter is the usual reason for.
  const leftOut = row ? Number(row.left_out) > 0 : condition !== undefined;
  const missedWords = words.onlyRareWords && leftOut && isShort(row?.matched);
  if (!gaveUp && !missedWords) return { rows, sawAll: sawAll(rows) };

  if (gaveUp) {
    void remembered(cacheOf(state).plans, question, () => Promise.resolve("exact"));
    if (state.type !== undefined) notifyExactSearch(notify, "gave up");
  }
  const further = { ...words, onlyRareWords: words.onlyRareWords && !missedWords };
  const all = await orExact(gaveUp ? "exact" : ran, notify, (next) => run({ words: further, plan: next }));
  return { rows: all, sawAll: sawAll(all) };
}

/** Of a question as much as is searched for words; a surrogate that is cut in two is no letter, and so no word. */
function wordsOf({ question }: TextSearch): string {
  return question.slice(0, MAX_QUESTION_LENGTH).toWellFormed();
}

/** @throws {@link InvalidArgumentError} */
export function requireTextSearch({ layout }: Pick<SchemaState, "layout">): TextLayout {
  const { textSearch } = layout;
  if (textSearch !== undefined) return { ...layout, textSearch };
  throw new InvalidArgumentError(
    "mode",
    'needs chunks that can be searched for words: run migrate(pool, { textSearch: "portuguese" }), or another language',
  );
}
