import { InvalidArgumentError } from "../errors.js";
import type { HybridHit, TextHit } from "../types.js";
import type { HostNumber } from "./database.js";
import { encodeVector } from "./codec.js";
import { toHit, toPassage, type HitRow, type PassageRow } from "./hits.js";
import { MAX_EF_SEARCH, orExact, reachFurther, scanFor, type Reach, type ReachedRow } from "./scan.js";
import type { SearchPlan } from "./search-sql.js";
import type { Search, SearchPage, SearchTarget } from "./search.js";
import { isLarge, type ServingState } from "./serving-index.js";
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

/**
 * The chunks that match a question by its words, best first. One statement, one round trip; one more where a filter lets
 * few of those through that have the question's rare words.
 *
 * @throws {@link InvalidArgumentError} for a schema whose chunks cannot be searched for words
 */
export async function searchText(target: SearchTarget, search: TextSearch): Promise<TextHit[]> {
  const layout = requireTextSearch(target);
  const { question, k, condition, neighbors } = search;
  const rows = await findPage<TextRow>(target, search, k, ({ words }) => ({
    text: matchingChunks(layout, words, search, neighbors),
    values: [question, ...(condition?.values ?? [])],
  }));
  return rows.map((row) => ({ ...toPassage(row, layout), textScore: Number(row.text_score) }));
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

/** The chunks that are best by vector and by words together, best first. As {@link searchText}. */
export async function searchHybrid(target: SearchTarget, search: HybridSearch): Promise<HybridHit[]> {
  const layout = requireTextSearch(target);
  const { vector, question, k, condition, weights, neighbors } = search;
  const depth = Math.min(Math.max(2 * k, FUSION_DEPTH), MAX_EF_SEARCH);
  const rows = await findPage<HybridRow>(target, search, depth, ({ words, plan }, state) => {
    const { limit } = words;
    const { shape, efSearch } = scanFor(search, target.dimensions, { limit, plan }, state);
    return {
      text: fusedChunks(layout, shape, words, { page: search, weights, neighbors }),
      values: [encodeVector(vector), efSearch, question, ...(condition?.values ?? [])],
    };
  });
  return rows.map((row) => ({
    ...toHit(row, layout),
    textScore: row.text_score === null ? undefined : Number(row.text_score),
    fusedScore: Number(row.fused_score),
  }));
}

interface TextRow extends PassageRow, ReachedRow {
  text_score: HostNumber;
}

interface HybridRow extends HitRow, ReachedRow {
  /** `null` for a chunk that was found by its vector alone. */
  text_score: HostNumber | null;
  fused_score: HostNumber;
}

/** How far a statement looks, among the words and among the vectors. */
interface WordsAndVectors {
  words: TextSearchShape;
  plan: SearchPlan;
}

/**
 * Runs a statement; again so that it looks at all, where a filter left too few of the chunks that it looked at, or too few
 * trainings are among them.
 */
async function findPage<Row extends ReachedRow>(
  { statements, serving }: SearchTarget,
  search: TextSearch,
  depth: number,
  statement: (reach: WordsAndVectors, state: ServingState) => { text: string; values: unknown[] },
): Promise<Row[]> {
  const { k, condition, perTraining } = search;
  const state = await serving.current();
  const { pages } = state;
  const hasManyChunks = pages > MOST_PAGES_TO_COUNT_ALL;
  const run = (limit: Reach, plan: SearchPlan): Promise<Row[]> => {
    const words = {
      limit,
      condition: condition?.text,
      samplePercent: pages <= SAMPLE_PAGES ? 100 : (100 * SAMPLE_PAGES) / pages,
      hasManyChunks,
      onlyRareWords: hasManyChunks && plan !== "exact",
    };
    const { text, values } = statement({ words, plan }, state);
    return statements.query<Row>(text, values, { keepsPlan: false });
  };
  const look = (limit: Reach): Promise<Row[]> =>
    orExact(limit === undefined ? "exact" : "planner's", (plan) => run(limit, plan));
  const isFull = (rows: Row[]): boolean => rows.length >= k;
  if (perTraining !== undefined) {
    return reachFurther(k, condition !== undefined && isLarge(state), look, isFull);
  }
  const rows = await look(depth);
  return isFull(rows) || !condition || !hasManyChunks ? rows : run(depth, "exact");
}

/** @throws {@link InvalidArgumentError} */
export function requireTextSearch({ layout }: SearchTarget): TextLayout {
  const { textSearch } = layout;
  if (textSearch !== undefined) return { ...layout, textSearch };
  throw new InvalidArgumentError(
    "mode",
    'needs chunks that can be searched for words: run migrate(pool, { textSearch: "portuguese" }), or another language',
  );
}
