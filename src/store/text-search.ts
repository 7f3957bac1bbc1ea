import { InvalidArgumentError } from "../errors.js";
import type { HybridHit, TextHit } from "../types.js";
import type { HostNumber } from "./database.js";
import { encodeVector } from "./codec.js";
import type { Condition } from "./condition.js";
import { MAX_EF_SEARCH, toPassage, type PassageRow, type SearchTarget } from "./search.js";
import type { ServingState } from "./serving-index.js";
import {
  fusedChunks,
  matchingChunks,
  RANK_CONSTANT,
  type TextLayout,
  type TextSearchShape,
} from "./text-search-sql.js";

/** A text search whose arguments have been checked. */
export interface TextSearch {
  question: string;
  k: number;
  condition: Condition | undefined;
}

/** A search by vector and by words whose arguments have been checked. */
export interface HybridSearch extends TextSearch {
  vector: Float32Array;
  efSearch: number;
  rerankFactor: number;
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
  const { question, k, condition } = search;
  const rows = await runWidened<TextRow>(target, search, (shape) => ({
    text: matchingChunks(layout, { ...shape, limit: k }),
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
  const { vector, question, k, condition, weights } = search;
  const depth = Math.min(Math.max(2 * k, FUSION_DEPTH), MAX_EF_SEARCH);
  const { type } = await target.serving.current();
  const candidates = type === "bit" ? Math.max(depth * search.rerankFactor, search.efSearch) : depth;
  const efSearch = Math.min(Math.max(search.efSearch, candidates), MAX_EF_SEARCH);
  const rows = await runWidened<HybridRow>(target, search, (shape, isWidened) => ({
    text: fusedChunks(
      layout,
      {
        limit: depth,
        condition: condition?.text,
        withEmbedding: false,
        type: isWidened ? undefined : type,
        dimensions: target.dimensions,
        plan: isWidened ? "by filter" : "planner's",
        candidates,
      },
      { ...shape, limit: depth },
      { limit: k, weights },
    ),
    values: [encodeVector(vector), efSearch.toString(), question, ...(condition?.values ?? [])],
  }));
  return rows.map((row) => {
    const distance = Number(row.distance);
    return {
      ...toPassage(row, layout),
      score: 1 - distance,
      distance,
      textScore: row.text_score === null ? undefined : Number(row.text_score),
      fusedScore: Number(row.fused_score),
    };
  });
}

interface TextRow extends PassageRow {
  text_score: HostNumber;
}

interface HybridRow extends PassageRow {
  distance: HostNumber;
  /** `null` for a chunk that was found by its vector alone. */
  text_score: HostNumber | null;
  fused_score: HostNumber;
}

/** Runs a statement; where a filter left too few of the chunks that it looked at, again so that it looks at all. */
async function runWidened<Row>(
  { statements, serving }: SearchTarget,
  { k, condition }: TextSearch,
  statement: (
    shape: Omit<TextSearchShape, "limit">,
    isWidened: boolean,
  ) => { text: string; values: unknown[] },
): Promise<Row[]> {
  const run = (shape: Omit<TextSearchShape, "limit">, isWidened: boolean): Promise<Row[]> => {
    const { text, values } = statement(shape, isWidened);
    return statements.query<Row>(text, values, { keepsPlan: false });
  };
  const shape = shapeFor(await serving.current(), condition);
  const rows = await run(shape, false);
  if (rows.length >= k || !condition || !shape.onlyRareWords) return rows;
  return run({ ...shape, onlyRareWords: false }, true);
}

function shapeFor({ pages }: ServingState, condition: Condition | undefined): Omit<TextSearchShape, "limit"> {
  return {
    condition: condition?.text,
    samplePercent: pages <= SAMPLE_PAGES ? 100 : (100 * SAMPLE_PAGES) / pages,
    onlyRareWords: pages > MOST_PAGES_TO_COUNT_ALL,
  };
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
